//! Bzip2, as a stream: rare (old research crawls), and nothing to seek to.

use std::io;

use bzip2::{Decompress, Status};

use super::feed::{CHUNK_BYTES, Feed, FeedCounts};
use super::raw::{MarkKind, Raw};
use super::window::Window;

pub(crate) struct Bunzip {
    inflate: Decompress,
    fresh: bool,
}

impl Bunzip {
    pub(crate) fn new() -> Self {
        Self { inflate: Decompress::new(false), fresh: true }
    }
}

impl Feed for Bunzip {
    fn feed(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()> {
        window.want(4)?;
        if window.len() == 0 {
            raw.eof = true;
            return Ok(());
        }
        if self.fresh {
            if !window.data().starts_with(b"BZh") {
                counts.skipped += window.len() as u64;
                window.consume(window.len());
                return Ok(());
            }
            self.fresh = false;
            raw.mark(MarkKind::Member, window.offset());
        }
        let out = raw.free(CHUNK_BYTES);
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(window.data(), &mut out[..CHUNK_BYTES]);
        let used = (self.inflate.total_in() - in_before) as usize;
        let made = (self.inflate.total_out() - out_before) as usize;
        raw.wrote(made);
        window.consume(used);
        match status {
            Ok(Status::StreamEnd) => {
                raw.mark(MarkKind::End, window.offset());
                *self = Self::new();
            }
            Ok(_) if used > 0 || made > 0 => {}
            Ok(_) => {
                counts.skipped += window.len() as u64;
                window.consume(window.len());
                raw.eof = window.eof();
            }
            Err(_) => {
                // Blocks are not aligned to bytes: what follows the damage is given up.
                raw.mark(MarkKind::Damage, window.offset());
                while window.len() > 0 {
                    counts.skipped += window.len() as u64;
                    window.consume(window.len());
                    window.fill()?;
                }
                raw.eof = true;
            }
        }
        Ok(())
    }

    fn seekable(&self) -> bool {
        false
    }
}
