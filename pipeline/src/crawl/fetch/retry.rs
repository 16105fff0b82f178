//! When to try again: `Retry-After`, back-off with jitter, and a budget.

use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::config::{FetchConfig, secs};

/// Back-off settings.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    base: Duration,
    max: Duration,
    max_retry_after: Duration,
}

impl Backoff {
    pub(crate) fn new(cfg: &FetchConfig) -> Self {
        Self { base: secs(cfg.backoff_base), max: secs(cfg.backoff_max), max_retry_after: secs(cfg.max_retry_after) }
    }

    /// The wait after the `n`-th trouble in a row (from 1) at `host`: base times 2^(n-1), at most the
    /// maximum, of which the upper half is jitter. The jitter is a hash of host and count, so that hosts and workers do
    /// not fall into step.
    pub(crate) fn wait(&self, host: &str, n: u32) -> Duration {
        let full = self.base.saturating_mul(1_u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.max);
        let draw = xxh3_64_with_seed(host.as_bytes(), u64::from(n) ^ u64::from(std::process::id()) << 32);
        full.mul_f64(0.5 + 0.5 * (draw >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// The wait that a `Retry-After` value asks for: seconds or an HTTP date (RFC 9110 §10.2.3), cut to the
    /// maximum. None where it is malformed, negative or in the past.
    pub(crate) fn retry_after(&self, value: &[u8], now: SystemTime) -> Option<Duration> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than a u64 holds is simply long.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            // A date means "not before", and dates have whole seconds.
            httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?
        };
        Some(wait.min(self.max_retry_after))
    }
}

/// Retries earned by first attempts.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    share: f64,
    left: f64,
}

impl RetryBudget {
    pub(crate) fn new(share: f64) -> Self {
        Self { share, left: 10.0 }
    }

    pub(crate) fn attempt(&mut self) {
        self.left += self.share;
    }

    pub(crate) fn take(&mut self) -> bool {
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

/// Failures in which no HTTP answer came: the host, its network or its name is in trouble.
pub(crate) fn is_connection_level(code: &str) -> bool {
    matches!(
        code,
        "connect_failed"
            | "connect_refused"
            | "connect_timeout"
            | "connection_closed"
            | "connection_reset"
            | "dns_transient"
            | "header_timeout"
            | "host_unreachable"
            | "network_unreachable"
    )
}

/// Failures after which another attempt in the same unit makes sense.
pub(crate) fn is_retriable(code: &str) -> bool {
    is_connection_level(code)
        || matches!(
            code,
            "idle_timeout"
                | "length_mismatch"
                | "local_resources"
                | "http_408"
                | "http_425"
                | "http_429"
                | "http_500"
                | "http_502"
                | "http_503"
                | "http_504"
                | "http_522"
                | "http_524"
        )
}
