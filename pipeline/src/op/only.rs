//! Keeps the rows that a list names, for a later round of fetching. The others are counted where they are.

use std::collections::HashSet;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ROW, UNIT};

use super::env::Env;
use super::rows::{integers, strings};
use super::write::read_row_list;

/// Keeps listed rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Only {
    /// Folder with the lists, relative to the job's output.
    pub folder: String,
}

impl Only {
    pub(super) fn describe(&self) -> String {
        format!("lists={}", self.folder)
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = self.clone();
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let mut unit = String::new();
            let mut list: HashSet<i64> = HashSet::new();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let units = strings(&batch, UNIT)?;
                let rows = integers(&batch, ROW)?;
                let mut keep = Vec::with_capacity(batch.num_rows());
                for row in 0..batch.num_rows() {
                    if units.value(row) != unit {
                        units.value(row).clone_into(&mut unit);
                        let entries = read_row_list(&inner.services.storage, &format!("{}/{unit}.parquet", op.folder)).await?;
                        list = entries.into_iter().map(|entry| entry.row).collect();
                    }
                    keep.push(list.contains(&rows.value(row)));
                }
                let kept = filter_record_batch(&batch, &BooleanArray::from(keep))?;
                if kept.num_rows() > 0 && out.send(Ok(kept)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}
