//! Bytes that wait until their header is known.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use super::VectorFileError;
use crate::storage::{ObjectWriter, StorageError};

/// Bytes kept in memory before they go to a temporary file.
const MEMORY_BYTES: usize = 16 << 20;
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A buffer that grows on disk. The temporary file has no name, so that a crash leaves nothing.
pub(crate) struct Spool {
    file: SpooledTempFile,
    length: u64,
}

impl Spool {
    pub(crate) fn new() -> Self {
        Self { file: SpooledTempFile::new(MEMORY_BYTES), length: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn write(&mut self, place: &str, bytes: &[u8]) -> Result<(), VectorFileError> {
        self.file.write_all(bytes).map_err(|e| failed(place, e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn rewind(&mut self, place: &str) -> Result<(), VectorFileError> {
        self.file.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|e| failed(place, e))
    }

    /// The next piece from where the last one ended; empty at the end.
    pub(crate) fn piece(&mut self, place: &str) -> Result<Vec<u8>, VectorFileError> {
        let mut piece = vec![0; PIECE_BYTES];
        let count = self.file.read(&mut piece).map_err(|e| failed(place, e))?;
        piece.truncate(count);
        Ok(piece)
    }

    /// Copies everything into an object.
    pub(crate) async fn copy_to(&mut self, place: &str, writer: &mut ObjectWriter) -> Result<(), VectorFileError> {
        self.rewind(place)?;
        loop {
            let piece = self.piece(place)?;
            if piece.is_empty() {
                return Ok(());
            }
            writer.write(piece.into()).await?;
        }
    }
}

fn failed(place: &str, source: std::io::Error) -> VectorFileError {
    StorageError::io(place, source).into()
}
