//! Records of rows, brought into the order of the rows' uids: so that what is decided over them depends neither on files, nor
//! on pieces, nor on threads. Memory holds 48 bytes a row; the records are in a file that is mapped.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use super::error::{Result, SelectError};

/// A row that has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) uid: u128,
    /// Its piece.
    pub(super) piece: u32,
    /// Its place in the piece.
    pub(super) row: u32,
    /// Where its record begins: in the file of the thread, and then in that of all.
    at: u64,
    len: u32,
    file: u32,
}

/// What one thread collects: a file of records.
pub(super) struct Records {
    path: PathBuf,
    file: BufWriter<File>,
    end: u64,
    entries: Vec<Entry>,
}

impl Records {
    /// A fresh file in a folder for temporary ones.
    pub(super) fn new(spill: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = spill.join(format!("records-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = BufWriter::with_capacity(1 << 20, File::create_new(&path)?);
        Ok(Self { path, file, end: 0, entries: Vec::new() })
    }

    /// Adds a row. A record has less than 4 GiB.
    pub(super) fn push(&mut self, uid: u128, piece: usize, row: usize, record: &[u8]) -> Result<()> {
        self.file.write_all(record)?;
        self.entries.push(Entry { uid, piece: piece as u32, row: row as u32, at: self.end, len: record.len() as u32, file: 0 });
        self.end += record.len() as u64;
        Ok(())
    }
}

/// The records of all threads in the order of uids; rows of one uid in that of the metadata.
pub(super) struct Ordered {
    entries: Vec<Entry>,
    /// `None` when there is no byte.
    map: Option<Mmap>,
}

impl Ordered {
    /// Sorts and copies.
    pub(super) fn of(stage: &str, parts: Vec<Records>, spill: &Path) -> Result<Self> {
        let (mut entries, mut files) = (Vec::new(), Vec::new());
        for (number, mut part) in parts.into_iter().enumerate() {
            part.file.flush()?;
            entries.extend(part.entries.into_iter().map(|entry| Entry { file: number as u32, ..entry }));
            files.push((File::open(&part.path)?, part.path));
        }
        if entries.len() >= u32::MAX as usize {
            return Err(SelectError::stage(stage, format!("{} rows are more than are numbered (4294967294)", entries.len())));
        }
        entries.sort_unstable_by_key(|entry| (entry.uid, entry.piece, entry.row));
        // Unnamed: it is gone with the last map of it.
        let mut all = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(spill)?);
        let mut bytes = Vec::new();
        let mut end = 0_u64;
        for entry in &mut entries {
            bytes.resize(entry.len as usize, 0);
            files[entry.file as usize].0.read_exact_at(&mut bytes, entry.at)?;
            all.write_all(&bytes)?;
            entry.at = end;
            end += u64::from(entry.len);
        }
        for (_, path) in &files {
            std::fs::remove_file(path)?;
        }
        let all = all.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let map = match end {
            0 => None,
            // SAFETY: the file has no name and no other handle, so nobody changes it.
            _ => Some(unsafe { Mmap::map(&all)? }),
        };
        Ok(Self { entries, map })
    }

    /// The rows, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The record of a row by its number in [`Ordered::entries`].
    pub(super) fn record(&self, row: usize) -> &[u8] {
        let entry = &self.entries[row];
        self.map.as_ref().and_then(|map| map.get(entry.at as usize..entry.at as usize + entry.len as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_in_the_order_of_uids_whoever_wrote_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = vec![Records::new(folder.path()).unwrap(), Records::new(folder.path()).unwrap()];
        for (part, uid, piece) in [(0, 9, 0), (1, 3, 1), (0, 5, 2), (1, 9, 3)] {
            parts[part].push(uid, piece, 7, &vec![uid as u8; piece]).unwrap();
        }
        let ordered = Ordered::of("1.near", parts, folder.path()).unwrap();
        let found: Vec<(u128, u32)> = ordered.entries().iter().map(|entry| (entry.uid, entry.piece)).collect();
        assert_eq!(found, [(3, 1), (5, 2), (9, 0), (9, 3)]);
        for (row, entry) in ordered.entries().iter().enumerate() {
            assert_eq!(ordered.record(row), vec![entry.uid as u8; entry.piece as usize]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
