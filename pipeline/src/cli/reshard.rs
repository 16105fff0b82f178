//! `reshard`: shards and a subset in, shards of exact size out.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use tokio_util::sync::CancellationToken;
use trommel_shards::reshard::{InputShard, Reshard};
use trommel_shards::source::expand;
use trommel_shards::storage::Storage;
use trommel_shards::subset::Subset;

use super::Exit;
use super::args::{Common, ReshardArgs};
use super::output::{print, say};
use super::run::listen;
use crate::ledger::{Intent, JobFile, JobLock};
use crate::reshard::{PASS, Resharded, RunError, options_of, write};

pub(super) async fn run(common: &Common, args: ReshardArgs) -> anyhow::Result<Exit> {
    let options =
        options_of(&args.reshard, common.threads()).map_err(|(key, message)| anyhow!("`--{}`: {message}", key.replace('_', "-")))?;
    let mut files = Vec::new();
    for pattern in &args.inputs {
        files.extend(expand(pattern).await?);
    }
    let count = files.len();
    let files = crate::job::finished_files(files);
    let mut shards = InputShard::among(&files);
    // A name that was given and is not there is a shard that is missing, not one that nobody wanted.
    shards.dedup_by(|a, b| a.uri == b.uri);
    if shards.is_empty() {
        bail!("none of the {count} files is a shard: a `.tar`, or a `.parquet` with pictures");
    }
    let subset = match &args.subset {
        None => None,
        Some(file) => {
            let file = file.clone();
            let opened = tokio::task::spawn_blocking(move || Subset::open(&file)).await?;
            Some(Arc::new(opened.context("the subset cannot be used")?))
        }
    };
    let inputs = shards.len();
    let plan = Reshard::plan(shards, subset, options).await?;
    let counts = plan.counts();
    if args.explain {
        print(&format!("{inputs} shards with {} samples: {} samples go into {} shards\n", counts.samples, counts.copies, plan.shards()))?;
        return Ok(Exit::Done);
    }
    let storage = Storage::open(&args.output)?;
    let lock = JobLock::take(&storage).await?;
    let done = locked(common, &args, &plan, &storage).await;
    lock.release().await;
    report(common, &args, &plan, &done?)
}

async fn locked(common: &Common, args: &ReshardArgs, plan: &Reshard, storage: &Storage) -> anyhow::Result<Resharded> {
    let settings = serde_json::json!({ "reshard": args.reshard, "inputs": args.inputs, "subset": args.subset });
    let file = JobFile::new(PASS, settings, vec![PASS.to_owned()], vec![PASS.to_owned()]);
    file.claim(storage, if args.fresh { Intent::Fresh } else { Intent::Resume }, false).await?;
    let cancel = CancellationToken::new();
    listen(&cancel);
    let datacomp = args.reshard.shard_compat.is_some();
    match write(plan, "", storage, datacomp, common.threads(), common.quiet, &cancel).await {
        Err(RunError::Interrupted) => Err(crate::job::JobError::Interrupted.into()),
        other => Ok(other?),
    }
}

fn report(common: &Common, args: &ReshardArgs, plan: &Reshard, done: &Resharded) -> anyhow::Result<Exit> {
    let counts = &done.counts;
    if common.json {
        let failed: Vec<_> = done.failed.iter().map(|(shard, error)| serde_json::json!({ "shard": shard, "error": error })).collect();
        let report = serde_json::json!({
            "output": args.output,
            "shards": plan.shards(),
            "shards_written": done.written,
            "shards_there_before": done.there,
            "samples": counts,
            "failed": failed,
            "elapsed_s": done.seconds,
        });
        print(&format!("{report:#}\n"))?;
    } else if !common.quiet {
        say(&format!("{:>12} samples in the input", counts.samples));
        for (what, count) in [
            ("not in the subset", counts.not_in_subset),
            ("without a uid", counts.no_uid),
            ("with the uid of an earlier sample", counts.duplicate_uid),
        ] {
            if count > 0 {
                say(&format!("{count:>12} {what}"));
            }
        }
        say(&format!("{:>12} samples, {} with copies, are in {} shards in {}", counts.selected, counts.copies, plan.shards(), args.output));
        if done.there > 0 {
            say(&format!("{} of the shards were there before", done.there));
        }
    }
    if counts.missing_uids > 0 {
        say(&format!("warning: {} uids of the subset are in none of the input shards", counts.missing_uids));
    }
    if let Some(first) = plan.first_without_uid() {
        say(&format!("warning: {} samples have no uid, the first {first}", counts.no_uid));
    }
    for (shard, error) in &done.failed {
        say(&format!("warning: shard `{shard}` failed: {error}"));
    }
    if done.failed.is_empty() {
        return Ok(Exit::Done);
    }
    say("run the same command again to retry the shards that failed");
    Ok(Exit::Partly)
}
