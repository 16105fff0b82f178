//! DataComp's metadata: a parquet with fixed columns and an npz with the same stem, row for row.
//!
//! Its baselines (`apply_filter.py`) read these columns by name and these keys. An npz that DataComp made itself has unit
//! vectors in float32, deflated.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Compression, NpzWriter, Precision, Rows, VectorFileError};
use crate::columns::{TEXT, UID, URL};
use crate::storage::{Storage, Written};
use crate::table::{ROW_GROUP_ROWS, TableWriter};

/// The keys of DataComp's npz with their components: CLIP ViT-B/32 and L/14 of image and caption, and the copy-detection
/// descriptor of the image.
pub const DATACOMP_KEYS: [(&str, usize); 5] = [("b32_img", 512), ("b32_txt", 512), ("l14_img", 768), ("l14_txt", 768), ("dedup", 256)];

/// The columns of DataComp's metadata, in its order.
pub fn datacomp_schema() -> SchemaRef {
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field(UID, DataType::Utf8),
        field(URL, DataType::Utf8),
        field(TEXT, DataType::Utf8),
        field("original_width", DataType::Int64),
        field("original_height", DataType::Int64),
        field("clip_b32_similarity_score", DataType::Float32),
        field("clip_l14_similarity_score", DataType::Float32),
        field("face_bboxes", list(list(DataType::Float64))),
        field("sha256", DataType::Utf8),
    ]))
}

/// Writes both files of one stem through the door.
pub struct DatacompWriter {
    table: TableWriter,
    npz: NpzWriter,
    schema: SchemaRef,
    keys: Vec<String>,
    place: String,
}

impl DatacompWriter {
    /// Begins `{stem}.parquet` and `{stem}.npz`. `keys` are those of the vectors that will be given, see
    /// [`DATACOMP_KEYS`].
    ///
    /// # Errors
    /// As [`NpzWriter::create`].
    pub async fn create(
        storage: &Storage,
        stem: &str,
        keys: &[(&str, usize)],
        precision: Precision,
        compression: Compression,
    ) -> Result<Self, VectorFileError> {
        let name = format!("{stem}.parquet");
        let schema = datacomp_schema();
        let npz = NpzWriter::create(storage, &format!("{stem}.npz"), keys, precision, compression)?;
        let table = TableWriter::create(storage, &name, Arc::clone(&schema), ROW_GROUP_ROWS).await?;
        Ok(Self { table, npz, schema, keys: keys.iter().map(|(key, _)| (*key).to_owned()).collect(), place: storage.uri_of(&name) })
    }

    /// Appends rows: metadata taken by name from any batch (columns that it lacks are null, types are cast, others are
    /// left behind), and the vectors of every key, in the order of the keys. Null vectors become rows of NaN.
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] when `uid` is missing or null, a column cannot be cast without loss, or the parts
    /// differ in rows.
    pub async fn append(&mut self, metadata: &RecordBatch, vectors: &[Rows<'_>]) -> Result<(), VectorFileError> {
        let rows = metadata.num_rows();
        if vectors.len() != self.keys.len() || vectors.iter().any(|vectors| vectors.len() != rows) {
            let found: Vec<usize> = vectors.iter().map(Rows::len).collect();
            let message = format!("{rows} rows of metadata, {found:?} rows of vectors for the keys {:?}", self.keys);
            return Err(VectorFileError::rows(&self.place, message));
        }
        match metadata.column_by_name(UID) {
            Some(uids) if uids.null_count() == 0 => {}
            _ => return Err(VectorFileError::rows(&self.place, "`uid` is missing or null")),
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let arrays: Vec<ArrayRef> = self
            .schema
            .fields()
            .iter()
            .map(|field| match metadata.column_by_name(field.name()) {
                Some(column) => cast_with_options(column, field.data_type(), &strict)
                    .map_err(|e| VectorFileError::rows(&self.place, format!("column `{}`: {e}", field.name()))),
                None => Ok(new_null_array(field.data_type(), rows)),
            })
            .collect::<Result<_, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| VectorFileError::rows(&self.place, e))?;
        self.table.write(&batch).await?;
        for (key, vectors) in self.keys.iter().zip(vectors) {
            self.npz.append(key, *vectors)?;
        }
        Ok(())
    }

    /// Writes both files and moves them into place, the npz first: a reader that lists the parquet files finds the
    /// vectors of each.
    ///
    /// # Errors
    /// When the store refuses; the parquet is not visible then.
    pub async fn finish(self) -> Result<[Written; 2], VectorFileError> {
        let npz = self.npz.finish().await?;
        Ok([self.table.finish().await?, npz])
    }
}
