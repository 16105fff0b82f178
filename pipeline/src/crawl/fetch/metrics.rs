//! Counters of one fetcher.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::outcome::FetchOutcome;

const BUCKETS: usize = 24;

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: AtomicU64,
    pub(crate) policy_requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) redirects: AtomicU64,
    pub(crate) wire_bytes: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    pub(crate) dns_lookups: AtomicU64,
    pub(crate) dns_cache_hits: AtomicU64,
    pub(crate) guard_blocked: AtomicU64,
    pub(crate) units_left: AtomicU64,
    success: AtomicU64,
    deferred: AtomicU64,
    failed: Mutex<BTreeMap<&'static str, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    latency: [AtomicU64; BUCKETS],
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Requests for images, redirects and retries included.
    pub requests: u64,
    /// Requests for robots.txt, tdmrep.json and ai.txt.
    pub policy_requests: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Redirects followed.
    pub redirects: u64,
    /// Body bytes on the wire, failed downloads included.
    pub wire_bytes: u64,
    /// Body bytes handed out.
    pub body_bytes: u64,
    /// Names asked of a DNS server.
    pub dns_lookups: u64,
    /// Names answered from memory.
    pub dns_cache_hits: u64,
    /// URLs, redirects and names that the guard stopped.
    pub guard_blocked: u64,
    /// Units that ended before their time, because others had more to do.
    pub units_left: u64,
    /// Outcomes by kind.
    pub success: u64,
    /// Outcomes by kind.
    pub deferred: u64,
    /// Failures by code.
    pub failed: BTreeMap<&'static str, u64>,
    /// Opt-outs by signal.
    pub refused: BTreeMap<&'static str, u64>,
    /// Successful downloads by time from request to last byte: bucket `i` holds those under
    /// `2^i` ms that are not in a bucket before it.
    pub latency_ms_log2: Vec<u64>,
    /// Requests allowed in flight at the moment.
    pub concurrency: usize,
    /// Memory promised to bodies at the moment.
    pub bytes_in_flight: u64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn outcome(&self, outcome: &FetchOutcome) {
        match outcome {
            FetchOutcome::Success(fetched) => {
                Self::add(&self.success, 1);
                Self::add(&self.body_bytes, fetched.body.len() as u64);
                if let Some(bucket) = self.latency.get(bucket(fetched.elapsed)) {
                    Self::add(bucket, 1);
                }
            }
            FetchOutcome::Failed(failure) => *self.failed.lock().entry(failure.code).or_default() += 1,
            FetchOutcome::Refused(opt_out) => *self.refused.lock().entry(opt_out.signal).or_default() += 1,
            FetchOutcome::Deferred => Self::add(&self.deferred, 1),
        }
    }

    pub(crate) fn snapshot(&self, concurrency: usize, bytes_in_flight: u64) -> MetricsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MetricsSnapshot {
            requests: get(&self.requests),
            policy_requests: get(&self.policy_requests),
            retries: get(&self.retries),
            redirects: get(&self.redirects),
            wire_bytes: get(&self.wire_bytes),
            body_bytes: get(&self.body_bytes),
            dns_lookups: get(&self.dns_lookups),
            dns_cache_hits: get(&self.dns_cache_hits),
            guard_blocked: get(&self.guard_blocked),
            units_left: get(&self.units_left),
            success: get(&self.success),
            deferred: get(&self.deferred),
            failed: self.failed.lock().clone(),
            refused: self.refused.lock().clone(),
            latency_ms_log2: self.latency.iter().map(get).collect(),
            concurrency,
            bytes_in_flight,
        }
    }
}

fn bucket(elapsed: Duration) -> usize {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    ((64 - ms.leading_zeros()) as usize).min(BUCKETS - 1)
}
