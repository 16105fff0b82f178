//! Workers that hold replicas of models, one per device.
//!
//! A [`Pool`] has one worker thread per device, with a replica of each of its models, and one collector thread beside it
//! that gathers and lays out the next batch while the worker computes. Callers hand in rows from as many threads and tasks
//! as they like and get a [`Ticket`] for each; preprocessing is theirs.
//!
//! ```
//! use trommel_embeddings::device::DeviceName;
//! use trommel_embeddings::model::{DualEncoder, Logits};
//! use trommel_embeddings::pool::{Batching, Pool, PoolModel, PoolOptions};
//! use trommel_embeddings::{ModelError, Prepared, Tokens};
//!
//! /// A model that sees two numbers.
//! struct Two;
//! impl DualEncoder for Two {
//!     fn dim(&self) -> usize { 2 }
//!     fn logits(&self) -> Logits { Logits { scale: 100.0, bias: 0.0, sigmoid: false } }
//!     fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
//!         Ok(batch.iter().map(|_| vec![3.0, 4.0]).collect())
//!     }
//!     fn encode_texts(&mut self, batch: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
//!         Ok(batch.iter().map(|tokens| vec![tokens.used as f32, 0.0]).collect())
//!     }
//! }
//!
//! let two = PoolModel {
//!     name: "two".into(),
//!     replicas: vec![(DeviceName::new("cpu"), Box::new(|| Ok(Box::new(Two) as Box<dyn DualEncoder>)))],
//!     batching: Batching::default(),
//! };
//! let pool = Pool::new(vec![two], PoolOptions::default())?;
//! let picture = Prepared::Fixed { side: 1, data: vec![0.0; 3] };
//! let vectors = pool.embed_images("two", vec![picture])?;
//! assert_eq!(vectors[0], Ok(vec![0.6, 0.8]));
//! # Ok::<(), trommel_embeddings::pool::PoolError>(())
//! ```
//!
//! # Which rows share a batch, and what that means for the bits
//! Pictures and captions never share a batch, nor do models, nor pictures of different kind or side. Beyond that
//! - **a unit** ([`Pool::embed_images`], [`Pool::submit_images`] and their like for texts) is cut into batches by itself:
//!   which rows share a batch depends on nothing but the unit's rows and the [`Batching`]. Matrix kernels may round a row
//!   differently in another batch; a unit's results are therefore the same bits on every run on the same machine and
//!   settings, whatever else the pool does, also after a worker died and its batch was redone. Use it for what must be
//!   reproducible, as shards;
//! - **single rows** ([`Pool::submit_image`]) share batches with whatever is there: full batches from little work, and
//!   bits that may differ in the last place where the kernels depend on the batch.
//!
//! Two things change the batches of a unit: a batch that kills its worker twice, which is split to find the row that does it
//! (that row does so on every run, so the bits stay), and a device that runs out of memory, after which its batches are
//! halved. Where memory is short and bits matter, choose a batch that fits.
//!
//! # What callers may rely on
//! Every ticket is answered: with the embedding, scaled to length 1, or with the reason why there is none. Submitting
//! blocks (or, in its `_async` form, waits) while the queue is full, first come, first served. Results lie in the tickets
//! until they are read: a caller that never reads holds memory, but no worker. When the last clone of a pool is dropped,
//! rows with a living ticket are still computed, others are thrown away, and the threads are joined.

mod config;
mod error;
mod metrics;
mod queue;
mod row;
mod start;
#[cfg(test)]
mod tests;
mod ticket;
mod unit;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::device::DeviceName;
use crate::model::Logits;
use crate::prepared::{Prepared, Tokens};

pub use config::{Batching, Factory, PoolModel, PoolOptions, Shape, TextLength};
pub use error::{Embedded, PoolError, RowError};
pub use metrics::{DeviceMetrics, PoolMetrics};
pub use ticket::Ticket;

use queue::{Item, Queue};
use row::{Input, Kind, Reply, Row, Unit};

/// Models and the workers that run them; cheap to clone. See the [module](self).
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    facts: Vec<Facts>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a model says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Facts {
    dim: usize,
    logits: Logits,
}

