//! Marks the rows that a dedupe pass has listed.
//!
//! The list of a unit is one parquet file, sorted by row as the unit's own table is: the two are read side by side, and
//! neither is held. No join: image bytes and captions stay where they are.

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{CONTROL_ROW, ROW, UNIT, VALUE};
use trommel_shards::storage::Storage;
use trommel_shards::table::TableReader;

use super::env::{Env, external};
use super::rows::{exclude, integers, strings};

/// Applies the lists of one dedupe pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drops {
    /// Stage name for the exclusion table.
    pub stage: String,
    /// Folder with the lists, relative to the job's output.
    pub folder: String,
    /// The reason for the exclusion table.
    pub reason: String,
}

impl Drops {
    pub(super) fn describe(&self) -> String {
        format!("stage={} lists={}", self.stage, self.folder)
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = self.clone();
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let mut list = List::default();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let units = strings(&batch, UNIT)?;
                let rows = integers(&batch, ROW)?;
                let mut verdicts = Vec::with_capacity(batch.num_rows());
                let mut any = false;
                for row in 0..batch.num_rows() {
                    if units.value(row) != list.unit {
                        list = List::open(&inner.services.storage, &op.folder, units.value(row)).await?;
                    }
                    let kept = if rows.value(row) == CONTROL_ROW { None } else { list.find(rows.value(row)).await? };
                    any |= kept.is_some();
                    verdicts.push(kept.map(|kept| (op.reason.as_str(), Some(kept))));
                }
                let marked = if any { exclude(&batch, &op.stage, &verdicts)? } else { batch };
                if out.send(Ok(marked)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

/// The list of one unit, read along with the unit's rows. A unit without a list has no duplicates.
#[derive(Default)]
struct List {
    unit: String,
    reader: Option<TableReader>,
    /// The batch in hand, with the place in it.
    batch: Option<(RecordBatch, usize)>,
    /// The last row that was asked for.
    asked: i64,
}

impl List {
    async fn open(storage: &Storage, folder: &str, unit: &str) -> Result<Self> {
        let reader = TableReader::open(storage, &format!("{folder}/{unit}.parquet")).await.map_err(external)?;
        Ok(Self { unit: unit.to_owned(), reader, batch: None, asked: -1 })
    }

    /// The uid that was kept in a row's place, if the row is listed. Rows are asked for in their order in the unit, which
    /// is the list's order too.
    async fn find(&mut self, row: i64) -> Result<Option<String>> {
        if row <= self.asked {
            let message = format!("row {row} of unit `{}` came after row {}", self.unit, self.asked);
            return Err(DataFusionError::Internal(message));
        }
        self.asked = row;
        loop {
            if let Some((batch, at)) = &mut self.batch {
                let rows = integers(batch, ROW)?;
                while *at < rows.len() && rows.value(*at) < row {
                    *at += 1;
                }
                if *at < rows.len() {
                    let kept = strings(batch, VALUE)?;
                    let uid = || if kept.is_valid(*at) { kept.value(*at).to_owned() } else { String::new() };
                    return Ok((rows.value(*at) == row).then(uid));
                }
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            match reader.next().await.map_err(external)? {
                Some(batch) => self.batch = Some((batch, 0)),
                None => (self.reader, self.batch) = (None, None),
            }
        }
    }
}
