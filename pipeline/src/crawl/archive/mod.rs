//! Reading web archives: WARC 0.x/1.0/1.1, ARC v1, WACZ, plain or compressed with gzip, zstd or bzip2.
//!
//! [`RecordReader`] turns any byte stream into records, one at a time, with memory bounded by
//! [`ArchiveLimits`] and not by the file. A broken record costs that record: the reader finds the next
//! gzip member or the next `WARC/` line and counts what it had to leave out in [`ReadStats`].
//! [`ArchiveImages`] looks responses up by url, for fetching from an archive instead of the web.
//!
//! Useful for: Common Crawl files, Heritrix, wget, Browsertrix and wpull captures. Not useful for:
//! writing archives, CDX look-ups, or LZ4 (refused by name).

mod arc;
mod body;
mod bunzip;
mod error;
mod feed;
mod format;
mod gunzip;
mod header;
mod http;
mod images;
mod limits;
mod lines;
mod raw;
mod reader;
mod record;
mod stats;
mod unzstd;
mod wacz;
mod window;

pub use error::ArchiveError;
pub use format::{Compression, Container, Format, sniff};
pub use http::{BodyError, HttpResponse};
pub use images::{ArchiveImages, ArchivedResponse, IndexStats};
pub use limits::ArchiveLimits;
pub use reader::RecordReader;
pub use record::{Record, RecordKind};
pub use stats::{ReadStats, RecordFault};
pub use wacz::{Wacz, open_wacz};

/// What every reader takes: any stream of bytes that can move to another thread.
pub type ArchiveInput = Box<dyn std::io::Read + Send>;

#[cfg(test)]
pub(crate) mod tests;
