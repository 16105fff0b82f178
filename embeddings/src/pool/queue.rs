//! The queue between callers and workers: bounded by rows and bytes, first come first served, and what makes batches.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::device::DeviceName;

use super::config::{Batching, PoolOptions};
use super::error::{PoolError, RowError};
use super::metrics::Counters;
use super::row::{Batch, Class, Kind, Row};

/// What the queue knows of a model.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) batching: Batching,
}

impl Lane {
    pub(super) fn size(&self, kind: Kind) -> usize {
        match kind {
            Kind::Image => self.batching.images,
            Kind::Text => self.batching.texts,
        }
    }
}

/// What callers, collectors and workers share.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) lanes: Vec<Lane>,
    max_rows: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// Something may have become ready for a collector.
    work: Condvar,
    pub(super) counters: Counters,
}

type GroupKey = (usize, Class);

#[derive(Debug)]
struct State {
    /// Single rows, by model and class; every group in order of submission. No group is empty.
    groups: BTreeMap<GroupKey, VecDeque<(u64, Row)>>,
    /// Batches as they are: of units, and given back by workers.
    batches: VecDeque<Batch>,
    next_seq: u64,
    /// Single rows before this go without waiting for a full batch.
    flushed: u64,
    rows: usize,
    bytes: usize,
    /// Who waits for room, in order.
    waiting: BTreeMap<u64, Waker>,
    next_place: u64,
    /// Models that each worker serves.
    serves: Vec<Vec<usize>>,
    dead: Vec<Option<PoolError>>,
    closing: bool,
    /// Batches that collectors and workers have in hand, any of which may be given back.
    in_hand: usize,
}

/// A batch in a collector's or worker's hands: as long as there is one, no collector goes home, so that a worker which
/// gives up while the pool closes finds another one.
#[derive(Debug)]
pub(super) struct InHand(Arc<Queue>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.state.lock().in_hand -= 1;
        self.0.work.notify_all();
    }
}

/// What asks for room.
#[derive(Debug)]
pub(super) enum Item {
    Single(usize, Row),
    Batch(Batch),
}

enum Next {
    Batch(Batch),
    /// Only rows that nobody wants any more: dropped outside the lock.
    Nothing(Vec<Row>),
    WaitUntil(Option<Instant>),
    Done,
}

impl Queue {
    pub(super) fn new(lanes: Vec<Lane>, serves: Vec<Vec<usize>>, options: &PoolOptions, counters: Counters) -> Self {
        let state = State {
            groups: BTreeMap::new(),
            batches: VecDeque::new(),
            next_seq: 0,
            flushed: 0,
            rows: 0,
            bytes: 0,
            waiting: BTreeMap::new(),
            next_place: 0,
            serves,
            dead: lanes.iter().map(|_| None).collect(),
            closing: false,
            in_hand: 0,
        };
        let (max_rows, max_bytes) = (options.max_rows, options.max_bytes);
        Self { lanes, max_rows, max_bytes, state: Mutex::new(state), work: Condvar::new(), counters }
    }

