//! Why a run could not go on.

use datafusion::common::DataFusionError;
use thiserror::Error;
use trommel_shards::storage::StorageError;
use trommel_shards::table::TableError;

use crate::engine::OpenError;
use crate::ledger::{LedgerError, Part};

/// A run that could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// The output folder is not for this run.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A selection cannot be made.
    #[error(transparent)]
    Select(#[from] crate::select::SelectError),
    /// The engine cannot be used.
    #[error(transparent)]
    Engine(#[from] OpenError),
    /// The final shards cannot be written.
    #[error(transparent)]
    Reshard(#[from] crate::reshard::RunError),
    /// A pass failed as a whole.
    #[error("pass `{pass}`: {message}")]
    Pass {
        /// The pass.
        pass: String,
        /// Why, one sentence.
        message: String,
        /// The error.
        #[source]
        source: DataFusionError,
    },
    /// Another part has not done its share, and gives no sign of life.
    #[error(
        "pass `{pass}`: {units} units of other parts are not done, and part {part} gave no sign of life for {seconds} s: start it, then run this \
         again to go on"
    )]
    Parts {
        /// The pass.
        pass: String,
        /// Units that are not done.
        units: usize,
        /// The part whose the first of them is.
        part: Part,
        /// Seconds of silence.
        seconds: u64,
    },
    /// Interrupted; what was finished is safe.
    #[error("interrupted: finished units are safe, run the same command again to go on")]
    Interrupted,
}
