//! Tar shards, with the parquet file beside them or without one.

use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use trommel_shards::columns::TEXT;
use trommel_shards::samples::{Sample, Samples};
use trommel_shards::source::Input;

use super::columns::{beside, open_beside};
use super::{BATCH_BYTES, BATCH_ROWS, ReadShards, Rows};
use crate::op::env::external;

type Shard = Samples<BufReader<Box<dyn Read + Send>>>;

pub(super) fn read(op: &ReadShards, path: &str, rows: &mut Rows<'_>) -> Result<()> {
    let samples = Samples::new(BufReader::with_capacity(1 << 20, Input::open(path).map_err(external)?.into_read()));
    match open_beside(path)? {
        Some(table) => with_table(path, samples, table, rows),
        None => alone(op, path, samples, rows),
    }
}

/// The rows of the table, each with its picture if the tar has one.
fn with_table(path: &str, samples: Shard, table: ParquetRecordBatchReaderBuilder<Input>, rows: &mut Rows<'_>) -> Result<()> {
    let name = beside(path);
    let fail = |e: &dyn std::fmt::Display| DataFusionError::Execution(format!("`{name}`: {e}"));
    let mut samples = samples.peekable();
    for batch in table.with_batch_size(BATCH_ROWS).build().map_err(|e| fail(&e))? {
        let batch = batch.map_err(|e| fail(&e))?;
        let keys = batch.column_by_name("key").ok_or_else(|| fail(&"no column `key`, by which its rows belong to samples"))?;
        let keys = cast(keys, &DataType::Utf8).map_err(|e| fail(&e))?;
        let keys = keys.as_string::<i32>();
        let mut pictures = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let is_next = match samples.peek() {
                Some(Ok(sample)) => keys.is_valid(row) && base(&sample.key) == keys.value(row),
                Some(Err(_)) => true,
                None => false,
            };
            let sample = if is_next { samples.next().transpose() } else { Ok(None) };
            let mut sample = sample.map_err(|e| DataFusionError::Execution(format!("`{path}`: {e}")))?;
            pictures.push(sample.as_mut().and_then(Sample::take_image).map(|(_, content)| content));
        }
        rows.push(path, &batch, &pictures)?;
    }
    match samples.next() {
        None => Ok(()),
        Some(Err(e)) => Err(DataFusionError::Execution(format!("`{path}`: {e}"))),
        Some(Ok(sample)) => Err(DataFusionError::Execution(format!(
            "`{path}`: sample `{}` has no row in `{name}`, or is not in that file's order",
            sample.key
        ))),
    }
}

fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The samples, with the columns of their JSON members.
fn alone(op: &ReadShards, path: &str, samples: Shard, rows: &mut Rows<'_>) -> Result<()> {
    let mut gathered: Vec<(Sample, Option<Vec<u8>>)> = Vec::new();
    let mut bytes = 0;
    for sample in samples {
        let mut sample = sample.map_err(|e| DataFusionError::Execution(format!("`{path}`: {e}")))?;
        let picture = sample.take_image().map(|(_, content)| content);
        bytes += picture.as_ref().map_or(0, Vec::len);
        gathered.push((sample, picture));
        if gathered.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            flush(op, path, &mut gathered, rows)?;
            bytes = 0;
        }
    }
    flush(op, path, &mut gathered, rows)
}

fn flush(op: &ReadShards, path: &str, gathered: &mut Vec<(Sample, Option<Vec<u8>>)>, rows: &mut Rows<'_>) -> Result<()> {
    let (samples, pictures): (Vec<Sample>, Vec<Option<Vec<u8>>>) = std::mem::take(gathered).into_iter().unzip();
    if samples.is_empty() {
        return Ok(());
    }
    let parsed: Vec<Option<Value>> =
        samples.iter().map(|sample| sample.member("json").and_then(|text| serde_json::from_slice(text).ok())).collect();
    let fields = op.fields()?;
    let columns: Vec<ArrayRef> = fields.iter().map(|field| column(field, &samples, &parsed)).collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(samples.len()));
    rows.push(path, &RecordBatch::try_new_with_options(schema, columns, &options)?, &pictures)
}

/// One column over some samples. A value of another type than the first sample's becomes null, or text where text is wanted.
fn column(field: &Field, samples: &[Sample], parsed: &[Option<Value>]) -> ArrayRef {
    let values = || parsed.iter().map(|json| json.as_ref().and_then(|json| json.get(field.name())).filter(|value| !value.is_null()));
    match field.data_type() {
        DataType::Boolean => {
            let mut builder = BooleanBuilder::new();
            values().for_each(|value| builder.append_option(value.and_then(Value::as_bool)));
            Arc::new(builder.finish())
        }
        DataType::Int64 => {
            let mut builder = Int64Builder::new();
            values().for_each(|value| builder.append_option(value.and_then(Value::as_i64)));
            Arc::new(builder.finish())
        }
        DataType::Float64 => {
            let mut builder = Float64Builder::new();
            values().for_each(|value| builder.append_option(value.and_then(Value::as_f64)));
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = StringBuilder::new();
            for (value, sample) in values().zip(samples) {
                match (field.name().as_str(), value) {
                    ("key", _) => builder.append_value(base(&sample.key)),
                    (_, Some(Value::String(text))) => builder.append_value(text),
                    (_, Some(other)) => builder.append_value(other.to_string()),
                    (TEXT, None) => builder.append_option(sample.member("txt").map(String::from_utf8_lossy)),
                    (_, None) => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    }
}
