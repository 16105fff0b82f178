//! Sorting more records than memory holds: sorted runs in one unnamed temporary file, merged at the end.
//!
//! Runs need no guess of how the records are spread, so that uids with a common prefix cost no more memory than others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes of a run that are read at a time in the merge.
const READ_BYTES: usize = 64 << 10;

/// Collects records of `N` bytes and gives them back in the order of their bytes.
pub(crate) struct Sorter<const N: usize> {
    buffer: Vec<[u8; N]>,
    limit: usize,
    file: Option<File>,
    runs: Vec<Range<u64>>,
    end: u64,
    count: u64,
}

impl<const N: usize> Sorter<N> {
    /// `memory` bytes are held at most, besides 64 KiB for each run of that size in the merge.
    pub(crate) fn new(memory: usize) -> Self {
        Self { buffer: Vec::new(), limit: (memory / N).max(1), file: None, runs: Vec::new(), end: 0, count: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        if self.buffer.len() == self.limit {
            self.spill()?;
        }
        self.buffer.push(record);
        self.count += 1;
        Ok(())
    }

    /// Stable, since that sort finds the runs that come in order and merges them: whoever fills this in parallel sorts its
    /// share first. The first eight bytes decide nearly always, and compare as one number.
    fn sort(&mut self) {
        let head = |record: &[u8; N]| record.first_chunk().map_or(0, |&eight| u64::from_be_bytes(eight));
        self.buffer.sort_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.cmp(b)));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(self.buffer.as_flattened())?;
        let start = self.end;
        self.end += self.buffer.as_flattened().len() as u64;
        self.runs.push(start..self.end);
        self.buffer.clear();
        Ok(())
    }

    /// The records in order.
    pub(crate) fn finish(mut self) -> io::Result<Sorted<N>> {
        let Some(file) = self.file.take() else {
            self.sort();
            return Ok(Sorted::Memory(self.buffer.into_iter()));
        };
        self.file = Some(file);
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        self.buffer = Vec::new();
        let mut runs: Vec<Run<N>> = self.runs.drain(..).map(|rest| Run { rest, bytes: Vec::new(), at: 0 }).collect();
        let Some(file) = self.file.take() else { return Ok(Sorted::Memory(Vec::new().into_iter())) };
        let mut heap = BinaryHeap::with_capacity(runs.len());
        for (at, run) in runs.iter_mut().enumerate() {
            if let Some(record) = run.next(&file)? {
                heap.push(Reverse((record, at)));
            }
        }
        Ok(Sorted::Merge { file, runs, heap })
    }
}

/// Records in the order of their bytes.
pub(crate) enum Sorted<const N: usize> {
    /// All of them fit.
    Memory(std::vec::IntoIter<[u8; N]>),
    /// Several runs.
    Merge { file: File, runs: Vec<Run<N>>, heap: BinaryHeap<Reverse<([u8; N], usize)>> },
}

impl<const N: usize> Sorted<N> {
    pub(crate) fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        match self {
            Self::Memory(records) => Ok(records.next()),
            Self::Merge { file, runs, heap } => {
                let Some(mut top) = heap.peek_mut() else { return Ok(None) };
                let Reverse((record, at)) = *top;
                match runs[at].next(file)? {
                    Some(next) => *top = Reverse((next, at)),
                    None => {
                        std::collections::binary_heap::PeekMut::pop(top);
                    }
                }
                Ok(Some(record))
            }
        }
    }
}

/// A run that is being read.
pub(crate) struct Run<const N: usize> {
    rest: Range<u64>,
    bytes: Vec<u8>,
    at: usize,
}

impl<const N: usize> Run<N> {
    fn next(&mut self, file: &File) -> io::Result<Option<[u8; N]>> {
        if self.at == self.bytes.len() {
            let whole = (READ_BYTES / N).max(1) * N;
            let count = (self.rest.end - self.rest.start).min(whole as u64);
            if count == 0 {
                return Ok(None);
            }
            self.bytes.resize(count as usize, 0);
            file.read_exact_at(&mut self.bytes, self.rest.start)?;
            self.rest.start += count;
            self.at = 0;
        }
        let record = self.bytes[self.at..].first_chunk::<N>().copied();
        self.at += N;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn memory_changes_nothing(records in prop::collection::vec(any::<[u8; 3]>(), 0..500), memory in 1_usize..900) {
            let mut sorter = Sorter::new(memory);
            for record in &records {
                sorter.push(*record).unwrap();
            }
            let mut sorted = sorter.finish().unwrap();
            let mut found = Vec::new();
            while let Some(record) = sorted.next().unwrap() {
                found.push(record);
            }
            let mut expected = records;
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
