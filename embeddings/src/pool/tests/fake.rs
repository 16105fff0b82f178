//! A model whose embedding of a row depends on that row alone, and which fails as it is told.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::{DualEncoder, Logits};
use crate::pool::{Batching, Pool, PoolModel, PoolOptions};
use crate::prepared::{Prepared, Tokens};

/// Sees the ids of a call's rows before it is computed: may panic, fail or block.
pub(super) type Hook = Arc<dyn Fn(&[u32]) -> Result<(), ModelError> + Send + Sync>;

/// Ids of the rows of every call that began.
pub(super) type Log = Arc<Mutex<Vec<Vec<u32>>>>;

pub(super) const DIM: usize = 4;

pub(super) struct Fake {
    pub(super) hook: Hook,
    pub(super) log: Log,
}

/// A row's id is its first value; an image's further values are free.
pub(super) fn image(id: u32) -> Prepared {
    Prepared::Fixed { side: 1, data: vec![id as f32, 2.0, 3.0] }
}

/// A picture of `rows` times 1 patches.
pub(super) fn patches(id: u32, rows: usize) -> Prepared {
    Prepared::Patches { rows, columns: 1, data: vec![id as f32; rows * 3] }
}

pub(super) fn text(id: u32) -> Tokens {
    Tokens { ids: vec![id, 7, 0, 0], used: 2, truncated: false }
}

pub(super) fn id_of(image: &Prepared) -> u32 {
    match image {
        Prepared::Fixed { data, .. } | Prepared::Patches { data, .. } => data[0] as u32,
    }
}

/// Irrational enough that a wrong row, order or rounding shows in the bits.
pub(super) fn raw(id: u32, salt: f32) -> Vec<f32> {
    (0..DIM).map(|at| ((id as f32 + 1.5) * (at as f32 + salt)).sin()).collect()
}

/// What a row's embedding is when nothing goes wrong.
pub(super) fn expected(id: u32, salt: f32) -> Vec<f32> {
    let mut vector = raw(id, salt);
    crate::normalize(&mut vector).unwrap();
    vector
}

pub(super) const IMAGE: f32 = 1.25;
pub(super) const TEXT: f32 = 2.75;
/// These ids give embeddings of NaN and of zeros.
pub(super) const NAN: u32 = 900_001;
pub(super) const ZERO: u32 = 900_002;

impl Fake {
    fn encode(&mut self, ids: &[u32], salt: f32) -> Result<Vec<Vec<f32>>, ModelError> {
        self.log.lock().push(ids.to_vec());
        (self.hook)(ids)?;
        let vector = |id: &u32| match *id {
            NAN => vec![1.0, f32::NAN, 0.0, 0.0],
            ZERO => vec![0.0; DIM],
            id => raw(id, salt),
        };
        Ok(ids.iter().map(vector).collect())
    }
}

impl DualEncoder for Fake {
    fn dim(&self) -> usize {
        DIM
    }

    fn logits(&self) -> Logits {
        Logits { scale: 10.0, bias: -1.0, sigmoid: true }
    }

    fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
        let ids: Vec<u32> = batch.iter().map(|image| id_of(image)).collect();
        self.encode(&ids, IMAGE)
    }

    fn encode_texts(&mut self, batch: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        let ids: Vec<u32> = batch.iter().map(|tokens| tokens.ids[0]).collect();
        self.encode(&ids, TEXT)
    }
}

/// Batches of four, and no row goes because of the time.
pub(super) fn fours() -> Batching {
    Batching { images: 4, texts: 4, deadline: std::time::Duration::MAX, ..Batching::default() }
}

/// A model on devices, whose replicas all call the hook.
pub(super) fn model(name: &str, devices: &[&str], batching: Batching, hook: &Hook) -> (PoolModel, Log) {
    let log = Log::default();
    let replica = |device: &&str| {
        let (hook, log) = (Arc::clone(hook), Arc::clone(&log));
        let make = move || Ok(Box::new(Fake { hook: Arc::clone(&hook), log: Arc::clone(&log) }) as Box<dyn DualEncoder>);
        (DeviceName::new(*device), Box::new(make) as crate::pool::Factory)
    };
    (PoolModel { name: name.to_owned(), replicas: devices.iter().map(replica).collect(), batching }, log)
}

/// A pool of one model `m`.
pub(super) fn pool(devices: &[&str], batching: Batching, hook: Hook) -> (Pool, Log) {
    let (model, log) = model("m", devices, batching, &hook);
    (Pool::new(vec![model], PoolOptions::default()).unwrap(), log)
}

pub(super) fn healthy() -> Hook {
    Arc::new(|_| Ok(()))
}

/// What a unit gives that nothing disturbs: the bits to compare with.
pub(super) fn undisturbed(ids: &[u32]) -> Vec<crate::pool::Embedded> {
    let (pool, _) = pool(&["cpu"], fours(), healthy());
    pool.embed_images("m", ids.iter().map(|id| image(*id)).collect::<Vec<_>>()).unwrap()
}

pub(super) fn oom(batch: usize) -> ModelError {
    ModelError::OutOfMemory { device: "cpu".to_owned(), batch }
}
