//! Scores over stored vectors; no model needed.
//!
//! Plain functions on slices. Vectors come as [`Rows`], null ones flagged: they are skipped, and their score is null
//! (`None`). Where a function says *unit vectors* it takes the vectors to be of length 1, as every writer stores them,
//! and does not check it.
//!
//! | function | source |
//! |---|---|
//! | [`neg_clip_loss`] | negCLIPLoss, arXiv 2405.19547 |
//! | [`NormSim2`], [`norm_sim_inf`] | NormSim, arXiv 2405.19547 |
//! | [`nearest`] | DataComp's image-based filter, k-means in general |
//! | [`best_caption`] | multi-caption sets |
//! | [`learnability`], [`sigmoid_losses`], [`softmax_losses`] | JEST, arXiv 2406.17711 |
//!
//! ```
//! use trommel_embeddings::scores::{NegClipLoss, Rows, neg_clip_loss};
//!
//! let images = [1.0, 0.0, 0.0, 1.0];
//! let texts = [0.8, 0.6, 0.6, 0.8];
//! let (images, texts) = (Rows::new(&images, 2, None)?, Rows::new(&texts, 2, None)?);
//! let scores = neg_clip_loss(&images, &texts, &["a", "b"], &NegClipLoss { temperature: 0.1, ..NegClipLoss::default() })?;
//! assert_eq!(scores.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod captions;
mod centroids;
mod error;
mod exp;
mod gemm;
mod jest;
mod log_sum_exp;
mod mapped;
mod neg_clip_loss;
mod norm_sim;
mod permutation;
mod source;

pub use captions::{CaptionChoice, best_caption};
pub use centroids::{Metric, Nearest, nearest};
pub use error::ScoreError;
pub use jest::{Learnability, learnability, sigmoid_batch_losses, sigmoid_losses, softmax_losses};
pub use mapped::MappedVectors;
pub use neg_clip_loss::{NegClipLoss, neg_clip_loss, neg_clip_loss_ordered};
pub use norm_sim::{NormSim2, norm_sim_inf, norm_sim_inf_into};
pub use permutation::permutation;
pub use source::{HalfRows, VectorSource};
pub use trommel_shards::vectors::{Rows, RowsError};
