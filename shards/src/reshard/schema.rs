//! The columns of the output, made of those of all inputs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, interleave};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::options::{ReshardOptions, ShardFormat};
use super::pictures::IMAGE_MARK;
use super::scan::Scanned;
use super::{Extra, ReshardError};
use crate::columns::UID;
use crate::samples::IMAGE_ENDINGS;
use crate::subset::Uid128;

const KEY: &str = "key";

/// The columns and endings of the inputs so far.
#[derive(Default)]
pub(super) struct Unified {
    fields: Vec<Arc<Field>>,
    endings: BTreeSet<String>,
    without_table: bool,
}

impl Unified {
    /// Adds a shard: columns by name, each with the type that it had first.
    pub(super) fn add(&mut self, place: &str, scanned: &Scanned) -> Result<(), ReshardError> {
        let mut fresh = Vec::new();
        let schema = scanned.table.as_ref().map(RecordBatch::schema);
        for field in schema.iter().flat_map(|schema| schema.fields()) {
            match self.fields.iter().find(|known| known.name() == field.name()) {
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) if can_cast_types(field.data_type(), known.data_type()) => {}
                Some(known) => {
                    let (name, found, wanted) = (field.name(), field.data_type(), known.data_type());
                    let message = format!("column `{name}` is {found}, which does not become {wanted}, as it is in the shards before");
                    return Err(ReshardError::shard(place, message));
                }
                None => fresh.push(Arc::clone(field)),
            }
        }
        self.fields.extend(fresh);
        self.endings.extend(scanned.endings.iter().cloned());
        self.without_table |= scanned.table.is_none() && !scanned.samples.is_empty();
        Ok(())
    }

    pub(super) fn finish(self, options: &ReshardOptions) -> Result<OutputSchema, ReshardError> {
        let mut fields = self.fields;
        // What a sample's table says is not said again by its json and txt.
        let kept = |ending: &String| self.without_table || !matches!(ending.as_str(), "json" | "txt");
        let binaries: Vec<String> = match options.format {
            ShardFormat::Webdataset => Vec::new(),
            ShardFormat::Parquet => self.endings.into_iter().filter(kept).collect(),
        };
        if let Some(both) = fields.iter().find(|field| binaries.contains(field.name())) {
            let message =
                format!("column `{}` is in the tables, and members have this ending: parquet output cannot hold both", both.name());
            return Err(ReshardError::Options(message));
        }
        for (at, name) in [KEY, UID].into_iter().enumerate() {
            if !fields.iter().any(|field| field.name() == name) {
                fields.insert(at.min(fields.len()), Arc::new(Field::new(name, DataType::Utf8, true)));
            }
        }
        if let Some(extra) = &options.extra {
            for field in extra.schema().fields() {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => *known = Arc::clone(field),
                    None => fields.push(Arc::clone(field)),
                }
            }
        }
        let picture = IMAGE_ENDINGS.iter().find(|ending| binaries.iter().any(|name| name == *ending)).copied();
        fields.extend(binaries.iter().map(|name| {
            let field = Field::new(name, DataType::Binary, true);
            let mark = [(IMAGE_MARK.to_owned(), name.clone())];
            Arc::new(if picture == Some(name.as_str()) { field.with_metadata(mark.into_iter().collect()) } else { field })
        }));
        Ok(OutputSchema { schema: Arc::new(Schema::new(fields)), binaries, extra: options.extra.clone() })
    }
}

/// The columns of the output.
pub(super) struct OutputSchema {
    pub(super) schema: SchemaRef,
    /// Columns that hold members.
    pub(super) binaries: Vec<String>,
    extra: Option<Arc<dyn Extra>>,
}

/// One row of an output table.
pub(super) struct RowOf {
    pub(super) shard: u32,
    pub(super) row: Option<u32>,
    pub(super) key: String,
    pub(super) uid: Option<Uid128>,
}

impl OutputSchema {
    /// The rows of the output, from the stored tables of the inputs. `members` gives the content of a column that holds
    /// members.
    pub(super) fn rows(
        &self,
        place: &str,
        tables: &[Option<RecordBatch>],
        rows: &[RowOf],
        mut members: impl FnMut(&str) -> Vec<Option<bytes::Bytes>>,
    ) -> Result<RecordBatch, ReshardError> {
        let fail = |e: &dyn std::fmt::Display| ReshardError::shard(place, e);
        let extra = match &self.extra {
            Some(extra) => {
                let uids: Vec<Option<Uid128>> = rows.iter().map(|row| row.uid).collect();
                let found = extra.rows(&uids).map_err(|e| fail(&format!("added columns: {e}")))?;
                if found.num_rows() != rows.len() {
                    return Err(fail(&format!("added columns have {} rows for {} samples", found.num_rows(), rows.len())));
                }
                Some(found)
            }
            None => None,
        };
        // The tables that these rows are of, each once.
        let mut shards: Vec<u32> = rows.iter().filter(|row| row.row.is_some()).map(|row| row.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        let sources: Vec<Option<&RecordBatch>> = shards.iter().map(|&shard| tables.get(shard as usize).and_then(Option::as_ref)).collect();
        let column = |field: &Arc<Field>| -> Result<ArrayRef, ReshardError> {
            if field.name() == KEY {
                return Ok(Arc::new(StringArray::from_iter_values(rows.iter().map(|row| super::scan::base(&row.key)))));
            }
            if self.binaries.contains(field.name()) {
                return Ok(Arc::new(BinaryArray::from_iter(members(field.name()))));
            }
            if let Some(added) = extra.as_ref().and_then(|extra| extra.column_by_name(field.name())) {
                return cast_strict(added, field).map_err(|e| fail(&e));
            }
            // A last source of one null stands for rows without a table, and for tables without the column.
            let null = new_null_array(field.data_type(), 1);
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(sources.len() + 1);
            let mut has = Vec::with_capacity(sources.len());
            for source in &sources {
                let found = source.and_then(|source| source.column_by_name(field.name()));
                has.push(found.is_some());
                arrays.push(match found {
                    Some(found) => cast_strict(found, field).map_err(|e| fail(&e))?,
                    None => Arc::clone(&null),
                });
            }
            if field.name() == UID && !has.iter().all(|has| *has) || field.name() == UID && rows.iter().any(|row| row.row.is_none()) {
                // Tables without uids: those that the samples' json had.
                return Ok(Arc::new(StringArray::from_iter(rows.iter().map(|row| row.uid.map(|uid| uid.to_string())))));
            }
            arrays.push(null);
            let places: Vec<(usize, usize)> = rows
                .iter()
                .map(|row| match row.row.and_then(|at| shards.binary_search(&row.shard).ok().map(|source| (source, at as usize))) {
                    Some((source, at)) if has[source] => (source, at),
                    _ => (arrays.len() - 1, 0),
                })
                .collect();
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            interleave(&arrays, &places).map_err(|e| fail(&e))
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| fail(&e))
    }
}

fn cast_strict(column: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &strict).map_err(|e| format!("column `{}`: {e}", field.name()))
}
