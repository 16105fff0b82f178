//! The thread that computes, with its replicas; and what happens when a batch fails.
//!
//! - Out of memory: the batch size is halved, for good, and the rows go in smaller batches. A batch of one gets the error.
//! - A panic or a failed computation is a death: the replica is thrown away and made anew, and the batch is redone. A batch
//!   that kills twice is split; its halves, and their halves, are split at their first death, until the row that kills is
//!   alone and gets an error. Halves are computed before quarters, so that a healthy half soon ends the row of deaths: one
//!   poisoned row causes at most three in a row.
//! - Too many deaths in a row: the worker gives the model up and its batches go to other workers; the last worker that
//!   gives up answers all that wait with an error.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::{DualEncoder, Staged, Stager};
use crate::prepared::{Prepared, Tokens};
use crate::vector::{VectorError, normalize};

use super::Facts;
use super::config::{Factory, Shape};
use super::error::{Embedded, RowError};
use super::queue::{InHand, Lane, Queue};
use super::row::{Batch, Input, Kind, Row};

/// What the collector of a device reads and its worker writes.
#[derive(Default)]
pub(super) struct Desk {
    /// The replica's stager and the replica's generation.
    stager: Mutex<Option<(u64, Arc<dyn Stager>)>>,
    /// Largest batch that fits the device, pictures and captions; zero: not known to be limited.
    limits: [AtomicUsize; 2],
}

impl Desk {
    fn limit(&self, kind: Kind) -> usize {
        match self.limits[kind as usize].load(Relaxed) {
            0 => usize::MAX,
            limit => limit,
        }
    }
}

/// A batch on its way from collector to worker, laid out already where the model can.
pub(super) struct Job {
    batch: Batch,
    staged: Option<(u64, Staged)>,
    in_hand: InHand,
}

impl Job {
    pub(super) fn into_batch(self) -> (Batch, InHand) {
        (self.batch, self.in_hand)
    }
}

/// Lays a batch out, on the collector's thread. What fails here is done again, and reported, by the worker.
pub(super) fn stage(batch: Batch, in_hand: InHand, lane: &Lane, desk: &Desk, queue: &Queue) -> Job {
    let Some((generation, stager)) = desk.stager.lock().clone() else { return Job { batch, staged: None, in_hand } };
    if batch.rows.len() > desk.limit(batch.kind) {
        return Job { batch, staged: None, in_hand };
    }
    let start = Instant::now();
    let rows = call_rows(&batch.rows, batch.kind, lane, desk);
    let staged = catch_unwind(AssertUnwindSafe(|| match &rows {
        Rows::Images(images) => stager.stage_images(images),
        Rows::Texts(texts) => stager.stage_texts(texts),
    }));
    queue.counters.staged(start.elapsed());
    let staged = staged.ok().and_then(Result::ok).map(|staged| (generation, staged));
    drop(rows);
    Job { batch, staged, in_hand }
}

enum Rows<'a> {
    Images(Vec<&'a Prepared>),
    Texts(Vec<&'a Tokens>),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

/// The rows as a call of the model gets them: repeated up to the fixed shape where the model wants one.
fn call_rows<'a>(rows: &'a [Row], kind: Kind, lane: &Lane, desk: &Desk) -> Rows<'a> {
    let size = match lane.batching.shape {
        Shape::AsFilled => rows.len(),
        Shape::Full => lane.size(kind).min(desk.limit(kind)).max(rows.len()),
    };
    let filled = rows.iter().chain(std::iter::repeat_n(rows.last(), size - rows.len()).flatten());
    match kind {
        Kind::Image => {
            Rows::Images(filled.filter_map(|row| if let Input::Image(image) = &row.input { Some(&**image) } else { None }).collect())
        }
        Kind::Text => {
            Rows::Texts(filled.filter_map(|row| if let Input::Text(tokens) = &row.input { Some(&**tokens) } else { None }).collect())
        }
    }
}

/// A model on this worker.
pub(super) struct Station {
    model: usize,
    factory: Arc<Factory>,
    desk: Arc<Desk>,
    replica: Option<Box<dyn DualEncoder>>,
    dim: usize,
    generation: u64,
    deaths_in_a_row: u32,
}

impl Station {
    pub(super) fn new(model: usize, factory: Arc<Factory>, desk: Arc<Desk>) -> Self {
        Self { model, factory, desk, replica: None, dim: 0, generation: 0, deaths_in_a_row: 0 }
    }

