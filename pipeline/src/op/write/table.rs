//! Intermediate tables: all columns, control row included.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use trommel_shards::marker::Output;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};

use crate::op::env::external;

pub(super) struct TableSink {
    name: String,
    writer: TableWriter,
}

impl TableSink {
    pub(super) async fn open(storage: &Storage, name: &str, schema: &SchemaRef) -> Result<Self> {
        let writer = TableWriter::create(storage, name, SchemaRef::clone(schema), ROW_GROUP_ROWS).await.map_err(external)?;
        Ok(Self { name: name.to_owned(), writer })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).await.map_err(external)
    }

    pub(super) async fn finish(self, outputs: &mut BTreeMap<String, Output>) -> Result<()> {
        outputs.insert(self.name, self.writer.finish().await.map_err(external)?.into());
        Ok(())
    }
}
