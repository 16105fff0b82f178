//! Clusters of stored vectors, and selection by them.
//!
//! Plain functions over [`VectorSource`](crate::scores::VectorSource): vectors in memory, or in mapped files many times
//! larger than it. Null vectors are skipped. Every random draw is a hash of seed, stage, step and the key of the row
//! ([`Keys`]), every product is computed in one order, and sums are added in the order of the rows: results depend
//! neither on threads nor on blocks. ([`Engine::Faiss`] says what it promises instead.)
//!
//! | function | what it decides | source |
//! |---|---|---|
//! | [`kmeans`], [`assign`], [`assign_two`] | the cluster of each row | Lloyd; k-means++ |
//! | [`hierarchy`] | clusters of clusters, evenly spread | arXiv 2405.15613 |
//! | [`semdedup`], [`duplicates`] | near-duplicates within clusters | arXiv 2303.09540 |
//! | [`prototypes`] | the hardest or easiest rows | arXiv 2206.14486 |
//! | [`density`] | how many rows of each cluster, and which | arXiv 2401.04578 |
//! | [`jest_select`] | a batch that is learnable together | arXiv 2406.17711 |
//! | [`mark_centroids`], [`in_marked`] | pictures near a target task | DataComp, arXiv 2304.14108 |
//!
//! ```
//! use trommel_embeddings::clusters::{DuplicateRule, Keys, KMeansOptions, SemDedupOptions, duplicates, kmeans, semdedup};
//! use trommel_embeddings::scores::Rows;
//!
//! let vectors = [1.0, 0.0, 0.999, 0.01, 0.0, 1.0, -1.0, 0.2];
//! let vectors = Rows::new(&vectors, 2, None)?;
//! let clusters = kmeans(&vectors, Keys::RowNumbers, &KMeansOptions { spherical: true, ..KMeansOptions::new(1) })?;
//! let similar = semdedup(&vectors, &clusters.assignments, None, Keys::RowNumbers, &SemDedupOptions::default())?;
//! let goes = duplicates(&similar, 0.05, DuplicateRule::Above)?;
//! assert_eq!(goes.iter().filter(|goes| **goes).count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assign;
mod density;
pub(crate) mod draw;
mod faiss;
mod hierarchy;
mod image_based;
mod init;
mod jest_select;
pub(crate) mod kernel;
mod kmeans;
mod lloyd;
pub(crate) mod matrix;
mod members;
pub(crate) mod parallel;
mod prototypes;
mod search;
mod semdedup;
mod stored_zip;
#[cfg(test)]
mod tests;
mod torch_file;

pub use assign::{Assignments, assign, assign_two};
pub use density::{Density, DensityOptions, density};
pub use draw::{Keys, uid_keys};
pub use hierarchy::{HierarchyOptions, Level, LevelOptions, Split, hierarchy};
pub use image_based::{in_marked, largest_product, mark_centroids};
pub use jest_select::{FirstChunk, JestOptions, JointLoss, PairVectors, jest_select};
pub use kmeans::{Engine, Init, KMeans, KMeansOptions, Sample, kmeans};
pub use prototypes::{KeepEnd, PrototypeOptions, prototypes};
pub use search::NO_CLUSTER;
pub use semdedup::{DuplicateRule, KeepFirst, SemDedupOptions, duplicates, semdedup};
pub use torch_file::{TorchFileError, TorchMatrix, read_torch_matrix};
