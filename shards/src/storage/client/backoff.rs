//! How long to wait before a request is made again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Pauses that grow and are spread: "decorrelated jitter" of the AWS architecture blog, "Exponential Backoff And Jitter".
/// Each pause lies between the first one and three times the one before it, under the longest.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    last: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first), last: first }
    }

    /// The next pause.
    pub(super) fn next_pause(&mut self) -> Duration {
        let widest = self.last.saturating_mul(3).clamp(self.first, self.longest);
        let pause = self.first + (widest - self.first).mul_f64(fraction());
        self.last = pause;
        pause
    }
}

/// A number in [0, 1). It shapes waiting times only and never an output, so it needs no seed.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_between_the_first_and_the_longest() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(15));
        let mut backoff = Backoff::new(first, longest);
        for _ in 0..1000 {
            let pause = backoff.next_pause();
            assert!(pause >= first && pause <= longest, "{pause:?}");
        }
    }

    #[test]
    fn many_waiters_do_not_wake_in_step() {
        // One hundred requests that failed at the same time: no tenth of their common span wakes more than a third.
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(15));
        let mut tenths = [0; 10];
        for _ in 0..100 {
            let pause = Backoff::new(first, longest).next_pause();
            tenths[(((pause - first).as_millis() / 20) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|&count| count <= 33), "{tenths:?}");
    }
}
