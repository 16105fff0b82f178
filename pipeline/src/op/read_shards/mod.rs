//! Reads shards back: each input row is a tar or parquet file, each output row a sample with its encoded picture.
//!
//! A tar is read with the parquet file beside it, where there is one: that file knows all rows, the tar only those with a
//! picture, in the same order. A row without a picture goes on with none; it is never dropped. Without the parquet file the
//! columns are those of the first sample's JSON member.

mod columns;
mod stored;
mod table;
mod tar;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeBinaryBuilder, StringArray, StringBuilder, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{IMAGE, TEXT, UID, URL, system_fields};

use super::env::{Env, Out};
use super::files::read_files;
use super::rows::{control_row, fresh_system_columns};
pub use stored::StoredVectors;
use stored::VectorsBeside;

/// Rows in a batch, at most.
const BATCH_ROWS: usize = 128;
/// Bytes of pictures in a batch, about.
const BATCH_BYTES: usize = 32 << 20;

/// Reads the shards that its input names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadShards {
    /// The columns that come out, with their types in Arrow's own text form, resolved against the first file.
    pub columns: Vec<(String, String)>,
    /// Column of a parquet shard that holds the pictures; `None` for tars.
    pub image: Option<String>,
    /// Ending of the pictures: `jpg`, `png`, `webp`.
    pub ending: String,
    /// Vectors beside the first shard; those with a column are read along.
    pub vectors: Vec<StoredVectors>,
}

impl ReadShards {
    /// Finds the columns of the first file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no pictures.
    pub fn resolve(file: &str) -> Result<Self> {
        columns::resolve(file)
    }

    pub(super) fn describe(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        format!("columns=[{}] pictures={}", names.join(", "), self.image.as_deref().unwrap_or(&self.ending))
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(column, _)| column == name)
    }

    fn fields(&self) -> Result<Vec<Arc<Field>>> {
        let field = |(name, text): &(String, String)| -> Result<Arc<Field>> {
            let data_type: DataType = text.parse().map_err(|e| DataFusionError::Plan(format!("column `{name}`: {e}")))?;
            Ok(Arc::new(Field::new(name, data_type, true)))
        };
        self.columns.iter().map(field).collect()
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name("path")?;
        let mut fields = self.fields()?;
        if !self.has(UID) {
            fields.insert(0, Arc::new(Field::new(UID, DataType::Utf8, true)));
        }
        fields.push(Arc::new(Field::new(IMAGE, DataType::LargeBinary, true)));
        fields.extend(system_fields());
        fields.extend(self.vectors.iter().filter_map(StoredVectors::field));
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let (op, inner) = (self.clone(), env.clone());
        Ok(read_files(input, &env, move |file, out| {
            let beside = VectorsBeside::open(&file.path, &op.vectors)?;
            let mut rows = Rows { op: &op, env: &inner, unit: &file.unit, out, beside, next: 0, images: 0 };
            match &op.image {
                Some(column) => table::read(&file.path, column, &mut rows)?,
                None => tar::read(&op, &file.path, &mut rows)?,
            }
            if let Some(beside) = rows.beside.take() {
                beside.end()?;
            }
            let (count, images) = (rows.next, rows.images);
            let said = serde_json::json!({ "input": file.identity, "rows": count, "images": images });
            rows.send(control_row(&inner.schema, &file.unit, &said)?)
        }))
    }
}

/// Sends the rows of one unit.
struct Rows<'a> {
    op: &'a ReadShards,
    env: &'a Env,
    unit: &'a str,
    out: &'a Out,
    beside: Option<VectorsBeside>,
    next: i64,
    images: u64,
}

impl Rows<'_> {
    fn send(&self, batch: RecordBatch) -> Result<()> {
        self.out.blocking_send(Ok(batch)).map_err(|_| DataFusionError::Execution("cancelled".into()))
    }

    /// Sends rows: a batch with at least the columns of the operation, and as many pictures.
    fn push(&mut self, place: &str, batch: &RecordBatch, pictures: &[Option<Vec<u8>>]) -> Result<()> {
        let count = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for field in self.op.fields()? {
            arrays.push(match batch.column_by_name(field.name()) {
                Some(column) => cast(column, field.data_type())
                    .map_err(|e| DataFusionError::Execution(format!("`{place}`: column `{}`: {e}", field.name())))?,
                None => new_null_array(field.data_type(), count),
            });
        }
        if !self.op.has(UID) {
            arrays.insert(0, Arc::new(uids(batch, place)?));
        }
        let vectors = match &mut self.beside {
            Some(beside) => {
                let uid = if self.op.has(UID) { self.op.columns.iter().position(|(name, _)| name == UID).unwrap_or(0) } else { 0 };
                beside.next(&arrays[uid])?
            }
            None => Vec::new(),
        };
        let mut image = LargeBinaryBuilder::new();
        for picture in pictures {
            self.images += u64::from(picture.is_some());
            image.append_option(picture.as_deref());
        }
        arrays.push(Arc::new(image.finish()));
        arrays.extend(fresh_system_columns(self.unit, self.next, count));
        arrays.extend(vectors);
        self.next += count as i64;
        self.env.services.progress.rows(count as u64);
        self.send(RecordBatch::try_new(Arc::clone(&self.env.schema), arrays)?)
    }
}

/// Uids of rows that bring none: over url and text, as everywhere; where there is no url, over the key.
fn uids(batch: &RecordBatch, place: &str) -> Result<StringArray> {
    let text_of = |names: &[&str]| -> Result<Option<StringArray>> {
        let Some(column) = names.iter().find_map(|name| batch.column_by_name(name)) else { return Ok(None) };
        Ok(cast(column, &DataType::Utf8)?.as_string_opt::<i32>().cloned())
    };
    let urls = text_of(&[URL, "key"])?
        .ok_or_else(|| DataFusionError::Execution(format!("`{place}` has neither `uid`, `url` nor `key`: its rows have no names")))?;
    let texts = text_of(&[TEXT, "caption"])?;
    let mut uids = StringBuilder::new();
    for row in 0..batch.num_rows() {
        let url = if urls.is_valid(row) { urls.value(row) } else { "" };
        let text = texts.as_ref().filter(|texts| texts.is_valid(row)).map_or("", |texts| texts.value(row));
        uids.append_value(trommel_filters::uid(url, text));
    }
    Ok(uids.finish())
}
