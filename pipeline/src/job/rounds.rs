//! Later rounds of fetching: what slow hosts have not given, and what failed for a passing reason.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray, Int64Array, StringArray, new_null_array};
use arrow::compute::{filter_record_batch, not};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trommel_shards::columns::{ERROR_CODE, EXCLUDED, REASON, ROW, UNIT, VALUE};
use trommel_shards::marker::Marker;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableError, TableWriter};

use super::driver::JobError;
use crate::crawl::fetch::CODES;
use crate::ledger::short_hash;
use crate::op::write::ShardSpec;

/// Folder with the rows that a round works on.
pub(super) fn folder(pass: &str, round: usize) -> String {
    format!("_trommel/deferred/{pass}/round-{round}")
}

/// Identity of a round's input.
pub(super) async fn identity(storage: &Storage, files: &[String]) -> Result<String, JobError> {
    let mut text = String::new();
    for file in files {
        let bytes = storage.get(file).await?.unwrap_or_default();
        text.push_str(&format!("{file} {}\n", short_hash(&bytes)));
    }
    Ok(short_hash(text.as_bytes()))
}

/// Whether another try may go better.
fn is_transient(code: &str) -> bool {
    if let Some(status) = code.strip_prefix("http_").and_then(|digits| digits.parse::<u16>().ok()) {
        return matches!(status, 408 | 425 | 429) || (status >= 500 && !matches!(status, 501 | 505));
    }
    code == "deferred_too_long" || CODES.iter().any(|&(known, transient)| known == code && transient)
}

/// Takes the rows that failed for a passing reason out of the finished shards and puts them before the next round.
///
/// The order is: the rows' own file, the shard's table, the marker. A crash in between leaves a shard whose table does
/// not fit its marker, which the run then redoes whole.
pub(super) async fn put_back_failed(storage: &Storage, pass: &str, spec: &ShardSpec) -> Result<u64, JobError> {
    let mut round = 0;
    let mut shards: Vec<(String, String, Marker)> = Vec::new();
    loop {
        let name = if round == 0 { pass.to_owned() } else { format!("{pass}-round-{round}") };
        let markers = Marker::read_all(storage, &name).await?;
        if markers.is_empty() {
            break;
        }
        shards.extend(markers.into_iter().map(|(unit, marker)| (name.clone(), unit, marker)));
        round += 1;
    }
    let target = folder(pass, round);
    let mut total = 0;
    for (pass, unit, mut marker) in shards {
        let Some(lost) = marker.counts.lost.get(&spec.fetch_stage) else { continue };
        let again: BTreeMap<String, u64> =
            lost.iter().filter(|(code, _)| is_transient(code)).map(|(code, count)| (code.clone(), *count)).collect();
        if again.is_empty() {
            continue;
        }
        let table = format!("{unit}.parquet");
        let Some(bytes) = storage.get(&table).await? else { continue };
        let split = split_table(storage, &table, bytes, &target, &unit, spec).await?;
        let Some((file, rewritten, count)) = split else { continue };
        marker.outputs.insert(table, rewritten);
        marker.outputs.insert(format!("{target}/{unit}.parquet"), file);
        marker.counts.deferred += count;
        if let Some(lost) = marker.counts.lost.get_mut(&spec.fetch_stage) {
            lost.retain(|code, _| !again.contains_key(code));
        }
        marker.write(storage, &pass, &unit).await?;
        total += count;
    }
    Ok(total)
}

type Output = trommel_shards::marker::Output;

async fn split_table(
    storage: &Storage,
    table: &str,
    bytes: bytes::Bytes,
    folder: &str,
    unit: &str,
    spec: &ShardSpec,
) -> Result<Option<(Output, Output, u64)>, JobError> {
    let parquet = |source: parquet::errors::ParquetError| TableError::Parquet { place: storage.uri_of(table), source };
    let arrow = |source: arrow::error::ArrowError| TableError::Parquet { place: storage.uri_of(table), source: source.into() };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(parquet)?;
    let schema = std::sync::Arc::clone(builder.schema());
    let mut kept = TableWriter::create(storage, table, schema, ROW_GROUP_ROWS).await?;
    let mut taken: Option<TableWriter> = None;
    let mut count = 0;
    for batch in builder.build().map_err(parquet)? {
        let batch = batch.map_err(arrow)?;
        let Some(codes) = batch.column_by_name(ERROR_CODE).and_then(|column| arrow::array::AsArray::as_string_opt::<i32>(column).cloned())
        else {
            return Ok(None);
        };
        let again: BooleanArray = (0..batch.num_rows()).map(|row| Some(codes.is_valid(row) && is_transient(codes.value(row)))).collect();
        kept.write(&filter_record_batch(&batch, &not(&again).map_err(arrow)?).map_err(arrow)?).await?;
        let rows = filter_record_batch(&batch, &again).map_err(arrow)?;
        if rows.num_rows() > 0 {
            let rows = as_input(&rows, unit, count, spec).map_err(arrow)?;
            count += rows.num_rows() as u64;
            let writer = match &mut taken {
                Some(writer) => writer,
                None => {
                    taken.insert(TableWriter::create(storage, &format!("{folder}/{unit}.parquet"), rows.schema(), ROW_GROUP_ROWS).await?)
                }
            };
            writer.write(&rows).await?;
        }
    }
    let Some(taken) = taken else { return Ok(None) };
    let file = taken.finish().await?;
    Ok(Some((file.into(), kept.finish().await?.into(), count)))
}

/// Gives rows of a shard the columns of the fetching pass's input back.
fn as_input(rows: &RecordBatch, unit: &str, first: u64, spec: &ShardSpec) -> Result<RecordBatch, arrow::error::ArrowError> {
    use std::sync::Arc;
    let count = rows.num_rows();
    let mut fields = Vec::new();
    let mut columns: Vec<arrow::array::ArrayRef> = Vec::new();
    for name in &spec.input_columns {
        let (data_type, nullable, column): (_, _, arrow::array::ArrayRef) = match name.as_str() {
            UNIT => (arrow::datatypes::DataType::Utf8, false, Arc::new(StringArray::from_iter_values(std::iter::repeat_n(unit, count)))),
            ROW => (
                arrow::datatypes::DataType::Int64,
                false,
                Arc::new(Int64Array::from_iter_values(first as i64..(first as i64 + count as i64))),
            ),
            EXCLUDED | REASON | VALUE => (arrow::datatypes::DataType::Utf8, true, new_null_array(&arrow::datatypes::DataType::Utf8, count)),
            other => match rows.column_by_name(other) {
                Some(column) => (column.data_type().clone(), true, Arc::clone(column)),
                None => (arrow::datatypes::DataType::Utf8, true, new_null_array(&arrow::datatypes::DataType::Utf8, count)),
            },
        };
        fields.push(arrow::datatypes::Field::new(name, data_type, nullable));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)
}
