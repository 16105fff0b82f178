//! What an index says about itself.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::IndexError;
use super::error::io;

/// Version of the layout of an index's folder. Another one is refused, with both numbers.
pub const INDEX_FORMAT: u32 = 1;

/// Name of the description in the folder of an index.
pub(super) const DESCRIPTION: &str = "index.json";

/// How vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexMetric {
    /// The cosine: vectors and queries are brought to length 1, and faiss compares by inner product.
    #[default]
    Cosine,
    /// The inner product of the vectors as they are.
    InnerProduct,
    /// The squared Euclidean distance of the vectors as they are; smaller is nearer.
    L2,
}

impl IndexMetric {
    /// As it stands in the description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::InnerProduct => "inner_product",
            Self::L2 => "l2",
        }
    }
}

/// Rows that are not in the index, by why, and rows that were brought to length 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Null rows.
    pub null: u64,
    /// Zero vectors; by cosine only, where they have no direction.
    pub zero: u64,
    /// Vectors with a component that is NaN or infinite.
    pub not_finite: u64,
    /// Vectors further than 0.01 from length 1; these are in the index, by cosine normalised.
    pub unnormalised: u64,
}

impl LeftOut {
    pub(super) fn add(&mut self, other: &Self) {
        self.null += other.null;
        self.zero += other.zero;
        self.not_finite += other.not_finite;
        self.unnormalised += other.unnormalised;
    }
}

/// One shard that the vectors came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSource {
    /// Its name, a path for one.
    pub name: String,
    /// Digest of its contents, as the caller gave it; may be empty.
    pub digest: String,
    /// Rows.
    pub rows: u64,
}

/// The description of an index, `index.json` in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDescription {
    /// [`INDEX_FORMAT`].
    pub format_version: u32,
    /// The kind, as faiss's index factory reads it.
    pub factory: String,
    /// Why this kind.
    pub reason: String,
    /// How vectors are compared.
    pub metric: IndexMetric,
    /// Components of a vector.
    pub dim: usize,
    /// Rows of all sources. Rows are numbered from 0 in the order of the sources.
    pub rows: u64,
    /// Vectors in the index. Faiss's ids are places among these; where some rows were left out, `rows.u64` says the row of
    /// each.
    pub vectors: u64,
    /// The other rows.
    pub left_out: LeftOut,
    /// Id of the model and its preprocessing; empty when unknown.
    pub model: String,
    /// SHA-256 of the model's weights; empty when unknown.
    pub weights_sha256: String,
    /// SHA-256 of the uids of all rows, 16 bytes each, in order (`uids.bin`); `None` for an index without uids.
    pub uids_sha256: Option<String>,
    /// Seed of the training sample.
    pub seed: u64,
    /// Vectors that it was trained on; 0 for a kind that needs none.
    pub training_vectors: u64,
    /// SHA-256 of the trained, empty index (`trained.faiss`): indexes of one training can be merged. Empty for a kind that
    /// needs none.
    pub trained_sha256: String,
    /// The sources in order.
    pub sources: Vec<IndexSource>,
}

impl IndexDescription {
    /// Reads the description in the folder of an index.
    ///
    /// # Errors
    /// [`IndexError`] names the file: not there (then the index is not finished), no description, of another version.
    pub fn read(folder: &Path) -> Result<Self, IndexError> {
        let path = folder.join(DESCRIPTION);
        let bytes = std::fs::read(&path).map_err(io(&path))?;
        let wrong = |message: String| IndexError::Description { path: path.clone(), message };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        // The version first: what follows may mean something else in another one.
        match value.get("format_version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(INDEX_FORMAT) => {}
            Some(version) => return Err(wrong(format!("format version {version}, this program reads {INDEX_FORMAT}"))),
            None => return Err(wrong("no description of an index: `format_version` is missing".into())),
        }
        serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
    }
}
