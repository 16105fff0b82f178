//! What ends an extraction.

use crate::crawl::archive::ArchiveError;

/// A failure of a whole file. Broken records and pages are counted in [`ExtractStats`](super::ExtractStats) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file that holds neither records nor HTML.
    #[error("`{name}` is neither a WARC, WAT, ARC or WACZ nor an HTML page")]
    Unknown {
        /// Name of the file as given by the caller.
        name: String,
    },
    /// A page given on its own is over the limit.
    #[error("`{name}` is over the limit of {limit} bytes for a page")]
    PageTooLarge {
        /// Name of the file as given by the caller.
        name: String,
        /// The limit, in bytes.
        limit: usize,
    },
}
