//! Cuts stages into passes.

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use trommel_shards::columns::URL;
use trommel_shards::source::SourceFile;

use super::{Shape, identity};
use crate::job::{FetchPass, Pass, PassKind, ReshardPass, Source, StreamStage};
use crate::op::write::{ShardSpec, VectorFormat};
use crate::op::{Language, Op};
use crate::plan::Keep;
use crate::recipe::document::{Placed, Recipe, StageSettings};
use crate::recipe::error::{Place, RecipeError};
use crate::recipe::settings::ReshardSettings;
use crate::scorers::ScoreModel;
use crate::select::Selection;

/// A fetching stage that waits for the stages behind it.
pub(super) struct OpenFetch {
    pub(super) pass: FetchPass,
}

/// Cuts stages into passes.
pub(super) struct Cutter<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) context: &'a SessionContext,
    pub(super) shape: &'a Shape,
    pub(super) schema: SchemaRef,
    pub(super) passes: Vec<Pass>,
    pub(super) open: Option<Pass>,
    pub(super) fetch: Option<OpenFetch>,
    pub(super) write: Option<ShardSpec>,
    /// The model of the score stage in hand.
    pub(super) model: Option<ScoreModel>,
    /// How the vectors of score stages are stored.
    pub(super) vectors: VectorFormat,
    /// Ending of the pictures of shards that are read again.
    pub(super) ending: Option<String>,
    /// Stages that choose among finished shards.
    pub(super) selection: Selection,
    pub(super) reshard: ReshardSettings,
    pub(super) names: Vec<String>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(recipe: &'a Recipe, context: &'a SessionContext, shape: &'a Shape, schema: SchemaRef) -> Self {
        Self {
            recipe,
            context,
            shape,
            schema,
            passes: Vec::new(),
            open: None,
            fetch: None,
            write: None,
            model: None,
            vectors: VectorFormat::None,
            ending: None,
            selection: Selection { seed: recipe.job.value.seed, stages: Vec::new() },
            reshard: ReshardSettings::default(),
            names: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, files: Vec<SourceFile>, source: Source) {
        if let Source::Shards(read) = &source {
            self.ending = Some(read.ending.clone());
        }
        let name = match source {
            Source::Archives(_) => "0-extract",
            Source::Lists(_) | Source::Shards(_) => "0-read",
        };
        self.open = Some(Pass { name: name.into(), before: Vec::new(), kind: PassKind::Source { files, source, shards: None } });
    }

    pub(super) fn stage(&mut self, number: usize, stage: &Placed<StageSettings>) -> Result<(), RecipeError> {
        let name = format!("{number}.{}", stage.value.name());
        if self.write.is_some() {
            return Err(RecipeError::new(&stage.place, "nothing can follow `write`"));
        }
        if let Some(kinds) = self.chosen(&name, stage)? {
            self.choose(&name, stage, kinds)?;
            return Ok(());
        }
        if !self.selection.stages.is_empty() && !matches!(stage.value, StageSettings::Write(_)) {
            let message = format!("`{}` stands before the stages that choose among finished shards", stage.value.name());
            return Err(RecipeError::new(&stage.place, message));
        }
        match &stage.value {
            StageSettings::Language(settings) => {
                let op = Language {
                    column: settings.column.clone(),
                    model: settings.model.clone(),
                    model_identity: identity(settings.model.as_slice()),
                };
                if let Some(model) = &settings.model {
                    trommel_filters::language::FastText::load(model).map_err(|e| RecipeError::new(stage.key("model"), e.to_string()))?;
                }
                self.schema = Op::Language(op.clone())
                    .output_schema(&self.schema)
                    .map_err(|_| self.no_column(stage.key("column"), &settings.column))?;
                self.push(StreamStage::Language(op));
            }
            StageSettings::Keep(settings) => {
                let place = stage.key("where");
                let keep = Keep::parse(&name, &settings.predicate).map_err(|e| RecipeError::new(place, e.to_string()))?;
                keep.check(self.context, &self.schema).map_err(|e| RecipeError::new(place, e.to_string()))?;
                self.push(StreamStage::Keep(keep));
            }
            StageSettings::Dedupe(settings) => self.dedupe(number, &name, stage, settings)?,
            StageSettings::Fetch(settings) => self.fetch(number, &name, stage, settings)?,
            StageSettings::Score(settings) => self.score(stage, settings)?,
            StageSettings::Hash(settings) => self.hash(stage, settings)?,
            StageSettings::Write(settings) => self.write(stage, settings)?,
            StageSettings::Cap(_) | StageSettings::Sample(_) | StageSettings::Balance(_) | StageSettings::Baseline(_) => {}
            StageSettings::Near(_) | StageSettings::Decontaminate(_) | StageSettings::Retrieve(_) => {}
        }
        self.names.push(name);
        Ok(())
    }

    pub(super) fn push(&mut self, stage: StreamStage) {
        if let Some(pass) = &mut self.open {
            pass.before.push(stage);
        }
    }

    /// Ends the open pass in tables. A pass that would only copy tables is left out.
    pub(super) fn close_tables(&mut self) {
        if let Some(pass) = self.open.take() {
            let after_dedupe = matches!(self.passes.last(), Some(Pass { kind: PassKind::Dedupe { .. }, .. }));
            let copies = matches!(pass.kind, PassKind::Table { .. }) && pass.before.is_empty() && !after_dedupe;
            if !copies {
                self.passes.push(pass);
            }
        }
    }

    pub(super) fn finish(&mut self) -> Result<Vec<Pass>, RecipeError> {
        let last = self.recipe.stages.last().map_or(&self.recipe.job.place, |stage| &stage.place);
        let Some(spec) = self.write.take() else {
            return Err(RecipeError::new(last, "the recipe does not end with `use = \"write\"`"));
        };
        // Samples of shards have keys; urls they may have lost.
        if self.schema.field_with_name(URL).is_err() && self.ending.is_none() {
            return Err(RecipeError::new(last, "no column `url` is left"));
        }
        let mut pass = self.open.take().ok_or_else(|| RecipeError::new(last, "nothing to write"))?;
        match self.fetch.take() {
            Some(fetch) => {
                pass.kind = PassKind::Fetch(Box::new(fetch.pass), Box::new(spec));
            }
            None => match &mut pass.kind {
                PassKind::Source { shards, .. } | PassKind::Table { shards } => *shards = Some(spec),
                PassKind::Dedupe { .. } | PassKind::Fetch(..) | PassKind::Select(_) | PassKind::Reshard(_) => {}
            },
        }
        self.passes.push(pass);
        if !self.selection.stages.is_empty() {
            let number = self.recipe.stages.len();
            let select = PassKind::Select(Box::new(self.selection.clone()));
            self.passes.push(Pass { name: format!("{number}-select"), before: Vec::new(), kind: select });
            let reshard = PassKind::Reshard(Box::new(ReshardPass { settings: self.reshard.clone() }));
            self.passes.push(Pass { name: crate::reshard::PASS.to_owned(), before: Vec::new(), kind: reshard });
        }
        Ok(std::mem::take(&mut self.passes))
    }

    pub(super) fn no_column(&self, place: &Place, name: &str) -> RecipeError {
        let known: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !name.starts_with('_')).collect();
        let hint = crate::recipe::nearest(name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        RecipeError::new(place, format!("no column `{name}` here{hint}; there are {list}"))
    }
}
