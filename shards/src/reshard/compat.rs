//! The files that DataComp's resharder leaves beside its shards.

use serde_json::{Map, Value};

use super::ReshardError;
use super::options::ShardFormat;
use super::plan::Reshard;
use crate::storage::{Storage, Written};
use crate::subset::{SetOperation, merge};

impl Reshard {
    /// Writes `sizes.json` (shard to samples), `meta.json` and, where there is a subset, `sample_ids.npy`, a copy of it. To be
    /// called when all shards are written: DataComp's `train.py` reads `output_shard_count` and `output_shard_format`.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn write_datacomp_files(&self, storage: &Storage) -> Result<Vec<(String, Written)>, ReshardError> {
        let ending = match self.inner.options.format {
            ShardFormat::Webdataset => "tar",
            ShardFormat::Parquet => "parquet",
        };
        let sizes: Map<String, Value> =
            (0..self.shards()).map(|shard| (format!("{}.{ending}", self.name(shard)), self.rows(shard).into())).collect();
        let names = self.inner.options.names;
        let format = format!("{{:0{}d}}.{ending}", names.width);
        let meta = serde_json::json!({
            "first_shard": names.first.to_string(),
            "shard_format": format,
            "processed_count": self.counts().samples,
            "output_count": self.counts().copies,
            "blur_count": 0,
            "blur_time": 0.0,
            "output_shard_count": self.shards(),
            "output_shard_format": format,
        });
        let mut written = Vec::new();
        for (name, value) in [("sizes.json", Value::Object(sizes)), ("meta.json", meta)] {
            written.push((name.to_owned(), storage.put(name, value.to_string()).await?));
        }
        if let Some(subset) = &self.inner.subset {
            let name = "sample_ids.npy";
            written.push((name.to_owned(), merge(SetOperation::Sum, &[subset], storage, name).await?));
        }
        Ok(written)
    }
}
