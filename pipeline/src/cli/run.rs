//! `run`, `extract`, `fetch` and `embed`: four ways to say what a job is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use datafusion::prelude::SessionContext;
use tokio_util::sync::CancellationToken;
use trommel_shards::storage::Storage;

use super::Exit;
use super::args::{Common, EmbedArgs, ExtractArgs, FetchArgs, HashArgs, Resume, RunArgs};
use super::output::{print, say};
use super::select::described;
use crate::crawl::fetch::FetchConfig;
use crate::job::{Finished, Job, RunOptions};
use crate::ledger::Intent;
use crate::op::write::{OutputFormat, VectorFormat};
use crate::plan::{SessionSettings, session};
use crate::recipe::settings::{JobSettings, ScoreSettings, SourceSettings, WriteSettings};
use crate::recipe::{Placed, Recipe, StageSettings, compile};
use crate::report::{Progress, Role};
use crate::services::Services;

/// A session that knows all functions, for checking recipes.
pub(super) fn checking_session() -> anyhow::Result<SessionContext> {
    let storage = Storage::in_memory(Arc::default(), "check");
    let services = Services::new(storage, Arc::default(), std::env::temp_dir(), 1, CancellationToken::new());
    let settings = SessionSettings { partitions: 1, memory_bytes: 64 << 20, spill_folder: std::env::temp_dir() };
    Ok(session(&settings, Arc::new(services))?)
}

pub(super) async fn recipe(common: &Common, args: RunArgs) -> anyhow::Result<Exit> {
    let file = args.recipe.display().to_string();
    let text = std::fs::read_to_string(&args.recipe).with_context(|| format!("`{file}` cannot be read"))?;
    let mut recipe = Recipe::parse(&file, &text)?;
    if let Some(output) = args.output {
        recipe.job.value.output = output;
    }
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    finish(common, &compiled.job, &args.resume).await
}

pub(super) async fn extract(common: &Common, args: ExtractArgs) -> anyhow::Result<Exit> {
    let compat = match args.compat.as_deref() {
        None => false,
        Some("cc2dataset") => true,
        Some(other) => bail!("unknown `--compat` value `{other}`: only `cc2dataset`"),
    };
    let source = SourceSettings { warc: args.inputs, types: args.types, max_text_bytes: args.max_text_bytes, ..SourceSettings::default() };
    let write = WriteSettings { format: OutputFormat::Parquet, ..WriteSettings::default() };
    let recipe = of_flags("extract", &args.output, None, FetchConfig::default(), source, vec![StageSettings::Write(write)]);
    let compiled = compile(&recipe, &checking_session()?, compat).await?;
    finish(common, &compiled.job, &args.resume).await
}

pub(super) async fn fetch(common: &Common, args: FetchArgs) -> anyhow::Result<Exit> {
    let source = SourceSettings {
        urls: args.inputs.into_iter().chain(args.url_list).collect(),
        url_col: args.url_col,
        caption_col: args.caption_col,
        save_additional_columns: args.save_additional_columns,
        input_format: args.input_format,
        ..SourceSettings::default()
    };
    let network = network(&args.net)?;
    let stages = vec![StageSettings::Fetch(args.fetch), StageSettings::Write(args.write)];
    let recipe = of_flags("fetch", &args.output, args.contact, network, source, stages);
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    finish(common, &compiled.job, &args.resume).await
}

pub(super) async fn embed(common: &Common, args: EmbedArgs) -> anyhow::Result<Exit> {
    let datacomp = match args.compat.as_deref() {
        None => false,
        Some("datacomp") => true,
        Some(other) => bail!("unknown `--compat` value `{other}`: only `datacomp`"),
    };
    let source = SourceSettings { shards: args.inputs, ..SourceSettings::default() };
    let usual = if datacomp { VectorFormat::Npz } else { VectorFormat::Parquet };
    let score = ScoreSettings { vectors: args.score.vectors.or(Some(usual)), ..args.score };
    let write = WriteSettings { format: OutputFormat::Metadata, compat: args.compat, ..WriteSettings::default() };
    let stages = vec![StageSettings::Score(score), StageSettings::Write(write)];
    let recipe = of_flags("embed", &args.output, None, FetchConfig::default(), source, stages);
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    finish(common, &compiled.job, &args.resume).await
}

pub(super) async fn hash(common: &Common, args: HashArgs) -> anyhow::Result<Exit> {
    let source = SourceSettings { shards: args.inputs, ..SourceSettings::default() };
    let write = WriteSettings { format: OutputFormat::Metadata, ..WriteSettings::default() };
    let stages = vec![StageSettings::Hash(args.hash), StageSettings::Write(write)];
    let recipe = of_flags("hash", &args.output, None, FetchConfig::default(), source, stages);
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    finish(common, &compiled.job, &args.resume).await
}

