//! What can be wrong with a selection.

use thiserror::Error;
use trommel_shards::source::SourceError;
use trommel_shards::storage::StorageError;
use trommel_shards::table::TableError;

/// A selection that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelectError {
    /// A stage does not fit the metadata, or its settings have no meaning.
    #[error("stage `{stage}`: {message}")]
    Stage {
        /// The stage.
        stage: String,
        /// What is wrong.
        message: String,
    },
    /// A file of the metadata cannot be read, or is not what it should be.
    #[error("`{place}`: {message}")]
    File {
        /// The file.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// Nothing is left.
    #[error("nothing is left of {rows} rows: the stages took {}; --allow-empty takes it for an answer", losses(.lost))]
    Empty {
        /// Rows that came in.
        rows: u64,
        /// Rows lost by stage.
        lost: Vec<(String, u64)>,
    },
    /// An input that is not there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A temporary file failed.
    #[error("temporary files: {0}")]
    Spill(#[from] std::io::Error),
    /// Interrupted.
    #[error("interrupted; a selection starts over")]
    Interrupted,
}

fn losses(lost: &[(String, u64)]) -> String {
    lost.iter().map(|(stage, count)| format!("{count} at `{stage}`")).collect::<Vec<_>>().join(", ")
}

impl SelectError {
    pub(crate) fn file(place: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self::File { place: place.into(), message: message.to_string() }
    }

    pub(crate) fn stage(stage: impl Into<String>, message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        let first = message.lines().next().unwrap_or_default();
        Self::Stage { stage: stage.into(), message: first.to_owned() }
    }
}

/// Result of this room.
pub(super) type Result<T, E = SelectError> = std::result::Result<T, E>;
