//! Adds `lang` and `lang_score`: one look at each caption for both columns.

use std::sync::Arc;

use arrow::array::{Array, Float32Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_filters::language::{FastText, LanguageDetector, default_detector};
use trommel_shards::columns::EXCLUDED;

use super::env::{Env, external};
use super::rows::{column, strings, with_columns};

/// Detects the language of a text column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// The column.
    pub column: String,
    /// A fastText model file; the built-in CLD2 otherwise.
    pub model: Option<String>,
    /// What changes when the content of the model file does.
    pub model_identity: String,
}

impl Language {
    pub(super) fn describe(&self) -> String {
        format!("column={} model={}", self.column, self.model.as_deref().unwrap_or("cld2"))
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name(&self.column)?;
        let by = std::collections::HashMap::from([("trommel.model".to_owned(), self.model.clone().unwrap_or_else(|| "cld2".into()))]);
        let lang = Arc::new(Field::new("lang", DataType::Utf8, true));
        let score = Arc::new(Field::new("lang_score", DataType::Float32, true).with_metadata(by));
        Ok(with_columns(input, &[lang, score]))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = self.clone();
        let schema = Arc::clone(&env.schema);
        Ok(env.stream(move |out| async move {
            let model = match op.model.clone() {
                Some(path) => {
                    let load = move || FastText::load(&path);
                    Some(Arc::new(tokio::task::spawn_blocking(load).await.map_err(external)?.map_err(external)?))
                }
                None => None,
            };
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let detector: &dyn LanguageDetector = match &model {
                    Some(model) => model.as_ref(),
                    None => default_detector(),
                };
                let marked = detect(&op, &schema, &batch, detector)?;
                if out.send(Ok(marked)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

fn detect(op: &Language, schema: &SchemaRef, batch: &RecordBatch, detector: &dyn LanguageDetector) -> Result<RecordBatch> {
    let texts = strings(batch, &op.column)?;
    let excluded = strings(batch, EXCLUDED)?;
    let mut lang = StringBuilder::new();
    let mut score = Float32Builder::new();
    for row in 0..batch.num_rows() {
        // What an earlier stage has excluded is not paid for.
        if texts.is_valid(row) && excluded.is_null(row) {
            let found = detector.detect(texts.value(row));
            lang.append_value(found.lang);
            score.append_value(found.score);
        } else {
            lang.append_null();
            score.append_null();
        }
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<arrow::array::ArrayRef> {
            Ok(match field.name().as_str() {
                "lang" => Arc::new(lang.finish()),
                "lang_score" => Arc::new(score.finish()),
                name => Arc::clone(column(batch, name)?),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