fn of_flags(
    name: &str,
    output: &str,
    contact: Option<String>,
    network: FetchConfig,
    source: SourceSettings,
    stages: Vec<StageSettings>,
) -> Recipe {
    let job = JobSettings { name: Some(name.to_owned()), output: output.to_owned(), contact, ..JobSettings::default() };
    Recipe {
        job: Placed::of_flags(job),
        source: Placed::of_flags(source),
        network: Placed::of_flags(network),
        stages: stages.into_iter().map(Placed::of_flags).collect(),
    }
}

/// The fetcher's configuration from `--net key=value`.
fn network(pairs: &[String]) -> anyhow::Result<FetchConfig> {
    let mut value = serde_json::to_value(FetchConfig::default())?;
    for pair in pairs {
        let (key, text) = pair.split_once('=').ok_or_else(|| anyhow!("`--net {pair}`: written KEY=VALUE"))?;
        let Some(slot) = value.get_mut(key) else {
            let known: Vec<&str> = value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
            let hint =
                crate::recipe::nearest(key, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            bail!("`--net {key}`: no such setting{hint}");
        };
        *slot = match slot {
            serde_json::Value::Array(_) => text
                .split(',')
                .filter(|part| !part.is_empty())
                .map(|part| serde_json::from_str(part).unwrap_or_else(|_| serde_json::Value::from(part)))
                .collect(),
            serde_json::Value::String(_) => text.into(),
            _ => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
    }
    serde_json::from_value(value).context("`--net`")
}

/// Runs a compiled job and reports.
pub(super) async fn finish(common: &Common, job: &Job, resume: &Resume) -> anyhow::Result<Exit> {
    if resume.explain {
        print(&job.explain())?;
        return Ok(Exit::Done);
    }
    let cancel = CancellationToken::new();
    listen(&cancel);
    let options = RunOptions {
        intent: if resume.fresh { Intent::Fresh } else { Intent::Resume },
        threads: common.threads(),
        memory_bytes: common.memory_mib << 20,
        spill_folder: common.spill.clone(),
        quiet: common.quiet,
        retry_failed: resume.retry_failed,
        engine: resume.engine.clone().with_tls(resume.tls.files()),
        part: resume.part,
        part_patience: Duration::from_secs(resume.part_patience),
    };
    let progress = Arc::new(Progress::default());
    let _metrics = common.metrics(Role::Run, &progress).await?;
    let finished = job.run(&options, progress, cancel).await?;
    report(common, job, &finished)
}

fn report(common: &Common, job: &Job, finished: &Finished) -> anyhow::Result<Exit> {
    let (done, before) = finished.units;
    if common.json {
        let failed: Vec<_> =
            finished.failed.iter().map(|(pass, unit, error)| serde_json::json!({ "pass": pass, "unit": unit, "error": error })).collect();
        let report = serde_json::json!({
            "output": job.output,
            "funnel": finished.funnel,
            "balances": finished.funnel.balances(),
            "failed_units": failed,
            "units_done": done,
            "units_done_before": before,
            "elapsed_s": finished.seconds,
            "models": finished.models,
            "selected": finished.selected,
        });
        print(&format!("{report:#}\n"))?;
    } else if !common.quiet {
        say(&finished.funnel.table());
        for (name, metrics) in &finished.models {
            let number = |key: &str| metrics[key].as_f64().unwrap_or(0.0);
            say(&format!(
                "{name}: {} pictures, {} captions, {:.1} pictures/s, batches {:.0} % full, device busy {:.0} %, {} without a vector",
                number("images"),
                number("texts"),
                number("images") / finished.seconds.max(1e-3),
                number("batch_fill") * 100.0,
                number("busy_share") * 100.0,
                number("failed_rows"),
            ));
        }
        if let Some(selected) = &finished.selected {
            for finding in &selected.findings {
                for line in described(&finding.found) {
                    say(&format!("{}: {line}", finding.stage));
                }
            }
            for warning in &selected.warnings {
                say(&format!("warning: {warning}"));
            }
            if selected.copies != selected.funnel.kept {
                say(&format!("{} rows are written {} times in all", selected.funnel.kept, selected.copies));
            }
        }
        say(&format!("{} units done, {before} were done before; the output is in {}", done, job.output));
    }
    for (pass, unit, error) in &finished.failed {
        say(&format!("warning: unit `{unit}` of pass `{pass}` failed: {error}"));
    }
    if !finished.funnel.balances() {
        bail!(
            "the funnel does not balance: {} rows in, {} kept; please report this with `funnel.json`",
            finished.funnel.rows,
            finished.funnel.kept
        );
    }
    if finished.failed.is_empty() {
        return Ok(Exit::Done);
    }
    say("run the same command again to retry the units that failed");
    Ok(Exit::Partly)
}

/// The first interrupt rolls back the units in hand, the second ends the process.
pub(super) fn listen(cancel: &CancellationToken) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(signal) => signal,
            Err(_) => return,
        };
        let mut count = 0;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            count += 1;
            if count > 1 {
                std::process::exit(130);
            }
            say("interrupted: rolling back the units in hand (once more to stop at once)");
            cancel.cancel();
        }
    });
}
