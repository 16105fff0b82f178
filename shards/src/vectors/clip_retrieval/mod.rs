//! The folders that `clip-retrieval inference` writes, autofaiss and embedding-reader read.
//!
//! ```text
//! img_emb/img_emb_{i}.npy      float16, L2-normalised
//! text_emb/text_emb_{i}.npy    float16, L2-normalised
//! metadata/metadata_{i}.parquet
//! stats/{i}.json
//! ```
//! Row `n` of the three files of a partition is one sample; `i` is padded with zeros.

mod reader;
mod writer;

pub(crate) use reader::{Folder, open_folder};
pub use writer::{ClipRetrievalWriter, ClipStats, Partition};