impl Pool {
    /// Starts the workers and loads their replicas, all devices at once. Returns when all are loaded.
    ///
    /// # Errors
    /// [`PoolError::Settings`] and [`PoolError::Load`].
    pub fn new(models: Vec<PoolModel>, options: PoolOptions) -> Result<Self, PoolError> {
        let started = start::start(models, &options)?;
        let (queue, facts, threads) = (started.queue, started.facts, Mutex::new(started.threads));
        Ok(Self { inner: Arc::new(Inner { queue, facts, threads }) })
    }

    /// Components of a model's embeddings.
    ///
    /// # Errors
    /// [`PoolError::UnknownModel`].
    pub fn dim(&self, model: &str) -> Result<usize, PoolError> {
        Ok(self.inner.facts[self.find(model)?].dim)
    }

    /// Temperature and bias of a model.
    ///
    /// # Errors
    /// [`PoolError::UnknownModel`].
    pub fn logits(&self, model: &str) -> Result<Logits, PoolError> {
        Ok(self.inner.facts[self.find(model)?].logits)
    }

    /// Queues one picture; it shares a batch with what others submit. Blocks while the queue is full.
    ///
    /// # Errors
    /// [`PoolError`], when the row was not queued.
    pub fn submit_image(&self, model: &str, image: impl Into<Arc<Prepared>>) -> Result<Ticket<Embedded>, PoolError> {
        ticket::block_on(self.submit_image_async(model, image))
    }

    /// As [`Pool::submit_image`], for async tasks: waits without blocking.
    ///
    /// The future holds a place in the line of those that wait: poll it to its end or drop it, but do not keep it
    /// unpolled.
    ///
    /// # Errors
    /// As there.
    pub async fn submit_image_async(&self, model: &str, image: impl Into<Arc<Prepared>>) -> Result<Ticket<Embedded>, PoolError> {
        self.submit(model, Input::Image(image.into())).await
    }

    /// Queues one caption; as [`Pool::submit_image`].
    ///
    /// # Errors
    /// As there.
    pub fn submit_text(&self, model: &str, text: impl Into<Arc<Tokens>>) -> Result<Ticket<Embedded>, PoolError> {
        ticket::block_on(self.submit_text_async(model, text))
    }

    /// As [`Pool::submit_text`], for async tasks.
    ///
    /// # Errors
    /// As there.
    pub async fn submit_text_async(&self, model: &str, text: impl Into<Arc<Tokens>>) -> Result<Ticket<Embedded>, PoolError> {
        self.submit(model, Input::Text(text.into())).await
    }

    /// Queues a unit of pictures, which share batches with nothing else. Blocks until the last of its batches is queued.
    /// The results come in input order.
    ///
    /// # Errors
    /// [`PoolError::UnknownModel`]. When the pool is closed or the model dies meanwhile, the rows say so.
    pub fn submit_images<P: Into<Arc<Prepared>>>(&self, model: &str, images: Vec<P>) -> Result<Ticket<Vec<Embedded>>, PoolError> {
        ticket::block_on(self.submit_images_async(model, images))
    }

    /// As [`Pool::submit_images`], for async tasks.
    ///
    /// # Errors
    /// As there.
    pub async fn submit_images_async<P: Into<Arc<Prepared>>>(
        &self,
        model: &str,
        images: Vec<P>,
    ) -> Result<Ticket<Vec<Embedded>>, PoolError> {
        let inputs = images.into_iter().map(|image| Input::Image(image.into())).collect();
        self.submit_unit(model, Kind::Image, inputs).await
    }

    /// Queues a unit of captions; as [`Pool::submit_images`].
    ///
    /// # Errors
    /// As there.
    pub fn submit_texts<T: Into<Arc<Tokens>>>(&self, model: &str, texts: Vec<T>) -> Result<Ticket<Vec<Embedded>>, PoolError> {
        ticket::block_on(self.submit_texts_async(model, texts))
    }

