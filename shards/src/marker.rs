//! The marker that says that a unit of work is done.
//!
//! It is written last, after the unit's outputs are durable under their final names. A unit without a marker, or with one
//! that does not fit the present recipe, input or outputs, is redone whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::storage::{Storage, StorageError, Written};

/// What one finished unit says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// Version of the program that did the work.
    pub version: String,
    /// Hash over everything that shapes the unit's output, upstream passes included.
    pub config: String,
    /// Identity of the unit's input: path with size and time or etag, or the digest of the upstream output.
    pub input: String,
    /// The files, by name relative to the output folder.
    pub outputs: BTreeMap<String, Output>,
    /// Rows in, kept and lost.
    pub counts: Counts,
    /// Statistics of the unit's own kind: pages and broken records of an extraction, say.
    #[serde(default)]
    pub stats: serde_json::Value,
    /// How long the unit took, in milliseconds. Never part of an output.
    pub elapsed_ms: u64,
}

/// One output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

impl From<Written> for Output {
    fn from(written: Written) -> Self {
        Self { bytes: written.bytes, sha256: written.sha256 }
    }
}

/// What became of the rows of a unit. `rows` is always `kept` plus the sum over `lost` plus `deferred`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that came in.
    pub rows: u64,
    /// Rows that went on to the unit's output.
    pub kept: u64,
    /// Rows lost, by stage and reason.
    pub lost: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows put off to a later round.
    #[serde(default)]
    pub deferred: u64,
}

impl Counts {
    /// Books one lost row.
    pub fn lose(&mut self, stage: &str, reason: &str) {
        let reasons = match self.lost.get_mut(stage) {
            Some(reasons) => reasons,
            None => self.lost.entry(stage.to_owned()).or_default(),
        };
        match reasons.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                reasons.insert(reason.to_owned(), 1);
            }
        }
    }

    /// Rows lost in all.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().flat_map(BTreeMap::values).sum()
    }

    /// Adds another unit's counts.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.kept += other.kept;
        self.deferred += other.deferred;
        for (stage, reasons) in &other.lost {
            let mine = self.lost.entry(stage.clone()).or_default();
            for (reason, count) in reasons {
                *mine.entry(reason.clone()).or_default() += count;
            }
        }
    }
}

/// The marker's name: `_trommel/done/<pass>/<unit>.json`.
pub fn name(pass: &str, unit: &str) -> String {
    format!("_trommel/done/{pass}/{unit}.json")
}

impl Marker {
    /// Writes the marker; to be called only when all outputs are in place.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn write(&self, storage: &Storage, pass: &str, unit: &str) -> Result<(), StorageError> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        storage.put(&name(pass, unit), text).await.map(|_| ())
    }

    /// Reads a marker. One that cannot be parsed counts as missing: its unit is redone.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn read(storage: &Storage, pass: &str, unit: &str) -> Result<Option<Self>, StorageError> {
        Ok(storage.get(&name(pass, unit)).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// All markers of a pass, by unit.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn read_all(storage: &Storage, pass: &str) -> Result<BTreeMap<String, Self>, StorageError> {
        use futures::{StreamExt, TryStreamExt};
        let folder = format!("_trommel/done/{pass}");
        let units: Vec<String> = storage
            .list(&folder)
            .await?
            .into_iter()
            .filter_map(|entry| Some(entry.name.rsplit('/').next()?.strip_suffix(".json")?.to_owned()))
            .collect();
        futures::stream::iter(units)
            .map(|unit| async move { Ok((Self::read(storage, pass, &unit).await?, unit)) })
            .buffered(32)
            .try_filter_map(|(marker, unit)| async move { Ok(marker.map(|marker| (unit, marker))) })
            .try_collect()
            .await
    }

    /// Whether all outputs are still there with the length that was written.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn outputs_present(&self, storage: &Storage) -> Result<bool, StorageError> {
        for (name, output) in &self.outputs {
            if storage.size(name).await? != Some(output.bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        let mut counts = Counts { rows: 3, kept: 2, ..Counts::default() };
        counts.lose("2.keep", "words(text) > 2");
        Marker {
            version: "0.1.0".into(),
            config: "c".into(),
            input: "i".into(),
            outputs: BTreeMap::from([("t/00000.parquet".into(), Output { bytes: 4, sha256: "s".into() })]),
            counts,
            stats: serde_json::json!({ "pages": 1 }),
            elapsed_ms: 5,
        }
    }

    #[tokio::test]
    async fn a_marker_survives_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
        marker().write(&storage, "1-extract", "00000").await.unwrap();
        assert_eq!(Marker::read(&storage, "1-extract", "00000").await.unwrap(), Some(marker()));
        assert_eq!(Marker::read_all(&storage, "1-extract").await.unwrap().len(), 1);
        assert!(!marker().outputs_present(&storage).await.unwrap());
        storage.put("t/00000.parquet", "four").await.unwrap();
        assert!(marker().outputs_present(&storage).await.unwrap());
    }

    #[tokio::test]
    async fn a_torn_marker_counts_as_missing() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
        storage.put(&name("p", "u"), "{\"version\":").await.unwrap();
        assert_eq!(Marker::read(&storage, "p", "u").await.unwrap(), None);
    }

    #[test]
    fn counts_add_up() {
        let mut all = Counts::default();
        all.add(&marker().counts);
        all.add(&marker().counts);
        assert_eq!(all.rows, all.kept + all.lost_total());
    }
}
