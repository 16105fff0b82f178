//! Lists of rows by unit and number: what is put off, and what may be asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trommel_shards::columns::{ROW, UNIT, VALUE};
use trommel_shards::marker::Output;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableError, TableWriter};

use crate::op::env::external;
use crate::op::rows::{integers, strings};

/// One listed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowEntry {
    /// Its number in the unit.
    pub row: i64,
    /// Its key in the shard; empty for a row that is in no shard.
    pub key: String,
    /// The stable code.
    pub code: String,
    /// What was said.
    pub message: String,
}

fn schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![utf8(UNIT), Field::new(ROW, DataType::Int64, false), utf8("key"), utf8(VALUE), utf8("message")]))
}

/// The rows of one unit, in memory until the unit ends: some dozens of bytes each.
pub(super) struct RowList {
    name: String,
    unit: StringBuilder,
    row: Int64Builder,
    texts: [StringBuilder; 3],
    count: usize,
}

impl RowList {
    pub(super) fn new(name: String) -> Self {
        Self { name, unit: StringBuilder::new(), row: Int64Builder::new(), texts: std::array::from_fn(|_| StringBuilder::new()), count: 0 }
    }

    pub(super) fn push(&mut self, unit: &str, row: i64, key: &str, code: &str, message: &str) {
        self.unit.append_value(unit);
        self.row.append_value(row);
        for (builder, text) in self.texts.iter_mut().zip([key, code, message]) {
            builder.append_value(text);
        }
        self.count += 1;
    }

    /// Writes the list; an empty one gets no file.
    pub(super) async fn finish(mut self, storage: &Storage, outputs: &mut BTreeMap<String, Output>) -> Result<(), TableError> {
        if self.count == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.unit.finish()), Arc::new(self.row.finish())];
        columns.extend(self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        let batch =
            RecordBatch::try_new(schema(), columns).map_err(|e| TableError::Parquet { place: self.name.clone(), source: e.into() })?;
        let mut table = TableWriter::create(storage, &self.name, schema(), ROW_GROUP_ROWS).await?;
        table.write(&batch).await?;
        outputs.insert(self.name, table.finish().await?.into());
        Ok(())
    }
}

/// Writes a list of one unit.
///
/// # Errors
/// When the store refuses.
pub async fn write_row_list(
    storage: &Storage,
    name: &str,
    unit: &str,
    entries: &[RowEntry],
) -> Result<BTreeMap<String, Output>, TableError> {
    let mut list = RowList::new(name.to_owned());
    for entry in entries {
        list.push(unit, entry.row, &entry.key, &entry.code, &entry.message);
    }
    let mut outputs = BTreeMap::new();
    list.finish(storage, &mut outputs).await?;
    Ok(outputs)
}

/// Reads a list; one that is not there is empty.
///
/// # Errors
/// When the file cannot be read.
pub async fn read_row_list(storage: &Storage, name: &str) -> Result<Vec<RowEntry>> {
    let mut entries = Vec::new();
    let Some(bytes) = storage.get(name).await.map_err(external)? else { return Ok(entries) };
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        let (rows, keys, codes, messages) =
            (integers(&batch, ROW)?, strings(&batch, "key")?, strings(&batch, VALUE)?, strings(&batch, "message")?);
        entries.extend((0..rows.len()).map(|at| RowEntry {
            row: rows.value(at),
            key: keys.value(at).to_owned(),
            code: codes.value(at).to_owned(),
            message: messages.value(at).to_owned(),
        }));
    }
    Ok(entries)
}
