//! What a pool is made of.

use std::fmt;
use std::time::Duration;

use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::DualEncoder;

use super::error::PoolError;

/// Makes one replica of a model. Called on the worker's own thread: once at the start, and again after each death.
pub type Factory = Box<dyn Fn() -> Result<Box<dyn DualEncoder>, ModelError> + Send + Sync>;

/// A model in the pool.
pub struct PoolModel {
    /// How callers name it. Unique in the pool.
    pub name: String,
    /// One replica per device. Models that name the same device share that device's worker thread.
    pub replicas: Vec<(DeviceName, Factory)>,
    /// How batches are made.
    pub batching: Batching,
}

impl fmt::Debug for PoolModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices: Vec<_> = self.replicas.iter().map(|(device, _)| device).collect();
        f.debug_struct("PoolModel").field("name", &self.name).field("devices", &devices).field("batching", &self.batching).finish()
    }
}

/// How single rows become batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batching {
    /// Pictures of a full batch.
    pub images: usize,
    /// Captions of a full batch.
    pub texts: usize,
    /// How long a row waits for others before its batch goes as it is. [`Duration::MAX`] is forever: then only a full
    /// batch, [`super::Pool::flush`], a full queue or the end of the pool sends it.
    ///
    /// Units ([`super::Pool::embed_images`]) do not wait.
    pub deadline: Duration,
    /// Single rows of variable length share a batch when their lengths round up to the same multiple of this.
    pub length_step: usize,
    /// Whether captions differ in length for the model.
    pub texts_by: TextLength,
    /// How many rows a call of the model gets.
    pub shape: Shape,
}

impl Default for Batching {
    /// 16 pictures, 64 captions, 20 ms, lengths in steps of 16, captions padded, batches as filled.
    fn default() -> Self {
        Self {
            images: 16,
            texts: 64,
            deadline: Duration::from_millis(20),
            length_step: 16,
            texts_by: TextLength::Context,
            shape: Shape::AsFilled,
        }
    }
}

/// Whether captions of different length cost the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLength {
    /// All are padded to the context: they are not grouped.
    Context,
    /// The model cuts the padding off: captions are grouped by [`crate::Tokens::used`].
    Used,
}

/// How many rows one call of the model gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As many as there are.
    AsFilled,
    /// Always a full batch: the last row is repeated, its copies are thrown away. The shape of every matrix product is
    /// then the same, which some kernels need to give a row the same bits in every batch; it costs time at a unit's end.
    Full,
}

/// Limits of the whole pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Rows that may wait; beyond, submitting blocks. Rows in a worker's hands (two batches each) are not counted.
    pub max_rows: usize,
    /// Bytes of inputs that may wait. A batch that is larger alone is let in when nothing else waits.
    pub max_bytes: usize,
    /// How many times in a row, without one success, a worker may be restarted for a model before it gives the model up.
    pub max_restarts: u32,
}

impl Default for PoolOptions {
    /// 1024 rows, 1 GiB, 8 restarts.
    fn default() -> Self {
        // Finding one poisoned row takes at most 3 restarts in a row (see `worker`), two rows 5.
        Self { max_rows: 1024, max_bytes: 1 << 30, max_restarts: 8 }
    }
}

/// Refuses settings that could never work.
pub(super) fn check(models: &[PoolModel], options: &PoolOptions) -> Result<(), PoolError> {
    let wrong = |message: String| Err(PoolError::Settings(message));
    if models.is_empty() {
        return wrong("a pool needs at least one model".to_owned());
    }
    if options.max_rows == 0 || options.max_bytes == 0 {
        return wrong("a pool's queue needs room for at least one row and one byte".to_owned());
    }
    for (at, model) in models.iter().enumerate() {
        let name = &model.name;
        if models[..at].iter().any(|other| other.name == *name) {
            return wrong(format!("two models of the pool are named `{name}`"));
        }
        if model.replicas.is_empty() {
            return wrong(format!("model `{name}` has no replica"));
        }
        let Batching { images, texts, length_step, .. } = model.batching;
        if images == 0 || texts == 0 || length_step == 0 {
            return wrong(format!("model `{name}`: batch sizes and the step of lengths are at least 1"));
        }
        for (at, (device, _)) in model.replicas.iter().enumerate() {
            if model.replicas[..at].iter().any(|(other, _)| other == device) {
                return wrong(format!("model `{name}` has two replicas on {device}; give every group of cores its own name"));
            }
        }
    }
    Ok(())
}
