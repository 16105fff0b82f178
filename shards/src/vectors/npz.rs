//! npz: several arrays under names in one zip archive, as `numpy.savez` and `numpy.savez_compressed` write them.
//!
//! DataComp's files have the keys `b32_img`, `b32_txt`, `l14_img`, `l14_txt` and `dedup`, with rows aligned with the
//! parquet of the same stem.

use flate2::Crc;

use super::block::encode;
use super::npy::{ArrayReader, render};
use super::spool::Spool;
use super::zip::{Compression, Directory, LIMIT_32, ZipWriter, open_member};
use super::{Precision, Rows, VectorFileError};
use crate::source::Input;
use crate::storage::{Storage, Written};

/// The keys of an archive, in file order: the names of its `.npy` members without the ending.
///
/// # Errors
/// [`VectorFileError::Content`] for anything that is no well-formed archive: cut off, encrypted, names with paths, members
/// that overlap, sizes that cannot be true.
pub fn npz_keys(uri: &str) -> Result<Vec<String>, VectorFileError> {
    let input = Input::open(uri)?;
    let directory = Directory::read(&input).map_err(|message| VectorFileError::content(uri, message))?;
    Ok(keys(&directory))
}

fn keys(directory: &Directory) -> Vec<String> {
    directory.entries.iter().filter_map(|entry| entry.name.strip_suffix(".npy")).map(str::to_owned).collect()
}

/// Opens one array. Rows are inflated as they are read: a member of any size costs the memory of a block.
pub(crate) fn open_npz(uri: &str, key: Option<&str>, block_rows: usize) -> Result<ArrayReader, VectorFileError> {
    let input = Input::open(uri)?;
    let fail = |message: String| VectorFileError::content(uri, message);
    let directory = Directory::read(&input).map_err(fail)?;
    let names = keys(&directory);
    let key = match (key, &names[..]) {
        (Some(key), _) => key,
        (None, [only]) => only,
        (None, []) => return Err(fail("the archive holds no arrays".into())),
        (None, _) => return Err(VectorFileError::ambiguous(uri, &names)),
    };
    let entry = directory.entries.iter().find(|entry| entry.name.strip_suffix(".npy") == Some(key));
    let entry = entry.ok_or_else(|| VectorFileError::no_column(uri, key, &names))?;
    let member = open_member(&input, entry).map_err(|message| fail(format!("key `{key}`: {message}")))?;
    ArrayReader::open(uri, Some(key), member, entry.size, block_rows)
}

struct Column {
    key: String,
    dim: usize,
    rows: u64,
    spool: Spool,
    crc: Crc,
}

/// Writes an npz of aligned arrays through the door. Rows wait in unnamed temporary files, see [`NpyWriter`].
///
/// [`NpyWriter`]: super::NpyWriter
pub struct NpzWriter {
    storage: Storage,
    name: String,
    place: String,
    precision: Precision,
    compression: Compression,
    columns: Vec<Column>,
    wide_from: u64,
}

impl NpzWriter {
    /// Begins an archive with one array for each key and number of components. Nothing is visible before
    /// [`NpzWriter::finish`].
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] for keys that are empty, twice there, or hold a path, and for impossible lengths.
    pub fn create(
        storage: &Storage,
        name: &str,
        keys: &[(&str, usize)],
        precision: Precision,
        compression: Compression,
    ) -> Result<Self, VectorFileError> {
        let place = storage.uri_of(name);
        let mut columns: Vec<Column> = Vec::new();
        for &(key, dim) in keys {
            super::check_dim(&place, dim)?;
            let plain = !key.is_empty() && key.len() <= 255 && !key.starts_with('.') && !key.contains(['/', '\\', ':', '\0']);
            if !plain || !key.is_ascii() || columns.iter().any(|column| column.key == key) {
                return Err(VectorFileError::rows(&place, format!("key `{key}` is empty, twice there, or no plain ASCII name")));
            }
            columns.push(Column { key: key.to_owned(), dim, rows: 0, spool: Spool::new(), crc: Crc::new() });
        }
        Ok(Self { storage: storage.clone(), name: name.to_owned(), place, precision, compression, columns, wide_from: LIMIT_32 })
    }

    /// Uses 64-bit fields from a size on, so that tests need no archive of 4 GB.
    #[cfg(test)]
    pub(crate) fn wide_from(mut self, bytes: u64) -> Self {
        self.wide_from = bytes;
        self
    }

    /// Appends rows to one array. Null rows become rows of NaN.
    ///
    /// # Errors
    /// [`VectorFileError::NoColumn`] for a key that was not announced; otherwise as [`NpyWriter::append`].
    ///
    /// [`NpyWriter::append`]: super::NpyWriter::append
    pub fn append(&mut self, key: &str, rows: Rows<'_>) -> Result<(), VectorFileError> {
        let Some(at) = self.columns.iter().position(|column| column.key == key) else {
            let names: Vec<String> = self.columns.iter().map(|column| column.key.clone()).collect();
            return Err(VectorFileError::no_column(&self.place, key, &names));
        };
        let column = &mut self.columns[at];
        super::same_dim(&self.place, column.dim, rows.dim())?;
        let mut bytes = Vec::new();
        encode(&self.place, self.precision, rows, column.rows, &mut bytes)?;
        column.crc.update(&bytes);
        column.spool.write(&self.place, &bytes)?;
        column.rows += rows.len() as u64;
        Ok(())
    }

    /// Writes the archive and moves it into place.
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] when the arrays differ in rows, [`VectorFileError::Storage`] when the store refuses;
    /// nothing is visible then.
    pub async fn finish(mut self) -> Result<Written, VectorFileError> {
        if let Some(pair) = self.columns.windows(2).find(|pair| pair[0].rows != pair[1].rows) {
            let message = format!("`{}` has {} rows and `{}` has {}", pair[0].key, pair[0].rows, pair[1].key, pair[1].rows);
            return Err(VectorFileError::rows(&self.place, message));
        }
        let mut zip = ZipWriter::new(self.storage.create(&self.name).await?, &self.place, self.wide_from);
        for column in &mut self.columns {
            let head = render(self.precision, column.rows, column.dim);
            zip.add(&format!("{}.npy", column.key), self.compression, &head, &mut column.spool, &column.crc).await?;
        }
        zip.finish().await
    }
}
