//! Adds hashes of pictures that are there already. (Where pictures are fetched, fetching makes them from the pixels in hand.)

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{EXCLUDED, IMAGE, ROW};
use trommel_shards::image::ImageOptions;

use super::env::{Env, external};
use super::rows::{column, encoded, integers, strings, with_columns};
use crate::decoders::DecoderPool;
use crate::hashes::{HashBuilders, PictureHash, PictureHashes, fields};

/// Decodes the pictures and hashes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HashPictures {
    /// Which hashes.
    pub hashes: Vec<PictureHash>,
}

impl HashPictures {
    pub(super) fn describe(&self) -> String {
        let names: Vec<String> = fields(&self.hashes).iter().map(|field| field.name().clone()).collect();
        names.join(", ")
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input
            .field_with_name(IMAGE)
            .map_err(|_| DataFusionError::Plan("`hash` needs pictures: put it after `fetch`, or read shards".into()))?;
        Ok(with_columns(input, &fields(&self.hashes)))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = self.clone();
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let decoders = inner.services.decoders().map_err(external)?;
            while let Some(batch) = input.next().await {
                let hashed = op.hash(&batch?, &inner.schema, &decoders).await?;
                if out.send(Ok(hashed)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(())
        }))
    }

    async fn hash(&self, batch: &RecordBatch, schema: &SchemaRef, decoders: &Arc<DecoderPool>) -> Result<RecordBatch> {
        let excluded = strings(batch, EXCLUDED)?;
        let rows = integers(batch, ROW)?;
        let images = encoded(column(batch, IMAGE)?)?;
        let kinds: Arc<[PictureHash]> = self.hashes.clone().into();
        let mut hashing = FuturesOrdered::new();
        for row in 0..batch.num_rows() {
            // What an earlier stage has excluded is not paid for; control rows carry no picture.
            let wanted = excluded.is_null(row) && rows.value(row) >= 0 && images.is_valid(row);
            let bytes = wanted.then(|| images.value(row).to_vec());
            let (kinds, decoders) = (Arc::clone(&kinds), Arc::clone(decoders));
            hashing.push_back(async move {
                let Some(bytes) = bytes else { return PictureHashes::default() };
                let made = decoders.run(move |processor| {
                    // A picture that does not decode has no hashes; it stays what it is.
                    processor.decode_rgb(&bytes, &ImageOptions::default()).map(|picture| PictureHashes::of(&picture, &kinds)).ok()
                });
                made.await.flatten().unwrap_or_default()
            });
        }
        let mut builders = HashBuilders::default();
        while let Some(hashes) = hashing.next().await {
            builders.push(&hashes);
        }
        let names = fields(&self.hashes);
        let arrays = schema
            .fields()
            .iter()
            .map(|field| match names.iter().any(|added| added.name() == field.name()) {
                true => builders.column(field.name()).ok_or_else(|| DataFusionError::Plan(format!("no hash `{}`", field.name()))),
                false => column(batch, field.name()).map(Arc::clone),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }
}
