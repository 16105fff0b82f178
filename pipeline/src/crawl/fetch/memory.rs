//! The bound on bodies in memory.
//!
//! A download takes its share once, before it is read, so that downloads cannot wait for each other in a ring. One
//! whose size was not announced (or is decoded) and outgrows its share moves to one of a few lanes, each as large as the largest
//! body allowed; whoever has a lane never needs more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::FetchConfig;

const KIB: u64 = 1024;

/// The process-wide bound.
#[derive(Debug)]
pub(crate) struct Memory {
    pool: Arc<Semaphore>,
    lanes: Arc<Semaphore>,
    lane_bytes: u64,
    pool_bytes: u64,
    lane_count: u64,
}

/// A share of the memory bound; dropping it gives the bytes back.
#[derive(Debug)]
pub struct MemoryPermit {
    held: Option<OwnedSemaphorePermit>,
    lane: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl MemoryPermit {
    /// A permit that holds nothing, for bodies that do not come from a fetcher.
    #[must_use]
    pub fn none() -> Self {
        Self { held: None, lane: None, bytes: 0 }
    }

    /// Bytes that may be held under this permit.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Memory {
    pub(crate) fn new(cfg: &FetchConfig) -> Self {
        let lane_bytes = cfg.largest_body();
        // A quarter of the memory for bodies of unknown size, and one lane at least.
        let lane_count = (cfg.max_bytes_in_flight / 4 / lane_bytes).max(1);
        let pool_bytes = cfg.max_bytes_in_flight - lane_count * lane_bytes;
        Self {
            pool: Arc::new(Semaphore::new(kib(pool_bytes) as usize)),
            lanes: Arc::new(Semaphore::new(lane_count as usize)),
            lane_bytes,
            pool_bytes,
            lane_count,
        }
    }

    /// A share of `bytes`, at once or when others have given theirs back. First come, first served.
    pub(crate) async fn share(&self, bytes: u64) -> MemoryPermit {
        let bytes = bytes.clamp(1, self.pool_bytes);
        let held = Arc::clone(&self.pool).acquire_many_owned(kib(bytes)).await.ok();
        MemoryPermit { held, lane: None, bytes }
    }

    /// Grows `permit` to hold the largest body, by way of a lane.
    pub(crate) async fn lane(&self, permit: &mut MemoryPermit) {
        if permit.lane.is_none() {
            permit.lane = Arc::clone(&self.lanes).acquire_owned().await.ok();
            permit.bytes = self.lane_bytes;
        }
    }

    /// Grows `permit` to `bytes` where that needs no waiting.
    pub(crate) fn try_grow(&self, permit: &mut MemoryPermit, bytes: u64) -> bool {
        if bytes <= permit.bytes {
            return true;
        }
        let more = kib(bytes) - kib(permit.bytes);
        match Arc::clone(&self.pool).try_acquire_many_owned(more) {
            Ok(extra) => {
                match &mut permit.held {
                    Some(held) => held.merge(extra),
                    None => permit.held = Some(extra),
                }
                permit.bytes = bytes;
                true
            }
            Err(_) => false,
        }
    }

    /// Cuts a permit to what the finished body really holds; a lane goes back where the pool has room.
    pub(crate) fn settle(&self, permit: &mut MemoryPermit, bytes: u64) {
        let bytes = bytes.max(1);
        let need = kib(bytes) as usize;
        let have = permit.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if permit.lane.is_some() && need > have {
            let Ok(extra) = Arc::clone(&self.pool).try_acquire_many_owned((need - have) as u32) else {
                return;
            };
            match &mut permit.held {
                Some(held) => held.merge(extra),
                None => permit.held = Some(extra),
            }
        } else if have > need
            && let Some(held) = &mut permit.held
        {
            drop(held.split(have - need));
        }
        permit.lane = None;
        permit.bytes = bytes;
    }

    /// Bytes promised at this moment.
    pub(crate) fn in_flight(&self) -> u64 {
        let pool = u64::from(kib(self.pool_bytes)).saturating_sub(self.pool.available_permits() as u64) * KIB;
        pool + self.lane_count.saturating_sub(self.lanes.available_permits() as u64) * self.lane_bytes
    }
}

/// KiB, rounded up. Validation keeps every size under 2 TiB, which fits.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}
