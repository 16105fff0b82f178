//! How executors of a cluster learn that nobody waits for their work any more.
//!
//! A scheduler that is asked for work cannot take it back. What all processes see is the job's output: a client that gives a plan up
//! puts a sign there, and whoever works on one of its units looks for it from time to time. A sign stays until the job is done: nobody
//! knows when the last has seen it.

use std::time::Duration;

use trommel_shards::storage::{Storage, StorageError};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Where signs are, in the output.
pub(super) const FOLDER: &str = "_trommel/stop";

/// The sign of one handing over of a plan.
#[derive(Debug)]
pub struct StopSign<'a> {
    storage: &'a Storage,
    name: &'a str,
}

impl<'a> StopSign<'a> {
    /// The sign of this name, which [`StopSign::name`] has made.
    pub fn new(storage: &'a Storage, name: &'a str) -> Self {
        Self { storage, name }
    }

    /// The name of the sign of a plan: its session, which no other run has, and the attempt.
    pub fn name(session: &str, attempt: usize) -> String {
        format!("{FOLDER}/{session}-{attempt}")
    }

    /// Puts it up.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn call(&self) -> Result<(), StorageError> {
        self.storage.put(self.name, "").await.map(drop)
    }

    /// Returns when it is there. A store that does not answer is asked again.
    pub async fn called(&self) {
        loop {
            match self.storage.size(self.name).await {
                Ok(Some(_)) => return,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, sign = self.name, "no look at the sign to stop"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Removes the signs of a job that is done. One that cannot be removed harms nobody.
pub async fn clear_stop_signs(storage: &Storage) {
    let cleared = async {
        for entry in storage.list(FOLDER).await? {
            storage.delete(&entry.name).await?;
        }
        Ok::<_, StorageError>(())
    };
    if let Err(error) = cleared.await {
        tracing::warn!(%error, "signs to stop are left in the output");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sign_is_seen_by_those_who_look_for_it_and_by_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&folder.path().display().to_string()).unwrap();
        let (one, other) = (StopSign::name("session", 0), StopSign::name("session", 1));
        let look = |name: &str| {
            let (storage, name) = (storage.clone(), name.to_owned());
            tokio::spawn(async move { StopSign::new(&storage, &name).called().await })
        };
        let (seen, unseen) = (look(&one), look(&other));
        StopSign::new(&storage, &one).call().await.unwrap();
        seen.await.unwrap();
        assert!(!unseen.is_finished());
        unseen.abort();
        clear_stop_signs(&storage).await;
        assert!(storage.list(FOLDER).await.unwrap().is_empty());
    }
}
