//! The stages of a plan, from a recipe.
//!
//! They come from the recipe as it is written: the files that it reads need not be there, and no model is loaded. Of a model only the
//! config is looked at, where it is on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trommel_embeddings::checkpoint::ModelFiles;
use trommel_embeddings::checkpoint::builtin::builtin;
use trommel_embeddings::checkpoint::config::ModelConfig;
use trommel_embeddings::checkpoint::locate::Hub;

use super::error::PlanError;
use super::flops;
use super::stage::{FetchStage, ScoreStage, Stage, StageKind};
use crate::op::write::VectorFormat;
use crate::recipe::settings::{FetchSettings, ScoreSettings};
use crate::recipe::{Placed, Recipe, RecipeError, StageSettings, kinds_of};
use crate::select::spec::{ClusterRule, Kind};

/// Patches of a picture at most, where neither the recipe nor the user says it: what SigLIP 2's checkpoints say themselves.
const PATCHES: u32 = 256;

/// Operations of a model, as the user gives them: `PICTURE`, `PICTURE+CAPTION`, `PICTURE+CAPTION/DIM`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelFlops {
    /// FLOP for one picture.
    pub picture: f64,
    /// FLOP for one caption.
    pub caption: f64,
    /// Components of a vector.
    pub dim: Option<u32>,
}

impl std::str::FromStr for ModelFlops {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not PICTURE+CAPTION/DIM, as `162e9+13.3e9/768`: FLOP, and components of a vector");
        let (flops, dim) = text.split_once('/').map_or((text, None), |(flops, dim)| (flops, Some(dim)));
        let (picture, caption) = flops.split_once('+').unwrap_or((flops, "0"));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0).ok_or_else(wrong);
        let dim = dim.map(|dim| dim.trim().parse::<u32>().ok().filter(|&dim| dim > 0).ok_or_else(wrong)).transpose()?;
        Ok(Self { picture: number(picture)?, caption: number(caption)?, dim })
    }
}

/// What the user says of stages, by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Share of its rows that a stage keeps.
    pub keep: BTreeMap<String, f64>,
    /// Operations of a stage's model.
    pub flops: BTreeMap<String, ModelFlops>,
}

/// Why a recipe gives no stages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagesError {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The stages make no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Something was said of a stage that is not there.
    #[error("`{option} {name}=…`: the recipe has no such stage{hint}; there are {known}")]
    NoStage {
        /// The option.
        option: &'static str,
        /// The name.
        name: String,
        /// The nearest name, if one is near.
        hint: String,
        /// The names that there are.
        known: String,
    },
    /// A model's config is not on this machine.
    #[error(
        "stage `{stage}`: the config of the model `{model}` is not here ({why}), so its operations are not known: say them with `--model-flops {stage}=PICTURE+CAPTION/DIM`, as `162e9+13.3e9/768`"
    )]
    Model {
        /// The stage.
        stage: String,
        /// The model.
        model: String,
        /// What was looked for.
        why: String,
    },
    /// The size of vectors that a stage stores is not known.
    #[error("stage `{stage}` stores vectors, and `--model-flops {stage}=…` does not say how large they are: add `/DIM`, as `/768`")]
    Dim {
        /// The stage.
        stage: String,
    },
}

/// The stages of a recipe. Their names are those of reports: `source`, then `1.language`, `2.keep`, …; a stage of several parts has a
/// letter behind its number.
///
/// # Errors
/// [`StagesError`], naming the key or the option that is wrong.
pub fn stages_of(recipe: &Recipe, said: &Said) -> Result<Vec<Stage>, StagesError> {
    let mut maker = Maker { recipe, said, stages: vec![source(recipe)?], choosing: false };
    for (at, stage) in recipe.stages.iter().enumerate() {
        maker.stage(at + 1, stage)?;
    }
    let mut stages = maker.stages;
    for (name, share) in &said.keep {
        let Some(stage) = stages.iter_mut().find(|stage| stage.name == *name) else {
            return Err(no_stage("--keep", name, &stages));
        };
        stage.kept = Some(*share);
    }
    if let Some(name) = said.flops.keys().find(|name| !stages.iter().any(|s| s.name == **name && matches!(s.kind, StageKind::Score(_)))) {
        let scores: Vec<Stage> = stages.into_iter().filter(|stage| matches!(stage.kind, StageKind::Score(_))).collect();
        return Err(no_stage("--model-flops", name, &scores));
    }
    Ok(stages)
}

