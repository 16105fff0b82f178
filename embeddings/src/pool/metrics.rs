//! What a pool counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::device::DeviceName;

use super::row::Kind;

/// Counters of a pool, written by its threads.
#[derive(Debug)]
pub(super) struct Counters {
    since: Instant,
    images: AtomicU64,
    texts: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
    capacity: AtomicU64,
    wait_us: AtomicU64,
    stage_us: AtomicU64,
    oom_splits: AtomicU64,
    nan_rows: AtomicU64,
    failed_rows: AtomicU64,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    name: DeviceName,
    busy_us: AtomicU64,
    restarts: AtomicU64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn seconds(micros: &AtomicU64) -> f64 {
    micros.load(Relaxed) as f64 / 1e6
}

impl Counters {
    pub(super) fn new(devices: &[DeviceName]) -> Self {
        let device = |name: &DeviceName| Device { name: name.clone(), busy_us: AtomicU64::new(0), restarts: AtomicU64::new(0) };
        let zero = || AtomicU64::new(0);
        Self {
            since: Instant::now(),
            images: zero(),
            texts: zero(),
            batches: zero(),
            rows: zero(),
            capacity: zero(),
            wait_us: zero(),
            stage_us: zero(),
            oom_splits: zero(),
            nan_rows: zero(),
            failed_rows: zero(),
            devices: devices.iter().map(device).collect(),
        }
    }

    /// Time that rows spent in the queue.
    pub(super) fn waited(&self, time: Duration) {
        self.wait_us.fetch_add(micros(time), Relaxed);
    }

    /// Time spent on laying out batches beside the computation.
    pub(super) fn staged(&self, time: Duration) {
        self.stage_us.fetch_add(micros(time), Relaxed);
    }

    /// A call of the model, with or without success.
    pub(super) fn busy(&self, worker: usize, time: Duration) {
        self.devices[worker].busy_us.fetch_add(micros(time), Relaxed);
    }

    /// A call of the model that gave embeddings.
    pub(super) fn batch(&self, kind: Kind, rows: usize, capacity: usize) {
        let of = match kind {
            Kind::Image => &self.images,
            Kind::Text => &self.texts,
        };
        of.fetch_add(rows as u64, Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        self.batches.fetch_add(1, Relaxed);
        self.capacity.fetch_add(capacity as u64, Relaxed);
    }

    pub(super) fn restart(&self, worker: usize) {
        self.devices[worker].restarts.fetch_add(1, Relaxed);
    }

    pub(super) fn oom(&self) {
        self.oom_splits.fetch_add(1, Relaxed);
    }

    pub(super) fn not_finite(&self) {
        self.nan_rows.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed_rows.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self, (rows_queued, bytes_queued): (usize, usize)) -> PoolMetrics {
        let elapsed = self.since.elapsed().as_secs_f64();
        let share = |busy: f64, of: f64| if of > 0.0 { busy / of } else { 0.0 };
        let devices: Vec<DeviceMetrics> = self
            .devices
            .iter()
            .map(|device| DeviceMetrics {
                device: device.name.clone(),
                busy_seconds: seconds(&device.busy_us),
                busy_share: share(seconds(&device.busy_us), elapsed),
                restarts: device.restarts.load(Relaxed),
            })
            .collect();
        let busy: f64 = devices.iter().map(|device| device.busy_seconds).sum();
        PoolMetrics {
            images: self.images.load(Relaxed),
            texts: self.texts.load(Relaxed),
            batches: self.batches.load(Relaxed),
            batch_fill: share(self.rows.load(Relaxed) as f64, self.capacity.load(Relaxed) as f64),
            queue_wait_seconds: seconds(&self.wait_us),
            stage_seconds: seconds(&self.stage_us),
            elapsed_seconds: elapsed,
            busy_seconds: busy,
            busy_share: share(busy, elapsed * devices.len() as f64),
            restarts: devices.iter().map(|device| device.restarts).sum(),
            oom_splits: self.oom_splits.load(Relaxed),
            nan_rows: self.nan_rows.load(Relaxed),
            failed_rows: self.failed_rows.load(Relaxed),
            rows_queued,
            bytes_queued,
            devices,
        }
    }
}

/// What a pool has done since it was built.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// Pictures that went through a model.
    pub images: u64,
    /// Captions that went through a model.
    pub texts: u64,
    /// Calls of a model that gave embeddings.
    pub batches: u64,
    /// Rows of these calls per row of their models' full batches: 0 to 1.
    pub batch_fill: f64,
    /// Time from submission to a batch, summed over the rows.
    pub queue_wait_seconds: f64,
    /// Time spent on laying out batches on the collectors' threads, beside the computation.
    pub stage_seconds: f64,
    /// Time since the pool was built, replicas loaded.
    pub elapsed_seconds: f64,
    /// Time inside models, summed over the devices.
    pub busy_seconds: f64,
    /// `busy_seconds` per second and device: 0 to 1.
    pub busy_share: f64,
    /// Replicas made anew after a death.
    pub restarts: u64,
    /// Batches that did not fit into memory and were halved.
    pub oom_splits: u64,
    /// Rows whose embedding was not finite.
    pub nan_rows: u64,
    /// Rows that got an error from the model, with the `nan_rows`.
    pub failed_rows: u64,
    /// Rows that wait now.
    pub rows_queued: usize,
    /// Bytes of their inputs.
    pub bytes_queued: usize,
    /// By device.
    pub devices: Vec<DeviceMetrics>,
}

/// What one worker has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceMetrics {
    /// The worker's device.
    pub device: DeviceName,
    /// Time inside models.
    pub busy_seconds: f64,
    /// `busy_seconds` per second: 0 to 1.
    pub busy_share: f64,
    /// Replicas made anew after a death.
    pub restarts: u64,
}
