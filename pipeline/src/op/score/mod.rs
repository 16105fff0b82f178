//! Scores pairs with a model: the cosine of picture and caption, and what heads make of the picture's vector.
//!
//! Pictures come as pixels that `fetch` has scaled for this model already, or encoded, and are then decoded on the decoder
//! threads. The rows of one batch make batches of the model by themselves, in their order: so a result does not depend on
//! what else the process is doing, and a run that was killed ends with the same bytes.

mod columns;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::datatypes::{Float16Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::{Deserialize, Serialize};
use trommel_embeddings::Prepared;
use trommel_shards::columns::{EXCLUDED, IMAGE, ROW, is_system};

use super::env::{Env, external};
use super::read_shards::StoredVectors;
use super::rows::{column, encoded, integers, strings};
use crate::decoders::DecoderPool;
use crate::scorers::{Pair, ScoreModel, Scorer};
use columns::Builders;

/// Batches that are decoded or computed at a time: one computes while the next is decoded.
const BATCHES_AT_ONCE: usize = 3;

/// Scores with one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The model, with everything that decides its values.
    pub model: ScoreModel,
    /// Text column with the captions.
    pub text: String,
    /// Also the probability of each pair, by the model's own temperature and bias.
    pub probability: bool,
    /// The vectors of picture and caption go along to the writer.
    pub vectors: bool,
}

/// Column with the pixels of a picture, scaled for one model, between `fetch` and `score`.
pub fn pixels_column(model: &str) -> String {
    format!("_pixels.{model}")
}

/// Column with the vectors of pictures on their way to the writer.
pub fn image_vectors_column(model: &str) -> String {
    format!("_img.{model}")
}

/// Column with the vectors of captions on their way to the writer.
pub fn text_vectors_column(model: &str) -> String {
    format!("_txt.{model}")
}

impl Score {
    pub(super) fn describe(&self) -> String {
        format!("model={} column={} caption={}", self.model.card.model, self.model.name, self.text)
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name(&self.text)?;
        let pixels = pixels_column(&self.model.name);
        if input.field_with_name(IMAGE).is_err() && input.field_with_name(&pixels).is_err() {
            return Err(DataFusionError::Plan("`score` needs pictures: put it after `fetch`, or read shards".into()));
        }
        let (added, hidden) = columns::fields(self);
        let old = |name: &str| added.iter().any(|field| field.name() == name);
        let mut fields: Vec<_> = input.fields().iter().filter(|field| !is_system(field.name()) && !old(field.name())).cloned().collect();
        fields.extend(added.iter().cloned());
        // The scaled pixels end here, and stored vectors come out again as this stage's own.
        let ends = |name: &String| {
            *name == pixels || [&image_vectors_column(&self.model.name), &text_vectors_column(&self.model.name)].contains(&name)
        };
        fields.extend(input.fields().iter().filter(|field| is_system(field.name()) && !ends(field.name())).cloned());
        fields.extend(hidden);
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Marks the vectors beside shards that this stage can take instead of computing them. Whether there are any.
    pub fn take_stored(&self, stored: &mut [StoredVectors]) -> bool {
        let Some([images, texts]) = columns::same_vectors(self, stored) else { return false };
        stored[images].column = Some(image_vectors_column(&self.model.name));
        stored[texts].column = Some(text_vectors_column(&self.model.name));
        true
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = Arc::new(self.clone());
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let services = Arc::clone(&inner.services);
            let model = op.model.clone();
            let scorer = tokio::task::spawn_blocking(move || services.scorer(&model)).await.map_err(external)?.map_err(external)?;
            let decoders = inner.services.decoders().map_err(external)?;
            let mut running = FuturesOrdered::new();
            let mut ended = false;
            loop {
                tokio::select! {
                    batch = input.next(), if !ended && running.len() < BATCHES_AT_ONCE => match batch {
                        Some(batch) => {
                            let (op, schema) = (Arc::clone(&op), Arc::clone(&inner.schema));
                            let (scorer, decoders) = (Arc::clone(&scorer), Arc::clone(&decoders));
                            let batch = batch?;
                            let task = tokio::spawn(async move { score(&op, &schema, &batch, &scorer, &decoders).await });
                            running.push_back(AbortOnDrop(task));
                        }
                        None => ended = true,
                    },
                    Some(scored) = running.next(), if !running.is_empty() => {
                        if out.send(Ok(scored?)).await.is_err() {
                            return Ok(());
                        }
                    }
                    else => return Ok(()),
                }
            }
        }))
    }
}

