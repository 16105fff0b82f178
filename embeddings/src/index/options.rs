//! Settings of building.

use std::path::PathBuf;

use super::{IndexLimits, IndexMetric};
use crate::clusters::parallel::all_cores;

/// Settings of [`build_index`](super::build_index).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOptions {
    /// The kind, as faiss's index factory reads it; `None` lets [`choose_index`](super::choose_index) choose.
    pub factory: Option<String>,
    /// What the choice has to keep to.
    pub limits: IndexLimits,
    /// How vectors are compared.
    pub metric: IndexMetric,
    /// Id of the model and its preprocessing; empty when unknown.
    pub model: String,
    /// SHA-256 of its weights; empty when unknown.
    pub weights_sha256: String,
    /// Seed of the training sample and of the first centroids.
    pub seed: u64,
    /// Vectors to train on, at most; `None`: 64 for each list, 65 536 at least.
    pub training: Option<usize>,
    /// The folder of a finished index whose training is taken, so that both can be merged. Its kind is taken too.
    pub trained_like: Option<PathBuf>,
    /// Rows between two checkpoints; a shard is one checkpoint at least. 1 or more.
    pub part_rows: usize,
    /// Threads. Training of rotated codes aside, it changes no result.
    pub threads: usize,
    /// Threads that link the graph of an `HNSW`. With more than one the graph depends on chance, and so do a few of the
    /// answers.
    pub graph_threads: usize,
    /// Start over: what was begun or finished in the folder goes.
    pub fresh: bool,
}

impl Default for IndexOptions {
    /// The kind is chosen within 4 GB, by cosine; seed 0; a checkpoint per million rows; all cores, the graph by one.
    fn default() -> Self {
        Self {
            factory: None,
            limits: IndexLimits::default(),
            metric: IndexMetric::Cosine,
            model: String::new(),
            weights_sha256: String::new(),
            seed: 0,
            training: None,
            trained_like: None,
            part_rows: 1_000_000,
            threads: all_cores(),
            graph_threads: 1,
            fresh: false,
        }
    }
}
