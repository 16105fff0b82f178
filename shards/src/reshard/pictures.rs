//! Parquet shards: the pictures are a column, and any other binary column is a member too.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::metadata::PageIndexPolicy;

use super::ReshardError;
use crate::columns::TEXT;
use crate::samples::IMAGE_ENDINGS;
use crate::source::Input;

/// Marks the picture's column in a schema.
pub(super) const IMAGE_MARK: &str = "trommel.image";
/// Rows that are read at a time.
const READ_ROWS: usize = 1024;

type Builder = ParquetRecordBatchReaderBuilder<Input>;

fn builder(uri: &str) -> Result<Builder, ReshardError> {
    // With the index of its pages, only those pages are read that hold wanted rows.
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    Builder::try_new_with_options(Input::open(uri)?, options).map_err(|e| ReshardError::shard(uri, e))
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// What a parquet shard has in place of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParquetShard {
    uri: String,
    /// Binary columns with the endings of the members that they are; the picture first.
    pub(super) binaries: Vec<(String, String)>,
    /// The column with the caption.
    pub(super) caption: Option<String>,
}

/// The members of one row: endings and contents, the picture first.
pub(super) type RowMembers = Vec<(String, Bytes)>;

impl ParquetShard {
    pub(super) fn open(uri: &str, caption: Option<&str>) -> Result<Self, ReshardError> {
        let builder = builder(uri)?;
        let schema = builder.schema();
        let marked = schema.fields().iter().find(|field| field.metadata().contains_key(IMAGE_MARK)).map(|field| field.name().as_str());
        let named = || {
            let binary = |name: &str| schema.field_with_name(name).is_ok_and(|field| is_binary(field.data_type()));
            IMAGE_ENDINGS.iter().chain(&["image"]).copied().find(|name| binary(name))
        };
        let picture = marked.or_else(named).ok_or_else(|| {
            let message = format!("has no column with pictures: one of {}, of binary type", IMAGE_ENDINGS.join(", "));
            ReshardError::shard(uri, message)
        })?;
        let ending = if IMAGE_ENDINGS.contains(&picture) { picture } else { "jpg" };
        let mut binaries = vec![(picture.to_owned(), ending.to_owned())];
        let others = schema.fields().iter().filter(|field| is_binary(field.data_type()) && field.name() != picture);
        binaries.extend(others.map(|field| (field.name().clone(), field.name().to_ascii_lowercase())));
        let has = |name: &str| schema.index_of(name).is_ok();
        let caption = match caption {
            Some(name) if !has(name) => return Err(ReshardError::shard(uri, format!("has no column `{name}` for captions"))),
            Some(name) => Some(name.to_owned()),
            None => [TEXT, "caption", "TEXT"].into_iter().find(|name| has(name)).map(str::to_owned),
        };
        Ok(Self { uri: uri.to_owned(), binaries, caption })
    }

    pub(super) fn binary_columns(&self) -> Vec<&str> {
        self.binaries.iter().map(|(column, _)| column.as_str()).collect()
    }

    /// The bytes of each row's members, `None` for a row without a picture. Only where lengths are wanted, or nothing else
    /// says which rows have a picture, are the pictures read.
    pub(super) fn picture_lengths(&self, table: &RecordBatch, wanted: bool) -> Result<Vec<Option<u64>>, ReshardError> {
        let fail = |e: &dyn std::fmt::Display| ReshardError::shard(&self.uri, e);
        if let (false, Some(status)) = (wanted, table.column_by_name("status")) {
            let status = cast(status, &DataType::Utf8).map_err(|e| fail(&e))?;
            return Ok(status.as_string::<i32>().iter().map(|status| (status == Some("success")).then_some(0)).collect());
        }
        let builder = builder(&self.uri)?;
        let columns = if wanted { self.binary_columns() } else { self.binary_columns()[..1].to_vec() };
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        let mut lengths = Vec::with_capacity(table.num_rows());
        for batch in builder.with_projection(mask).with_batch_size(READ_ROWS).build().map_err(|e| fail(&e))? {
            let batch = self.ordered(&batch.map_err(|e| fail(&e))?)?;
            for row in 0..batch[0].len() {
                let of = |column: &ArrayRef| column.is_valid(row).then(|| column.as_binary::<i64>().value(row).len() as u64);
                lengths.push(of(&batch[0]).map(|first| first + batch[1..].iter().filter_map(of).sum::<u64>()));
            }
        }
        if lengths.len() == table.num_rows() { Ok(lengths) } else { Err(fail(&"its columns differ in rows")) }
    }