    /// Makes the replica; what it says of itself.
    pub(super) fn load(&mut self) -> Result<&dyn DualEncoder, String> {
        self.generation += 1;
        *self.desk.stager.lock() = None;
        let old = self.replica.take();
        // The destructor of something broken may panic too.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        let factory = &self.factory;
        let replica = catch_unwind(AssertUnwindSafe(|| {
            let replica = factory().map_err(|error| error.to_string())?;
            let (dim, stager) = (replica.dim(), replica.stager());
            Ok::<_, String>((replica, dim, stager))
        }));
        let (replica, dim, stager) = replica.unwrap_or_else(|panic| Err(said(&*panic)))?;
        if self.dim != 0 && dim != self.dim {
            return Err(format!("a new replica gives {dim} components, the one before it {}", self.dim));
        }
        self.dim = dim;
        *self.desk.stager.lock() = stager.map(|stager| (self.generation, stager));
        Ok(&**self.replica.insert(replica))
    }
}

/// How a call ended.
enum Outcome {
    Done(Vec<Vec<f32>>),
    OutOfMemory,
    /// One of the rows does not fit the model.
    Refused(String),
    Died(String),
}

/// A device's worker.
pub(super) struct Worker {
    pub(super) at: usize,
    pub(super) device: DeviceName,
    pub(super) stations: Vec<Station>,
    pub(super) queue: Arc<Queue>,
    pub(super) max_restarts: u32,
}

impl Worker {
    /// Makes the replicas, until one fails.
    pub(super) fn load(&mut self) -> Vec<(usize, Result<Facts, String>)> {
        let mut reports = Vec::new();
        for station in &mut self.stations {
            let facts = station.load().map(|replica| Facts { dim: replica.dim(), logits: replica.logits() });
            let failed = facts.is_err();
            reports.push((station.model, facts));
            if failed {
                break;
            }
        }
        reports
    }

    /// Computes until the collector has nothing more, or no model is left.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.compute(job);
            if self.stations.iter().all(|station| station.replica.is_none()) {
                return;
            }
        }
    }

    fn compute(&mut self, job: Job) {
        let queue = Arc::clone(&self.queue);
        let model = job.batch.model;
        let Some(at) = self.stations.iter().position(|station| station.model == model && station.replica.is_some()) else {
            return queue.give_back([job.batch]);
        };
        // Until all of it is answered or given back.
        let _in_hand = job.in_hand;
        let mut staged = job.staged;
        let mut work = VecDeque::from([job.batch]);
        while let Some(mut batch) = work.pop_front() {
            let station = &mut self.stations[at];
            let limit = station.desk.limit(batch.kind);
            if batch.rows.len() > limit {
                cut(batch, limit).into_iter().rev().for_each(|part| work.push_front(part));
                continue;
            }
            let rows = call_rows(&batch.rows, batch.kind, &queue.lanes[model], &station.desk);
            let shape = rows.len();
            let start = Instant::now();
            let outcome = call(station, &rows, staged.take());
            queue.counters.busy(self.at, start.elapsed());
            drop(rows);
            match outcome {
                Outcome::Done(vectors) => {
                    station.deaths_in_a_row = 0;
                    queue.counters.batch(batch.kind, batch.rows.len(), queue.lanes[model].size(batch.kind));
                    for (row, vector) in batch.rows.into_iter().zip(vectors) {
                        deliver(row, vector, &queue);
                    }
                }
                Outcome::OutOfMemory if shape <= 1 => {
                    refuse(batch, &RowError::OutOfMemory { device: self.device.clone() }, &queue);
                }
                Outcome::OutOfMemory => {
                    queue.counters.oom();
                    station.desk.limits[batch.kind as usize].store(shape / 2, Relaxed);
                    tracing::warn!(device = %self.device, model = queue.lanes[model].name, batch = shape, "out of memory, halving the batch");
                    work.push_front(batch);
                }
                Outcome::Refused(message) if batch.rows.len() <= 1 => refuse(batch, &RowError::Input(message), &queue),
                Outcome::Refused(_) => halves(batch).into_iter().rev().for_each(|half| work.push_front(half)),
                Outcome::Died(message) => {
                    tracing::warn!(device = %self.device, model = queue.lanes[model].name, message, "a worker died, restarting it");
                    batch.deaths += 1;
                    if batch.suspect || batch.deaths >= 2 {
                        batch.suspect = true;
                        if batch.rows.len() <= 1 {
                            refuse(batch, &RowError::Poisoned(message.clone()), &queue);
                        } else {
                            work.extend(halves(batch));
                        }
                    } else {
                        work.push_front(batch);
                    }
                    if let Err(message) = self.restart(at, message) {
                        self.stations[at].replica = None;
                        queue.retire(self.at, model, &self.device, &message);
                        queue.give_back(work.into_iter().rev());
                        return;
                    }
                }
            }
        }
    }

    /// A new replica; or what the last attempt said, when there were too many.
    fn restart(&mut self, at: usize, mut message: String) -> Result<(), String> {
        loop {
            let station = &mut self.stations[at];
            if station.deaths_in_a_row >= self.max_restarts {
                return Err(message);
            }
            station.deaths_in_a_row += 1;
            self.queue.counters.restart(self.at);
            match station.load() {
                Ok(_) => return Ok(()),
                Err(said) => message = said,
            }
        }
    }
}

