//! What can go wrong when a miniature web is written down.

use std::path::PathBuf;

/// Why a file of a miniature web could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MiniWebError {
    /// The file system refused.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A picture could not be encoded.
    #[error("cannot encode the picture at `{url}`")]
    Encode {
        /// The picture's address.
        url: String,
        /// What the encoder says.
        #[source]
        source: image::ImageError,
    },
}
