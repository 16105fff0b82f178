//! The exclusion table: every row that a stage removed, with stage, reason and value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::{cast, filter_record_batch, is_null, not};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use trommel_shards::columns::{EXCLUDED, REASON, UID, URL, VALUE};
use trommel_shards::marker::{Counts, Output};
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};

use crate::op::env::external;
use crate::op::rows::strings;

/// Schema of the exclusion table.
///
/// | column | meaning |
/// |---|---|
/// | uid | the row |
/// | url | its url |
/// | stage | the stage that removed it, `2.keep` for the second stage of a recipe |
/// | reason | the rule, in the stage's own words |
/// | value | what the rule saw: the uid that was kept in its place, for a duplicate |
pub fn exclusion_schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![utf8(UID), utf8(URL), utf8("stage"), utf8("reason"), utf8("value")]))
}

/// A column as text. A layout without a public `uid` has it as `_uid`.
fn text_column(batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let found = batch.column_by_name(name).or_else(|| if name == UID { batch.column_by_name("_uid") } else { None });
    match found {
        Some(column) => Ok(cast(column, &DataType::Utf8)?),
        None => Ok(new_null_array(&DataType::Utf8, batch.num_rows())),
    }
}

/// Collects the excluded rows of one unit. A unit that loses nothing gets no file.
pub(super) struct Exclusions {
    name: String,
    writer: Option<TableWriter>,
}

impl Exclusions {
    pub(super) fn new(name: String) -> Self {
        Self { name, writer: None }
    }

    /// Takes the excluded rows out of a batch and books them.
    pub(super) async fn split(&mut self, batch: &RecordBatch, storage: &Storage, counts: &mut Counts) -> Result<RecordBatch> {
        let excluded = strings(batch, EXCLUDED)?;
        if excluded.null_count() == batch.num_rows() {
            return Ok(batch.clone());
        }
        let keep: BooleanArray = is_null(excluded)?;
        let gone = filter_record_batch(batch, &not(&keep)?)?;
        let (stage, reason) = (strings(&gone, EXCLUDED)?, strings(&gone, REASON)?);
        for row in 0..gone.num_rows() {
            counts.lose(stage.value(row), if reason.is_valid(row) { reason.value(row) } else { "" });
        }
        let columns: Vec<ArrayRef> =
            [UID, URL, EXCLUDED, REASON, VALUE].iter().map(|name| text_column(&gone, name)).collect::<Result<_>>()?;
        let rows = RecordBatch::try_new(exclusion_schema(), columns)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                self.writer.insert(TableWriter::create(storage, &self.name, exclusion_schema(), ROW_GROUP_ROWS).await.map_err(external)?)
            }
        };
        writer.write(&rows).await.map_err(external)?;
        Ok(filter_record_batch(batch, &keep)?)
    }

    pub(super) async fn finish(self, outputs: &mut BTreeMap<String, Output>) -> Result<()> {
        if let Some(writer) = self.writer {
            outputs.insert(self.name, writer.finish().await.map_err(external)?.into());
        }
        Ok(())
    }
}
