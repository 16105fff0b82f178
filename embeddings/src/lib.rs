//! Judgement with a model: vectors and their arithmetic.
//!
//! Scores compare vectors, and a comparison is only as good as the vectors: [`normalize`] tells a vector that cannot be
//! compared (zero, not finite) from one that can, instead of letting NaN travel into a score column.
//!
//! ```
//! let mut a = [3.0_f32, 4.0];
//! let mut b = [4.0_f32, 3.0];
//! trommel_embeddings::normalize(&mut a)?;
//! trommel_embeddings::normalize(&mut b)?;
//! assert!((trommel_embeddings::dot(&a, &b)? - 0.96).abs() < 1e-6);
//! # Ok::<(), trommel_embeddings::VectorError>(())
//! ```

pub mod checkpoint;
pub mod clusters;
pub mod device;
mod embedder;
pub mod error;
pub mod heads;
pub mod index;
pub mod model;
pub mod neighbours;
pub mod pool;
pub mod prepared;
pub mod preprocess;
pub mod scores;
pub mod tokenizer;
mod vector;

pub use embedder::{Embedder, EmbedderOptions, ModelCard, describe};
pub use error::ModelError;
pub use prepared::{Picture, Prepared, Tokens};
pub use vector::{VectorError, dot, normalize};
