//! The rows of a work list, file by file, on blocking threads: what every operation that reads a source does.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use trommel_shards::columns::UNIT;

use super::env::{Env, Out, external};
use super::rows::strings;

/// One file of a work list.
pub(super) struct WorkFile {
    /// The unit that its rows make.
    pub(super) unit: String,
    /// Path or url.
    pub(super) path: String,
    /// What changes when the file does; the unit's control row carries it.
    pub(super) identity: String,
}

/// Reads the files that the input names, one after the other, each on a blocking thread.
pub(super) fn read_files<F>(mut input: SendableRecordBatchStream, env: &Env, read: F) -> SendableRecordBatchStream
where
    F: Fn(&WorkFile, &Out) -> Result<()> + Send + Sync + 'static,
{
    let read = Arc::new(read);
    env.stream(move |out| async move {
        while let Some(batch) = input.next().await {
            let batch = batch?;
            let (units, paths, identities) = (strings(&batch, UNIT)?, strings(&batch, "path")?, strings(&batch, "input")?);
            for row in 0..batch.num_rows() {
                let [unit, path, identity] = [units, paths, identities].map(|column| column.value(row).to_owned());
                let (read, out) = (Arc::clone(&read), out.clone());
                let file = WorkFile { unit, path, identity };
                tokio::task::spawn_blocking(move || read(&file, &out)).await.map_err(external)??;
            }
        }
        Ok(())
    })
}
