//! What an output folder says of itself.

use std::collections::BTreeMap;

use serde::Serialize;
use trommel_shards::marker::{Counts, Marker};
use trommel_shards::storage::Storage;

use super::driver::JobError;
use crate::ledger::{JobFile, JobLock, LedgerError};
use crate::report::Funnel;

/// One pass, as its markers tell it.
#[derive(Debug, Clone, Serialize)]
pub struct PassStats {
    /// Its name.
    pub pass: String,
    /// Finished units.
    pub units: usize,
    /// Rows in.
    pub rows: u64,
    /// Rows kept.
    pub kept: u64,
    /// Rows lost, by stage and reason.
    pub lost: BTreeMap<String, BTreeMap<String, u64>>,
    /// Bytes of its outputs.
    pub bytes: u64,
    /// Milliseconds over all units.
    pub unit_ms: u64,
    /// Numbers that the units gave of their own kind, summed.
    pub own: BTreeMap<String, u64>,
}

/// A whole output folder.
#[derive(Debug, Clone, Serialize)]
pub struct JobStats {
    /// The job's name.
    pub job: String,
    /// Whether a run is at work there now.
    pub running: bool,
    /// The funnel, once a run has come to its end.
    pub funnel: Option<Funnel>,
    /// The passes, in order.
    pub passes: Vec<PassStats>,
}

/// Reads the markers of an output folder.
///
/// # Errors
/// When there is no job, or a marker cannot be read.
pub async fn read_stats(dir: &str) -> Result<JobStats, JobError> {
    if !dir.contains("://") && !std::path::Path::new(dir).is_dir() {
        return Err(LedgerError::Unreadable { place: dir.to_owned(), message: "there is no such folder".into() }.into());
    }
    let storage = Storage::open(dir)?;
    let file = JobFile::read(&storage)
        .await?
        .ok_or_else(|| LedgerError::Unreadable { place: dir.to_owned(), message: "no job has written here".into() })?;
    let running = match JobLock::take(&storage).await {
        Ok(lock) => {
            lock.release().await;
            false
        }
        Err(LedgerError::Locked { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    let mut names = file.passes.clone();
    for entry in storage.list("_trommel/done").await? {
        if let Some(name) = entry.name.strip_prefix("_trommel/done/").and_then(|rest| rest.split('/').next())
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    let mut passes = Vec::new();
    for pass in names {
        let markers = Marker::read_all(&storage, &pass).await?;
        let mut counts = Counts::default();
        let mut stats =
            PassStats { pass, units: markers.len(), rows: 0, kept: 0, lost: BTreeMap::new(), bytes: 0, unit_ms: 0, own: BTreeMap::new() };
        for marker in markers.values() {
            counts.add(&marker.counts);
            stats.bytes += marker.outputs.values().map(|output| output.bytes).sum::<u64>();
            stats.unit_ms += marker.elapsed_ms;
            sum("", &marker.stats, &mut stats.own);
        }
        (stats.rows, stats.kept, stats.lost) = (counts.rows, counts.kept, counts.lost);
        passes.push(stats);
    }
    let funnel = storage.get("funnel.json").await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(JobStats { job: file.job, running, funnel, passes })
}

/// Adds up all numbers of nested objects, by dotted name.
fn sum(prefix: &str, value: &serde_json::Value, into: &mut BTreeMap<String, u64>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                sum(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, into);
            }
        }
        serde_json::Value::Number(number) => *into.entry(prefix.to_owned()).or_default() += number.as_u64().unwrap_or(0),
        _ => {}
    }
}

impl JobStats {
    /// The funnel and the passes, for people.
    pub fn text(&self) -> String {
        let mut text = match &self.funnel {
            Some(funnel) => funnel.table(),
            None => "no run has come to its end yet\n".to_owned(),
        };
        text.push('\n');
        text.push_str(&self.progress_text());
        for pass in &self.passes {
            if !pass.own.is_empty() {
                let own: Vec<String> = pass.own.iter().map(|(key, value)| format!("{key} {value}")).collect();
                text.push_str(&format!("{}: {}\n", pass.pass, own.join(", ")));
            }
        }
        text
    }

    /// One line per pass.
    pub fn progress_text(&self) -> String {
        let mut text = format!("job `{}`: {}\n", self.job, if self.running { "a run is at work" } else { "no run is at work" });
        text.push_str(&format!("{:<24} {:>7} {:>12} {:>12} {:>14}\n", "pass", "units", "rows", "kept", "bytes"));
        for pass in &self.passes {
            text.push_str(&format!("{:<24} {:>7} {:>12} {:>12} {:>14}\n", pass.pass, pass.units, pass.rows, pass.kept, pass.bytes));
        }
        text
    }
}
