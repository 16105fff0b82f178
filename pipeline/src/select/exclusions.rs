//! The exclusion table of a selection: a file for each piece and scan that took rows out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::record_batch::RecordBatch;
use tokio::runtime::Handle;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};

use super::error::Result;
use super::inputs::Inputs;
use super::names::Names;
use crate::op::write::exclusion_schema;

/// A row that a stage took out.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) row: usize,
    pub(super) stage: u8,
    pub(super) reason: Arc<str>,
    pub(super) value: Option<String>,
}

/// Where excluded rows are written to.
#[derive(Debug, Clone)]
pub(super) struct Exclusions {
    storage: Storage,
    folder: String,
    stages: Arc<Vec<String>>,
    url: Option<&'static str>,
    runtime: Handle,
}

impl Exclusions {
    /// `folder` is below `storage`; `stages` are the names by number. Called inside a runtime.
    pub(super) fn new(storage: &Storage, folder: &str, stages: Vec<String>, inputs: &Inputs) -> Self {
        let url = inputs.first_of(&["url", "URL"]).map(|name| if name == "url" { "url" } else { "URL" });
        Self { storage: storage.clone(), folder: folder.to_owned(), stages: Arc::new(stages), url, runtime: Handle::current() }
    }

    pub(super) fn columns(&self) -> Vec<String> {
        self.url.map(str::to_owned).into_iter().collect()
    }

    pub(super) fn part(&self, scan: usize, piece: usize) -> Part {
        Part { of: self.clone(), name: format!("{}/{piece:06}-{scan}.parquet", self.folder), writer: None }
    }
}

/// The rows that one scan takes out of one piece. None gives no file.
pub(super) struct Part {
    of: Exclusions,
    name: String,
    writer: Option<TableWriter>,
}

impl Part {
    pub(super) fn write(&mut self, batch: &RecordBatch, names: &Names<'_>, gone: &[Gone]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let (mut uid, mut url, mut stage, mut reason, mut value) =
            (StringBuilder::new(), StringBuilder::new(), StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let urls = self.of.url.and_then(|name| batch.column_by_name(name)).and_then(|column| column.as_string_opt::<i32>());
        for row in gone {
            uid.append_value(format!("{:032x}", names.uid(row.row)?));
            url.append_option(urls.filter(|urls| urls.is_valid(row.row)).map(|urls| urls.value(row.row)));
            stage.append_value(self.of.stages.get(usize::from(row.stage)).map_or("", String::as_str));
            reason.append_value(&row.reason);
            value.append_option(row.value.as_deref());
        }
        let columns: Vec<ArrayRef> =
            [uid, url, stage, reason, value].into_iter().map(|mut column| Arc::new(column.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(exclusion_schema(), columns).map_err(|e| super::SelectError::file(&self.name, e))?;
        let runtime = self.of.runtime.clone();
        runtime.block_on(async {
            let writer = match &mut self.writer {
                Some(writer) => writer,
                None => self.writer.insert(TableWriter::create(&self.of.storage, &self.name, exclusion_schema(), ROW_GROUP_ROWS).await?),
            };
            Ok(writer.write(&batch).await?)
        })
    }

    pub(super) fn finish(self) -> Result<()> {
        if let Some(writer) = self.writer {
            self.of.runtime.block_on(writer.finish())?;
        }
        Ok(())
    }
}
