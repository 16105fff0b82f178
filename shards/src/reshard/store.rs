//! Where the plan lies: samples, tables and the order, in unnamed temporary files that are mapped once they are complete.
//!
//! A sample costs about a hundred bytes there, its row of the table what it has, and each copy twelve: memory does not grow
//! with the dataset.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use memmap2::Mmap;

use crate::subset::Uid128;

/// Where tables begin: Arrow's own alignment, so that a mapped table is not copied.
const ALIGN: u64 = 64;
const NO_ROW: u32 = u32::MAX;

/// What is known of a sample that will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// The input shard, by its number.
    pub shard: u32,
    /// Row in the shard's stored table.
    pub row: Option<u32>,
    pub uid: Option<Uid128>,
    pub key: String,
    pub content: Content,
}

/// Where the members of a sample are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// In a tar.
    Members(Vec<Part>),
    /// In a row of a parquet file.
    Row(u64),
}

/// A member in a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub ending: String,
    pub start: u64,
    pub size: u64,
}

impl Sample {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.shard.to_le_bytes());
        out.extend_from_slice(&self.row.unwrap_or(NO_ROW).to_le_bytes());
        out.push(u8::from(self.uid.is_some()));
        out.extend_from_slice(&self.uid.map_or(0, |uid| uid.0).to_le_bytes());
        text(out, &self.key);
        match &self.content {
            Content::Row(row) => {
                out.push(0);
                out.extend_from_slice(&row.to_le_bytes());
            }
            Content::Members(parts) => {
                out.push(1);
                out.extend_from_slice(&(parts.len() as u32).to_le_bytes());
                for part in parts {
                    text(out, &part.ending);
                    out.extend_from_slice(&part.start.to_le_bytes());
                    out.extend_from_slice(&part.size.to_le_bytes());
                }
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut at = Cursor(bytes);
        let shard = u32::from_le_bytes(at.take()?);
        let row = Some(u32::from_le_bytes(at.take()?)).filter(|&row| row != NO_ROW);
        let [has_uid] = at.take()?;
        let uid = u128::from_le_bytes(at.take()?);
        let key = at.text()?;
        let content = match at.take::<1>()? {
            [0] => Content::Row(u64::from_le_bytes(at.take()?)),
            _ => {
                let count = u32::from_le_bytes(at.take()?);
                let part = |at: &mut Cursor<'_>| {
                    Some(Part { ending: at.text()?, start: u64::from_le_bytes(at.take()?), size: u64::from_le_bytes(at.take()?) })
                };
                Content::Members((0..count).map(|_| part(&mut at)).collect::<Option<_>>()?)
            }
        };
        Some(Self { shard, row, uid: (has_uid == 1).then_some(Uid128(uid)), key, content })
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn text(&mut self) -> Option<String> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// The store while the inputs are scanned.
pub(super) struct StoreBuilder {
    samples: Spool,
    tables: Spool,
    table_at: Vec<Option<(u64, u64)>>,
    entries: Spool,
}

struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Spool {
    fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(1 << 20, tempfile::tempfile()?), length: 0 })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.length;
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(at)
    }

    fn map(self) -> io::Result<Mapped> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if self.length == 0 {
            return Ok(Mapped(None));
        }
        // SAFETY: the file has no name and its only handle ends here, so that nobody can change or cut it.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Mapped(Some(map)))
    }
}

struct Mapped(Option<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl StoreBuilder {
    pub(super) fn new(shards: usize) -> io::Result<Self> {
        Ok(Self { samples: Spool::new()?, tables: Spool::new()?, table_at: vec![None; shards], entries: Spool::new()? })
    }

    /// Keeps a sample; gives its place.
    pub(super) fn sample(&mut self, sample: &Sample) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(160);
        sample.encode(&mut bytes);
        self.samples.push(&bytes)
    }

    /// Keeps the rows of a shard's table that will be written.
    pub(super) fn table(&mut self, shard: usize, table: &RecordBatch) -> io::Result<()> {
        let padding = self.tables.length.next_multiple_of(ALIGN) - self.tables.length;
        self.tables.push(&[0; ALIGN as usize][..padding as usize])?;
        let mut writer = StreamWriter::try_new(Vec::new(), &table.schema()).map_err(io::Error::other)?;
        writer.write(table).map_err(io::Error::other)?;
        let bytes = writer.into_inner().map_err(io::Error::other)?;
        let at = self.tables.push(&bytes)?;
        self.table_at[shard] = Some((at, bytes.len() as u64));
        Ok(())
    }

    /// The next sample of the output, by its place.
    pub(super) fn entry(&mut self, sample: u64, copy: u32) -> io::Result<()> {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&sample.to_le_bytes());
        bytes[8..].copy_from_slice(&copy.to_le_bytes());
        self.entries.push(&bytes).map(|_| ())
    }

    pub(super) fn finish(self) -> io::Result<Store> {
        let tables = Buffer::from(bytes::Bytes::from_owner(self.tables.map()?));
        let tables = self
            .table_at
            .into_iter()
            .map(|at| at.map(|(at, length)| table_of(tables.slice_with_length(at as usize, length as usize))).transpose())
            .collect::<io::Result<_>>()?;
        Ok(Store { samples: self.samples.map()?, entries: self.entries.map()?, tables })
    }
}

const ENTRY: usize = 12;

/// A table whose columns lie in the mapped file.
fn table_of(mut bytes: Buffer) -> io::Result<RecordBatch> {
    let mut decoder = StreamDecoder::new();
    while !bytes.is_empty() {
        if let Some(batch) = decoder.decode(&mut bytes).map_err(io::Error::other)? {
            return Ok(batch);
        }
    }
    Err(io::Error::other("a stored table has no rows"))
}

/// The complete store.
pub(super) struct Store {
    samples: Mapped,
    entries: Mapped,
    pub(super) tables: Vec<Option<RecordBatch>>,
}

impl Store {
    /// A place in the output: the sample, and which of its copies.
    pub(super) fn entry(&self, at: u64) -> Option<(Sample, u32)> {
        let mut cursor = Cursor(self.entries.as_ref().get(at as usize * ENTRY..)?);
        let sample = u64::from_le_bytes(cursor.take()?);
        let copy = u32::from_le_bytes(cursor.take()?);
        Some((Sample::decode(self.samples.as_ref().get(sample as usize..)?)?, copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray};
    use std::sync::Arc;

    #[test]
    fn what_is_stored_is_given_back() {
        let mut store = StoreBuilder::new(2).unwrap();
        let part = |ending: &str| Part { ending: ending.to_owned(), start: 1 << 40, size: 7 };
        let tar = Sample {
            shard: 1,
            row: Some(3),
            uid: Some(Uid128(9 << 100)),
            key: "dir/ä".to_owned(),
            content: Content::Members(vec![part("jpg"), part("seg.png")]),
        };
        let row = Sample { shard: 0, row: None, uid: None, key: String::new(), content: Content::Row(12) };
        let (first, second) = (store.sample(&tar).unwrap(), store.sample(&row).unwrap());
        store.entry(second, 0).unwrap();
        store.entry(first, 4).unwrap();
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let table = RecordBatch::try_from_iter([("key", column)]).unwrap();
        store.table(1, &table).unwrap();
        let store = store.finish().unwrap();
        assert_eq!((store.entry(0), store.entry(1), store.entry(2)), (Some((row, 0)), Some((tar, 4)), None));
        assert_eq!(store.tables, vec![None, Some(table)]);
    }
}
