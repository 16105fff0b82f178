//! What a selection leaves: a subset file, or a table of uids with copies and weights.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use trommel_shards::storage::Storage;
use trommel_shards::subset::{COPIES, SubsetWriter, Uid128};
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};

use super::error::{Result, SelectError};
use super::scan::{Fit, Judging, Label};

/// How the subset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubsetFormat {
    /// DataComp's: an npy of `u8,u8`, sorted; a row that is taken several times stands there several times.
    Npy,
    /// `uid`, `copies`, and a column for each weight and each name that a stage gave, in the order of the metadata.
    Parquet,
    /// A uid a line, in the order of the metadata.
    Text,
}

impl SubsetFormat {
    /// By the ending of a file's name.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        [(".npy", Self::Npy), (".parquet", Self::Parquet), (".txt", Self::Text)]
            .into_iter()
            .find(|(ending, _)| name.ends_with(ending))
            .map(|(_, format)| format)
    }
}

/// The kept rows of one piece, waiting for their turn.
#[derive(Debug, Default)]
struct Part {
    uids: Vec<u128>,
    copies: Vec<u32>,
    weights: Vec<Vec<f32>>,
    labels: Vec<Vec<Option<u128>>>,
}

enum Writer {
    Npy(Option<SubsetWriter>),
    Parquet { table: Option<Box<TableWriter>>, schema: SchemaRef },
    Text { text: Vec<u8>, storage: Storage, name: String },
}

struct Inner {
    writer: Writer,
    /// Pieces that are done before one in front of them: at most as many as there are threads.
    waiting: BTreeMap<usize, Part>,
    next: usize,
    rows: u64,
    copies: u64,
}

/// The subset, written by all threads.
pub(super) struct Output {
    inner: Mutex<Inner>,
    weights: usize,
    labels: Vec<Arc<dyn Label>>,
    runtime: Handle,
    place: String,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) copies: u64,
}

impl Output {
    /// Begins a file. Called inside a runtime.
    pub(super) async fn create(
        storage: &Storage,
        name: &str,
        format: SubsetFormat,
        weights: &[String],
        labels: Vec<(String, Arc<dyn Label>)>,
    ) -> Result<Self> {
        let writer = match format {
            SubsetFormat::Npy => Writer::Npy(Some(SubsetWriter::create(storage, name))),
            SubsetFormat::Parquet => {
                let mut fields = vec![Field::new("uid", DataType::Utf8, false), Field::new(COPIES, DataType::UInt32, false)];
                fields.extend(weights.iter().map(|name| Field::new(name, DataType::Float32, true)));
                fields.extend(labels.iter().map(|(name, _)| Field::new(name, DataType::Utf8, true)));
                let schema = Arc::new(Schema::new(fields));
                let table = TableWriter::create(storage, name, Arc::clone(&schema), ROW_GROUP_ROWS).await?;
                Writer::Parquet { table: Some(Box::new(table)), schema }
            }
            SubsetFormat::Text => Writer::Text { text: Vec::new(), storage: storage.clone(), name: name.to_owned() },
        };
        let inner = Inner { writer, waiting: BTreeMap::new(), next: 0, rows: 0, copies: 0 };
        let labels = labels.into_iter().map(|(_, label)| label).collect();
        Ok(Self { inner: Mutex::new(inner), weights: weights.len(), labels, runtime: Handle::current(), place: storage.uri_of(name) })
    }

    fn take(&self, piece: usize, part: Part) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&self.place, e);
        let mut inner = self.inner.lock();
        inner.rows += part.copies.len() as u64;
        inner.copies += part.copies.iter().map(|&copies| u64::from(copies)).sum::<u64>();
        if let Writer::Npy(Some(writer)) = &mut inner.writer {
            for &uid in &part.uids {
                writer.push(Uid128(uid), 1).map_err(|e| fail(&e))?;
            }
            return Ok(());
        }
        inner.waiting.insert(piece, part);
        loop {
            let next = inner.next;
            let Some(part) = inner.waiting.remove(&next) else { return Ok(()) };
            inner.next += 1;
            match &mut inner.writer {
                Writer::Npy(_) => {}
                Writer::Text { text, .. } => {
                    for (uid, &copies) in part.uids.iter().zip(&part.copies) {
                        (0..copies).for_each(|_| text.extend(format!("{uid:032x}\n").into_bytes()));
                    }
                }
                Writer::Parquet { table, schema } => {
                    let uids = StringArray::from_iter_values(part.uids.iter().map(|uid| format!("{uid:032x}")));
                    let mut columns: Vec<ArrayRef> = vec![Arc::new(uids), Arc::new(UInt32Array::from(part.copies))];
                    for weights in part.weights {
                        columns.push(Arc::new(
                            weights.into_iter().map(|weight| (!weight.is_nan()).then_some(weight)).collect::<Float32Array>(),
                        ));
                    }
                    for labels in part.labels {
                        let labels = labels.into_iter().map(|label| label.map(|uid| format!("{uid:032x}")));
                        columns.push(Arc::new(labels.collect::<StringArray>()));
                    }
                    let batch = RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| fail(&e))?;
                    if let Some(table) = table {
                        self.runtime.block_on(table.write(&batch))?;
                    }
                }
            }
        }
    }

    /// Writes what is left.
    pub(super) async fn finish(self) -> Result<Written> {
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&self.place, e);
        let inner = self.inner.into_inner();
        match inner.writer {
            Writer::Npy(Some(writer)) => {
                writer.finish().await.map_err(|e| fail(&e))?;
            }
            Writer::Parquet { table: Some(table), .. } => {
                table.finish().await?;
            }
            Writer::Text { text, storage, name } => {
                storage.put(&name, text).await?;
            }
            Writer::Npy(None) | Writer::Parquet { table: None, .. } => {}
        }
        Ok(Written { rows: inner.rows, copies: inner.copies })
    }

    fn part(&self) -> Part {
        Part { weights: vec![Vec::new(); self.weights], labels: vec![Vec::new(); self.labels.len()], ..Part::default() }
    }

    /// What one thread gathers.
    pub(super) fn gather(&self) -> OutputFit<'_> {
        let part = self.part();
        OutputFit { output: self, part, sorts: matches!(self.inner.lock().writer, Writer::Npy(_)) }
    }
}

/// The rows of one piece that are in.
pub(super) struct OutputFit<'a> {
    output: &'a Output,
    part: Part,
    sorts: bool,
}

impl Fit for OutputFit<'_> {
    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        for row in rows.living() {
            self.part.uids.push(rows.uid(row)?);
            self.part.copies.push(rows.copies(row));
            for (at, weights) in self.part.weights.iter_mut().enumerate() {
                weights.push(rows.weight(at, row));
            }
            for (labels, label) in self.part.labels.iter_mut().zip(&self.output.labels) {
                labels.push(label.of(rows.piece, rows.first + row));
            }
        }
        Ok(())
    }

    fn piece_done(&mut self, piece: usize) -> Result<()> {
        if self.sorts {
            // Each thread sorts its own: what is left for the writer is to merge. In an npy, copies are equal rows.
            let part = &mut self.part;
            if part.copies.iter().any(|&copies| copies != 1) {
                let copied = part.uids.iter().zip(&part.copies).flat_map(|(&uid, &copies)| std::iter::repeat_n(uid, copies as usize));
                part.uids = copied.collect();
            }
            part.uids.sort_unstable();
        }
        let fresh = self.output.part();
        self.output.take(piece, std::mem::replace(&mut self.part, fresh))
    }
}
