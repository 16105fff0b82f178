//! Writing `FixedSizeList` columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use half::f16;

use super::super::block::check;
use super::super::{Precision, Provenance, Rows, VectorFileError};
use crate::columns::UID;
use crate::storage::{Storage, Written};
use crate::table::TableWriter;

/// Bytes of vectors in a row group: enough for a reader to stream well, little enough to be held.
const GROUP_BYTES: usize = 32 << 20;

/// One column of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorColumn {
    /// Name of the column: the model's, as for its score.
    pub name: String,
    /// Components of a vector.
    pub dim: usize,
    /// `float16` or `float32`.
    pub precision: Precision,
    /// What made the vectors.
    pub provenance: Option<Provenance>,
}

/// Writes a table `uid`, `key`, then one nullable `FixedSizeList` column per model, through the door.
pub struct VectorTableWriter {
    table: TableWriter,
    schema: SchemaRef,
    columns: Vec<VectorColumn>,
    place: String,
}

impl VectorTableWriter {
    /// Begins a table. Nothing is visible before [`VectorTableWriter::finish`].
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] for a `float64` column, an impossible length or a name that is taken;
    /// [`VectorFileError::Table`] when the object cannot be opened.
    pub async fn create(storage: &Storage, name: &str, columns: &[VectorColumn]) -> Result<Self, VectorFileError> {
        let place = storage.uri_of(name);
        let mut fields = vec![Field::new(UID, DataType::Utf8, true), Field::new("key", DataType::Utf8, true)];
        for column in columns {
            super::super::check_dim(&place, column.dim)?;
            if fields.iter().any(|field| field.name() == &column.name) {
                return Err(VectorFileError::rows(&place, format!("column `{}` is there twice", column.name)));
            }
            if column.precision == Precision::F64 {
                return Err(VectorFileError::rows(&place, format!("column `{}`: float64 is read, not written", column.name)));
            }
            let list = DataType::FixedSizeList(item(column.precision), column.dim as i32);
            let metadata = column.provenance.as_ref().map(Provenance::to_metadata).unwrap_or_default();
            fields.push(Field::new(&column.name, list, true).with_metadata(metadata));
        }
        let schema = Arc::new(Schema::new(fields));
        let row_bytes: usize = columns.iter().map(|column| column.dim * column.precision.bytes()).sum();
        let group_rows = (GROUP_BYTES / row_bytes.max(1)).clamp(256, crate::table::ROW_GROUP_ROWS);
        let table = TableWriter::create(storage, name, Arc::clone(&schema), group_rows).await?;
        Ok(Self { table, schema, columns: columns.to_vec(), place })
    }

    /// Appends rows: a uid and a key for each, and the vectors of every column in the order of the columns.
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] when the parts differ in length or a component is not finite in the column's precision;
    /// [`VectorFileError::Table`] when the store refuses.
    pub async fn append(&mut self, uids: &[&str], keys: &[Option<&str>], vectors: &[Rows<'_>]) -> Result<(), VectorFileError> {
        if vectors.len() != self.columns.len() {
            let message = format!("{} columns of vectors for {}", vectors.len(), self.columns.len());
            return Err(VectorFileError::rows(&self.place, message));
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(uids)), Arc::new(StringArray::from(keys.to_vec()))];
        for (column, rows) in self.columns.iter().zip(vectors) {
            super::super::same_dim(&self.place, column.dim, rows.dim())?;
            if rows.len() != uids.len() || keys.len() != uids.len() {
                let message = format!("{} uids, {} keys and {} rows of `{}`", uids.len(), keys.len(), rows.len(), column.name);
                return Err(VectorFileError::rows(&self.place, message));
            }
            arrays.push(Arc::new(self.list(column, rows)?));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| VectorFileError::rows(&self.place, e))?;
        Ok(self.table.write(&batch).await?)
    }

    fn list(&self, column: &VectorColumn, rows: &Rows<'_>) -> Result<FixedSizeListArray, VectorFileError> {
        let mut values = Vec::with_capacity(rows.data().len());
        for (row, vector) in rows.iter().enumerate() {
            match vector {
                Some(vector) => {
                    check(&self.place, column.precision, vector, self.table.rows() + row as u64)?;
                    values.extend_from_slice(vector);
                }
                None => values.resize(values.len() + column.dim, 0.0),
            }
        }
        let nulls: NullBuffer = (0..rows.len()).map(|row| rows.is_valid(row)).collect();
        let values: ArrayRef = match column.precision {
            Precision::F16 => Arc::new(Float16Array::from_iter_values(values.into_iter().map(f16::from_f32))),
            Precision::F32 | Precision::F64 => Arc::new(Float32Array::from(values)),
        };
        FixedSizeListArray::try_new(item(column.precision), column.dim as i32, values, Some(nulls))
            .map_err(|e| VectorFileError::rows(&self.place, e))
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Ends the table and moves it into place.
    ///
    /// # Errors
    /// When the store refuses; nothing is visible then.
    pub async fn finish(self) -> Result<Written, VectorFileError> {
        Ok(self.table.finish().await?)
    }
}

fn item(precision: Precision) -> FieldRef {
    Arc::new(Field::new_list_field(if precision == Precision::F16 { DataType::Float16 } else { DataType::Float32 }, true))
}
