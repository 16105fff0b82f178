//! Which units of a fetcher are at work, and when one more may begin.
//!
//! Most of a unit's time is waiting for the turns of slow hosts. Two units always run; another one begins when the machine
//! has so little to do that it would not be in their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Units that never wait for each other.
const TOGETHER: usize = 2;
/// Between two units that begin: the first one's requests are to be seen before the second is let in.
const APART: Duration = Duration::from_secs(1);
/// After pictures came faster than they could be worked on. Units that are full say so every second.
const QUIET: Duration = Duration::from_secs(3);
/// Between two looks at the machine.
const LOOK: Duration = Duration::from_millis(100);
/// Seconds of units that the usual pace is an average over, about.
const MEMORY: f64 = 600.0;

/// The units of a process.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    state: Mutex<State>,
    /// Who waits goes in one by one, in the order of coming.
    line: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    active: usize,
    began: Option<Instant>,
    backed_up: Option<Instant>,
    answers: f64,
    seconds: f64,
}

/// A unit's right to be at work; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    crew: Arc<Crew>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crew.state.lock().active -= 1;
    }
}

/// Counts who waits, also when the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    /// Waits until one more unit may begin. `idle` says whether requests would find the machine free.
    pub(crate) async fn place(self: &Arc<Self>, idle: impl Fn() -> bool) -> Place {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let _turn = self.line.lock().await;
        loop {
            if self.enter(Instant::now(), &idle) {
                return Place { crew: Arc::clone(self) };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn enter(&self, now: Instant, idle: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        let past = |moment: Option<Instant>, time| moment.is_none_or(|then| now.saturating_duration_since(then) >= time);
        let free = state.active < TOGETHER || (past(state.began, APART) && past(state.backed_up, QUIET) && idle());
        if free {
            state.active += 1;
            state.began = Some(now);
        }
        free
    }

    /// Whether a unit waits for a place.
    pub(crate) fn others_wait(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Hears that pictures come faster than they are worked on: then requests in flight say nothing about the machine.
    pub(crate) fn backed_up(&self, now: Instant) {
        self.state.lock().backed_up = Some(now);
    }

    /// Hears what a unit has done in some seconds.
    pub(crate) fn report(&self, answers: u64, seconds: f64) {
        let mut state = self.state.lock();
        let kept = (1.0 - seconds / MEMORY).max(0.0);
        state.answers = state.answers * kept + answers as f64;
        state.seconds = state.seconds * kept + seconds;
    }

    /// Answers a second of a unit, lately.
    pub(crate) fn usual_pace(&self) -> f64 {
        let state = self.state.lock();
        if state.seconds > 0.0 { state.answers / state.seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_unit_waits_for_an_idle_machine() {
        let crew = Crew::default();
        let start = Instant::now();
        assert!(crew.enter(start, || false) && crew.enter(start, || false));
        assert!(!crew.enter(start + APART, || false));
        assert!(crew.enter(start + APART, || true));
        // Not two at once: what the last one asks for is not seen yet.
        assert!(!crew.enter(start + APART, || true));
        crew.backed_up(start + 2 * APART);
        assert!(!crew.enter(start + 2 * APART, || true));
        assert!(crew.enter(start + 2 * APART + QUIET, || true));
    }

    #[tokio::test]
    async fn places_come_back_and_who_gives_up_no_longer_waits() {
        let crew = Arc::new(Crew::default());
        let first = crew.place(|| false).await;
        let _second = crew.place(|| false).await;
        assert!(!crew.others_wait());
        let mut third = Box::pin(crew.place(|| false));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut third).await.is_err());
        assert!(crew.others_wait());
        drop(third);
        assert!(!crew.others_wait());
        drop(first);
        let third = tokio::time::timeout(Duration::from_secs(5), crew.place(|| false)).await;
        assert!(third.is_ok());
    }

    #[test]
    fn the_usual_pace_forgets() {
        let crew = Crew::default();
        assert_eq!(crew.usual_pace(), 0.0);
        crew.report(1000, 10.0);
        assert!((crew.usual_pace() - 100.0).abs() < 1e-9);
        (0..6000).for_each(|_| crew.report(2, 1.0));
        assert!((crew.usual_pace() - 2.0).abs() < 0.1, "{}", crew.usual_pace());
    }
}
