//! What a column of vectors or scores was made with.

use std::collections::HashMap;

/// Written into the metadata of the field, so that a column explains itself wherever its file goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Model id: folder name or hub id with revision.
    pub model: String,
    /// SHA-256 of the weights file, lower-case hexadecimal.
    pub weights_sha256: String,
    /// Id of the preprocessing: filter, crop, side, means.
    pub preprocessing: String,
    /// Precision that the model ran in: `f32`, `bf16`, `f16`.
    pub precision: String,
}

const KEYS: [&str; 4] = ["trommel.model", "trommel.weights_sha256", "trommel.preprocessing", "trommel.precision"];

impl Provenance {
    /// As the metadata of an Arrow field: `trommel.model`, `trommel.weights_sha256`, `trommel.preprocessing`,
    /// `trommel.precision`.
    pub fn to_metadata(&self) -> HashMap<String, String> {
        let values = [&self.model, &self.weights_sha256, &self.preprocessing, &self.precision];
        KEYS.into_iter().zip(values).map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }

    /// From the metadata of an Arrow field; `None` when it names no model. Missing parts are empty.
    pub fn from_metadata(metadata: &HashMap<String, String>) -> Option<Self> {
        let value = |at: usize| metadata.get(KEYS[at]).cloned();
        let part = |at| value(at).unwrap_or_default();
        Some(Self { model: value(0)?, weights_sha256: part(1), preprocessing: part(2), precision: part(3) })
    }
}
