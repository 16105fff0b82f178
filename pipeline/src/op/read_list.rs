//! Reads url lists: each input row is a file, each output row a pair.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{UID, system_fields};
use trommel_shards::lists::{self, ColumnChoice, Columns, ListFormat};

use super::env::{Env, Out, external};
use super::files::read_files;
use super::rows::{control_row, fresh_system_columns};

/// Rows in a batch.
const BATCH_ROWS: usize = 8192;

/// Reads the url lists that its input names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadList {
    /// Format, where the ending does not say it.
    pub format: Option<ListFormat>,
    /// The columns to take.
    pub choice: ColumnChoice,
    /// Name under which the caption comes out.
    pub text: String,
    /// The columns that come out, resolved against the first file.
    pub columns: Vec<(String, TypedName)>,
    /// Whether a `uid` column is added; img2dataset's layout has none.
    pub uid: bool,
}

/// A column's name and its type in Arrow's own text form, as JSON can hold them.
type TypedName = (String, String);

impl ReadList {
    /// Resolves the choice against the first file.
    ///
    /// # Errors
    /// When the file cannot be read or lacks a column.
    pub fn resolve(file: &str, format: Option<ListFormat>, choice: ColumnChoice, text: &str, uid: bool) -> Result<Self, lists::ListError> {
        let (schema, _) = lists::open(file, format, &choice.texts(), 1)?;
        let columns = Columns::resolve(file, &schema, &choice, text)?;
        let columns =
            columns.taken.iter().map(|(from, field)| (from.clone(), (field.name().clone(), field.data_type().to_string()))).collect();
        Ok(Self { format, choice, text: text.to_owned(), columns, uid })
    }

    pub(super) fn describe(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(_, (name, _))| name.as_str()).collect();
        format!("columns=[{}]", names.join(", "))
    }

    fn taken(&self) -> Result<Columns> {
        let field = |name: &str, text: &str| -> Result<FieldRef> {
            let data_type: DataType = text.parse().map_err(|e| DataFusionError::Plan(format!("column `{name}`: {e}")))?;
            Ok(Arc::new(Field::new(name, data_type, true)))
        };
        let taken = self.columns.iter().map(|(from, (name, text))| Ok((from.clone(), field(name, text)?))).collect::<Result<_>>()?;
        Ok(Columns { taken })
    }

    /// Whether the file's own `uid` column is used.
    fn brings_uid(&self) -> bool {
        self.columns.iter().any(|(_, (name, _))| name == UID)
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name("path")?;
        let mut fields = self.taken()?.fields();
        if !self.brings_uid() {
            fields.insert(0, Arc::new(Field::new(if self.uid { UID } else { "_uid" }, DataType::Utf8, true)));
        }
        fields.extend(system_fields());
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let (op, inner) = (self.clone(), env.clone());
        Ok(read_files(input, &env, move |file, out| op.read_file(&inner, &file.unit, &file.path, &file.identity, out)))
    }

    fn read_file(&self, env: &Env, unit: &str, path: &str, identity: &str, out: &Out) -> Result<()> {
        let columns = self.taken()?;
        let (_, batches) = lists::open(path, self.format, &self.choice.texts(), BATCH_ROWS).map_err(external)?;
        let mut first_row = 0;
        let send = |batch: RecordBatch| out.blocking_send(Ok(batch)).map_err(|_| DataFusionError::Execution("cancelled".into()));
        for batch in batches {
            let batch = batch.map_err(external)?;
            let mut arrays = columns.apply(path, &batch).map_err(external)?;
            if !self.brings_uid() {
                arrays.insert(0, self.uids(&columns, &arrays)?);
            }
            arrays.extend(fresh_system_columns(unit, first_row, batch.num_rows()));
            first_row += batch.num_rows() as i64;
            send(RecordBatch::try_new(Arc::clone(&env.schema), arrays)?)?;
        }
        send(control_row(&env.schema, unit, &serde_json::json!({ "input": identity, "rows": first_row }))?)
    }

    fn uids(&self, columns: &Columns, arrays: &[ArrayRef]) -> Result<ArrayRef> {
        let text_of = |name: &str| -> Option<StringArray> {
            let at = columns.taken.iter().position(|(_, field)| field.name() == name)?;
            arrow::array::AsArray::as_string_opt::<i32>(arrays.get(at)?).cloned()
        };
        let urls = text_of("url").ok_or_else(|| DataFusionError::Plan("the url column is not text".into()))?;
        let texts = text_of(&self.text);
        let mut uids = StringBuilder::new();
        for row in 0..urls.len() {
            let url = if urls.is_valid(row) { urls.value(row) } else { "" };
            let text = texts.as_ref().filter(|texts| texts.is_valid(row)).map_or("", |texts| texts.value(row));
            uids.append_value(trommel_filters::uid(url, text));
        }
        Ok(Arc::new(uids.finish()))
    }
}
