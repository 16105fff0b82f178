//! A bounded map of expiring answers in which a missing answer is asked for once, however many wait.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

type Flight<V> = Shared<BoxFuture<'static, (V, Duration)>>;

enum Slot<V: Clone> {
    Ready { value: V, expires: Instant },
    Pending { flight: Flight<V>, ticket: u64 },
}

enum Joined<V: Clone> {
    Answer(V),
    Flight(Flight<V>, u64),
}

struct Inner<V: Clone> {
    map: HashMap<Box<str>, Slot<V>>,
    tickets: u64,
}

/// Keys to answers of type `V` (which may well be an error).
pub(crate) struct FlightCache<V: Clone> {
    inner: Mutex<Inner<V>>,
    capacity: usize,
}

impl<V: Clone + Send + Sync + 'static> FlightCache<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::new(Inner { map: HashMap::new(), tickets: 0 }), capacity: capacity.max(1) }
    }

    /// The answer, where one is there and fresh at `now`.
    pub(crate) fn get(&self, key: &str, now: Instant) -> Option<V> {
        match self.inner.lock().map.get(key) {
            Some(Slot::Ready { value, expires }) if *expires > now => Some(value.clone()),
            _ => None,
        }
    }

    /// The fresh answer, or the one that `ask` brings together with the time that it stays fresh.
    /// `ask` gets the stale answer, where there is one. A caller that goes away leaves the question
    /// to the others that wait for it.
    pub(crate) async fn get_or_ask<F, Fut>(&self, key: &str, now: Instant, ask: F) -> V
    where
        F: FnOnce(Option<V>) -> Fut,
        Fut: Future<Output = (V, Duration)> + Send + 'static,
    {
        let (flight, ticket) = match self.join(key, now, ask) {
            Joined::Answer(value) => return value,
            Joined::Flight(flight, ticket) => (flight, ticket),
        };
        self.land(key, now, flight, ticket).await
    }

    fn join<F, Fut>(&self, key: &str, now: Instant, ask: F) -> Joined<V>
    where
        F: FnOnce(Option<V>) -> Fut,
        Fut: Future<Output = (V, Duration)> + Send + 'static,
    {
        let mut inner = self.inner.lock();
        let stale = match inner.map.get(key) {
            Some(Slot::Ready { value, expires }) if *expires > now => {
                return Joined::Answer(value.clone());
            }
            Some(Slot::Ready { value, .. }) => Some(value.clone()),
            Some(Slot::Pending { flight, ticket }) => {
                return Joined::Flight(flight.clone(), *ticket);
            }
            None => None,
        };
        if inner.map.len() >= self.capacity {
            make_room(&mut inner.map, self.capacity, now);
        }
        inner.tickets += 1;
        let ticket = inner.tickets;
        let flight = ask(stale).boxed().shared();
        inner.map.insert(key.into(), Slot::Pending { flight: flight.clone(), ticket });
        Joined::Flight(flight, ticket)
    }

    async fn land(&self, key: &str, asked: Instant, flight: Flight<V>, ticket: u64) -> V {
        let (value, fresh) = flight.await;
        let mut inner = self.inner.lock();
        if let Some(slot) = inner.map.get_mut(key)
            && matches!(slot, Slot::Pending { ticket: t, .. } if *t == ticket)
        {
            // Counted from the question, so that an answer is never kept longer than it said.
            *slot = Slot::Ready { value: value.clone(), expires: asked + fresh };
        }
        value
    }

    /// Entries, pending ones too.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().map.len()
    }
}

/// Drops what has expired, and then the eighth that would expire first.
fn make_room<V: Clone>(map: &mut HashMap<Box<str>, Slot<V>>, capacity: usize, now: Instant) {
    map.retain(|_, slot| matches!(slot, Slot::Pending { .. }) || matches!(slot, Slot::Ready { expires, .. } if *expires > now));
    if map.len() < capacity {
        return;
    }
    let mut ages: Vec<Instant> =
        map.values().filter_map(|s| if let Slot::Ready { expires, .. } = s { Some(*expires) } else { None }).collect();
    if ages.is_empty() {
        return;
    }
    let at = (ages.len() / 8).min(ages.len() - 1);
    let (_, cut, _) = ages.select_nth_unstable(at);
    let cut = *cut;
    map.retain(|_, slot| !matches!(slot, Slot::Ready { expires, .. } if *expires <= cut));
}
