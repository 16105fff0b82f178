//! What failed, beside what is done: one small file per unit that could not be finished.
//!
//! A run in one process knows its failures. A run whose units lie on many machines learns of them here: whoever gives a
//! unit up writes `_trommel/errors/<pass>/<unit>.json`, and whoever starts a unit again removes it.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use trommel_shards::storage::{Storage, StorageError};

/// Files that are read at a time.
const AT_ONCE: usize = 32;

/// Why a unit was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Config hash of the work that failed: a failure of an earlier recipe says nothing about this one.
    pub config: String,
    /// The reason, one sentence.
    pub error: String,
    /// Whether the whole run must end: the disk is full, say.
    pub fatal: bool,
}

fn name(pass: &str, unit: &str) -> String {
    format!("_trommel/errors/{pass}/{unit}.json")
}

impl Failure {
    /// Puts the failure down.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn write(&self, storage: &Storage, pass: &str, unit: &str) -> Result<(), StorageError> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        storage.put(&name(pass, unit), text).await.map(|_| ())
    }

    /// Forgets the failure of a unit; one that has none is no error.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn clear(storage: &Storage, pass: &str, unit: &str) -> Result<(), StorageError> {
        storage.delete(&name(pass, unit)).await
    }

    /// All failures of a pass, by unit. A file that cannot be parsed counts as a failure without a reason.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn read_all(storage: &Storage, pass: &str) -> Result<BTreeMap<String, Self>, StorageError> {
        let entries = storage.list(&format!("_trommel/errors/{pass}")).await?;
        futures::stream::iter(entries)
            .map(|entry| async move {
                let unit = entry.name.rsplit('/').next().and_then(|file| file.strip_suffix(".json")).map(str::to_owned);
                let bytes = storage.get(&entry.name).await?;
                let failure = bytes.map(|bytes| {
                    serde_json::from_slice(&bytes).unwrap_or_else(|_| Self {
                        config: String::new(),
                        error: "failed without a reason that can be read".into(),
                        fatal: false,
                    })
                });
                Ok::<_, StorageError>(unit.zip(failure))
            })
            .buffered(AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_is_there_until_it_is_cleared() {
        let storage = Storage::in_memory(std::sync::Arc::default(), "failures");
        let failure = Failure { config: "c".into(), error: "the shard is cut short".into(), fatal: false };
        failure.write(&storage, "1-extract", "a-1").await.expect("written");
        failure.write(&storage, "1-extract-units", "b").await.expect("written");
        let all = Failure::read_all(&storage, "1-extract").await.expect("listed");
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [("a-1".to_owned(), failure)]);
        Failure::clear(&storage, "1-extract", "a-1").await.expect("cleared");
        Failure::clear(&storage, "1-extract", "a-1").await.expect("cleared again");
        assert!(Failure::read_all(&storage, "1-extract").await.expect("listed").is_empty());
    }
}
