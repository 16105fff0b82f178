//! Nearest neighbours of stored vectors by cosine, and what is decided by them.
//!
//! Plain functions over [`Vectors`]: a [`VectorSource`](crate::scores::VectorSource) and the id of the model that made
//! it. Vectors are normalised when they are read, rows without a direction are left out and counted ([`Survey`]), and the
//! neighbours come as a stream of [`Edge`]s in bounded memory. Nothing depends on threads or on blocks.
//!
//! The search is a product of matrices in tiles, of all rows (exact) or of those that share an inverted list; of one
//! query at a time, with filters, from a file that is kept, searches [`crate::index`].
//!
//! | function | what it decides | source |
//! |---|---|---|
//! | [`neighbours`] | the edges of a similarity graph | |
//! | [`self_dedup`], [`relative_dedup`] | near-duplicates, and those of references | DINOv2, arXiv 2304.07193 |
//! | [`nearest_reference`] | leaked evaluation pictures | DataComp, arXiv 2304.14108 |
//! | [`retrieve_by_sample`], [`retrieve_by_clusters`] | rows that resemble a query set | DINOv2 |
//! | [`query_subset`] | rows of a domain | RS5M, arXiv 2306.11300 |
//!
//! ```
//! use trommel_embeddings::neighbours::{Vectors, dinov2_self, self_dedup};
//! use trommel_embeddings::scores::Rows;
//!
//! let vectors = [1.0, 0.0, 0.0, 1.0, 0.9, 0.1];
//! let rows = Rows::new(&vectors, 2, None)?;
//! let found = self_dedup(&Vectors::new(&rows, "sscd_disc_mixup"), &dinov2_self(), |_| ())?;
//! assert_eq!(found.groups, [0, 1, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod best;
mod components;
mod dedup;
mod engine;
mod error;
mod lists;
mod nearest;
mod references;
mod retrieve;
#[cfg(test)]
mod tests;
mod vectors;

pub use components::Components;
pub use dedup::{Groups, RelativeDedup, dinov2_relative, dinov2_self, relative_dedup, self_dedup};
pub use error::NeighbourError;
pub use nearest::{Edge, Floor, NeighbourOptions, NeighbourReport, Search, neighbours};
pub use references::{DATACOMP_FLOOR, Drawn, Reference, datacomp, nearest_reference, query_subset};
pub use retrieve::{ClusterRetrieval, ClusterRetrieved, Retrieved, retrieve_by_clusters, retrieve_by_sample};
pub(crate) use vectors::unit;
pub use vectors::{Survey, Vectors};
