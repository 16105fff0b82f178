//! The job's own file: whose output a folder holds.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trommel_shards::marker::Marker;
use trommel_shards::storage::{Storage, StorageError};

const NAME: &str = "_trommel/job.json";

/// Version of the layout below `_trommel`. Another version's folder is refused.
const LAYOUT: u32 = 1;

/// What is wrong with an output folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another run is at work there.
    #[error("another run is writing to `{place}` ({holder}): wait for it, or choose another output")]
    Locked {
        /// The output.
        place: String,
        /// Who holds the lock.
        holder: String,
    },
    /// The folder holds something else.
    #[error("`{place}` is not empty and holds no output of ours (first: `{found}`): choose another output")]
    Foreign {
        /// The output.
        place: String,
        /// Something that is there.
        found: String,
    },
    /// The folder holds another job's output.
    #[error("`{place}` holds the output of another job (`{theirs}`, this is `{ours}`): choose another output, or start over with --fresh")]
    OtherJob {
        /// The output.
        place: String,
        /// The job that wrote it.
        theirs: String,
        /// This job.
        ours: String,
    },
    /// The folder was written by another layout of the program.
    #[error(
        "`{place}` was written with layout {theirs}, this program writes layout {LAYOUT}: choose another output, or start over with --fresh"
    )]
    OtherLayout {
        /// The output.
        place: String,
        /// Its layout.
        theirs: u32,
    },
    /// The job's file cannot be read.
    #[error("`{place}/_trommel/job.json` is unreadable ({message}): start over with --fresh")]
    Unreadable {
        /// The output.
        place: String,
        /// Why.
        message: String,
    },
    /// The operating system refused.
    #[error("`{place}`: {source}")]
    Io {
        /// File or folder.
        place: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether a run goes on with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Resume.
    Resume,
    /// Remove what a job of ours left there, then begin.
    Fresh,
}

/// Whose output a folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobFile {
    /// Layout of the folder.
    pub layout: u32,
    /// Version of the program that wrote last.
    pub version: String,
    /// The job's name: the recipe's, or the verb's.
    pub job: String,
    /// The recipe as it was resolved, for people and for `stats`.
    pub recipe: serde_json::Value,
    /// The passes, in order, as marker folders name them.
    pub passes: Vec<String>,
    /// The stages in recipe order, for the funnel.
    pub stages: Vec<String>,
}

impl JobFile {
    /// A job's file for this version of the program.
    pub fn new(job: &str, recipe: serde_json::Value, passes: Vec<String>, stages: Vec<String>) -> Self {
        Self { layout: LAYOUT, version: env!("CARGO_PKG_VERSION").to_owned(), job: job.to_owned(), recipe, passes, stages }
    }

    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or parsed.
    pub async fn read(storage: &Storage) -> Result<Option<Self>, LedgerError> {
        let Some(bytes) = storage.get(NAME).await? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| LedgerError::Unreadable { place: storage.uri().to_owned(), message: e.to_string() })
    }

    /// Claims an output for this job: refuses a folder that holds anything else, clears it for [`Intent::Fresh`].
    /// To be called with the lock held. With `beside` there are others at work there, whose half-written files stay.
    ///
    /// # Errors
    /// [`LedgerError`] with what stands there.
    pub async fn claim(&self, storage: &Storage, intent: Intent, beside: bool) -> Result<(), LedgerError> {
        let place = || storage.uri().to_owned();
        let known = match Self::read(storage).await {
            Err(LedgerError::Unreadable { .. }) if intent == Intent::Fresh => Some(self.clone()),
            other => other?,
        };
        match known {
            None => {
                let others = storage.list("").await?;
                if let Some(entry) = others.iter().find(|entry| !entry.name.starts_with("_trommel/"))
                    // Another part may have claimed it, and begun, between the two looks.
                    && Self::read(storage).await?.is_none()
                {
                    return Err(LedgerError::Foreign { place: place(), found: entry.name.clone() });
                }
            }
            Some(_) if intent == Intent::Fresh => {
                clear(storage).await?;
            }
            Some(known) if known.layout != LAYOUT => return Err(LedgerError::OtherLayout { place: place(), theirs: known.layout }),
            Some(known) if known.job != self.job => {
                return Err(LedgerError::OtherJob { place: place(), theirs: known.job, ours: self.job.clone() });
            }
            Some(_) => {}
        }
        if !beside {
            storage.sweep_temporaries()?;
            // A store that cannot list uploads is no reason not to go on.
            if let Err(error) = storage.sweep_uploads().await {
                tracing::warn!(%error, "uploads that an earlier run left open could not be looked for");
            }
        }
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        storage.put(NAME, text).await?;
        Ok(())
    }
}

/// Removes what markers name and what lies in our own folder. Files of others stay.
async fn clear(storage: &Storage) -> Result<(), LedgerError> {
    for entry in storage.list("_trommel/done").await? {
        let marker = storage.get(&entry.name).await?.and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok());
        storage.delete(&entry.name).await?;
        for output in marker.iter().flat_map(|marker| marker.outputs.keys()) {
            storage.delete(output).await?;
        }
    }
    for entry in storage.list("_trommel").await? {
        // Whoever still works for an earlier run has to see that it was given up.
        if entry.name != "_trommel/lock" && !entry.name.starts_with(super::stop::FOLDER) {
            storage.delete(&entry.name).await?;
        }
    }
    Ok(storage.delete("funnel.json").await?)
}
