//! Vectors as they are stored: npy, npz, parquet columns, DataComp's metadata and clip-retrieval's folders.
//!
//! Writers go through [`Storage`](crate::storage::Storage): whole and durable, or not there. Readers take any path or url
//! and give [`VectorBlock`]s in file order, in bounded memory: [`open_vectors`]. They are made for blocking threads, see
//! [`Input`](crate::source::Input); a url must be opened inside a tokio runtime.
//!
//! A picture that did not decode has a null vector, and its row stays. Parquet stores the null; npy and npz have none, so
//! there it is a row of NaN, which readers give back as null. Only clip-retrieval's layout leaves such rows out, in all
//! its files at once, as clip-retrieval does.
//!
//! | layout | vectors | names of rows |
//! |---|---|---|
//! | npy | one array | none |
//! | npz | an array per key | none; with [`open_datacomp`] the parquet of the same stem |
//! | parquet | `FixedSizeList` or `List` of float16, float32, float64 | `uid`, `key` |
//! | clip-retrieval | `img_emb/`, `text_emb/` | `metadata/`: `uid`, `image_path` |

mod block;
mod clip_retrieval;
mod columns;
mod datacomp;
mod error;
mod npy;
mod npz;
mod open;
mod provenance;
mod spool;
mod zip;

pub use block::{MAX_DIM, Precision, Rows, RowsError, VectorBlock};
pub use clip_retrieval::{ClipRetrievalWriter, ClipStats, Partition};
pub use columns::{VectorColumn, VectorTableWriter};
pub use datacomp::{DATACOMP_KEYS, DatacompWriter, datacomp_schema};
pub use error::VectorFileError;
pub(crate) use npy::{MAGIC, frame};
pub use npy::{NpyLayout, NpyWriter, npy_layout};
pub use npz::{NpzWriter, npz_keys};
pub use open::{VectorReader, open_datacomp, open_vectors};
pub use provenance::Provenance;
pub use zip::Compression;

fn check_dim(place: &str, dim: usize) -> Result<(), VectorFileError> {
    if (1..=MAX_DIM).contains(&dim) {
        return Ok(());
    }
    Err(VectorFileError::rows(place, format!("vectors of {dim} components; 1 to {MAX_DIM} are taken")))
}

fn same_dim(place: &str, wanted: usize, found: usize) -> Result<(), VectorFileError> {
    if wanted == found {
        return Ok(());
    }
    Err(VectorFileError::rows(place, format!("vectors of {found} components for a file of {wanted}")))
}

#[cfg(test)]
mod tests;
