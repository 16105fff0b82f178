//! Marks the rows that a dedupe pass has listed.
//!
//! The list of a unit is one small parquet file; it is read once, when the unit's first row comes by. No join: image
//! bytes and captions stay where they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ROW, UNIT, VALUE};

use super::env::{Env, external};
use super::rows::{exclude, integers, strings};
use crate::services::Services;

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
            let mut unit = String::new();
            let mut list: HashMap<i64, String> = HashMap::new();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let units = strings(&batch, UNIT)?;
                let rows = integers(&batch, ROW)?;
                let mut verdicts = Vec::with_capacity(batch.num_rows());
                for row in 0..batch.num_rows() {
                    if units.value(row) != unit {
                        units.value(row).clone_into(&mut unit);
                        list = read_list(&inner.services, &op.folder, &unit).await?;
                    }
                    verdicts.push(list.get(&rows.value(row)).map(|kept| (op.reason.as_str(), Some(kept.clone()))));
                }
                let marked =
                    if list.is_empty() && verdicts.iter().all(Option::is_none) { batch } else { exclude(&batch, &op.stage, &verdicts)? };
                if out.send(Ok(marked)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

/// The rows of a unit that are duplicates, with the uid that was kept. A unit without a list has none.
async fn read_list(services: &Arc<Services>, folder: &str, unit: &str) -> Result<HashMap<i64, String>> {
    let mut list = HashMap::new();
    let Some(bytes) = services.storage.get(&format!("{folder}/{unit}.parquet")).await.map_err(external)? else {
        return Ok(list);
    };
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        let rows = integers(&batch, ROW)?;
        let kept = strings(&batch, VALUE)?;
        for row in 0..batch.num_rows() {
            list.insert(rows.value(row), if kept.is_valid(row) { kept.value(row).to_owned() } else { String::new() });
        }
    }
    Ok(list)
}
