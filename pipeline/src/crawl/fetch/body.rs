//! Reading a body within its limits: silence, rate, deadline, bytes on the wire, bytes decoded.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::client::classify;
use super::config::{FetchConfig, secs};
use super::decode::{Coding, Decoder};
use super::memory::{Memory, MemoryPermit};
use super::outcome::FetchFailure;

/// The limits of one body.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) idle: Duration,
    pub(crate) min_rate: u64,
    pub(crate) min_rate_grace: Duration,
    pub(crate) max_wire: u64,
    pub(crate) max_decoded: u64,
    pub(crate) max_ratio: u64,
}

impl Limits {
    pub(crate) fn new(cfg: &FetchConfig) -> Self {
        Self {
            idle: secs(cfg.idle_timeout),
            min_rate: cfg.min_rate,
            min_rate_grace: secs(cfg.min_rate_grace),
            max_wire: cfg.max_body_bytes,
            max_decoded: cfg.max_decoded_bytes,
            max_ratio: cfg.max_decode_ratio,
        }
    }
}

/// A body that arrived whole.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) wire_bytes: u64,
}

/// Waits for chunks under the time limits of one body, with one timer for all of it.
struct Watch<'a> {
    limits: &'a Limits,
    start: Instant,
    last: Instant,
    deadline: Instant,
    received: u64,
}

impl Watch<'_> {
    /// The next moment at which a limit may be broken.
    fn next_check(&self) -> Instant {
        let mut at = (self.last + self.limits.idle).min(self.deadline);
        if self.limits.min_rate > 0 {
            // When the bytes so far would fall under the rate, were nothing more to come.
            let earned = Duration::from_secs_f64(self.received as f64 / self.limits.min_rate as f64);
            at = at.min(self.start + self.limits.min_rate_grace.max(earned));
        }
        at
    }

    fn broken(&self, now: Instant) -> Option<FetchFailure> {
        if now >= self.deadline {
            return Some(FetchFailure::new("total_timeout", format!("{} bytes when the time for the url was up", self.received)));
        }
        if now >= self.last + self.limits.idle {
            return Some(FetchFailure::new("idle_timeout", format!("silence after {} bytes", self.received)));
        }
        let spent = now - self.start;
        if self.limits.min_rate > 0
            && spent >= self.limits.min_rate_grace
            && (self.received as f64) < self.limits.min_rate as f64 * spent.as_secs_f64()
        {
            return Some(FetchFailure::new(
                "too_slow",
                format!("{} bytes in {:.1} s, less than {} a second", self.received, spent.as_secs_f64(), self.limits.min_rate),
            ));
        }
        None
    }

    async fn next<F, T>(&mut self, timer: &mut std::pin::Pin<&mut tokio::time::Sleep>, chunk: F) -> Result<T, FetchFailure>
    where
        F: Future<Output = T>,
    {
        let mut chunk = std::pin::pin!(chunk);
        loop {
            tokio::select! {
                biased;
                got = &mut chunk => return Ok(got),
                () = timer.as_mut() => {
                    if let Some(failure) = self.broken(Instant::now()) {
                        return Err(failure);
                    }
                    // A timer is only moved when it fires: chunks cost no timer work.
                    let at = self.next_check().max(Instant::now() + Duration::from_millis(1));
                    timer.as_mut().reset(at);
                }
            }
        }
    }
}

