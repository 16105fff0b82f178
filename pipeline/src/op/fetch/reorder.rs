//! Gives rows back in input order, whatever order they finish in, in memory that is bounded for all units of the process together.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::job::Row;

enum Slot {
    Waiting,
    Memory(Row),
    /// The picture, and its pixels for models, lie in the temporary file one after the other; the rest of the row stays here.
    Disk(Row, u64, Vec<usize>),
}

/// Bytes of finished rows that may wait in the memory of a process.
#[derive(Debug)]
pub struct WaitingRows {
    limit: usize,
    held: AtomicUsize,
}

impl WaitingRows {
    /// A bound on the rows of all units together.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }
}

/// The rows of one unit.
pub(super) struct Reorder {
    slots: VecDeque<Slot>,
    first: usize,
    /// Bytes of this unit's rows in memory.
    held: usize,
    waiting: Arc<WaitingRows>,
    folder: PathBuf,
    file: Option<File>,
    end: u64,
}

impl Reorder {
    pub(super) fn new(rows: usize, waiting: Arc<WaitingRows>, folder: PathBuf) -> Self {
        Self {
            slots: std::iter::repeat_with(|| Slot::Waiting).take(rows).collect(),
            first: 0,
            held: 0,
            waiting,
            folder,
            file: None,
            end: 0,
        }
    }

    /// Takes a finished row. Rows at the head stay in memory; others go to the file once the bound is passed.
    pub(super) fn put(&mut self, index: usize, mut row: Row) -> std::io::Result<()> {
        let at = index - self.first;
        let bytes = row.bytes();
        let slot = if self.waiting.held.load(Ordering::Relaxed) + bytes > self.waiting.limit && at > 0 {
            match row.image.take() {
                Some(image) => {
                    let pieces: Vec<Vec<u8>> = std::iter::once(image).chain(std::mem::take(&mut row.pixels)).collect();
                    let offset = self.end;
                    let file = self.open()?;
                    file.seek(SeekFrom::Start(offset))?;
                    for piece in &pieces {
                        file.write_all(piece)?;
                    }
                    let lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
                    self.end += lengths.iter().sum::<usize>() as u64;
                    self.hold(row.bytes());
                    Slot::Disk(row, offset, lengths)
                }
                None => {
                    self.hold(bytes);
                    Slot::Memory(row)
                }
            }
        } else {
            self.hold(bytes);
            Slot::Memory(row)
        };
        self.slots[at] = slot;
        Ok(())
    }

    /// Rows at the head that are finished.
    pub(super) fn ready(&self) -> usize {
        self.slots.iter().take_while(|slot| !matches!(slot, Slot::Waiting)).count()
    }

    /// Takes rows from the head; as many as asked for must be ready.
    pub(super) fn take(&mut self, count: usize) -> std::io::Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let row = match self.slots.pop_front() {
                Some(Slot::Memory(row)) => {
                    self.release(row.bytes());
                    row
                }
                Some(Slot::Disk(mut row, offset, lengths)) => {
                    self.release(row.bytes());
                    let file = self.open()?;
                    file.seek(SeekFrom::Start(offset))?;
                    let mut pieces = Vec::with_capacity(lengths.len());
                    for length in lengths {
                        let mut piece = vec![0; length];
                        file.read_exact(&mut piece)?;
                        pieces.push(piece);
                    }
                    let mut pieces = pieces.into_iter();
                    row.image = pieces.next();
                    row.pixels = pieces.collect();
                    row
                }
                Some(Slot::Waiting) | None => break,
            };
            self.first += 1;
            rows.push(row);
        }
        Ok(rows)
    }

    fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        self.waiting.held.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&mut self, bytes: usize) {
        self.held -= bytes;
        self.waiting.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn open(&mut self) -> std::io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            slot => {
                std::fs::create_dir_all(&self.folder)?;
                Ok(slot.insert(tempfile::tempfile_in(&self.folder)?))
            }
        }
    }
}

impl Drop for Reorder {
    fn drop(&mut self) {
        self.release(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Status;
    use super::*;

    fn row(index: usize) -> Row {
        let pixels = vec![vec![1; index % 3], vec![index as u8; 7]];
        Row { image: Some(vec![index as u8; 1000]), pixels, ..Row::failed(Status::Success, "", index.to_string()) }
    }

    #[test]
    fn rows_come_back_in_order_and_most_of_them_wait_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let waiting = Arc::new(WaitingRows::new(10_000));
        let mut reorder = Reorder::new(100, Arc::clone(&waiting), dir.path().to_path_buf());
        for index in (0..100).rev() {
            assert_eq!(reorder.ready(), 0);
            reorder.put(index, row(index)).unwrap();
        }
        assert!(reorder.held < 30_000, "{}", reorder.held);
        assert_eq!(reorder.ready(), 100);
        for index in 0..100 {
            assert_eq!(reorder.take(1).unwrap(), vec![row(index)]);
        }
        assert_eq!(reorder.held, 0);
        // What another unit holds counts, and a unit that is given up holds nothing.
        reorder = Reorder::new(2, Arc::clone(&waiting), dir.path().to_path_buf());
        reorder.put(1, row(1)).unwrap();
        let mut other = Reorder::new(20, Arc::clone(&waiting), dir.path().to_path_buf());
        (1..20).for_each(|index| other.put(index, row(index)).unwrap());
        assert!(waiting.held.load(Ordering::Relaxed) < 20_000 && other.end > 0);
        drop((reorder, other));
        assert_eq!(waiting.held.load(Ordering::Relaxed), 0);
    }
}