    /// As [`Pool::submit_texts`], for async tasks.
    ///
    /// # Errors
    /// As there.
    pub async fn submit_texts_async<T: Into<Arc<Tokens>>>(&self, model: &str, texts: Vec<T>) -> Result<Ticket<Vec<Embedded>>, PoolError> {
        let inputs = texts.into_iter().map(|text| Input::Text(text.into())).collect();
        self.submit_unit(model, Kind::Text, inputs).await
    }

    /// The embeddings of a unit of pictures, in input order. Blocks until all are there.
    ///
    /// # Errors
    /// As [`Pool::submit_images`].
    pub fn embed_images<P: Into<Arc<Prepared>>>(&self, model: &str, images: Vec<P>) -> Result<Vec<Embedded>, PoolError> {
        Ok(self.submit_images(model, images)?.wait())
    }

    /// The embeddings of a unit of captions, in input order. Blocks until all are there.
    ///
    /// # Errors
    /// As [`Pool::submit_images`].
    pub fn embed_texts<T: Into<Arc<Tokens>>>(&self, model: &str, texts: Vec<T>) -> Result<Vec<Embedded>, PoolError> {
        Ok(self.submit_texts(model, texts)?.wait())
    }

    /// Sends the single rows that wait now, without waiting for full batches or a deadline.
    pub fn flush(&self) {
        self.inner.queue.flush();
    }

    /// Takes nothing any more; what is queued is computed. Does not wait for it.
    pub fn close(&self) {
        self.inner.queue.close();
    }

    /// Takes nothing any more and throws away what is queued; its tickets are answered with [`PoolError::Closed`]. Batches
    /// in a worker's hands are still finished.
    pub fn abort(&self) {
        self.inner.queue.close();
        self.inner.queue.clear();
    }

    /// What the pool has done so far.
    pub fn metrics(&self) -> PoolMetrics {
        self.inner.queue.counters.snapshot(self.inner.queue.waiting())
    }

    /// The models' names.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.inner.queue.lanes.iter().map(|lane| lane.name.as_str())
    }

    fn find(&self, model: &str) -> Result<usize, PoolError> {
        let known = || self.models().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let found = self.models().position(|name| name == model);
        found.ok_or_else(|| PoolError::UnknownModel { model: model.to_owned(), known: known() })
    }

    async fn submit(&self, model: &str, input: Input) -> Result<Ticket<Embedded>, PoolError> {
        let model = self.find(model)?;
        let (answer, ticket) = ticket::ticket();
        let row = Row::new(input, Reply::One(answer));
        self.inner.queue.admit(Item::Single(model, row)).await?;
        Ok(ticket)
    }

    async fn submit_unit(&self, model: &str, kind: Kind, inputs: Vec<Input>) -> Result<Ticket<Vec<Embedded>>, PoolError> {
        let model = self.find(model)?;
        let (answer, ticket) = ticket::ticket();
        if inputs.is_empty() {
            answer.send(Vec::new());
            return Ok(ticket);
        }
        let unit = Arc::new(Unit::new(inputs.len(), answer));
        let reply = |at| Reply::Unit(Arc::clone(&unit), at);
        let rows = inputs.into_iter().enumerate().map(|(at, input)| Row::new(input, reply(at))).collect();
        for batch in unit::cut(model, kind, rows, &self.inner.queue.lanes[model].batching) {
            // A refusal has answered its rows, and the next batch will meet the same one.
            let _ = self.inner.queue.admit(Item::Batch(batch)).await;
        }
        Ok(ticket)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        let (this, threads) = (std::thread::current().id(), self.threads.get_mut());
        // A waker that holds the last clone drops it on a worker's own thread, which cannot wait for itself, nor for the
        // collector that waits for it. The threads end by themselves then: the queue is closed.
        if threads.iter().any(|thread| thread.thread().id() == this) {
            return;
        }
        for thread in threads.drain(..) {
            // A worker catches its panics; what it could not catch was answered by its guard.
            let _ = thread.join();
        }
    }
}

/// Gives up a worker's models when its thread ends in a panic, so that nobody waits for it.
struct Guard {
    queue: Arc<Queue>,
    worker: usize,
    device: DeviceName,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for model in self.queue.serves(self.worker) {
                self.queue.retire(self.worker, model, &self.device, "the worker's thread panicked");
            }
        }
    }
}
