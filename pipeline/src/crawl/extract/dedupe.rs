//! Rows of a page that were given already.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::Xxh3;

use super::TextSource;

/// Hashes are hashes already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }

    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

/// The rows of one page, by 128-bit hash: two different rows with one hash are not to be expected in any crawl.
#[derive(Default)]
pub(crate) struct Seen {
    rows: HashSet<u128, BuildHasherDefault<Identity>>,
}

impl Seen {
    pub(crate) fn clear(&mut self) {
        if self.rows.capacity() > 1 << 16 {
            self.rows = HashSet::default();
        } else {
            self.rows.clear();
        }
    }

    /// Whether the row is new.
    pub(crate) fn first(&mut self, url: &str, text: &str, source: TextSource) -> bool {
        let mut hash = Xxh3::new();
        hash.update(url.as_bytes());
        hash.update(&[0xff, source as u8]);
        hash.update(text.as_bytes());
        self.rows.insert(hash.digest128())
    }
}
