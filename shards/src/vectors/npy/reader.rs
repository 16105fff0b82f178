//! Reading the rows of an array in blocks.

use std::io::Read;

use super::super::block::block_rows;
use super::super::{Precision, VectorBlock, VectorFileError};
use super::Header;

/// The rows of one array, from a file or from a member of an archive.
pub(crate) struct ArrayReader {
    input: Box<dyn Read + Send>,
    /// The file, and the key in it where there is one, for messages.
    place: String,
    key: Option<String>,
    header: Header,
    next: u64,
    block_rows: usize,
    ended: bool,
}

impl ArrayReader {
    /// Reads the header. `total` is the number of bytes that `input` gives.
    pub(crate) fn open(
        place: &str,
        key: Option<&str>,
        mut input: Box<dyn Read + Send>,
        total: u64,
        rows: usize,
    ) -> Result<Self, VectorFileError> {
        let header = Header::read(&mut input, total).map_err(|message| message_of(place, key, &message))?;
        let key = key.map(str::to_owned);
        Ok(Self { input, place: place.to_owned(), key, header, next: 0, block_rows: block_rows(rows, header.dim), ended: false })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.header.rows
    }

    pub(crate) fn dim(&self) -> usize {
        self.header.dim
    }

    pub(crate) fn precision(&self) -> Precision {
        self.header.precision
    }

    /// The next rows. The last block is given only when the input ended where it should, checksum included.
    pub(crate) fn next_block(&mut self) -> Result<Option<VectorBlock>, VectorFileError> {
        let left = self.header.rows - self.next;
        if self.ended {
            return Ok(None);
        }
        let rows = usize::try_from(left).unwrap_or(usize::MAX).min(self.block_rows);
        let mut bytes = vec![0; rows * self.header.dim * self.header.precision.bytes()];
        let result = self.input.read_exact(&mut bytes).and_then(|()| {
            // One byte more than the rows makes an archive check its member.
            if rows as u64 == left && self.input.read(&mut [0])? != 0 {
                Err(std::io::Error::other("has bytes after the last row"))
            } else {
                Ok(())
            }
        });
        if let Err(error) = result {
            self.ended = true;
            let message = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => format!("ends inside row block {} to {}", self.next, self.next + rows as u64),
                _ => error.to_string(),
            };
            return Err(message_of(&self.place, self.key.as_deref(), &message));
        }
        self.ended = rows as u64 == left;
        if rows == 0 {
            return Ok(None);
        }
        let mut data = Vec::with_capacity(rows * self.header.dim);
        self.header.precision.decode(&bytes, &mut data);
        let mut block = VectorBlock { start: self.next, rows, dim: self.header.dim, data, ..VectorBlock::default() };
        block.null_from_nan();
        self.next += rows as u64;
        Ok(Some(block))
    }
}

fn message_of(place: &str, key: Option<&str>, message: &str) -> VectorFileError {
    match key {
        Some(key) => VectorFileError::content(place, format!("key `{key}`: {message}")),
        None => VectorFileError::content(place, message),
    }
}
