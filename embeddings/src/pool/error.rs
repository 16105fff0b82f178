//! What can be wrong with a pool, and with one row in it.

use thiserror::Error;

use crate::device::DeviceName;

/// The pool cannot be built, or takes nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The pool's settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// No model of this name is in the pool.
    #[error("no model `{model}` in the pool; there are {known}")]
    UnknownModel {
        /// As asked for.
        model: String,
        /// The names that are there.
        known: String,
    },
    /// A replica could not be made when the pool was built.
    #[error("model `{model}` does not load on {device}: {message}")]
    Load {
        /// The model.
        model: String,
        /// Where.
        device: DeviceName,
        /// What its factory said.
        message: String,
    },
    /// Every worker of a model died more often in a row than allowed. Everything that waited for it got this error.
    #[error("all workers of model `{model}` are dead, the last one on {device}: {message}")]
    Dead {
        /// The model.
        model: String,
        /// Where the last worker was.
        device: DeviceName,
        /// What it died of.
        message: String,
    },
    /// The pool was closed.
    #[error("the pool is closed")]
    Closed,
}

/// Why one row has no embedding. The rows beside it have theirs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowError {
    /// The model's output holds NaN or infinity.
    #[error("component {component} of the embedding is not finite")]
    NotFinite {
        /// The first such component.
        component: usize,
    },
    /// The model's output is all zeros and has no direction.
    #[error("the embedding is zero")]
    Zero,
    /// The device cannot hold even this one row.
    #[error("out of memory on {device} with a batch of one")]
    OutOfMemory {
        /// The device.
        device: DeviceName,
    },
    /// The row does not fit the model.
    #[error("{0}")]
    Input(String),
    /// The worker died on every batch with this row, also on the row alone.
    #[error("the model fails on this row: {0}")]
    Poisoned(String),
    /// The pool gave up before the row's turn.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// What a row gets: a vector of length 1, or the reason why there is none.
pub type Embedded = Result<Vec<f32>, RowError>;
