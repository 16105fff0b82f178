//! One place through which every request to a store goes, so that "come back later" said to one is heard by all.

use std::time::{Duration, Instant};

/// When the next request may leave. A plain state machine over instants that the caller names.
#[derive(Debug)]
pub(super) struct Gate {
    /// Least time between two requests while the store complains.
    spacing: Duration,
    /// No request leaves before this.
    closed_until: Option<Instant>,
    /// Whether the last answer was a complaint.
    strained: bool,
    /// The latest departure that was given out while strained.
    last: Option<Instant>,
}

impl Gate {
    pub(super) fn new(spacing: Duration) -> Self {
        Self { spacing, closed_until: None, strained: false, last: None }
    }

    /// How long a request that wants to leave now has to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Duration {
        let mut at = now;
        if let Some(until) = self.closed_until {
            at = at.max(until);
        }
        if self.strained && !self.spacing.is_zero() {
            if let Some(last) = self.last {
                at = at.max(last + self.spacing);
            }
            self.last = Some(at);
        }
        at - now
    }

    /// The store complained, and nobody shall ask again before `pause` is over.
    pub(super) fn close(&mut self, now: Instant, pause: Duration) {
        let until = now + pause;
        self.closed_until = Some(self.closed_until.map_or(until, |earlier| earlier.max(until)));
        self.strained = true;
        self.last = self.last.max(Some(now));
    }

    /// The store answered as it should.
    pub(super) fn ease(&mut self) {
        self.strained = false;
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_content_store_is_asked_at_once() {
        let now = Instant::now();
        let mut gate = Gate::new(SECOND);
        for _ in 0..10 {
            assert_eq!(gate.admit(now), Duration::ZERO);
        }
    }

    #[test]
    fn what_one_request_was_told_holds_for_all() {
        let now = Instant::now();
        let mut gate = Gate::new(Duration::ZERO);
        gate.close(now, 7 * SECOND);
        gate.close(now, 3 * SECOND);
        assert_eq!(gate.admit(now), 7 * SECOND, "a shorter wish does not open the gate earlier");
        assert_eq!(gate.admit(now + 2 * SECOND), 5 * SECOND);
        assert_eq!(gate.admit(now + 8 * SECOND), Duration::ZERO);
    }

    #[test]
    fn a_strained_store_is_asked_once_a_second_until_it_answers() {
        let now = Instant::now();
        let mut gate = Gate::new(SECOND);
        gate.close(now, 2 * SECOND);
        let waits: Vec<_> = (0..4).map(|_| gate.admit(now).as_secs()).collect();
        assert_eq!(waits, [2, 3, 4, 5]);
        gate.ease();
        assert_eq!(gate.admit(now + 6 * SECOND), Duration::ZERO);
        assert_eq!(gate.admit(now + 6 * SECOND), Duration::ZERO);
    }
}
