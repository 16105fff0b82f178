//! What an output folder says of itself.

use std::collections::BTreeMap;

use serde::Serialize;
use trommel_shards::marker::{Counts, Marker};
use trommel_shards::storage::Storage;

use super::error::JobError;
use crate::ledger::{Failure, JobFile, JobLock, LedgerError, Presence, now};
use crate::report::{Funnel, human};

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
    /// What the runs said of themselves last: the one that works on the output, or the parts of one.
    pub runs: Vec<Presence>,
    /// Units that were given up: pass, unit, reason.
    pub failed: Vec<(String, String, String)>,
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
    let mut failed = Vec::new();
    for stats in &passes {
        let failures = Failure::read_all(&storage, &stats.pass).await?;
        failed.extend(failures.into_iter().map(|(unit, failure)| (stats.pass.clone(), unit, failure.error)));
    }
    let runs = Presence::read_all(&storage).await?;
    let funnel = storage.get("funnel.json").await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(JobStats { job: file.job, running, funnel, passes, runs, failed })
}

/// Adds up all numbers of nested objects, by dotted name.
fn sum(prefix: &str, value: &serde_json::Value, into: &mut BTreeMap<String, u64>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                sum(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, into);
            }
        }
        // Which lane a unit is in is no amount.
        serde_json::Value::Number(_) if prefix == "lane" => {}
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
        for run in &self.runs {
            text.push_str(&format!("{}\n", line(run, self.running)));
        }
        for (pass, unit, error) in &self.failed {
            text.push_str(&format!("failed: unit `{unit}` of pass `{pass}`: {error}\n"));
        }
        text
    }
}

/// What a run is at: `part 3-of-8 (host process 12, local): 4-fetch, working, 3/12 units, 30000 rows, 812/s, 4210 lost, eta 2m10s`.
fn line(run: &Presence, running: bool) -> String {
    let who = if run.run == "whole" { "run".to_owned() } else { format!("part {}", run.run) };
    let mut text = format!("{who} ({}, {})", run.at, run.engine);
    if let Some(ended) = &run.ended {
        text.push_str(&format!(": ended, {ended}"));
        return text;
    }
    let (done, units) = run.units;
    let seconds = run.seen.saturating_sub(run.pass_since).max(1);
    text.push_str(&format!(": {}, {}", run.pass, run.doing));
    text.push_str(&if units == 0 { format!(", {done} units") } else { format!(", {done}/{units} units") });
    text.push_str(&format!(", {} rows, {:.0}/s, {} lost", run.rows, run.rows as f64 / seconds as f64, run.lost));
    if (1..units).contains(&done) {
        text.push_str(&format!(", eta {}", human(seconds as f64 / done as f64 * (units - done) as f64)));
    }
    let silent = now().saturating_sub(run.seen);
    if !running {
        text.push_str("; it was ended before it could say how");
    } else if silent > 30 {
        text.push_str(&format!("; last sign of life {silent} s ago"));
    }
    text
}