fn no_stage(option: &'static str, name: &str, stages: &[Stage]) -> StagesError {
    let hint = crate::recipe::nearest(name, stages.iter().map(|stage| stage.name.as_str()));
    let known: Vec<String> = stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
    StagesError::NoStage {
        option,
        name: name.to_owned(),
        hint: hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default(),
        known: if known.is_empty() { "none with a model".to_owned() } else { known.join(", ") },
    }
}

fn source(recipe: &Recipe) -> Result<Stage, RecipeError> {
    let source = &recipe.source.value;
    let kinds = [
        (&source.wat, StageKind::ExtractWat),
        (&source.warc, StageKind::ExtractWarc),
        (&source.wacz, StageKind::ExtractWarc),
        (&source.html, StageKind::ExtractWarc),
        (&source.urls, StageKind::ReadList),
        (&source.shards, StageKind::ReadShards),
    ];
    let found = kinds.into_iter().find(|(patterns, _)| !patterns.is_empty());
    let missing = "the source names no input: one of `wat`, `warc`, `wacz`, `html`, `urls`, `shards`";
    let (_, kind) = found.ok_or_else(|| RecipeError::new(&recipe.source.place, missing))?;
    Ok(Stage::new("source", kind))
}

struct Maker<'a> {
    recipe: &'a Recipe,
    said: &'a Said,
    stages: Vec<Stage>,
    /// Behind the first stage that sees all rows, everything chooses among finished shards.
    choosing: bool,
}

impl Maker<'_> {
    fn stage(&mut self, number: usize, stage: &Placed<StageSettings>) -> Result<(), StagesError> {
        let name = format!("{number}.{}", stage.value.name());
        if stage.value.is_global() {
            self.choosing = true;
        }
        if self.choosing
            && let Some(kinds) = kinds_of(stage, &name)?
        {
            self.choose(number, stage, &kinds);
            return Ok(());
        }
        let kind = match &stage.value {
            StageSettings::Language(_) => StageKind::Language,
            StageSettings::Keep(_) => StageKind::Keep,
            StageSettings::Dedupe(_) => StageKind::Dedupe,
            StageSettings::Fetch(settings) => StageKind::Fetch(self.fetch(stage, settings)?),
            StageSettings::Score(settings) => StageKind::Score(self.score(&name, settings)?),
            StageSettings::Hash(_) => StageKind::Hash,
            // Without stages that choose, final shards are written where pictures are fetched, and are counted there.
            StageSettings::Write(_) if self.choosing => StageKind::Reshard,
            _ => return Ok(()),
        };
        self.stages.push(Stage::new(name, kind));
        Ok(())
    }

    fn choose(&mut self, number: usize, stage: &Placed<StageSettings>, kinds: &[Kind]) {
        for (at, kind) in kinds.iter().enumerate() {
            let letter = if kinds.len() < 2 { String::new() } else { char::from(b'a' + at.min(25) as u8).to_string() };
            let (what, kept) = chosen(kind);
            let made = Stage::new(format!("{number}{letter}.{}", stage.value.name()), what);
            self.stages.push(Stage { kept, ..made });
        }
    }

    fn fetch(&self, stage: &Placed<StageSettings>, settings: &FetchSettings) -> Result<FetchStage, RecipeError> {
        let contact = self.recipe.job.value.contact.as_deref();
        let network = settings.network(self.recipe.network.value.clone(), contact).map_err(|e| RecipeError::new(&stage.place, e))?;
        let unit = settings.number_sample_per_shard;
        let host_rows = match settings.host_rows {
            None => (unit / 200).max(1),
            // The order of the input is kept: a unit may be of one host.
            Some(0) => unit,
            Some(rows) => rows,
        };
        let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(FetchStage {
            image_size: settings.image_size,
            concurrency: small(network.concurrency),
            unit_rows: small(unit),
            host_rows: small(host_rows),
            lanes: small(settings.lanes.unwrap_or(0)),
            unit_seconds: settings.unit_seconds,
            rounds: small(settings.rounds),
            units_at_once: small(settings.units_at_once),
            host_delay: network.per_host_delay,
            host_concurrency: small(network.per_host_concurrency),
            policy_requests: [network.robots, network.tdmrep, network.ai_txt].into_iter().map(u32::from).sum(),
        })
    }

    fn score(&self, name: &str, settings: &ScoreSettings) -> Result<ScoreStage, StagesError> {
        let stores = settings.vectors.unwrap_or_default() != VectorFormat::None;
        let flops = match self.said.flops.get(name) {
            Some(flops) => *flops,
            None => {
                let config =
                    config(settings).map_err(|why| StagesError::Model { stage: name.to_owned(), model: settings.model.clone(), why })?;
                let patches = settings.max_num_patches.unwrap_or(PATCHES);
                ModelFlops { picture: flops::picture(&config, patches), caption: flops::caption(&config), dim: Some(config.dim as u32) }
            }
        };
        let stored_numbers = match (stores, flops.dim) {
            (false, _) => 0,
            // The picture's and the caption's.
            (true, Some(dim)) => 2 * dim,
            (true, None) => return Err(StagesError::Dim { stage: name.to_owned() }),
        };
        Ok(ScoreStage { picture_flops: flops.picture, caption_flops: flops.caption, stored_numbers })
    }
}

