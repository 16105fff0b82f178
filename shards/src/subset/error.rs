//! What can be wrong with a subset.

use thiserror::Error;

use crate::source::SourceError;
use crate::storage::StorageError;

/// A subset that cannot be read or written, with the file and the place in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubsetError {
    /// A text that is no uid.
    #[error("`{0}` is no uid: 32 hexadecimal characters are needed")]
    Uid(String),
    /// The file cannot be found or opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store or a temporary file refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file is damaged, or of a shape that is not taken.
    #[error("`{file}`: {message}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, with the place.
        message: String,
    },
    /// The uids are not in order, so that they cannot be searched.
    #[error("`{file}` is not sorted: `{uid}` at row {row} comes after `{before}`")]
    NotSorted {
        /// The file.
        file: String,
        /// The row that is too low, counted from zero.
        row: u64,
        /// The uid of that row.
        uid: String,
        /// The uid of the row before it.
        before: String,
    },
}

impl SubsetError {
    pub(crate) fn content(file: &str, message: impl std::fmt::Display) -> Self {
        Self::Content { file: file.to_owned(), message: message.to_string() }
    }

    pub(crate) fn io(file: &str, source: std::io::Error) -> Self {
        StorageError::io(file, source).into()
    }
}
