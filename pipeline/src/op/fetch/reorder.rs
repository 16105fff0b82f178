//! Gives rows back in input order, whatever order they finish in, in bounded memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::job::Row;

enum Slot {
    Waiting,
    Memory(Row),
    /// The picture lies in the temporary file; the rest of the row stays here.
    Disk(Row, u64, usize),
}

/// The rows of one unit.
pub(super) struct Reorder {
    slots: VecDeque<Slot>,
    first: usize,
    held: usize,
    limit: usize,
    folder: PathBuf,
    file: Option<File>,
    end: u64,
}

impl Reorder {
    pub(super) fn new(rows: usize, limit: usize, folder: PathBuf) -> Self {
        Self { slots: std::iter::repeat_with(|| Slot::Waiting).take(rows).collect(), first: 0, held: 0, limit, folder, file: None, end: 0 }
    }

    /// Takes a finished row. Rows at the head stay in memory; others go to the file once the bound is passed.
    pub(super) fn put(&mut self, index: usize, mut row: Row) -> std::io::Result<()> {
        let at = index - self.first;
        let bytes = row.bytes();
        let slot = if self.held + bytes > self.limit && at > 0 {
            match row.image.take() {
                Some(image) => {
                    let offset = self.end;
                    let file = self.open()?;
                    file.seek(SeekFrom::Start(offset))?;
                    file.write_all(&image)?;
                    self.end += image.len() as u64;
                    self.held += row.bytes();
                    Slot::Disk(row, offset, image.len())
                }
                None => {
                    self.held += bytes;
                    Slot::Memory(row)
                }
            }
        } else {
            self.held += bytes;
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
                    self.held -= row.bytes();
                    row
                }
                Some(Slot::Disk(mut row, offset, length)) => {
                    self.held -= row.bytes();
                    let mut image = vec![0; length];
                    let file = self.open()?;
                    file.seek(SeekFrom::Start(offset))?;
                    file.read_exact(&mut image)?;
                    row.image = Some(image);
                    row
                }
                Some(Slot::Waiting) | None => break,
            };
            self.first += 1;
            rows.push(row);
        }
        Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::super::job::Status;
    use super::*;

    fn row(index: usize) -> Row {
        Row { image: Some(vec![index as u8; 1000]), ..Row::failed(Status::Success, "", index.to_string()) }
    }

    #[test]
    fn rows_come_back_in_order_and_most_of_them_wait_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut reorder = Reorder::new(100, 10_000, dir.path().to_path_buf());
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
    }
}
