//! `index`: a Faiss index of the vectors beside metadata.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trommel_embeddings::index::{
    IndexDescription, IndexLimits, IndexMetric, IndexOptions, IndexProgress, IndexShard, build_index, merge_indexes,
};

use super::Exit;
use super::args::{Common, IndexArgs};
use super::output::{print, say};
use super::run::listen;
use crate::search::{FileVectors, source_name};
use crate::select::{Inputs, uids_of};

pub(super) async fn run(common: &Common, args: IndexArgs) -> anyhow::Result<Exit> {
    if args.output.contains("://") {
        bail!("`{}`: an index is a folder on this machine: faiss maps its files", args.output);
    }
    let options = options(&args, common.threads())?;
    let cancel = CancellationToken::new();
    listen(&cancel);
    let quiet = common.quiet;
    let description = match args.merge.is_empty() {
        false => {
            let (parts, output) = (args.merge.clone(), args.output.clone());
            tokio::task::spawn_blocking(move || merge_indexes(&parts, Path::new(&output), &options)).await??
        }
        true => {
            let inputs = Arc::new(Inputs::find(&args.inputs).await?);
            tokio::task::spawn_blocking(move || build(&inputs, &args.key, &args.output, options, quiet, &cancel)).await??
        }
    };
    report(common, &description)?;
    Ok(Exit::Done)
}

fn options(args: &IndexArgs, threads: usize) -> anyhow::Result<IndexOptions> {
    let metric = match args.metric.as_str() {
        "cosine" => IndexMetric::Cosine,
        "ip" => IndexMetric::InnerProduct,
        "l2" => IndexMetric::L2,
        other => bail!("no metric `{other}`: `cosine`, `ip` or `l2`"),
    };
    if args.part_rows == 0 {
        bail!("`--part-rows` is at least 1");
    }
    Ok(IndexOptions {
        factory: args.factory.clone(),
        limits: IndexLimits { memory: args.index_memory_mib.saturating_mul(1 << 20), mapped: args.mapped },
        metric,
        seed: args.seed,
        training: args.training,
        trained_like: args.like.clone(),
        part_rows: args.part_rows,
        threads,
        fresh: args.fresh,
        ..IndexOptions::default()
    })
}

fn build(
    inputs: &Inputs,
    key: &str,
    output: &str,
    mut options: IndexOptions,
    quiet: bool,
    cancel: &CancellationToken,
) -> anyhow::Result<IndexDescription> {
    let held = Arc::default();
    let mut files = Vec::with_capacity(inputs.files.len());
    for file in &inputs.files {
        let vectors = FileVectors::open(&file.uri, key, file.rows, &held)?;
        for (known, found, what) in
            [(&mut options.model, &vectors.model, "model"), (&mut options.weights_sha256, &vectors.weights_sha256, "weights")]
        {
            if !known.is_empty() && !found.is_empty() && known != found {
                bail!("`{}` has vectors of {what} `{found}`, the files before are of `{known}`", file.uri);
            }
            if known.is_empty() {
                known.clone_from(found);
            }
        }
        files.push(vectors);
    }
    let shards: Vec<IndexShard<'_>> = inputs
        .files
        .iter()
        .zip(&files)
        .enumerate()
        .map(|(at, (file, vectors))| {
            IndexShard::new(source_name(&file.uri, key), vectors)
                .with_digest(format!("{} {}", file.identity, vectors.identity))
                .with_uids(move || uids_of(inputs, at).map_err(|e| -> Box<dyn std::error::Error + Send + Sync> { Box::new(e) }))
        })
        .collect();
    let description = build_index(Path::new(output), &shards, &options, &mut |progress| {
        if !quiet {
            match &progress {
                IndexProgress::Chosen(choice) => say(&format!("{}: {}; about {} MiB", choice.factory, choice.reason, choice.bytes >> 20)),
                IndexProgress::Trained { vectors } if *vectors > 0 => say(&format!("trained on {vectors} vectors")),
                IndexProgress::Added { parts, of, rows } => say(&format!("part {parts} of {of}, {rows} rows")),
                _ => {}
            }
        }
        // A file that could not be read must not leave an index of nothing.
        let broken = files.iter().any(|file| file.has_failed());
        if broken || cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(error) = files.iter().find_map(FileVectors::take_failure) {
        // The part that was made of it is of nothing: what was begun is begun again, so that no rerun takes it for done.
        let fresh = IndexOptions { fresh: true, ..options.clone() };
        let _stopped = build_index(Path::new(output), &shards, &fresh, &mut |_| ControlFlow::Break(()));
        return Err(error.into());
    }
    if cancel.is_cancelled() {
        return Err(crate::select::SelectError::Interrupted.into());
    }
    description.with_context(|| format!("the index in `{output}`"))
}

fn report(common: &Common, description: &IndexDescription) -> anyhow::Result<()> {
    if common.json {
        return Ok(print(&format!("{:#}\n", json!(description)))?);
    }
    if !common.quiet {
        let left = &description.left_out;
        say(&format!(
            "{}: {} vectors of {} components in {}, compared by {}",
            description.factory,
            description.vectors,
            description.dim,
            if description.sources.len() == 1 { "1 file".to_owned() } else { format!("{} files", description.sources.len()) },
            description.metric.name()
        ));
        if description.vectors < description.rows {
            say(&format!("left out: {}", json!(left)));
        }
    }
    Ok(())
}