    /// Binary columns of a batch in our order, those that were read.
    fn ordered(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ReshardError> {
        let columns = self.binaries.iter().filter_map(|(column, _)| batch.column_by_name(column));
        columns.map(|column| cast(column, &DataType::LargeBinary).map_err(|e| ReshardError::shard(&self.uri, e))).collect()
    }

    /// The members of some rows.
    pub(super) fn fetch(&self, rows: &[u64]) -> Result<BTreeMap<u64, RowMembers>, ReshardError> {
        let fail = |e: &dyn std::fmt::Display| ReshardError::shard(&self.uri, e);
        let mut wanted = rows.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let builder = builder(&self.uri)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), self.binary_columns());
        let reader = builder.with_projection(mask).with_row_selection(selection(&wanted)).with_batch_size(READ_ROWS).build();
        let mut found = BTreeMap::new();
        let mut rows = wanted.iter();
        for batch in reader.map_err(|e| fail(&e))? {
            let columns = self.ordered(&batch.map_err(|e| fail(&e))?)?;
            for at in 0..columns[0].len() {
                let Some(&row) = rows.next() else { break };
                let members = self.binaries.iter().zip(&columns).filter(|(_, column)| column.is_valid(at));
                let members = members.map(|((_, ending), column)| {
                    let values = column.as_binary::<i64>();
                    // A view of the page that was read, not a copy.
                    let start = values.value_offsets()[at] as usize;
                    let bytes = values.values().slice_with_length(start, values.value(at).len());
                    (ending.clone(), Bytes::from_owner(View(bytes)))
                });
                found.insert(row, members.collect());
            }
        }
        match rows.next() {
            None => Ok(found),
            Some(row) => Err(fail(&format!("has no row {row}: it is shorter than when it was scanned"))),
        }
    }
}

/// Bytes that belong to a batch.
struct View(arrow::buffer::Buffer);

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Rows, in order and each once, as what to read and what to pass over.
fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for &row in rows {
        if row > at {
            selectors.push(RowSelector::skip((row - at) as usize));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    RowSelection::from(selectors)
}

/// A whole table, but for some columns, with plain types: dictionaries and views are a matter of layout.
pub(super) fn read_table(uri: &str, without: &[&str]) -> Result<RecordBatch, ReshardError> {
    let fail = |e: &dyn std::fmt::Display| ReshardError::shard(uri, e);
    let builder = builder(uri)?;
    let taken: Vec<usize> = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| !without.contains(&field.name().as_str()) && !crate::columns::is_system(field.name()))
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), taken);
    let reader = builder.with_projection(mask).with_batch_size(8192).build().map_err(|e| fail(&e))?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let plain = Arc::new(Schema::new(schema.fields().iter().map(plain_field).collect::<Vec<_>>()));
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| fail(&e))?;
        let columns = batch.columns().iter().zip(plain.fields()).map(|(column, field)| cast(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|e| fail(&e))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        batches.push(RecordBatch::try_new_with_options(Arc::clone(&plain), columns, &options).map_err(|e| fail(&e))?);
    }
    concat_batches(&plain, &batches).map_err(|e| fail(&e))
}

/// The field as it is written: every column of an output may have nulls, since inputs may lack it.
fn plain_field(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone()))
}
