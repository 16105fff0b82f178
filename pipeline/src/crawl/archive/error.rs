//! What can end the reading of a whole file.

use std::io;

/// A failure of the file as a whole. Broken records are not errors: they are counted in
/// [`ReadStats`](super::ReadStats).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The input could not be read; nothing after `offset` was seen. Worth trying again.
    #[error("reading `{name}` failed at byte {offset}")]
    Read {
        /// Name of the file as given by the caller.
        name: String,
        /// Offset in the (compressed) file.
        offset: u64,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// The file is of a kind that is known and not read.
    #[error("`{name}` is {what}, which is not supported")]
    Unsupported {
        /// Name of the file as given by the caller.
        name: String,
        /// What the file is.
        what: &'static str,
    },
    /// The file as a whole breaks a limit.
    #[error("`{name}`: {what} is over the limit of {limit}")]
    Limit {
        /// Name of the file as given by the caller.
        name: String,
        /// Which quantity.
        what: &'static str,
        /// The limit, in the unit of the quantity.
        limit: u64,
    },
    /// A WACZ whose zip directory cannot be read.
    #[error("`{name}` is not a readable zip")]
    Zip {
        /// Name of the file as given by the caller.
        name: String,
        /// What the zip reader said.
        #[source]
        source: zip::result::ZipError,
    },
    /// A decoder could not be set up.
    #[error("`{name}`: the {what} decoder could not start")]
    Decoder {
        /// Name of the file as given by the caller.
        name: String,
        /// Which decoder.
        what: &'static str,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
}