/// What a part of a choosing stage is to a plan, and the share that it keeps where its settings say it.
fn chosen(kind: &Kind) -> (StageKind, Option<f64>) {
    match kind {
        Kind::Near(near) => (StageKind::Near, near.keep_all.then_some(1.0)),
        Kind::M4(m4) => (StageKind::Balance, Some(m4.target_rate)),
        Kind::Clusters(clusters) => match clusters.rule {
            ClusterRule::Prototypes { fraction, .. } => (StageKind::Balance, Some(fraction)),
            _ => (StageKind::Balance, None),
        },
        Kind::MetaclipMatch(_) | Kind::MetaclipDraw | Kind::Languages(_) => (StageKind::Balance, None),
        // A fraction of the pool is not one of what is left.
        Kind::Top(top) if !top.of_pool => (StageKind::Select, top.fraction),
        Kind::Sample(sample) if sample.repeat.is_none() => (StageKind::Select, sample.fraction),
        _ => (StageKind::Select, None),
    }
}

/// The config of a model that is a folder, built in, or in the hub's cache; the network is not asked.
fn config(settings: &ScoreSettings) -> Result<ModelConfig, String> {
    let model = settings.model.trim();
    let built_in = builtin(model).map_err(|e| e.to_string())?;
    let folder = built_in.unwrap_or_else(|| PathBuf::from(model));
    let path = if folder.is_dir() {
        // Weights are not needed for this: a folder with the config alone will do.
        let known = ["config.json", "open_clip_config.json"].map(|name| folder.join(name));
        match known.iter().find(|path| path.is_file()) {
            Some(path) => path.clone(),
            None => ModelFiles::in_folder(&folder).map_err(|e| e.to_string())?.config,
        }
    } else {
        let hub = Hub { offline: true, ..Hub::from_env(None) };
        hub.locate(model, settings.revision.as_deref()).map_err(|e| e.to_string())?.config
    };
    ModelConfig::read(Path::new(&path)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[job]\noutput = \"out\"\n[source]\nwat = [\"s3://nowhere/*.wat.gz\"]\n";

    fn stages(text: &str, said: &Said) -> Result<Vec<Stage>, StagesError> {
        stages_of(&Recipe::parse("r.toml", &format!("{HEAD}{text}")).unwrap(), said)
    }

    fn names(stages: &[Stage]) -> Vec<&str> {
        stages.iter().map(|stage| stage.name.as_str()).collect()
    }

    #[test]
    fn a_recipe_gives_its_stages_without_its_files() {
        let text = r#"
[[stage]]
use = "language"
[[stage]]
use   = "keep"
where = "lang = 'en'"
[[stage]]
use = "dedupe"
[[stage]]
use        = "fetch"
image_size = 512
thread_count = 1024
number_sample_per_shard = 1000
per_host_delay = 0.5
[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"
[[stage]]
use   = "keep"
where = "lang = 'en'"
top   = 0.3
by    = "miniweb_clip"
[[stage]]
use        = "balance"
method     = "m4"
attributes = ["red=0.25: text like '%red%'"]
target_rate = 0.8
[[stage]]
use = "write"
"#;
        let made = stages(text, &Said { keep: [("2.keep".to_owned(), 0.4)].into(), ..Said::default() }).unwrap();
        let expected = ["source", "1.language", "2.keep", "3.dedupe", "4.fetch", "5.score", "6a.keep", "6b.keep", "7.balance", "8.write"];
        assert_eq!(names(&made), expected);
        assert_eq!(made[0].kind, StageKind::ExtractWat);
        assert_eq!((made[2].kind.clone(), made[2].kept), (StageKind::Keep, Some(0.4)));
        let StageKind::Fetch(fetch) = &made[4].kind else { panic!("{:?}", made[4]) };
        let fields = (fetch.image_size, fetch.concurrency, fetch.unit_rows, fetch.host_rows, fetch.policy_requests);
        assert_eq!(fields, (512, 1024, 1000, 5, 2));
        assert_eq!((fetch.host_delay, fetch.host_concurrency), (0.5, 2));
        let StageKind::Score(score) = &made[5].kind else { panic!("{:?}", made[5]) };
        assert!(score.picture_flops > 0.0 && score.caption_flops > 0.0 && score.stored_numbers > 0);
        assert_eq!((made[6].kind.clone(), made[6].kept), (StageKind::Select, None));
        assert_eq!((made[7].kind.clone(), made[7].kept), (StageKind::Select, Some(0.3)));
        assert_eq!((made[8].kind.clone(), made[8].kept), (StageKind::Balance, Some(0.8)));
        assert_eq!(made[9].kind, StageKind::Reshard);
    }

    #[test]
    fn without_stages_that_choose_writing_is_part_of_fetching() {
        let made = stages("[[stage]]\nuse = \"fetch\"\n[[stage]]\nuse = \"write\"\n", &Said::default()).unwrap();
        assert_eq!(names(&made), ["source", "1.fetch"]);
    }

    #[test]
    fn a_model_that_is_not_here_is_told_by_its_operations() {
        let text = "[[stage]]\nuse = \"score\"\nmodel = \"./no/such/model\"\nvectors = \"npz\"\n";
        let said = |flops: &str| Said { flops: [("1.score".to_owned(), flops.parse().unwrap())].into(), ..Said::default() };
        let error = stages(text, &Said::default()).unwrap_err().to_string();
        assert!(error.contains("1.score") && error.contains("--model-flops"), "{error}");
        let error = stages(text, &said("162e9+13e9")).unwrap_err().to_string();
        assert!(error.contains("/DIM"), "{error}");
        let made = stages(text, &said("162e9+13e9/768")).unwrap();
        let expected = ScoreStage { picture_flops: 162e9, caption_flops: 13e9, stored_numbers: 1536 };
        assert_eq!(made[1].kind, StageKind::Score(expected));
    }

    #[test]
    fn what_is_said_of_a_stage_that_is_not_there_is_an_error_with_the_nearest() {
        let text = "[[stage]]\nuse = \"keep\"\nwhere = \"true\"\n";
        let error = stages(text, &Said { keep: [("2.keep".to_owned(), 0.4)].into(), ..Said::default() }).unwrap_err().to_string();
        assert!(error.contains("--keep 2.keep") && error.contains("did you mean `1.keep`"), "{error}");
        assert!("1e9+x".parse::<ModelFlops>().is_err() && "1e9/0".parse::<ModelFlops>().is_err());
    }
}
