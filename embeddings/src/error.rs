//! What can be wrong with a model.

use std::path::PathBuf;

use thiserror::Error;

/// A model, tokenizer or preprocessor that cannot be used, or that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file of the model cannot be read.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of the model does not say what it should.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key.
        message: String,
    },
    /// The model is of a kind that is not known here.
    #[error("`{}`: unknown architecture `{found}`; known are {known}", path.display())]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What would be understood.
        known: String,
    },
    /// The weights are damaged or incomplete.
    #[error("`{}`: {message}", path.display())]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// What is wrong, with the tensor's name where there is one.
        message: String,
    },
    /// The weights are not those that were asked for.
    #[error("`{}`: sha256 is {found}, expected {expected}", path.display())]
    Digest {
        /// The weights file.
        path: PathBuf,
        /// Digest of the file.
        found: String,
        /// Digest that was asked for.
        expected: String,
    },
    /// The model is not there and cannot be fetched.
    #[error("model `{model}`: {message}")]
    NotFound {
        /// Folder or hub id, as given.
        model: String,
        /// What was tried.
        message: String,
    },
    /// An input does not fit the model.
    #[error("{0}")]
    Input(String),
    /// The device is not there, or the build lacks it.
    #[error("device `{device}`: {message}")]
    Device {
        /// As given.
        device: String,
        /// Why not, and what to do.
        message: String,
    },
    /// The device has no memory left for a batch.
    #[error("out of memory on {device} with a batch of {batch}")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Rows of the batch.
        batch: usize,
    },
    /// The computation failed.
    #[error(transparent)]
    Compute(#[from] candle_core::Error),
}