    /// Waits for room and queues the item. First come, first served: a large batch is not overtaken for ever.
    pub(super) fn admit(&self, item: Item) -> Admit<'_> {
        Admit { queue: self, item: Some(item), place: None }
    }

    /// Sends single rows that wait now, without waiting for full batches.
    pub(super) fn flush(&self) {
        let mut state = self.state.lock();
        state.flushed = state.next_seq;
        self.work.notify_all();
    }

    /// Takes nothing any more; what waits is computed.
    pub(super) fn close(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.closing = true;
            std::mem::take(&mut state.waiting)
        };
        self.work.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    /// Throws away what waits; its tickets are answered with [`PoolError::Closed`].
    pub(super) fn clear(&self) {
        let dropped = {
            let mut state = self.state.lock();
            (state.rows, state.bytes) = (0, 0);
            (std::mem::take(&mut state.groups), std::mem::take(&mut state.batches))
        };
        self.work.notify_all();
        drop(dropped);
        self.room();
    }

    /// Rows and bytes that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.rows, state.bytes)
    }

    /// Callers that wait for room.
    #[cfg(test)]
    pub(super) fn blocked(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// The next batch for a worker; blocks until there is one. None: there will never be one again.
    pub(super) fn take(self: &Arc<Self>, worker: usize) -> Option<(Batch, InHand)> {
        let mut state = self.state.lock();
        loop {
            match state.next(worker, &self.lanes, Instant::now()) {
                Next::Batch(batch) => {
                    state.in_hand += 1;
                    drop(state);
                    let in_hand = InHand(Arc::clone(self));
                    self.room();
                    self.counters.waited(batch.rows.iter().map(|row| row.queued.elapsed()).sum());
                    return Some((batch, in_hand));
                }
                Next::Nothing(rows) => {
                    drop(state);
                    drop(rows);
                    self.room();
                    state = self.state.lock();
                }
                Next::WaitUntil(Some(until)) => {
                    self.work.wait_until(&mut state, until);
                }
                Next::WaitUntil(None) => self.work.wait(&mut state),
                Next::Done => return None,
            }
        }
    }

    /// Wakes the first caller that waits for room. (It wakes the next one when it is in.)
    fn room(&self) {
        let waker = self.state.lock().waiting.values().next().cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Puts batches back, to the front, for another worker. When there is none left they are answered with an error.
    pub(super) fn give_back(&self, batches: impl IntoIterator<Item = Batch>) {
        let mut orphans = Vec::new();
        {
            let mut state = self.state.lock();
            for batch in batches {
                if state.serves.iter().any(|models| models.contains(&batch.model)) {
                    state.rows += batch.rows.len();
                    state.bytes += batch.bytes();
                    state.batches.push_front(batch);
                } else {
                    let error = state.dead[batch.model].clone().unwrap_or(PoolError::Closed);
                    orphans.push((batch, RowError::Pool(error)));
                }
            }
        }
        self.work.notify_all();
        for (batch, error) in orphans {
            batch.fail(&error);
        }
    }

    /// A worker gives a model up. When it was the last one, everything that waits for the model gets the error.
    pub(super) fn retire(&self, worker: usize, model: usize, device: &DeviceName, message: &str) {
        let (mut lost, mut wakers) = (Vec::new(), BTreeMap::new());
        let error = PoolError::Dead { model: self.lanes[model].name.clone(), device: device.clone(), message: message.to_owned() };
        {
            let mut state = self.state.lock();
            state.serves[worker].retain(|served| *served != model);
            if !state.serves.iter().any(|models| models.contains(&model)) {
                state.dead[model] = Some(error.clone());
                lost = state.drain(model);
                wakers = std::mem::take(&mut state.waiting);
            }
        }
        self.work.notify_all();
        let error = RowError::Pool(error);
        for row in lost {
            row.answer(Err(error.clone()));
        }
        wakers.into_values().for_each(Waker::wake);
    }

    /// Models that a worker still serves.
    pub(super) fn serves(&self, worker: usize) -> Vec<usize> {
        self.state.lock().serves[worker].clone()
    }
}

impl State {
    /// The decision of a collector. The time comes from outside, so that tests need no clock.
    fn next(&mut self, worker: usize, lanes: &[Lane], now: Instant) -> Next {
        let serves = &self.serves[worker];
        if serves.is_empty() {
            return Next::Done;
        }
        let whole = self.batches.iter().enumerate().filter(|(_, batch)| serves.contains(&batch.model));
        let whole = whole.min_by_key(|(_, batch)| batch.seq).map(|(at, batch)| (batch.seq, at));

        // A full queue must move, also when no group in it is full.
        let pressed = !self.waiting.is_empty();
        let (mut ready, mut oldest, mut until) = (None::<(u64, GroupKey)>, None::<(u64, GroupKey)>, None::<Instant>);
        for (key, rows) in self.groups.iter().filter(|((model, _), _)| serves.contains(model)) {
            let Some((seq, first)) = rows.front() else { continue };
            let lane = &lanes[key.0];
            let due = first.queued.checked_add(lane.batching.deadline);
            let full = rows.len() >= lane.size(first.input.kind());
            let earlier = |best: &Option<(u64, GroupKey)>| best.is_none_or(|(other, _)| *seq < other);
            if full || *seq < self.flushed || self.closing || due.is_some_and(|due| due <= now) {
                if earlier(&ready) {
                    ready = Some((*seq, *key));
                }
            } else if let Some(due) = due {
                until = Some(until.map_or(due, |until| until.min(due)));
            }
            if pressed && earlier(&oldest) {
                oldest = Some((*seq, *key));
            }
        }
        let group = if whole.is_some() { ready } else { ready.or(oldest) };
        match (whole, group) {
            (Some((seq, at)), group) if group.is_none_or(|(other, _)| seq < other) => self.take_whole(at),
            (_, Some((_, key))) => self.take_group(key, lanes),
            _ if self.closing && self.in_hand == 0 => Next::Done,
            _ => Next::WaitUntil(until),
        }
    }

    fn take_whole(&mut self, at: usize) -> Next {
        let Some(batch) = self.batches.remove(at) else { return Next::Nothing(Vec::new()) };
        self.rows = self.rows.saturating_sub(batch.rows.len());
        self.bytes = self.bytes.saturating_sub(batch.bytes());
        // Part of a batch is never skipped: the rest would be another batch, with other bits.
        if batch.rows.iter().all(Row::unwanted) { Next::Nothing(batch.rows) } else { Next::Batch(batch) }
    }

    fn take_group(&mut self, key: GroupKey, lanes: &[Lane]) -> Next {
        let (mut taken, mut unwanted, mut from, mut kind) = (Vec::new(), Vec::new(), 0, Kind::Image);
        if let Some(rows) = self.groups.get_mut(&key) {
            while let Some((seq, row)) = rows.pop_front() {
                self.rows = self.rows.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(row.input.bytes());
                if row.unwanted() {
                    unwanted.push(row);
                    continue;
                }
                if taken.is_empty() {
                    (from, kind) = (seq, row.input.kind());
                }
                taken.push(row);
                if taken.len() >= lanes[key.0].size(kind) {
                    break;
                }
            }
            if rows.is_empty() {
                self.groups.remove(&key);
            }
        }
        if taken.is_empty() {
            return Next::Nothing(unwanted);
        }
        // Nobody waits for these, so dropping them runs no foreign code.
        drop(unwanted);
        Next::Batch(Batch { model: key.0, kind, rows: taken, seq: from, deaths: 0, suspect: false })
    }

    /// Everything that waits for a model.
    fn drain(&mut self, model: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let keys: Vec<GroupKey> = self.groups.keys().filter(|(of, _)| *of == model).copied().collect();
        for key in keys {
            rows.extend(self.groups.remove(&key).into_iter().flatten().map(|(_, row)| row));
        }
        for batch in std::mem::take(&mut self.batches) {
            if batch.model == model {
                rows.extend(batch.rows);
            } else {
                self.batches.push_back(batch);
            }
        }
        self.rows = self.rows.saturating_sub(rows.len());
        self.bytes = self.bytes.saturating_sub(rows.iter().map(|row| row.input.bytes()).sum());
        rows
    }
}

/// Waits for room in the queue. Dropping it leaves the line.
#[derive(Debug)]
pub(super) struct Admit<'a> {
    queue: &'a Queue,
    item: Option<Item>,
    place: Option<u64>,
}

