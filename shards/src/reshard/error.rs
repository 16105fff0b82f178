//! What can go wrong between shards and shards.

use thiserror::Error;

use crate::source::SourceError;
use crate::storage::StorageError;
use crate::subset::SubsetError;
use crate::table::TableError;
use crate::tar::TarReadError;

/// A resharding that cannot go on, with the shard and, where it is known, the sample.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReshardError {
    /// An option that makes no sense.
    #[error("{0}")]
    Options(String),
    /// A shard cannot be found or opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A table cannot be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The subset cannot be read or written.
    #[error(transparent)]
    Subset(#[from] SubsetError),
    /// An input shard is compressed: its members cannot be found without unpacking all of it.
    #[error("`{0}` is compressed; unpack it first (`gunzip`), samples are copied from plain tars only")]
    Compressed(String),
    /// An input shard is broken or short.
    #[error("`{shard}`: {source}")]
    Tar {
        /// The input shard.
        shard: String,
        /// What is wrong with it, and where.
        #[source]
        source: TarReadError,
    },
    /// A shard or a table is not what it should be.
    #[error("`{shard}`: {message}")]
    Shard {
        /// The shard or table.
        shard: String,
        /// What is wrong.
        message: String,
    },
    /// A sample is not what it should be.
    #[error("`{shard}`: sample `{sample}`: {message}")]
    Sample {
        /// The input shard.
        shard: String,
        /// The sample's key in it.
        sample: String,
        /// What is wrong.
        message: String,
    },
    /// The plan cannot be kept in a temporary file.
    #[error("a temporary file for the plan: {0}")]
    Plan(#[source] std::io::Error),
}

impl ReshardError {
    pub(crate) fn shard(shard: &str, message: impl std::fmt::Display) -> Self {
        Self::Shard { shard: shard.to_owned(), message: message.to_string() }
    }

    pub(crate) fn sample(shard: &str, sample: &str, message: impl std::fmt::Display) -> Self {
        Self::Sample { shard: shard.to_owned(), sample: sample.to_owned(), message: message.to_string() }
    }

    /// Whether the disk or the quota is full: no other shard can be written either.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Storage(error) | Self::Table(TableError::Storage(error)) => error.is_full(),
            _ => false,
        }
    }
}
