//! What can be wrong with an index.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::neighbours::NeighbourError;
use crate::scores::ScoreError;

/// An index that cannot be built, opened, merged or searched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A file that cannot be read or written.
    #[error("`{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Faiss refuses.
    #[error("{what}: faiss says {message}")]
    Faiss {
        /// What was asked of it.
        what: String,
        /// What it says.
        message: String,
    },
    /// A description that is none, or not of this version.
    #[error("`{path}`: {message}")]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Files of one folder that do not fit each other.
    #[error("`{path}`: {what} is {found}, the description says {expected}")]
    Damaged {
        /// The folder or file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As described.
        expected: String,
        /// As found.
        found: String,
    },
    /// Metadata that the index was not made for.
    #[error(
        "the index does not belong to the metadata: it has {index_rows} rows with uids {index_uids}, the metadata {rows} with uids {uids}"
    )]
    OtherMetadata {
        /// Rows of the index.
        index_rows: u64,
        /// Digest of its uids, or `none`.
        index_uids: String,
        /// Rows of the metadata.
        rows: u64,
        /// Digest of their uids, or `none`.
        uids: String,
    },
    /// Vectors of another length.
    #[error("{what}: vectors of {found} components (model `{found_model}`), the index has vectors of {expected} (model `{model}`)")]
    Dimensions {
        /// Which vectors.
        what: String,
        /// Components of the index.
        expected: usize,
        /// Components of the vectors.
        found: usize,
        /// Model of the index.
        model: String,
        /// Model of the vectors.
        found_model: String,
    },
    /// Vectors of another model.
    #[error("{what}: vectors of model `{found}`, the index has vectors of model `{expected}`")]
    Models {
        /// Which vectors.
        what: String,
        /// Model of the index.
        expected: String,
        /// Model of the vectors.
        found: String,
    },
    /// A folder in which something else was begun.
    #[error("`{path}` was begun with {what} {found}, and not {expected}; start over to change it")]
    OtherBuild {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As given now.
        expected: String,
        /// As begun.
        found: String,
    },
    /// Indexes that cannot be merged.
    #[error("`{path}` cannot be merged: {message}")]
    Merge {
        /// The index that does not fit.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// No kind of index fits into the memory that is allowed.
    #[error("{count} vectors of {dim} components: the smallest index takes {needed} bytes, {allowed} are allowed")]
    Memory {
        /// Vectors.
        count: u64,
        /// Components.
        dim: usize,
        /// Bytes of the smallest.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// A setting without meaning.
    #[error("`{name}` is {value}; {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Another number of uids than rows.
    #[error("`{name}`: {uids} uids for {rows} rows")]
    Uids {
        /// The shard.
        name: String,
        /// Rows of vectors.
        rows: usize,
        /// Uids.
        uids: usize,
    },
    /// The uids of a shard cannot be read.
    #[error("uids of `{name}`")]
    UidSource {
        /// The shard.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing to index.
    #[error("there are no vectors to index")]
    Empty,
    /// The receiver of the progress stopped the work; what is done stays.
    #[error("stopped; the next run goes on from here")]
    Stopped,
    /// The clusters cannot be trained.
    #[error("the clusters of the index cannot be trained")]
    Clusters(#[from] ScoreError),
    /// The vectors cannot be read.
    #[error(transparent)]
    Vectors(#[from] NeighbourError),
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> IndexError {
    let path = path.to_path_buf();
    move |source| IndexError::Io { path, source }
}

pub(super) fn setting(name: &'static str, value: impl ToString, expected: &'static str) -> IndexError {
    IndexError::Setting { name, value: value.to_string(), expected }
}
