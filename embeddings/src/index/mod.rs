//! The index: vectors that can be asked.
//!
//! [`build_index`] makes a Faiss index of shards of vectors: it chooses the kind by number and memory ([`choose_index`], after
//! autofaiss) or takes a factory string, trains it on a drawn sample, adds shard by shard in steps that survive being
//! killed, and leaves a folder whose `index.faiss` also opens in faiss for Python. [`merge_indexes`] joins indexes of one
//! training, and [`Index`] opens one, in memory or mapped, and searches it: the nearest rows, all rows above a similarity,
//! among all rows or those of a filter ([`Allowed`]).
//!
//! Useful for a dataset that is kept and searched. Not useful for the neighbours of all rows: products of blocks find those
//! faster, see [`crate::neighbours`].
//!
//! ```
//! use std::ops::ControlFlow;
//! use trommel_embeddings::index::{Access, Index, IndexOptions, IndexShard, SearchOptions, build_index};
//! use trommel_embeddings::neighbours::Vectors;
//! use trommel_embeddings::scores::Rows;
//!
//! let folder = tempfile::tempdir()?;
//! let data = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
//! let vectors = Rows::new(&data, 2, None)?;
//! let shards = [IndexShard::new("memory", &vectors)];
//! let description = build_index(folder.path(), &shards, &IndexOptions::default(), &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(description.factory, "Flat");
//!
//! let index = Index::open(folder.path(), Access::Memory)?;
//! let query = Rows::new(&[0.0, 2.0], 2, None)?;
//! let answer = index.search(&Vectors::new(&query, ""), &SearchOptions::new(2))?;
//! assert_eq!(answer.hits[0].iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allowed;
mod build;
mod choose;
mod description;
mod error;
mod files;
mod finish;
mod merge;
mod open;
mod options;
mod raw;
mod read;
mod search;
mod shard;
#[cfg(test)]
mod tests;
mod train;
mod uids;

pub use allowed::Allowed;
pub use build::{IndexProgress, build_index};
pub use choose::{IndexChoice, IndexLimits, choose_index};
pub use description::{INDEX_FORMAT, IndexDescription, IndexMetric, IndexSource, LeftOut};
pub use error::IndexError;
pub use merge::merge_indexes;
pub use open::{Access, Index};
pub use options::IndexOptions;
pub use search::{Answer, Hit, SearchOptions};
pub use shard::IndexShard;
pub use uids::UidDigest;
