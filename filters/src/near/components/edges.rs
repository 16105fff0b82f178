//! Accepted edges, kept on disk.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::set::{ComponentsError, DisjointSet, Row};
use crate::near::spill::{Merge, Reader, Record, Sorter, temporary, write};

/// An accepted pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge<R: Row = u32> {
    /// The smaller row.
    pub a: R,
    /// The larger row.
    pub b: R,
    /// How unlike they are, in the caller's unit (bits of a Hamming distance, `1 - cosine`); finite and not negative.
    pub distance: f32,
}

fn failed(action: &'static str) -> impl Fn(std::io::Error) -> ComponentsError {
    move |source| ComponentsError::Io { action, source }
}

/// An edge as a record: rows as u64, so that one form serves both row types; the distance's bits sort as it does, as it is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    group: u64,
    distance: u32,
    a: u64,
    b: u64,
}

impl Record for Line {
    const BYTES: usize = 28;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.group.to_le_bytes());
        bytes.extend(self.distance.to_le_bytes());
        bytes.extend(self.a.to_le_bytes());
        bytes.extend(self.b.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        let word = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        let half = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        Self {
            group: u64::from_le_bytes(word(0)),
            distance: u32::from_le_bytes(half(8)),
            a: u64::from_le_bytes(word(12)),
            b: u64::from_le_bytes(word(20)),
        }
    }
}

/// Takes edges from any thread and keeps them in a temporary file, a stated number of bytes in memory.
#[derive(Debug)]
pub struct EdgeLog {
    held: Mutex<Held>,
    folder: Option<PathBuf>,
    memory_bytes: u64,
}

#[derive(Debug, Default)]
struct Held {
    lines: Vec<Line>,
    files: Vec<std::fs::File>,
    error: Option<std::io::Error>,
}

impl EdgeLog {
    /// A log that holds `memory_bytes` and writes to `folder` (the system's temporary folder if `None`). Its files have no names, and go when it
    /// goes.
    pub fn new(memory_bytes: u64, folder: Option<&Path>) -> Self {
        Self { held: Mutex::default(), folder: folder.map(Path::to_path_buf), memory_bytes }
    }

    /// Adds an edge. A failed write is told by [`sorted`](Self::sorted).
    pub fn push<R: Row>(&self, a: R, b: R, distance: f32) {
        let (a, b) = (a.index().min(b.index()) as u64, a.index().max(b.index()) as u64);
        let Ok(mut held) = self.held.lock() else { return };
        held.lines.push(Line { group: 0, distance: (distance.max(0.0) + 0.0).to_bits(), a, b });
        if held.lines.len() as u64 * size_of::<Line>() as u64 >= self.memory_bytes.max(1 << 16) {
            let lines = std::mem::take(&mut held.lines);
            match temporary(self.folder.as_deref()).and_then(|file| write(file, &lines)) {
                Ok(file) => held.files.push(file),
                Err(error) => held.error = held.error.take().or(Some(error)),
            }
            held.lines = lines;
            held.lines.clear();
        }
    }

    /// The edges by group, and within a group by distance, then rows.
    ///
    /// # Errors
    /// [`ComponentsError::Io`] if edges could not be written or read, [`ComponentsError::NoSuchRow`] if one is not of this set.
    pub fn sorted<R: Row>(self, set: &DisjointSet<R>) -> Result<SortedEdges<R>, ComponentsError> {
        let held = self.held.into_inner().unwrap_or_default();
        if let Some(error) = held.error {
            return Err(failed("writing")(error));
        }
        let mut sorter = Sorter::new(self.memory_bytes, self.folder.as_deref());
        let mut push = |line: Line| {
            if line.b >= set.len() as u64 {
                return Err(ComponentsError::NoSuchRow { row: line.b, rows: set.len() });
            }
            let group = set.find(R::from_index(line.a as usize)).index() as u64;
            sorter.push(Line { group, ..line }).map_err(failed("sorting"))
        };
        for line in held.lines {
            push(line)?;
        }
        for file in held.files {
            for line in Reader::<Line>::new(file, 1 << 18).map_err(failed("reading"))? {
                push(line.map_err(failed("reading"))?)?;
            }
        }
        Ok(SortedEdges { lines: sorter.finish().map_err(failed("merging"))?, of: std::marker::PhantomData })
    }
}

/// Edges by group, see [`EdgeLog::sorted`]: the group's id and the edge.
#[derive(Debug)]
pub struct SortedEdges<R: Row = u32> {
    lines: Merge<Line>,
    of: std::marker::PhantomData<R>,
}

impl<R: Row> Iterator for SortedEdges<R> {
    type Item = Result<(R, Edge<R>), ComponentsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = |row: u64| R::from_index(row as usize);
        let line = match self.lines.next()? {
            Ok(line) => line,
            Err(error) => return Some(Err(failed("merging")(error))),
        };
        Some(Ok((row(line.group), Edge { a: row(line.a), b: row(line.b), distance: f32::from_bits(line.distance) })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_come_back_by_group_and_distance_whether_or_not_they_went_to_disk() {
        let rows = 20_000_u32;
        for memory in [0, 1 << 30] {
            let set = DisjointSet::<u32>::new(rows as usize).unwrap();
            let log = EdgeLog::new(memory, None);
            for row in (10..rows).rev() {
                set.union(row, row - 10);
                log.push(row, row - 10, (row % 7) as f32);
            }
            let edges = log.sorted(&set).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(edges.len() as u32, rows - 10);
            assert!(edges.windows(2).all(|two| {
                let key = |(group, edge): &(u32, Edge)| (*group, edge.distance as u32, edge.a, edge.b);
                key(&two[0]) < key(&two[1])
            }));
            assert!(edges.iter().all(|(group, edge)| *group == edge.a % 10));
        }
    }

    #[test]
    fn an_edge_of_another_set_is_refused() {
        let log = EdgeLog::new(1 << 20, None);
        log.push(1_u32, 7, 0.0);
        assert!(matches!(log.sorted(&DisjointSet::<u32>::new(5).unwrap()), Err(ComponentsError::NoSuchRow { row: 7, rows: 5 })));
    }
}
