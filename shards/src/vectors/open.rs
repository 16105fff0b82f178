//! Opening stored vectors, whatever their layout.

use std::path::Path;

use parquet::file::reader::Length;

use super::clip_retrieval::{Folder, open_folder};
use super::columns::{ColumnReader, NameReader, open_column};
use super::npy::ArrayReader;
use super::npz::open_npz;
use super::{Precision, Provenance, VectorBlock, VectorFileError};
use crate::source::Input;
use crate::storage::remote_url;

/// The blocks of stored vectors, in file order. Also an iterator.
pub struct VectorReader {
    layout: Layout,
    dim: usize,
    rows: u64,
    precision: Precision,
    provenance: Option<Provenance>,
}

enum Layout {
    Array(ArrayReader),
    Column(Box<ColumnReader>),
    Named(ArrayReader, NameReader),
    Folder(Folder),
}

impl VectorReader {
    /// Components of a vector; zero when the file has only nulls and does not say.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows of the whole file or folder.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How the components lie in the file.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What made the vectors, where the file says it.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// The next rows; `None` at the end. After an error there is nothing more to read.
    ///
    /// # Errors
    /// [`VectorFileError`] when the file is damaged. The last block is given only once the file has kept what it
    /// promised (length, checksum).
    pub fn next_block(&mut self) -> Result<Option<VectorBlock>, VectorFileError> {
        match &mut self.layout {
            Layout::Array(array) => array.next_block(),
            Layout::Column(column) => column.next_block(),
            Layout::Named(array, names) => match array.next_block()? {
                Some(mut block) => {
                    names.name(&mut block)?;
                    Ok(Some(block))
                }
                None => Ok(None),
            },
            Layout::Folder(folder) => folder.next_block(),
        }
    }
}

impl Iterator for VectorReader {
    type Item = Result<VectorBlock, VectorFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}

/// Opens stored vectors by path or url: `.npy`, `.npz`, `.parquet`, or a folder as clip-retrieval writes it.
///
/// `column` names the key of an npz, the column of a table, or the subfolder (`img_emb`, `text_emb`); `None` takes the
/// only one. Blocks have `block_rows` rows at most, and fewer where vectors are so long that a block would pass 64 MiB.
///
/// # Errors
/// [`VectorFileError`] names the file, the key and what is wrong with it; for a name that is not there also the names that
/// are, and the nearest.
pub fn open_vectors(uri: &str, column: Option<&str>, block_rows: usize) -> Result<VectorReader, VectorFileError> {
    let path = uri.split(['?', '#']).next().filter(|_| remote_url(uri).is_some()).unwrap_or(uri);
    let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    let folder = if remote_url(uri).is_some() { ending.is_none() } else { Path::new(uri).is_dir() };
    match ending.as_deref() {
        _ if folder => Ok(of_folder(open_folder(uri, column, block_rows)?)),
        Some("npy") => {
            if let Some(column) = column {
                return Err(VectorFileError::no_column(uri, column, &[]));
            }
            let input = Input::open(uri)?;
            let total = input.len();
            Ok(of_array(ArrayReader::open(uri, None, input.into_read(), total, block_rows)?))
        }
        Some("npz") => Ok(of_array(open_npz(uri, column, block_rows)?)),
        Some("parquet") => {
            let column = open_column(uri, column, block_rows)?;
            let (dim, rows, precision, provenance) = (column.dim, column.rows, column.precision, column.provenance.clone());
            Ok(VectorReader { layout: Layout::Column(Box::new(column)), dim, rows, precision, provenance })
        }
        _ => Err(VectorFileError::UnknownFormat(uri.to_owned())),
    }
}

/// Opens the vectors of one DataComp metadata file with their uids: `stem` is the path without `.parquet` or `.npz` (or
/// with either), `key` is one of [`DATACOMP_KEYS`](super::DATACOMP_KEYS) or another key of the npz.
///
/// # Errors
/// As [`open_vectors`], and when the two files differ in rows.
pub fn open_datacomp(stem: &str, key: &str, block_rows: usize) -> Result<VectorReader, VectorFileError> {
    let stem = stem.strip_suffix(".npz").or_else(|| stem.strip_suffix(".parquet")).unwrap_or(stem);
    let (npz, parquet) = (format!("{stem}.npz"), format!("{stem}.parquet"));
    let array = open_npz(&npz, Some(key), block_rows)?;
    let names = NameReader::open(&parquet, "key")?;
    if names.rows != array.rows() {
        return Err(VectorFileError::content(&npz, format!("key `{key}` has {} rows, `{parquet}` has {}", array.rows(), names.rows)));
    }
    let (dim, rows, precision) = (array.dim(), array.rows(), array.precision());
    Ok(VectorReader { layout: Layout::Named(array, names), dim, rows, precision, provenance: None })
}

fn of_array(array: ArrayReader) -> VectorReader {
    let (dim, rows, precision) = (array.dim(), array.rows(), array.precision());
    VectorReader { layout: Layout::Array(array), dim, rows, precision, provenance: None }
}

fn of_folder(folder: Folder) -> VectorReader {
    let (dim, rows, precision) = (folder.dim, folder.rows, folder.precision);
    VectorReader { layout: Layout::Folder(folder), dim, rows, precision, provenance: None }
}
