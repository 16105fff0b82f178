//! Writing an array of which the number of rows is known at the end.

use super::super::block::encode;
use super::super::spool::Spool;
use super::super::{Precision, Rows, VectorFileError};
use super::render;
use crate::storage::{Storage, Written};

/// Writes one npy file through the door.
///
/// The header holds the number of rows and comes first, and an object in a store cannot be patched: rows wait in a spool
/// (some MiB of memory, then an unnamed temporary file), so memory does not grow with the file. A null row is a row of
/// NaN, which keeps its place; readers here give it back as null.
///
/// ```
/// # use trommel_shards::{storage::Storage, vectors::{NpyWriter, Precision, Rows, open_vectors}};
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let folder = dir.path().to_str().unwrap_or_default();
/// let storage = Storage::open(folder)?;
/// let mut npy = NpyWriter::create(&storage, "image.npy", 2, Precision::F16)?;
/// npy.append(Rows::new(&[0.6, 0.8, 1.0, 0.0], 2, Some(&[true, false]))?)?;
/// npy.finish().await?;
/// let mut reader = open_vectors(&storage.uri_of("image.npy"), None, 1000)?;
/// let block = reader.next_block()?.unwrap_or_default();
/// assert_eq!((block.rows, block.valid), (2, Some(vec![true, false])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NpyWriter {
    storage: Storage,
    name: String,
    place: String,
    dim: usize,
    precision: Precision,
    rows: u64,
    spool: Spool,
}

impl NpyWriter {
    /// Begins a file of vectors of `dim` components. Nothing is visible before [`NpyWriter::finish`].
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] for a `dim` that no reader takes.
    pub fn create(storage: &Storage, name: &str, dim: usize, precision: Precision) -> Result<Self, VectorFileError> {
        let place = storage.uri_of(name);
        super::super::check_dim(&place, dim)?;
        Ok(Self { storage: storage.clone(), name: name.to_owned(), place, dim, precision, rows: 0, spool: Spool::new() })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] for vectors of another length and for components that are not finite in the file's
    /// precision; [`VectorFileError::Storage`] when the temporary file cannot be written.
    pub fn append(&mut self, rows: Rows<'_>) -> Result<(), VectorFileError> {
        super::super::same_dim(&self.place, self.dim, rows.dim())?;
        let mut bytes = Vec::new();
        encode(&self.place, self.precision, rows, self.rows, &mut bytes)?;
        self.spool.write(&self.place, &bytes)?;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the file and moves it into place.
    ///
    /// # Errors
    /// When the store refuses; nothing is visible then.
    pub async fn finish(mut self) -> Result<Written, VectorFileError> {
        let mut writer = self.storage.create(&self.name).await?;
        writer.write(render(self.precision, self.rows, self.dim).into()).await?;
        self.spool.copy_to(&self.place, &mut writer).await?;
        Ok(writer.finish().await?)
    }
}