/// Reads the body of `response` into memory that `permit` accounts for.
pub(crate) async fn read(
    response: &mut reqwest::Response,
    coding: Coding,
    limits: &Limits,
    deadline: Instant,
    memory: &Memory,
    permit: &mut MemoryPermit,
) -> Result<Body, FetchFailure> {
    let announced = response.content_length();
    if let Some(bytes) = announced
        && bytes > limits.max_wire
    {
        return Err(FetchFailure::new("body_too_large", format!("{bytes} bytes announced, {} allowed", limits.max_wire)));
    }
    let needs_lane = match (coding, announced) {
        (Coding::Identity, Some(bytes)) => !memory.try_grow(permit, bytes),
        (Coding::Identity, None) => false,
        _ => true,
    };
    if needs_lane {
        grow(memory, permit, deadline).await?;
    }
    let mut decoder = Decoder::new(coding, limits)?;
    let start = Instant::now();
    let mut watch = Watch { limits, start, last: start, deadline, received: 0 };
    let mut timer = std::pin::pin!(tokio::time::sleep_until(watch.next_check()));
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    loop {
        let chunk = match watch.next(&mut timer, response.chunk()).await? {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return Err(classify(&error)),
        };
        if chunk.is_empty() {
            continue;
        }
        watch.last = Instant::now();
        watch.received += chunk.len() as u64;
        if watch.received > limits.max_wire {
            return Err(FetchFailure::new("body_too_large", format!("more than {} bytes", limits.max_wire)));
        }
        // A server that keeps sending is caught here, not by the timer.
        if watch.last >= deadline
            && let Some(failure) = watch.broken(watch.last)
        {
            return Err(failure);
        }
        if let Some(decoder) = &mut decoder {
            decoder.push(&chunk, watch.received)?;
            continue;
        }
        if watch.received > permit.bytes() && !memory.try_grow(permit, (watch.received * 2).min(limits.max_wire)) {
            let waited = Instant::now();
            grow(memory, permit, deadline).await?;
            // Our wait, not the server's.
            watch.last = Instant::now();
            watch.start += watch.last - waited;
        }
        if first.is_none() && whole.is_empty() {
            first = Some(chunk);
            continue;
        }
        if let Some(first) = first.take() {
            // The announced length is only an announcement: no more than a MiB on trust.
            whole.reserve(announced.unwrap_or(0).clamp(first.len() as u64 + chunk.len() as u64, 1 << 20) as usize);
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&chunk);
    }
    let wire_bytes = watch.received;
    if let Some(expected) = announced
        && expected != wire_bytes
    {
        return Err(FetchFailure::new("length_mismatch", format!("{wire_bytes} bytes of {expected} announced")));
    }
    let bytes = match decoder {
        Some(decoder) => decoder.finish()?,
        None => first.unwrap_or_else(|| whole.freeze()),
    };
    memory.settle(permit, bytes.len() as u64);
    Ok(Body { bytes, wire_bytes })
}

async fn grow(memory: &Memory, permit: &mut MemoryPermit, deadline: Instant) -> Result<(), FetchFailure> {
    tokio::time::timeout_at(deadline, memory.lane(permit))
        .await
        .map_err(|_| FetchFailure::new("memory_timeout", "no memory for the body came free in time"))
}

/// Reads at most `limit` bytes of a policy file and leaves the rest, as RFC 9309 §2.5 allows. The flag
/// says whether it was cut.
pub(crate) async fn read_prefix(
    response: &mut reqwest::Response,
    coding: Coding,
    limit: u64,
    limits: &Limits,
    deadline: Instant,
) -> Result<(Vec<u8>, bool), FetchFailure> {
    let limits = Limits { max_wire: u64::MAX, max_decoded: limit + 1, ..limits.clone() };
    let mut decoder = Decoder::new(coding, &limits)?;
    let start = Instant::now();
    let mut watch = Watch { limits: &limits, start, last: start, deadline, received: 0 };
    let mut timer = std::pin::pin!(tokio::time::sleep_until(watch.next_check()));
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let chunk = match watch.next(&mut timer, response.chunk()).await? {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return Err(classify(&error)),
        };
        watch.last = Instant::now();
        watch.received += chunk.len() as u64;
        if watch.last >= deadline
            && let Some(failure) = watch.broken(watch.last)
        {
            return Err(failure);
        }
        match &mut decoder {
            Some(decoder) => decoder.push(&chunk, watch.received)?,
            None => whole.extend_from_slice(&chunk),
        }
        if whole.len() as u64 > limit {
            whole.truncate(limit as usize);
            return Ok((whole, true));
        }
    }
    if let Some(decoder) = decoder {
        whole = decoder.finish()?.to_vec();
    }
    Ok((whole, false))
}
