//! Writing one partition.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::super::{NpyWriter, Precision, Rows, VectorFileError};
use crate::storage::{Storage, Written};
use crate::table::{ROW_GROUP_ROWS, TableWriter};

/// Which part of the folder a writer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// From zero.
    pub number: u64,
    /// How many there are in all; decides the padding of the number.
    pub of: u64,
}

impl Partition {
    /// The number as it stands in file names: as wide as `int(log10(of)) + 1`.
    pub fn label(self) -> String {
        let width = self.of.max(1).ilog10() as usize + 1;
        format!("{:0width$}", self.number)
    }
}

/// `stats/{i}.json`: times in seconds, as clip-retrieval's logger reads them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ClipStats {
    /// Unix time of the start.
    pub start_time: f64,
    /// Unix time of the end.
    pub end_time: f64,
    /// Spent waiting for samples.
    pub read_duration: f64,
    /// Spent in the model.
    pub inference_duration: f64,
    /// Spent writing.
    pub write_duration: f64,
    /// All of it.
    pub total_duration: f64,
    /// Samples written; filled in by [`ClipRetrievalWriter::finish`].
    pub sample_count: u64,
}

/// Writes one partition: each file whole or not there, the stats last.
pub struct ClipRetrievalWriter {
    storage: Storage,
    label: String,
    place: String,
    images: Option<NpyWriter>,
    texts: Option<NpyWriter>,
    metadata: TableWriter,
    left_out: u64,
}

impl ClipRetrievalWriter {
    /// Begins a partition. `label` ends the names of its files: a [`Partition::label`], or any other that sorts in the
    /// order of the partitions, by which readers of the folder take them. `images` and `texts` are the numbers of components, `None` where there are no such vectors.
    /// `metadata` is the schema of the metadata; clip-retrieval's own tools look for `image_path` and `caption` in it.
    ///
    /// # Errors
    /// When the objects cannot be opened or a length is impossible.
    pub async fn create(
        storage: &Storage,
        label: &str,
        images: Option<usize>,
        texts: Option<usize>,
        metadata: SchemaRef,
    ) -> Result<Self, VectorFileError> {
        let npy = |kind: &str, dim: Option<usize>| {
            dim.map(|dim| NpyWriter::create(storage, &format!("{kind}/{kind}_{label}.npy"), dim, Precision::F16)).transpose()
        };
        let (images, texts) = (npy("img_emb", images)?, npy("text_emb", texts)?);
        let name = format!("metadata/metadata_{label}.parquet");
        let metadata = TableWriter::create(storage, &name, metadata, ROW_GROUP_ROWS).await?;
        Ok(Self { storage: storage.clone(), place: storage.uri_of(&name), label: label.to_owned(), images, texts, metadata, left_out: 0 })
    }

    /// Appends samples. One whose image or text vector is null is left out of all files, as clip-retrieval does, since
    /// an index cannot be trained on it; [`ClipRetrievalWriter::left_out`] counts them.
    ///
    /// # Errors
    /// [`VectorFileError::Rows`] when the parts differ in rows, or vectors come that were not announced or do not come
    /// that were; otherwise as [`NpyWriter::append`].
    pub async fn append(
        &mut self,
        metadata: &RecordBatch,
        images: Option<Rows<'_>>,
        texts: Option<Rows<'_>>,
    ) -> Result<(), VectorFileError> {
        let rows = metadata.num_rows();
        for (kind, writer, given) in [("img_emb", &self.images, images), ("text_emb", &self.texts, texts)] {
            let found = given.map(|given| given.len());
            if found != writer.as_ref().map(|_| rows) {
                return Err(VectorFileError::rows(&self.place, format!("{rows} rows of metadata, {found:?} of `{kind}`")));
            }
        }
        let whole = |row: usize| [images, texts].iter().flatten().all(|given| given.is_valid(row));
        let kept: Vec<bool> = (0..rows).map(whole).collect();
        for (writer, given) in [(&mut self.images, images), (&mut self.texts, texts)] {
            if let (Some(writer), Some(given)) = (writer, given) {
                append_kept(writer, given, &kept, &self.place)?;
            }
        }
        let left_out = kept.iter().filter(|&&kept| !kept).count();
        self.left_out += left_out as u64;
        if left_out == 0 {
            return Ok(self.metadata.write(metadata).await?);
        }
        let kept = filter_record_batch(metadata, &BooleanArray::from(kept)).map_err(|e| VectorFileError::rows(&self.place, e))?;
        Ok(self.metadata.write(&kept).await?)
    }

    /// Samples that were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Writes the files and moves them into place, the stats last: where they are, the partition is whole. Without stats
    /// there is no file of them; only clip-retrieval's own logger reads it.
    ///
    /// # Errors
    /// When the store refuses; some of the files may be in place then, the stats are not.
    pub async fn finish(self, stats: Option<ClipStats>) -> Result<Vec<Written>, VectorFileError> {
        let mut written = Vec::new();
        for writer in [self.images, self.texts].into_iter().flatten() {
            written.push(writer.finish().await?);
        }
        let sample_count = self.metadata.rows();
        written.push(self.metadata.finish().await?);
        if let Some(stats) = stats {
            let json = serde_json::to_vec(&ClipStats { sample_count, ..stats }).map_err(|e| VectorFileError::rows(&self.place, e))?;
            written.push(self.storage.put(&format!("stats/{}.json", self.label), json).await?);
        }
        Ok(written)
    }
}

fn append_kept(writer: &mut NpyWriter, rows: Rows<'_>, kept: &[bool], place: &str) -> Result<(), VectorFileError> {
    if !kept.contains(&false) {
        return writer.append(rows);
    }
    let taken = rows.data().chunks_exact(rows.dim()).zip(kept).filter(|(_, kept)| **kept).flat_map(|(vector, _)| vector);
    let data: Vec<f32> = taken.copied().collect();
    writer.append(Rows::new(&data, rows.dim(), None).map_err(|e| VectorFileError::rows(place, e))?)
}
