//! The door between a compression and the record parser.

use std::io;

use super::raw::Raw;
use super::window::Window;

/// What a decompressor has to say besides data.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FeedCounts {
    /// Compressed bytes passed over.
    pub(crate) skipped: u64,
    /// Offset of bytes between two members that are no member; a record may have been there.
    pub(crate) gap: Option<u64>,
}

/// Adds inflated bytes and marks to `raw`. Each call adds bytes or marks, or sets `raw.eof`; so a loop over it ends.
/// An error is an error of the input, never of the data.
pub(crate) trait Feed: Send {
    fn feed(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()>;

    /// Whether a record that starts a member can be read by seeking to that member.
    fn seekable(&self) -> bool;
}

/// Bytes added by one call of a streaming decoder.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// No compression.
pub(crate) struct Plain;

impl Feed for Plain {
    fn feed(&mut self, window: &mut Window, raw: &mut Raw, _: &mut FeedCounts) -> io::Result<()> {
        window.want(1)?;
        let n = window.len().min(CHUNK_BYTES);
        if n == 0 {
            raw.eof = true;
            return Ok(());
        }
        raw.free(n)[..n].copy_from_slice(&window.data()[..n]);
        raw.wrote(n);
        window.consume(n);
        Ok(())
    }

    fn seekable(&self) -> bool {
        true
    }
}
