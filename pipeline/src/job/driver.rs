//! Runs a job: takes the output for itself, opens what the passes need, and goes through them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trommel_shards::storage::Storage;

use super::beat::Beat;
use super::error::JobError;
use super::here::Here;
use super::passes::Pass;
use super::sweep;
use crate::engine::{EngineChoice, Opening};
use crate::ledger::{Intent, JobFile, JobLock, LedgerError, Part, Presence, clear_stop_signs, here, now, short_hash};
use crate::plan::{SessionSettings, session};
use crate::report::{Funnel, Progress};
use crate::select::Selected;
use crate::services::Services;

/// How a job runs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Resume, or start over.
    pub intent: Intent,
    /// Threads for decoding, and partitions of shuffles.
    pub threads: usize,
    /// Bytes that sorts and shuffles may hold.
    pub memory_bytes: usize,
    /// Folder for spill files; the system's temporary folder by default.
    pub spill_folder: Option<PathBuf>,
    /// No progress lines.
    pub quiet: bool,
    /// Ask again for what failed for a passing reason.
    pub retry_failed: bool,
    /// What runs the passes.
    pub engine: EngineChoice,
    /// The share of the units that this run does, with others beside it on the same output.
    pub part: Option<Part>,
    /// How long it waits for a part that gives no sign of life.
    pub part_patience: Duration,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What became of all rows.
    pub funnel: Funnel,
    /// Units that failed, with their pass and the reason.
    pub failed: Vec<(String, String, String)>,
    /// Units that were done in this run, and those that were done before.
    pub units: (usize, usize),
    /// Seconds that the run took.
    pub seconds: f64,
    /// What the models did, by the name of their column.
    pub models: BTreeMap<String, serde_json::Value>,
    /// What was chosen, and why.
    pub selected: Option<Selected>,
}

/// A job, ready to run.
pub struct Job {
    /// Its name.
    pub name: String,
    /// The resolved recipe, for people.
    pub recipe: serde_json::Value,
    /// Where its output goes: a folder or a url.
    pub output: String,
    /// The passes.
    pub passes: Vec<Pass>,
    /// The stages in recipe order.
    pub stages: Vec<String>,
}

impl Job {
    /// Runs the job to its end.
    ///
    /// # Errors
    /// [`JobError`]; failed units are no error, they are listed in [`Finished::failed`].
    pub async fn run(&self, options: &RunOptions, progress: Arc<Progress>, cancel: CancellationToken) -> Result<Finished, JobError> {
        let storage = Storage::open(&self.output)?;
        self.run_in(&storage, options, progress, cancel).await
    }

    /// Runs the job in an open storage.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub async fn run_in(
        &self,
        storage: &Storage,
        options: &RunOptions,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Result<Finished, JobError> {
        let lock = match options.part {
            None => JobLock::take(storage).await?,
            Some(part) => JobLock::take_part(storage, part).await?,
        };
        let result = self.run_locked(storage, options, progress, cancel).await;
        lock.release().await;
        if result.is_ok() && (options.part.is_some() || options.engine != EngineChoice::Local) {
            // What killed executors, or parts, had half written. Whoever can have the output for itself is the last one there.
            match JobLock::take(storage).await {
                Ok(lock) => {
                    storage.sweep_temporaries()?;
                    clear_stop_signs(storage).await;
                    lock.release().await;
                }
                Err(LedgerError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        result
    }

    async fn run_locked(
        &self,
        storage: &Storage,
        options: &RunOptions,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Result<Finished, JobError> {
        let started = Instant::now();
        let file =
            JobFile::new(&self.name, self.recipe.clone(), self.passes.iter().map(|pass| pass.name.clone()).collect(), self.stages.clone());
        file.claim(storage, options.intent, options.part.is_some()).await?;
        if options.part.is_none() {
            sweep::strangers(storage, &self.passes).await?;
        }
        let spill = tempfile::Builder::new()
            .prefix("trommel-")
            .tempdir_in(options.spill_folder.clone().unwrap_or_else(std::env::temp_dir))
            .map_err(|source| LedgerError::Io { place: "the folder for spill files".into(), source })?;
        let services =
            Arc::new(Services::new(storage.clone(), Arc::clone(&progress), spill.path().to_path_buf(), options.threads, cancel.clone()));
        let settings =
            SessionSettings { partitions: options.threads, memory_bytes: options.memory_bytes, spill_folder: spill.path().to_path_buf() };
        let fail = |source| JobError::Pass { pass: "plan".into(), message: "the session could not be made".into(), source };
        let context = session(&settings, Arc::clone(&services)).map_err(fail)?;
        let opening = Opening { cancel: cancel.clone(), progress: Arc::clone(&services.progress), memory_bytes: options.memory_bytes };
        let engine = options.engine.open(opening).await?;
        let mut here = Here {
            job: self,
            context,
            services,
            engine,
            options,
            settings,
            config: short_hash(b"trommel layout 1"),
            put_back: false,
            failed: Vec::new(),
            units: (0, 0),
            selected: None,
            beat: Beat::start(self.presence(options), storage, &progress),
        };
        let mut funnel = Funnel::default();
        if let Err(error) = here.passes(&self.passes, &mut funnel).await {
            let error = if cancel.is_cancelled() { JobError::Interrupted } else { error };
            here.beat.end(&error.to_string()).await;
            return Err(error);
        }
        let mut text = serde_json::to_vec_pretty(&funnel).unwrap_or_default();
        text.push(b'\n');
        storage.put("funnel.json", text).await?;
        if options.part.is_none() {
            // Those of an earlier run on a cluster, whatever this one ran on.
            clear_stop_signs(storage).await;
        }
        here.beat.end("done").await;
        let finished = Finished {
            funnel,
            failed: here.failed,
            units: here.units,
            seconds: started.elapsed().as_secs_f64(),
            models: here.services.model_metrics(),
            selected: here.selected,
        };
        Ok(finished)
    }

    fn presence(&self, options: &RunOptions) -> Presence {
        Presence {
            run: options.part.map_or_else(|| "whole".to_owned(), |part| part.name()),
            at: here(),
            engine: options.engine.to_string(),
            pass: String::new(),
            doing: "starting".into(),
            units: (0, 0),
            rows: 0,
            lost: 0,
            failures: BTreeMap::new(),
            pass_since: now(),
            seen: now(),
            ended: None,
        }
    }
}
