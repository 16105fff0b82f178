//! Vectors beside a shard: parquet, npy or npz, row for row with the shard's table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::datatypes::{DataType, Field, Float16Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use serde::{Deserialize, Serialize};
use trommel_shards::columns::UID;
use trommel_shards::marker::Output;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};
use trommel_shards::vectors::{ClipRetrievalWriter, Compression, NpyWriter, NpzWriter, Precision, Rows};

use crate::op::env::external;
use crate::op::rows::column;

/// How vectors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum VectorFormat {
    /// Not at all.
    #[default]
    None,
    /// `vectors/SHARD.parquet`: uid, key, and a fixed-size list of float16 for each kind of vector.
    Parquet,
    /// `vectors/SHARD.NAME_img.npy` and `vectors/SHARD.NAME_txt.npy`, float16; a row of NaN where there is no vector.
    Npy,
    /// `SHARD.npz` with the keys `NAME_img` and `NAME_txt`, float16, as DataComp's metadata has them.
    Npz,
    /// clip-retrieval's folders: `img_emb/img_emb_SHARD.npy`, `text_emb/text_emb_SHARD.npy`, `metadata/metadata_SHARD.parquet`,
    /// float16, of the pairs that have both vectors.
    ClipRetrieval,
}

/// Column names of vectors on their way, with the name that they are stored under.
pub(super) fn vector_columns(schema: &Schema) -> Vec<(String, String, usize)> {
    let mut found = Vec::new();
    for field in schema.fields() {
        for (prefix, ending) in [("_img.", "img"), ("_txt.", "txt")] {
            if let (Some(model), DataType::FixedSizeList(_, dim)) = (field.name().strip_prefix(prefix), field.data_type()) {
                found.push((field.name().clone(), format!("{}_{ending}", short(model)), *dim as usize));
            }
        }
    }
    found
}

/// DataComp's keys for DataComp's own scores: `clip_l14_similarity_score` has the vectors `l14_img` and `l14_txt`.
fn short(model: &str) -> &str {
    model.strip_prefix("clip_").and_then(|rest| rest.strip_suffix("_similarity_score")).unwrap_or(model)
}

/// The vectors of a column as 32-bit floats, with the rows that have one.
pub(super) struct Floats {
    data: Vec<f32>,
    valid: Vec<bool>,
    dim: usize,
}

impl Floats {
    pub(super) fn of(array: &dyn Array) -> Result<Self> {
        let list: &FixedSizeListArray =
            array.as_fixed_size_list_opt().ok_or_else(|| DataFusionError::Internal("a column of vectors is no list".into()))?;
        let dim = list.value_length() as usize;
        let values = list.values();
        let values = values
            .as_primitive_opt::<Float16Type>()
            .ok_or_else(|| DataFusionError::Internal("a column of vectors is not of float16".into()))?;
        let start = list.value_offset(0) as usize;
        let values = values.values().get(start..start + list.len() * dim).unwrap_or_default();
        Ok(Self {
            data: values.iter().map(|value| value.to_f32()).collect(),
            valid: (0..list.len()).map(|row| list.is_valid(row)).collect(),
            dim,
        })
    }

    pub(super) fn rows(&self) -> Result<Rows<'_>> {
        Rows::new(&self.data, self.dim, Some(&self.valid)).map_err(external)
    }
}

enum Files {
    Parquet { table: Box<TableWriter>, schema: SchemaRef, key: bool },
    Npy(Vec<NpyWriter>),
    Npz(Box<NpzWriter>),
    ClipRetrieval { writer: Box<ClipRetrievalWriter>, metadata: SchemaRef },
}

/// What clip-retrieval's tools look for in metadata, then what leads back to the pair: the name there, and ours.
const CLIP_METADATA: [(&str, &[&str]); 4] = [("image_path", &[]), ("caption", &["text", "caption"]), ("uid", &[UID]), ("url", &["url"])];

/// Writes the vectors of one shard.
pub(super) struct VectorSink {
    names: Vec<String>,
    /// Each with the name that it is stored under.
    columns: Vec<(String, String)>,
    files: Files,
}