/// One call of the model.
fn call(station: &mut Station, rows: &Rows<'_>, staged: Option<(u64, Staged)>) -> Outcome {
    let Some(replica) = station.replica.as_mut() else { return Outcome::Died("the replica is gone".to_owned()) };
    // What a dead replica's stager laid out may be as dead.
    let staged = staged.filter(|(generation, _)| *generation == station.generation);
    let result = catch_unwind(AssertUnwindSafe(|| match (staged, rows) {
        (Some((_, staged)), _) => replica.encode_staged(staged),
        (None, Rows::Images(images)) => replica.encode_images(images),
        (None, Rows::Texts(texts)) => replica.encode_texts(texts),
    }));
    match result {
        Ok(Ok(vectors)) if vectors.len() != rows.len() => {
            Outcome::Died(format!("the model gave {} embeddings for {} rows", vectors.len(), rows.len()))
        }
        Ok(Ok(vectors)) => match vectors.iter().find(|vector| vector.len() != station.dim) {
            Some(vector) => Outcome::Died(format!("an embedding has {} components, expected {}", vector.len(), station.dim)),
            None => Outcome::Done(vectors),
        },
        Ok(Err(error)) if out_of_memory(&error) => Outcome::OutOfMemory,
        Ok(Err(ModelError::Input(message))) => Outcome::Refused(message),
        Ok(Err(error)) => Outcome::Died(error.to_string()),
        Err(panic) => Outcome::Died(said(&*panic)),
    }
}

/// Also what a driver says in its own words.
fn out_of_memory(error: &ModelError) -> bool {
    match error {
        ModelError::OutOfMemory { .. } => true,
        ModelError::Compute(error) => {
            let text = error.to_string().to_ascii_lowercase();
            text.contains("out of memory") || text.contains("out_of_memory") || text.contains("alloc_failed")
        }
        _ => false,
    }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

fn deliver(row: Row, mut vector: Vec<f32>, queue: &Queue) {
    let result: Embedded = match normalize(&mut vector) {
        Ok(_) => Ok(vector),
        Err(VectorError::NotFinite(component)) => {
            queue.counters.not_finite();
            Err(RowError::NotFinite { component })
        }
        Err(VectorError::Zero | VectorError::Lengths(..)) => Err(RowError::Zero),
    };
    if result.is_err() {
        queue.counters.failed();
    }
    row.answer(result);
}

fn refuse(batch: Batch, error: &RowError, queue: &Queue) {
    batch.rows.iter().for_each(|_| queue.counters.failed());
    batch.fail(error);
}

/// A batch in two.
fn halves(batch: Batch) -> Vec<Batch> {
    let size = batch.rows.len().div_ceil(2);
    cut(batch, size)
}

/// A batch in parts of at most `size` rows, in order.
fn cut(batch: Batch, size: usize) -> Vec<Batch> {
    let (model, kind, seq, deaths, suspect) = (batch.model, batch.kind, batch.seq, batch.deaths, batch.suspect);
    let mut parts = Vec::new();
    let mut rows = batch.rows.into_iter().peekable();
    while rows.peek().is_some() {
        let rows = rows.by_ref().take(size.max(1)).collect();
        parts.push(Batch { model, kind, rows, seq, deaths, suspect });
    }
    parts
}
