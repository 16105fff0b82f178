//! The uids of the rows, in a file beside the index.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;
use sha2::{Digest, Sha256};
use trommel_shards::subset::Uid128;

use super::IndexError;
use super::error::io;
use super::files::hex;

/// Name of the file of uids: 16 bytes for each row, as in a subset file.
pub(super) const UIDS: &str = "uids.bin";
/// Name of the file of rows: the row of each vector as a little-endian u64. Only there when rows were left out.
pub(super) const ROWS: &str = "rows.u64";

/// The digest of uids in order, to compare metadata with an index:
/// [`IndexDescription::uids_sha256`](super::IndexDescription::uids_sha256).
#[derive(Debug, Clone, Default)]
pub struct UidDigest {
    hash: Sha256,
    rows: u64,
}

impl UidDigest {
    /// Takes the uid of the next row.
    pub fn push(&mut self, uid: Uid128) {
        self.hash.update(uid.to_subset_bytes());
        self.rows += 1;
    }

    /// Uids so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest in lower-case hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.hash.finalize())
    }
}

/// Records of a fixed length in a mapped file.
pub(super) struct Records<const N: usize>(Option<Mmap>);

impl<const N: usize> Records<N> {
    /// Maps a file of `count` records.
    pub(super) fn open(path: &Path, what: &'static str, count: u64) -> Result<Self, IndexError> {
        let file = File::open(path).map_err(io(path))?;
        let length = file.metadata().map_err(io(path))?.len();
        if length != count * N as u64 {
            return Err(IndexError::Damaged {
                path: path.to_path_buf(),
                what,
                expected: format!("{} bytes", count * N as u64),
                found: format!("{length} bytes"),
            });
        }
        if length == 0 {
            return Ok(Self(None));
        }
        // SAFETY: a mapping is undefined only when the file changes under it; files of an index are moved into place whole
        // and never changed, which the documentation of `Index::open` asks of others too.
        let map = unsafe { Mmap::map(&file) }.map_err(io(path))?;
        Ok(Self(Some(map)))
    }

    pub(super) fn get(&self, at: u64) -> Option<[u8; N]> {
        let start = usize::try_from(at).ok()?.checked_mul(N)?;
        self.0.as_ref()?.get(start..start + N)?.try_into().ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = [u8; N]> {
        self.0.iter().flat_map(|map| map.as_chunks::<N>().0.iter().copied())
    }
}