impl Future for Admit<'_> {
    type Output = Result<(), PoolError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(item) = self.item.take() else { return Poll::Ready(Ok(())) };
        let (model, rows, bytes) = match &item {
            Item::Single(model, row) => (*model, 1, row.input.bytes()),
            Item::Batch(batch) => (batch.model, batch.rows.len(), batch.bytes()),
        };
        let queue = self.queue;
        let mut state = queue.state.lock();
        let refused = if state.closing { Some(PoolError::Closed) } else { state.dead[model].clone() };
        if let Some(error) = refused {
            drop(state);
            let answer = RowError::Pool(error.clone());
            match item {
                Item::Single(_, row) => row.answer(Err(answer)),
                Item::Batch(batch) => batch.fail(&answer),
            }
            return Poll::Ready(Err(error));
        }
        let first = match self.place {
            Some(place) => state.waiting.first_key_value().is_none_or(|(first, _)| place <= *first),
            None => state.waiting.is_empty(),
        };
        let fits = state.rows == 0 || (state.rows + rows <= queue.max_rows && state.bytes.saturating_add(bytes) <= queue.max_bytes);
        if !(first && fits) {
            let place = self.place.unwrap_or_else(|| {
                state.next_place += 1;
                state.next_place
            });
            // Dropping a waker may run foreign code: not under the lock.
            let old = state.waiting.insert(place, context.waker().clone());
            drop(state);
            drop(old);
            self.place = Some(place);
            self.item = Some(item);
            queue.work.notify_all();
            return Poll::Pending;
        }
        let old = self.place.take().and_then(|place| state.waiting.remove(&place));
        state.push(item, &queue.lanes[model]);
        state.rows += rows;
        state.bytes += bytes;
        let next = state.waiting.values().next().cloned();
        drop(state);
        drop(old);
        queue.work.notify_all();
        if let Some(waker) = next {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl State {
    fn push(&mut self, item: Item, lane: &Lane) {
        let seq = self.next_seq;
        match item {
            Item::Single(model, row) => {
                self.next_seq += 1;
                let class = row.input.class(&lane.batching).bucket(lane.batching.length_step);
                self.groups.entry((model, class)).or_default().push_back((seq, row));
            }
            Item::Batch(mut batch) => {
                self.next_seq += batch.rows.len() as u64;
                batch.seq = seq;
                self.batches.push_back(batch);
            }
        }
    }
}

impl Drop for Admit<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left = self.queue.state.lock().waiting.remove(&place);
            drop(left);
            self.queue.room();
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
