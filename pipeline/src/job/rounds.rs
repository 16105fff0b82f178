//! Later rounds of fetching: what slow hosts have not given, and what failed for a passing reason.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trommel_shards::marker::{Marker, Output};
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableError, TableWriter};

use super::error::JobError;
use crate::op::rows::strings;
use crate::op::write::{RowEntry, ShardSpec, read_row_list, write_row_list};

/// Bytes of pictures in a row group of a rewritten shard.
const GROUP_BYTES: usize = 64 << 20;

/// Folder with the lists of rows that a round works on.
pub(super) fn folder(pass: &str, round: usize) -> String {
    format!("_trommel/deferred/{pass}/round-{round}")
}

/// Folder with the lists of rows that failed for a passing reason.
pub(super) fn failed_folder(pass: &str) -> String {
    format!("_trommel/failed/{pass}")
}

/// The pass of a round.
pub(super) fn pass_name(pass: &str, round: usize) -> String {
    if round == 0 { pass.to_owned() } else { format!("{pass}-round-{round}") }
}

/// Puts the rows that failed for a passing reason before the next round, and takes them out of their shards.
///
/// The order is: the list for the round, the shard's table and statistics, the marker. A crash in between leaves a shard
/// that does not fit its marker, which the run then redoes whole.
pub(super) async fn put_back_failed(storage: &Storage, pass: &str, spec: &ShardSpec) -> Result<u64, JobError> {
    let mut shards: Vec<(String, String, Marker)> = Vec::new();
    let mut rounds = 0;
    loop {
        let name = pass_name(pass, rounds);
        let markers = Marker::read_all(storage, &name).await?;
        if markers.is_empty() {
            break;
        }
        shards.extend(markers.into_iter().map(|(unit, marker)| (name.clone(), unit, marker)));
        rounds += 1;
    }
    let target = folder(pass, rounds);
    let mut total = 0;
    for (pass_of, unit, mut marker) in shards {
        let list = format!("{}/{unit}.parquet", failed_folder(pass));
        if !marker.outputs.contains_key(&list) {
            continue;
        }
        let fail = |source| JobError::Pass { pass: pass_of.clone(), message: format!("the list `{list}` cannot be read"), source };
        let entries = read_row_list(storage, &list).await.map_err(fail)?;
        let name = format!("{target}/{unit}.parquet");
        // The unit may have put rows off to the same round.
        let mut again = read_row_list(storage, &name).await.map_err(fail)?;
        again.extend(entries.iter().cloned());
        marker.outputs.extend(write_row_list(storage, &name, &unit, &again).await?);
        let keys: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let table = format!("{unit}.parquet");
        if let Some(output) = marker.outputs.get_mut(&table) {
            *output = without(storage, &table, &keys).await?;
        }
        let stats = format!("{unit}_stats.json");
        if let Some(output) = less(storage, &stats, &entries).await? {
            marker.outputs.insert(stats, output);
        }
        marker.outputs.remove(&list);
        marker.counts.deferred += entries.len() as u64;
        if let Some(lost) = marker.counts.lost.get_mut(&spec.fetch_stage) {
            for entry in &entries {
                if let Some(count) = lost.get_mut(&entry.code) {
                    *count = count.saturating_sub(1);
                }
            }
            lost.retain(|_, count| *count > 0);
        }
        marker.write(storage, &pass_of, &unit).await?;
        storage.delete(&list).await?;
        total += entries.len() as u64;
    }
    Ok(total)
}

/// Rewrites a shard's table without some rows.
async fn without(storage: &Storage, table: &str, keys: &HashSet<&str>) -> Result<Output, JobError> {
    let parquet = |source: parquet::errors::ParquetError| TableError::Parquet { place: storage.uri_of(table), source };
    let arrow = |source: arrow::error::ArrowError| TableError::Parquet { place: storage.uri_of(table), source: source.into() };
    let bytes = storage.get(table).await?.unwrap_or_default();
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(parquet)?;
    let mut kept = TableWriter::create(storage, table, Arc::clone(builder.schema()), ROW_GROUP_ROWS).await?;
    for batch in builder.with_batch_size(256).build().map_err(parquet)? {
        let batch: RecordBatch = batch.map_err(arrow)?;
        let key = strings(&batch, "key").map_err(|source| JobError::Pass {
            pass: table.to_owned(),
            message: "the shard has no keys".into(),
            source,
        })?;
        let keep: BooleanArray = (0..batch.num_rows()).map(|row| Some(!keys.contains(key.value(row)))).collect();
        kept.write(&filter_record_batch(&batch, &keep).map_err(arrow)?).await?;
        if kept.pending_bytes() > GROUP_BYTES {
            kept.flush().await?;
        }
    }
    Ok(kept.finish().await?.into())
}

/// Takes rows out of a shard's statistics.
async fn less(storage: &Storage, name: &str, entries: &[RowEntry]) -> Result<Option<Output>, JobError> {
    let Some(mut stats) = storage.get(name).await?.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok()) else {
        return Ok(None);
    };
    let take = |slot: &mut serde_json::Value, count: u64| *slot = slot.as_u64().unwrap_or(0).saturating_sub(count).into();
    take(&mut stats["count"], entries.len() as u64);
    take(&mut stats["failed_to_download"], entries.len() as u64);
    let mut messages: HashMap<&str, u64> = HashMap::new();
    for entry in entries {
        *messages.entry(entry.message.as_str()).or_default() += 1;
    }
    if let Some(map) = stats["status_dict"].as_object_mut() {
        for (message, count) in messages {
            if let Some(slot) = map.get_mut(message) {
                take(slot, count);
            }
        }
        map.retain(|_, count| count.as_u64() != Some(0));
    }
    let text = crate::op::write::python_indented(&stats);
    Ok(Some(storage.put(name, text).await?.into()))
}

/// The units that have put rows off to a round.
pub(super) fn inputs(pass: &str, round: usize, markers: &BTreeMap<String, Marker>) -> Vec<String> {
    let prefix = format!("{}/", folder(pass, round));
    markers.iter().filter(|(_, marker)| marker.outputs.keys().any(|name| name.starts_with(&prefix))).map(|(unit, _)| unit.clone()).collect()
}

/// Identity of a round's input: the digests of its lists.
pub(super) fn identity(pass: &str, round: usize, markers: &BTreeMap<String, Marker>) -> String {
    let prefix = format!("{}/", folder(pass, round));
    let mut text = String::new();
    for marker in markers.values() {
        for (name, output) in marker.outputs.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)) {
            text.push_str(&format!("{name} {}\n", output.sha256));
        }
    }
    crate::ledger::short_hash(text.as_bytes())
}
