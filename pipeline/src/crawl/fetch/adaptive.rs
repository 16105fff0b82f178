//! How many requests may be in flight: additive increase while there is demand and it pays,
//! multiplicative decrease when time-outs pile up or the machine runs out of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a finished request says about the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feeling {
    /// An answer came, whatever it was.
    Fine,
    /// A time-out somewhere: the far end may be dead, or our own line full.
    TimedOut,
    /// Our own machine is short of sockets or ports.
    Exhausted,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    done: usize,
    timed_out: usize,
    /// The share of time-outs that this list of URLs has anyway; dead hosts are normal.
    usual: Option<f64>,
    last_rate: f64,
    rose: bool,
}

/// The controller, shared by all units.
#[derive(Debug)]
pub(crate) struct Adaptive {
    slots: Arc<Semaphore>,
    limit: AtomicUsize,
    /// Slots to take away as soon as they come back.
    debt: AtomicUsize,
    wanted_more: AtomicBool,
    window: Mutex<Window>,
    min: usize,
    max: usize,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(crate) struct Ticket {
    permit: Option<OwnedSemaphorePermit>,
    owner: Arc<Adaptive>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let paid = self.owner.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, |d| d.checked_sub(1)).is_ok();
        if paid {
            permit.forget();
        }
    }
}

impl Adaptive {
    pub(crate) fn new(min: usize, max: usize) -> Self {
        let start = (max / 2).clamp(min, max);
        Self {
            slots: Arc::new(Semaphore::new(start)),
            limit: AtomicUsize::new(start),
            debt: AtomicUsize::new(0),
            wanted_more: AtomicBool::new(false),
            window: Mutex::new(Window { since: Instant::now(), done: 0, timed_out: 0, usual: None, last_rate: 0.0, rose: false }),
            min,
            max,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Requests that could start at once.
    pub(crate) fn free(&self) -> usize {
        self.slots.available_permits()
    }

    pub(crate) fn try_ticket(self: &Arc<Self>) -> Option<Ticket> {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => Some(Ticket { permit: Some(permit), owner: Arc::clone(self) }),
            Err(_) => {
                self.wanted_more.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    pub(crate) async fn ticket(self: Arc<Self>) -> Ticket {
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        Ticket { permit, owner: self }
    }

    /// Hears of a finished request; once per window of about `limit` of them the limit moves.
    pub(crate) fn report(&self, feeling: Feeling, now: Instant) {
        let mut w = self.window.lock();
        w.done += 1;
        match feeling {
            Feeling::Fine => {}
            Feeling::TimedOut => w.timed_out += 1,
            Feeling::Exhausted => {
                self.change(self.limit() / 2);
                Self::reopen(&mut w, now);
                w.rose = false;
                return;
            }
        }
        let limit = self.limit();
        if w.done < limit.max(32) {
            return;
        }
        let share = w.timed_out as f64 / w.done as f64;
        let rate = w.done as f64 / now.saturating_duration_since(w.since).as_secs_f64().max(1e-3);
        let usual = w.usual.unwrap_or(share);
        let saturated = self.wanted_more.swap(false, Ordering::Relaxed);
        if share > (2.0 * usual).max(0.15) {
            self.change(limit * 7 / 10);
            w.rose = false;
        } else if saturated && w.rose && rate < 0.8 * w.last_rate {
            // More in flight brought less: back to where it was better.
            self.change(limit - limit / 10);
            w.rose = false;
        } else if saturated {
            self.change(limit + (limit / 8).max(1));
            w.rose = true;
        }
        w.usual = Some(usual * 0.9 + share * 0.1);
        w.last_rate = rate;
        Self::reopen(&mut w, now);
    }

    fn reopen(w: &mut Window, now: Instant) {
        (w.since, w.done, w.timed_out) = (now, 0, 0);
    }

    fn change(&self, to: usize) {
        let to = to.clamp(self.min, self.max);
        let from = self.limit.swap(to, Ordering::Relaxed);
        if to < from {
            let gone = self.slots.forget_permits(from - to);
            self.debt.fetch_add(from - to - gone, Ordering::AcqRel);
        } else {
            let mut more = to - from;
            let _ = self.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
                let paid = debt.min(to - from);
                more = to - from - paid;
                Some(debt - paid)
            });
            self.slots.add_permits(more);
        }
    }
}
