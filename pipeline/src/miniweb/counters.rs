//! What a server saw of its visitors: how many came, to which host, how many at once and how soon after each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::hostile::Hostile;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `/robots.txt`
    Robots,
    /// `/.well-known/tdmrep.json`
    Tdm,
    /// A page.
    Page,
    /// The image of a slot with a good address.
    Image,
    /// The image of a slot whose address is bad in this way.
    Hostile(Hostile),
    /// A stop between an address and where it redirects to.
    Hop,
    /// A logo, pixel or stand-in.
    Asset,
    /// A picture of the bench pool.
    Bench,
    /// Something that is not there, or a host that does not exist.
    Unknown,
    /// A request that is not HTTP, or not GET or HEAD.
    Malformed,
}

impl Kind {
    /// Whether politeness counts for it. What a visitor asks to learn the rules is not counted as a visit.
    pub fn is_visit(self) -> bool {
        !matches!(self, Self::Robots | Self::Tdm)
    }
}

/// What one host saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSeen {
    /// Requests for robots.txt.
    pub robots: u64,
    /// All other requests but those for `tdmrep.json`.
    pub visits: u64,
    /// The most visits that were under way at the same time.
    pub most_at_once: u32,
    /// The shortest time between the starts of two visits.
    pub shortest_gap: Option<Duration>,
}

#[derive(Debug, Default)]
struct HostState {
    seen: HostSeen,
    now: u32,
    last: Option<Instant>,
}

/// The counters of a server. They only grow.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    connections: AtomicU64,
    bytes: AtomicU64,
    kinds: Mutex<BTreeMap<Kind, u64>>,
    hosts: Mutex<BTreeMap<u64, HostState>>,
}

impl Counters {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// All connections.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// The bytes sent, headers included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The requests of one kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).copied().unwrap_or(0)
    }

    /// The requests of each kind that came.
    pub fn kinds(&self) -> BTreeMap<Kind, u64> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What host number `host` saw.
    pub fn host(&self, host: u64) -> HostSeen {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(&host).map(|state| state.seen.clone()).unwrap_or_default()
    }

    /// What each host saw that was asked for anything.
    pub fn hosts(&self) -> BTreeMap<u64, HostSeen> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().map(|(host, state)| (*host, state.seen.clone())).collect()
    }

    /// The most visits that any host had at the same time.
    pub fn most_at_once(&self) -> u32 {
        self.hosts().values().map(|seen| seen.most_at_once).max().unwrap_or(0)
    }

    /// The shortest time between the starts of two visits to the same host, over all hosts.
    pub fn shortest_gap(&self) -> Option<Duration> {
        self.hosts().values().filter_map(|seen| seen.shortest_gap).min()
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts a request; the visit ends when what is returned is dropped.
    pub(crate) fn started(self: &Arc<Self>, host: Option<u64>, kind: Kind) -> Visit {
        self.requests.fetch_add(1, Relaxed);
        *self.kinds.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        let mut visit = Visit { counters: Arc::clone(self), host: None };
        let Some(host) = host else { return visit };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let state = hosts.entry(host).or_default();
        if kind.is_visit() {
            let now = Instant::now();
            if let Some(gap) = state.last.replace(now).map(|last| now - last) {
                state.seen.shortest_gap = Some(state.seen.shortest_gap.map_or(gap, |shortest| shortest.min(gap)));
            }
            state.seen.visits += 1;
            state.now += 1;
            state.seen.most_at_once = state.seen.most_at_once.max(state.now);
            visit.host = Some(host);
        } else if kind == Kind::Robots {
            state.seen.robots += 1;
        }
        visit
    }
}

/// A visit under way.
#[derive(Debug)]
pub(crate) struct Visit {
    counters: Arc<Counters>,
    host: Option<u64>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(host) = self.host {
            let mut hosts = self.counters.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = hosts.get_mut(&host) {
                state.now -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_at_the_same_time_are_told_from_visits_after_each_other() {
        let counters = Arc::new(Counters::default());
        for _ in 0..3 {
            drop(counters.started(Some(1), Kind::Image));
        }
        let both = [counters.started(Some(2), Kind::Image), counters.started(Some(2), Kind::Page)];
        let rules = counters.started(Some(2), Kind::Robots);
        assert_eq!((counters.host(1).most_at_once, counters.host(2).most_at_once), (1, 2));
        assert_eq!((counters.host(2).robots, counters.host(2).visits), (1, 2));
        assert!(counters.host(1).shortest_gap.is_some());
        drop((both, rules));
        assert_eq!((counters.requests(), counters.of(Kind::Image), counters.most_at_once()), (6, 4, 2));
    }
}