/// A batch on its way; given up with the unit.
struct AbortOnDrop(tokio::task::JoinHandle<Result<RecordBatch>>);

impl Future for AbortOnDrop {
    type Output = Result<RecordBatch>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|joined| joined.map_err(external)?)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn score(
    op: &Score,
    schema: &SchemaRef,
    batch: &RecordBatch,
    scorer: &Arc<Scorer>,
    decoders: &Arc<DecoderPool>,
) -> Result<RecordBatch> {
    let excluded = strings(batch, EXCLUDED)?;
    let rows = integers(batch, ROW)?;
    // What an earlier stage has excluded is not paid for; control rows carry no picture.
    let wanted: Vec<bool> = (0..batch.num_rows()).map(|row| excluded.is_null(row) && rows.value(row) >= 0).collect();
    let texts = strings(batch, &op.text)?;
    let stored = stored(op, batch)?;
    // A pair whose vectors are stored is neither decoded nor computed again.
    let known: Vec<bool> =
        stored.iter().enumerate().map(|(row, pair)| pair.image.is_some() && pair.text.is_some() == texts.is_valid(row)).collect();
    let computed: Vec<bool> = wanted.iter().zip(&known).map(|(wanted, known)| *wanted && !known).collect();
    let pictures = pictures(op, batch, &computed, scorer, decoders).await?;
    // A caption without a picture is in no pair.
    let paired = |row: usize| pictures[row].is_some() && texts.is_valid(row);
    let captions = (0..batch.num_rows()).map(|row| paired(row).then(|| texts.value(row).to_owned())).collect();
    let scored = scorer.embed(pictures, captions).await.map_err(external)?;
    let mut builders = Builders::new(op, scorer.dim());
    for (row, pair) in scored.iter().enumerate() {
        builders.push(if known[row] && wanted[row] { &stored[row] } else { pair }, scorer);
    }
    let mut added = builders.finish()?;
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match added.remove(field.name()) {
            Some(array) => Ok(array),
            None => column(batch, field.name()).map(Arc::clone),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// The vectors that lay beside the shard; empty pairs where there are none.
fn stored(op: &Score, batch: &RecordBatch) -> Result<Vec<Pair>> {
    let mut pairs = vec![Pair::default(); batch.num_rows()];
    let columns = [image_vectors_column(&op.model.name), text_vectors_column(&op.model.name)];
    let [Some(images), Some(texts)] = columns.map(|name| batch.column_by_name(&name)) else { return Ok(pairs) };
    let list = |column: &ArrayRef| {
        column.as_fixed_size_list_opt().cloned().ok_or_else(|| DataFusionError::Plan("stored vectors are no lists".into()))
    };
    let (images, texts) = (list(images)?, list(texts)?);
    let vector = |list: &FixedSizeListArray, row: usize| -> Option<Vec<f32>> {
        let values = list.is_valid(row).then(|| list.value(row))?;
        Some(values.as_primitive_opt::<Float16Type>()?.values().iter().map(|value| value.to_f32()).collect())
    };
    for (row, pair) in pairs.iter_mut().enumerate() {
        *pair = Pair { image: vector(&images, row), text: vector(&texts, row) };
    }
    Ok(pairs)
}

/// The pictures as the model takes them; `None` where there is none, or none that decodes.
async fn pictures(
    op: &Score,
    batch: &RecordBatch,
    wanted: &[bool],
    scorer: &Arc<Scorer>,
    decoders: &Arc<DecoderPool>,
) -> Result<Vec<Option<Prepared>>> {
    if let Some(scaled) = batch.column_by_name(&pixels_column(&op.model.name)) {
        let scaled = scaled.as_binary_opt::<i64>().ok_or_else(|| DataFusionError::Plan("scaled pixels are not binary".into()))?;
        let one = |row: usize| (wanted[row] && scaled.is_valid(row)).then(|| scorer.of_scaled(scaled.value(row)));
        return (0..batch.num_rows()).map(|row| one(row).transpose().map_err(external)).collect();
    }
    let images = encoded(column(batch, IMAGE)?)?;
    let mut decoding = FuturesOrdered::new();
    for (row, &wanted) in wanted.iter().enumerate() {
        let bytes = (wanted && images.is_valid(row)).then(|| images.value(row).to_vec());
        let (scorer, decoders) = (Arc::clone(scorer), Arc::clone(decoders));
        decoding.push_back(async move {
            let bytes = bytes?;
            decoders.run(move |processor| scorer.of_encoded(processor, &bytes)).await.flatten()
        });
    }
    Ok(decoding.collect().await)
}