impl VectorSink {
    /// Begins the files; `None` when there is nothing to store.
    pub(super) async fn open(storage: &Storage, shard: &str, format: VectorFormat, input: &Schema, key: bool) -> Result<Option<Self>> {
        let found = vector_columns(input);
        if found.is_empty() || format == VectorFormat::None {
            return Ok(None);
        }
        let (names, files) = match format {
            VectorFormat::None => return Ok(None),
            VectorFormat::Parquet => {
                let mut fields = vec![Field::new(UID, DataType::Utf8, true)];
                if key {
                    fields.push(Field::new("key", DataType::Utf8, true));
                }
                for (column, stored, _) in &found {
                    fields.push(input.field_with_name(column)?.clone().with_name(stored));
                }
                let schema = Arc::new(Schema::new(fields));
                let name = format!("vectors/{shard}.parquet");
                let table = TableWriter::create(storage, &name, Arc::clone(&schema), ROW_GROUP_ROWS).await.map_err(external)?;
                (vec![name], Files::Parquet { table: Box::new(table), schema, key })
            }
            VectorFormat::Npy => {
                let names: Vec<String> = found.iter().map(|(_, stored, _)| format!("vectors/{shard}.{stored}.npy")).collect();
                let writer = |(name, (_, _, dim)): (&String, &(String, String, usize))| {
                    NpyWriter::create(storage, name, *dim, Precision::F16).map_err(external)
                };
                let writers = names.iter().zip(&found).map(writer).collect::<Result<_>>()?;
                (names, Files::Npy(writers))
            }
            VectorFormat::Npz => {
                let keys: Vec<(&str, usize)> = found.iter().map(|(_, stored, dim)| (stored.as_str(), *dim)).collect();
                let name = format!("{shard}.npz");
                let writer = NpzWriter::create(storage, &name, &keys, Precision::F16, Compression::Stored).map_err(external)?;
                (vec![name], Files::Npz(Box::new(writer)))
            }
            VectorFormat::ClipRetrieval => {
                let [(_, _, images), (_, _, texts)] = found.as_slice() else {
                    return Err(DataFusionError::Plan("clip-retrieval's layout holds the vectors of one model".into()));
                };
                let schema = Schema::new(CLIP_METADATA.map(|(name, _)| Field::new(name, DataType::Utf8, true)).to_vec());
                let metadata = Arc::new(schema);
                let writer = ClipRetrievalWriter::create(storage, shard, Some(*images), Some(*texts), Arc::clone(&metadata));
                let writer = Box::new(writer.await.map_err(external)?);
                let name = |kind: &str, ending: &str| format!("{kind}/{kind}_{shard}.{ending}");
                let names = vec![name("img_emb", "npy"), name("text_emb", "npy"), name("metadata", "parquet")];
                (names, Files::ClipRetrieval { writer, metadata })
            }
        };
        Ok(Some(Self { names, columns: found.into_iter().map(|(column, stored, _)| (column, stored)).collect(), files }))
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch, keys: &ArrayRef) -> Result<()> {
        if let Files::Parquet { table, schema, key } = &mut self.files {
            let uid = batch.column_by_name(UID).or_else(|| batch.column_by_name("_uid"));
            let mut arrays: Vec<ArrayRef> =
                vec![uid.map_or_else(|| arrow::array::new_null_array(&DataType::Utf8, batch.num_rows()), Arc::clone)];
            if *key {
                arrays.push(Arc::clone(keys));
            }
            for (name, _) in &self.columns {
                arrays.push(Arc::clone(column(batch, name)?));
            }
            return table.write(&RecordBatch::try_new(Arc::clone(schema), arrays)?).await.map_err(external);
        }
        if let Files::ClipRetrieval { writer, metadata } = &mut self.files {
            let named = |(_, names): &(&str, &[&str])| -> Result<ArrayRef> {
                match names.iter().find_map(|name| batch.column_by_name(name)) {
                    Some(column) => Ok(arrow::compute::cast(column, &DataType::Utf8)?),
                    None if names.is_empty() => Ok(Arc::clone(keys)),
                    None => Ok(arrow::array::new_null_array(&DataType::Utf8, batch.num_rows())),
                }
            };
            let rows = RecordBatch::try_new(Arc::clone(metadata), CLIP_METADATA.iter().map(named).collect::<Result<_>>()?)?;
            let vectors = self.columns.iter().map(|(name, _)| Floats::of(column(batch, name)?)).collect::<Result<Vec<_>>>()?;
            let [images, texts] = vectors.as_slice() else { return Ok(()) };
            return writer.append(&rows, Some(images.rows()?), Some(texts.rows()?)).await.map_err(external);
        }
        for (at, (name, stored)) in self.columns.iter().enumerate() {
            let floats = Floats::of(column(batch, name)?)?;
            match &mut self.files {
                Files::Npy(writers) => writers[at].append(floats.rows()?).map_err(external)?,
                Files::Npz(writer) => writer.append(stored, floats.rows()?).map_err(external)?,
                Files::Parquet { .. } | Files::ClipRetrieval { .. } => {}
            }
        }
        Ok(())
    }

    pub(super) async fn finish(self, outputs: &mut BTreeMap<String, Output>) -> Result<()> {
        let mut written = Vec::new();
        match self.files {
            Files::Parquet { table, .. } => written.push(table.finish().await.map_err(external)?),
            Files::Npz(writer) => written.push(writer.finish().await.map_err(external)?),
            Files::ClipRetrieval { writer, .. } => written = writer.finish(None).await.map_err(external)?,
            Files::Npy(writers) => {
                for writer in writers {
                    written.push(writer.finish().await.map_err(external)?);
                }
            }
        }
        outputs.extend(self.names.into_iter().zip(written.into_iter().map(Output::from)));
        Ok(())
    }
}
