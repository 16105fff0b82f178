//! From a recipe to a job: the stages are cut into passes and checked against the columns that they will find.

mod choosing;
mod cutter;
mod dedupe;
mod fetch;
mod input;
mod pictures;

use datafusion::prelude::SessionContext;
use trommel_shards::source::expand;

use super::document::{Recipe, StageSettings};
use super::error::RecipeError;
use super::settings::{DedupeSettings, WriteSettings};
use crate::job::Job;
use cutter::Cutter;
use input::{source, source_schema};

/// A compiled recipe.
pub struct Compiled {
    /// The job, ready to run.
    pub job: Job,
}

/// Options of a compilation that are not part of a recipe.
pub(super) struct Shape {
    pub(super) compat_img2dataset: bool,
    pub(super) datacomp: bool,
    pub(super) compat_cc2dataset: bool,
}

/// Compiles a recipe: finds the input, checks every stage against the columns at its place, and cuts passes.
///
/// `context` knows the functions; `cc2dataset` asks for that program's rows from archives.
///
/// # Errors
/// [`RecipeError`] with the line of the key that is wrong.
pub async fn compile(recipe: &Recipe, context: &SessionContext, cc2dataset: bool) -> Result<Compiled, RecipeError> {
    let job = &recipe.job.value;
    if job.output.is_empty() {
        return Err(RecipeError::new(&recipe.job.place, "`output` is missing: a folder, or s3://, gs://, az://"));
    }
    let compat = recipe.stages.iter().find_map(|stage| match &stage.value {
        StageSettings::Write(WriteSettings { compat: Some(name), .. }) => Some((name.as_str(), stage.key("compat"))),
        _ => None,
    });
    if let Some((name, place)) = compat
        && !matches!(name, "img2dataset" | "datacomp")
    {
        return Err(RecipeError::new(place, format!("unknown `compat` value `{name}`: `img2dataset` or `datacomp`")));
    }
    let of = |wanted: &str| compat.is_some_and(|(name, _)| name == wanted);
    // Behind stages that choose it is the resharder's layout that is DataComp's.
    let chooses = recipe.stages.iter().any(|stage| stage.value.is_global());
    let shape = Shape { compat_img2dataset: of("img2dataset"), datacomp: of("datacomp") && !chooses, compat_cc2dataset: cc2dataset };
    let (files, source) = source(&recipe.source, &shape).await?;
    let mut cutter = Cutter::new(recipe, context, &shape, source_schema(&recipe.source.place, &source)?);
    cutter.begin(files, source);
    for stage in &recipe.stages {
        if let StageSettings::Dedupe(DedupeSettings { against, .. }) = &stage.value {
            for pattern in against {
                expand(pattern).await.map_err(|e| RecipeError::new(stage.key("against"), e.to_string()))?;
            }
        }
    }
    for (at, stage) in recipe.stages.iter().enumerate() {
        if let StageSettings::Score(settings) = &stage.value {
            cutter.model = Some(super::model::find(stage, settings, shape.datacomp).await?);
        }
        cutter.stage(at + 1, stage)?;
    }
    let passes = cutter.finish()?;
    let stages = cutter.names;
    let name = job
        .name
        .clone()
        .unwrap_or_else(|| recipe.job.place.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml").to_owned());
    Ok(Compiled { job: Job { name, recipe: recipe.resolved(), output: job.output.clone(), passes, stages } })
}

/// What changes when the content of these files does: lengths and times of last modification.
pub(super) fn identity(files: &[String]) -> String {
    let mut text = String::new();
    for file in files {
        let meta = std::fs::metadata(file).ok();
        let modified = meta.as_ref().and_then(|meta| meta.modified().ok()).and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        text.push_str(&format!("{file} {:?} {:?}\n", meta.map(|meta| meta.len()), modified));
    }
    if text.is_empty() { text } else { crate::ledger::short_hash(text.as_bytes()) }
}
