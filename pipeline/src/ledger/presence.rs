//! Signs of life: what a run is at, in a small file that it renews.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use trommel_shards::storage::{Storage, StorageError};

const FOLDER: &str = "_trommel/runs";

/// What one run is at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// `whole`, or the part: `3-of-8`.
    pub run: String,
    /// Host and process.
    pub at: String,
    /// The engine, with its address.
    pub engine: String,
    /// The pass in hand; empty when the run has come to its end.
    pub pass: String,
    /// What it does there: `working`, or what it waits for.
    pub doing: String,
    /// Units of the pass that this run had to do, and has done.
    pub units: (u64, u64),
    /// Rows that came through in the pass.
    pub rows: u64,
    /// Rows lost in the pass.
    pub lost: u64,
    /// Rows that failed in the pass, by code.
    pub failures: std::collections::BTreeMap<String, u64>,
    /// When the pass began, in seconds since 1970.
    pub pass_since: u64,
    /// When the file was last renewed, in seconds since 1970.
    pub seen: u64,
    /// How the run ended, once it has: `done`, or the error.
    pub ended: Option<String>,
}

impl Presence {
    /// Renews the file.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn write(&self, storage: &Storage) -> Result<(), StorageError> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        storage.put(&format!("{FOLDER}/{}.json", self.run), text).await.map(|_| ())
    }

    /// The signs of life of all runs that wrote one, by name.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>, StorageError> {
        let mut all = Vec::new();
        for entry in storage.list(FOLDER).await? {
            let bytes = storage.get(&entry.name).await?;
            all.extend(bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok()));
        }
        Ok(all)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// Host and process, for people.
pub fn here() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} process {}", host.trim(), std::process::id()).trim().to_owned()
}
