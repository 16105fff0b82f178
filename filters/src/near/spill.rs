//! An external sort of small records: runs of a stated size, sorted, on disk, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A record of fixed size.
pub(crate) trait Record: Ord + Copy {
    /// Bytes of one.
    const BYTES: usize;
    /// Appends the bytes.
    fn put(&self, bytes: &mut Vec<u8>);
    /// From [`BYTES`](Self::BYTES) bytes.
    fn get(bytes: &[u8]) -> Self;
}

/// A temporary file, deleted when it is closed, in `folder` or the system's.
pub(crate) fn temporary(folder: Option<&Path>) -> std::io::Result<File> {
    folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in)
}

/// Writes records to a temporary file.
pub(crate) fn write<T: Record>(file: File, records: &[T]) -> std::io::Result<File> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let mut bytes = Vec::with_capacity(T::BYTES);
    for record in records {
        bytes.clear();
        record.put(&mut bytes);
        out.write_all(&bytes)?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)
}

/// Reads the records of a file from its start.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    file: BufReader<File>,
    left: u64,
    bytes: Vec<u8>,
    of: std::marker::PhantomData<T>,
}

impl<T: Record> Reader<T> {
    pub(crate) fn new(mut file: File, buffer: usize) -> std::io::Result<Self> {
        let left = file.seek(std::io::SeekFrom::End(0))? / T::BYTES as u64;
        file.rewind()?;
        Ok(Self { file: BufReader::with_capacity(buffer, file), left, bytes: vec![0; T::BYTES], of: std::marker::PhantomData })
    }
}

impl<T: Record> Iterator for Reader<T> {
    type Item = std::io::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.file.read_exact(&mut self.bytes).map(|()| T::get(&self.bytes)))
    }
}

/// Takes records in any order and gives them back in order.
#[derive(Debug)]
pub(crate) struct Sorter<T> {
    folder: Option<PathBuf>,
    held: Vec<T>,
    most: usize,
    runs: Vec<File>,
}

impl<T: Record> Sorter<T> {
    /// Holds `memory_bytes` of records before a run goes to disk.
    pub(crate) fn new(memory_bytes: u64, folder: Option<&Path>) -> Self {
        let most = (memory_bytes / size_of::<T>() as u64).clamp(1024, usize::MAX as u64) as usize;
        Self { folder: folder.map(Path::to_path_buf), held: Vec::new(), most, runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, record: T) -> std::io::Result<()> {
        self.held.push(record);
        if self.held.len() >= self.most {
            self.held.sort_unstable();
            let file = write(temporary(self.folder.as_deref())?, &self.held)?;
            self.held.clear();
            self.runs.push(file);
        }
        Ok(())
    }

    /// All records in order.
    pub(crate) fn finish(mut self) -> std::io::Result<Merge<T>> {
        self.held.sort_unstable();
        // The buffers of all runs together take a quarter of what the records took, and no less than a page each.
        let buffer = (self.most * T::BYTES / 4 / self.runs.len().max(1)).clamp(4096, 1 << 20);
        let mut readers = Vec::with_capacity(self.runs.len());
        let mut heads = BinaryHeap::new();
        for (run, file) in self.runs.into_iter().enumerate() {
            let mut reader = Reader::new(file, buffer)?;
            if let Some(first) = reader.next() {
                heads.push(Reverse((first?, run)));
            }
            readers.push(reader);
        }
        Ok(Merge { held: self.held.into_iter().peekable(), readers, heads })
    }
}

/// The records of a [`Sorter`], in order.
#[derive(Debug)]
pub(crate) struct Merge<T: Record> {
    held: std::iter::Peekable<std::vec::IntoIter<T>>,
    readers: Vec<Reader<T>>,
    heads: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Record> Iterator for Merge<T> {
    type Item = std::io::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let from_disk = match (self.heads.peek(), self.held.peek()) {
            (Some(Reverse((disk, _))), Some(held)) => disk <= held,
            (disk, _) => disk.is_some(),
        };
        if !from_disk {
            return self.held.next().map(Ok);
        }
        let Reverse((record, run)) = self.heads.pop()?;
        match self.readers[run].next() {
            Some(Ok(next)) => self.heads.push(Reverse((next, run))),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        Some(Ok(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::random::mix;

    impl Record for u64 {
        const BYTES: usize = 8;
        fn put(&self, bytes: &mut Vec<u8>) {
            bytes.extend(self.to_le_bytes());
        }
        fn get(bytes: &[u8]) -> Self {
            Self::from_le_bytes(bytes.try_into().unwrap())
        }
    }

    #[test]
    fn records_come_back_in_order_from_disk_and_memory() {
        for (count, memory) in [(0, 0), (1, 0), (1024, 0), (10_000, 8192), (10_000, 1 << 20)] {
            let mut sorter = Sorter::<u64>::new(memory, None);
            let mut expected: Vec<u64> = (0..count).map(|i| mix(1, i) % 5_000).collect();
            expected.iter().for_each(|record| sorter.push(*record).unwrap());
            expected.sort_unstable();
            assert_eq!(sorter.finish().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), expected);
        }
    }
}
