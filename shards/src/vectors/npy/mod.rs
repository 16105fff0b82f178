//! npy: one two-dimensional array of vectors, as `numpy.save` writes it.

mod header;
mod reader;
mod writer;

pub(crate) use header::{Header, MAGIC, frame, render};
pub(crate) use reader::ArrayReader;
pub use writer::NpyWriter;

use parquet::file::reader::Length;

use super::{Precision, VectorFileError};
use crate::source::Input;

/// Where the components of an npy file lie, for those who map it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NpyLayout {
    /// How each component lies, little-endian.
    pub precision: Precision,
    /// Rows.
    pub rows: u64,
    /// Components of a row.
    pub dim: usize,
    /// Bytes before the first component.
    pub offset: u64,
}

/// Reads the header of an npy file and checks it against the length of the file.
///
/// # Errors
/// As [`open_vectors`](super::open_vectors).
pub fn npy_layout(uri: &str) -> Result<NpyLayout, VectorFileError> {
    let input = Input::open(uri)?;
    let total = input.len();
    let header = Header::read(&mut input.into_read(), total).map_err(|message| VectorFileError::content(uri, message))?;
    Ok(NpyLayout { precision: header.precision, rows: header.rows, dim: header.dim, offset: header.length })
}
