//! One host's turn: how many requests are with it, and when the next may start. Shared by all units of
//! the process, so that two units do not add up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::config::PolitenessKey;

/// The state of one politeness key.
#[derive(Debug)]
pub(crate) struct Host {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    next_start: Instant,
    delay: Duration,
    /// Throttling answers or connection trouble in a row.
    trouble: u32,
    last_used: Instant,
}

/// The right to have one request with a host; dropping it gives the turn back.
#[derive(Debug)]
pub(crate) struct Slot {
    host: Arc<Host>,
    previous: Instant,
    granted: Instant,
}

/// What a host says to a request that wants to start.
#[derive(Debug)]
pub(crate) enum Turn {
    Go(Slot),
    NotBefore(Instant),
    Full,
}

impl Host {
    fn new(delay: Duration, now: Instant) -> Self {
        Self { state: Mutex::new(State { in_flight: 0, next_start: now, delay, trouble: 0, last_used: now }) }
    }

    /// Takes a turn, where one is free at `now`.
    pub(crate) fn turn(self: &Arc<Self>, now: Instant, concurrency: usize) -> Turn {
        let mut s = self.state.lock();
        s.last_used = now;
        if s.next_start > now {
            return Turn::NotBefore(s.next_start);
        }
        if s.in_flight >= concurrency {
            return Turn::Full;
        }
        s.in_flight += 1;
        let previous = s.next_start;
        s.next_start = now + s.delay;
        Turn::Go(Slot { host: Arc::clone(self), previous, granted: s.next_start })
    }

    /// Spaces requests by at least `delay` from now on.
    pub(crate) fn slow_down(&self, delay: Duration) {
        let mut s = self.state.lock();
        if delay > s.delay {
            let more = delay - s.delay;
            s.next_start += more;
            s.delay = delay;
        }
    }

    /// Seconds between the starts of two requests.
    pub(crate) fn delay(&self) -> Duration {
        self.state.lock().delay
    }

    /// Counts trouble and gives its number in a row.
    pub(crate) fn trouble(&self) -> u32 {
        let mut s = self.state.lock();
        s.trouble = s.trouble.saturating_add(1);
        s.trouble
    }

    /// An ordinary answer ends a row of trouble.
    pub(crate) fn calm(&self) {
        self.state.lock().trouble = 0;
    }

    /// Nothing starts before `until`.
    pub(crate) fn rest_until(&self, until: Instant) {
        let mut s = self.state.lock();
        s.next_start = s.next_start.max(until);
    }
}

impl Slot {
    /// Whose turn it is.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Says that no request was made in this turn, so that the next need not keep its distance from it.
    pub(crate) fn unused(&self) {
        let mut s = self.host.state.lock();
        if s.next_start == self.granted {
            s.next_start = self.previous;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut s = self.host.state.lock();
        s.in_flight = s.in_flight.saturating_sub(1);
    }
}

/// All hosts that were lately in use.
#[derive(Debug)]
pub(crate) struct Hosts {
    map: Mutex<HashMap<Box<str>, Arc<Host>>>,
    capacity: usize,
    delay: Duration,
}

impl Hosts {
    pub(crate) fn new(capacity: usize, delay: Duration) -> Self {
        Self { map: Mutex::new(HashMap::new()), capacity, delay }
    }

    pub(crate) fn get(&self, key: &str, now: Instant) -> Arc<Host> {
        let mut map = self.map.lock();
        if let Some(host) = map.get(key) {
            return Arc::clone(host);
        }
        if map.len() >= self.capacity {
            // Who holds a host keeps it alive; the others have nothing to remember once their rest is over.
            map.retain(|_, host| Arc::strong_count(host) > 1 || host.state.lock().next_start > now);
            if map.len() >= self.capacity {
                // All of them resting: forget those that would be free first.
                let mut rests: Vec<Instant> = map.values().map(|h| h.state.lock().next_start).collect();
                let at = rests.len() / 8;
                let (_, cut, _) = rests.select_nth_unstable(at);
                let cut = *cut;
                map.retain(|_, host| Arc::strong_count(host) > 1 || host.state.lock().next_start > cut);
            }
        }
        let host = Arc::new(Host::new(self.delay, now));
        map.insert(key.into(), Arc::clone(&host));
        host
    }
}

/// The key under which a host name (or literal address) is counted.
pub(crate) fn key_of(host: &str, by: PolitenessKey) -> &str {
    match by {
        PolitenessKey::Host => host,
        PolitenessKey::Domain => {
            // Addresses have no registrable domain.
            if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') { host } else { psl::domain_str(host).unwrap_or(host) }
        }
    }
}
