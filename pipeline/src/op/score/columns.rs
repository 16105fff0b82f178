//! The columns that a score adds, and what they say of themselves.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListBuilder, Float16Builder, Float32Builder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use half::f16;

use super::{Score, image_vectors_column, text_vectors_column};
use crate::op::read_shards::StoredVectors;
use crate::scorers::{Pair, Scorer};

const IMAGE_VECTOR: &str = "image vector";
const TEXT_VECTOR: &str = "text vector";

/// The score columns, and the hidden ones with vectors.
pub(super) fn fields(op: &Score) -> (Vec<Arc<Field>>, Vec<Arc<Field>>) {
    let model = &op.model;
    let said = |kind: &str| -> HashMap<String, String> {
        [
            ("trommel.model", model.card.model.as_str()),
            ("trommel.revision", model.card.revision.as_deref().unwrap_or("")),
            ("trommel.weights_sha256", &model.card.weights_sha256),
            ("trommel.preprocessing", &model.card.preprocess),
            ("trommel.tokenizer", &model.card.tokenizer),
            ("trommel.precision", &model.card.precision),
            ("trommel.score", kind),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    };
    let float = |name: String, kind: &str| Arc::new(Field::new(name, DataType::Float32, true).with_metadata(said(kind)));
    let mut added = vec![float(model.name.clone(), "cosine")];
    if op.probability {
        added.push(float(format!("{}_probability", model.name), "probability"));
    }
    for head in &model.heads {
        let mut field = Field::new(&head.name, DataType::Float32, true);
        let mut metadata = said("head");
        metadata.insert("trommel.head_sha256".to_owned(), head.sha256.clone());
        field.set_metadata(metadata);
        added.push(Arc::new(field));
    }
    if let Some(prompts) = &model.prompts {
        let mut metadata = said("zero_shot");
        metadata.insert("trommel.positive".to_owned(), prompts.positive.join("\n"));
        metadata.insert("trommel.negative".to_owned(), prompts.negative.join("\n"));
        added.push(Arc::new(Field::new(&prompts.name, DataType::Float32, true).with_metadata(metadata)));
    }
    let mut hidden = Vec::new();
    if op.vectors {
        let item = Arc::new(Field::new("item", DataType::Float16, true));
        let vector = |name: String, kind: &str| {
            let data_type = DataType::FixedSizeList(Arc::clone(&item), model.card.dim as i32);
            let mut metadata = said(kind);
            if kind == TEXT_VECTOR {
                metadata.insert("trommel.text".to_owned(), op.text.clone());
            }
            Arc::new(Field::new(name, data_type, true).with_metadata(metadata))
        };
        hidden.push(vector(image_vectors_column(&model.name), IMAGE_VECTOR));
        hidden.push(vector(text_vectors_column(&model.name), TEXT_VECTOR));
    }
    (added, hidden)
}

/// The stored columns that hold what a model would compute of pictures and of captions: same weights, preprocessing,
/// tokenizer and precision. Where the model's files lie is not part of it.
pub(super) fn same_vectors(op: &Score, stored: &[StoredVectors]) -> Option<[usize; 2]> {
    let with = Score { vectors: true, ..op.clone() };
    let (_, hidden) = fields(&with);
    let of = |ours: &Field| {
        stored.iter().position(|theirs| {
            let same = |key: &str| ours.metadata().get(key) == theirs.metadata.get(key);
            let decides = ["weights_sha256", "preprocessing", "tokenizer", "precision", "score", "text"];
            theirs.dim == op.model.card.dim as i32 && decides.iter().all(|key| same(&format!("trommel.{key}")))
        })
    };
    let [images, texts] = hidden.as_slice() else { return None };
    Some([of(images)?, of(texts)?])
}

/// Collects the columns of one batch.
pub(super) struct Builders<'a> {
    op: &'a Score,
    cosine: Float32Builder,
    probability: Float32Builder,
    heads: Vec<Float32Builder>,
    zero_shot: Float32Builder,
    vectors: [FixedSizeListBuilder<Float16Builder>; 2],
}

impl<'a> Builders<'a> {
    pub(super) fn new(op: &'a Score, dim: usize) -> Self {
        let vector = || FixedSizeListBuilder::new(Float16Builder::new(), dim as i32);
        Self {
            op,
            cosine: Float32Builder::new(),
            probability: Float32Builder::new(),
            heads: op.model.heads.iter().map(|_| Float32Builder::new()).collect(),
            zero_shot: Float32Builder::new(),
            vectors: [vector(), vector()],
        }
    }

    pub(super) fn push(&mut self, pair: &Pair, scorer: &Scorer) {
        let cosine = pair.cosine();
        self.cosine.append_option(cosine);
        self.probability.append_option(cosine.map(|cosine| scorer.probability(cosine)));
        for (at, builder) in self.heads.iter_mut().enumerate() {
            builder.append_option(pair.image.as_deref().and_then(|vector| scorer.head(at, vector)));
        }
        self.zero_shot.append_option(pair.image.as_deref().and_then(|vector| scorer.zero_shot(vector)));
        if self.op.vectors {
            for (builder, vector) in self.vectors.iter_mut().zip([&pair.image, &pair.text]) {
                match vector {
                    Some(vector) => vector.iter().for_each(|&value| builder.values().append_value(f16::from_f32(value))),
                    None => (0..self.op.model.card.dim).for_each(|_| builder.values().append_null()),
                }
                builder.append(vector.is_some());
            }
        }
    }

    /// The columns by name.
    pub(super) fn finish(mut self) -> Result<HashMap<String, ArrayRef>> {
        let model = &self.op.model;
        let mut columns: HashMap<String, ArrayRef> = HashMap::new();
        columns.insert(model.name.clone(), Arc::new(self.cosine.finish()));
        columns.insert(format!("{}_probability", model.name), Arc::new(self.probability.finish()));
        for (head, builder) in model.heads.iter().zip(&mut self.heads) {
            columns.insert(head.name.clone(), Arc::new(builder.finish()));
        }
        if let Some(prompts) = &model.prompts {
            columns.insert(prompts.name.clone(), Arc::new(self.zero_shot.finish()));
        }
        if self.op.vectors {
            let [image, text] = &mut self.vectors;
            columns.insert(image_vectors_column(&model.name), Arc::new(image.finish()));
            columns.insert(text_vectors_column(&model.name), Arc::new(text.finish()));
        }
        Ok(columns)
    }
}
