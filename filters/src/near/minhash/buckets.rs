//! Band keys to pairs, by an external sort.

use std::path::Path;

use super::options::MinHashError;
use crate::near::components::{DisjointSet, Row};
use crate::near::spill::{Record, Sorter};

/// A band key with the row it came from: 16 bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BandKey {
    /// The key.
    pub key: u64,
    /// The row.
    pub row: u64,
}

impl Record for BandKey {
    const BYTES: usize = 16;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.row.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self { key: word(0), row: word(8) }
    }
}

/// What was found in the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct BucketsReport {
    /// Keys given.
    pub keys: u64,
    /// Buckets of at least two rows.
    pub buckets: u64,
    /// Pairs that were shown to the closure.
    pub asked: u64,
    /// Of these, accepted.
    pub accepted: u64,
    /// Rows of the largest bucket.
    pub largest: u64,
    /// Rows that were not compared with all rows of their bucket, because many before them were refused; 0 without a closure that refuses.
    pub capped: u64,
}

/// Each row of a bucket is compared with so many others that stand apart from it, the first of the bucket.
const PIVOTS: usize = 64;

/// Collects band keys in bounded memory, on disk beyond it, and joins the rows that share one.
#[derive(Debug)]
pub struct Buckets {
    sorter: Sorter<BandKey>,
    keys: u64,
}

impl Buckets {
    /// Holds `memory_bytes` of keys; what is more goes to unnamed files in `folder` (the system's temporary folder if `None`), 16 bytes a key.
    pub fn new(memory_bytes: u64, folder: Option<&Path>) -> Self {
        Self { sorter: Sorter::new(memory_bytes, folder), keys: 0 }
    }

    /// Adds the keys of one row.
    ///
    /// # Errors
    /// [`MinHashError::Io`].
    pub fn push(&mut self, row: u64, keys: &[u64]) -> Result<(), MinHashError> {
        self.keys += keys.len() as u64;
        for key in keys {
            self.sorter.push(BandKey { key: *key, row })?;
        }
        Ok(())
    }

    /// Joins rows that share a key and that `edge(smaller row, larger row)` accepts.
    ///
    /// The rows of a bucket come in ascending order. Each is shown to the first row, and if it is not accepted, to those before it that stand
    /// apart from the first and from each other; so a bucket of n copies takes n - 1 questions, and rows that are connected
    /// already take none. Of rows that stand apart, 64 are remembered. Nothing here depends on the order in which keys were added.
    ///
    /// # Errors
    /// [`MinHashError::Io`], and [`MinHashError::NoSuchRow`] if a row is outside the groups.
    pub fn join<R: Row>(self, groups: &DisjointSet<R>, mut edge: impl FnMut(u64, u64) -> bool) -> Result<BucketsReport, MinHashError> {
        let mut report = BucketsReport { keys: self.keys, ..BucketsReport::default() };
        let (mut key, mut size) = (None, 0);
        let mut pivots: Vec<u64> = Vec::with_capacity(PIVOTS);
        for next in self.sorter.finish()? {
            let next = next?;
            if next.row >= groups.len() as u64 {
                return Err(MinHashError::NoSuchRow { row: next.row, rows: groups.len() });
            }
            if key != Some(next.key) {
                (key, size) = (Some(next.key), 0);
                pivots.clear();
            }
            size += 1;
            report.buckets += u64::from(size == 2);
            report.largest = report.largest.max(size);
            let row = R::from_index(next.row as usize);
            // A row that is connected with a pivot adds nothing that the pivot does not have.
            let mut joined = false;
            for pivot in &pivots {
                let at = R::from_index(*pivot as usize);
                if groups.same(at, row) {
                    joined = true;
                    continue;
                }
                report.asked += 1;
                if edge(*pivot, next.row) {
                    report.accepted += 1;
                    groups.union(at, row);
                    joined = true;
                }
            }
            if !joined {
                if pivots.len() < PIVOTS {
                    pivots.push(next.row);
                } else {
                    report.capped += 1;
                }
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_share_a_key_are_joined_in_any_order_and_with_any_memory() {
        let rows = 3_000_u64;
        let mut expected = None;
        for (memory, reverse) in [(0, false), (1 << 24, true)] {
            let mut buckets = Buckets::new(memory, None);
            let mut order: Vec<u64> = (0..rows).collect();
            if reverse {
                order.reverse();
            }
            for row in order {
                buckets.push(row, &[row / 3, 1_000_000 + row % 500]).unwrap();
            }
            let groups = DisjointSet::<u64>::new(rows as usize).unwrap();
            let report = buckets.join(&groups, |a, b| a / 3 == b / 3 || (a + b) % 5 == 0).unwrap();
            assert_eq!((report.keys, report.largest, report.capped), (6_000, 6, 0));
            let got = (groups.labels(), report);
            assert_eq!(expected.get_or_insert(got.clone()), &got);
        }
    }

    #[test]
    fn a_million_copies_take_a_million_questions() {
        let mut buckets = Buckets::new(1 << 24, None);
        (0..100_000).for_each(|row| buckets.push(row, &[7, 8]).unwrap());
        let groups = DisjointSet::<u32>::new(100_000).unwrap();
        let report = buckets.join(&groups, |_, _| true).unwrap();
        assert_eq!((report.asked, report.accepted), (99_999, 99_999));
    }
}
