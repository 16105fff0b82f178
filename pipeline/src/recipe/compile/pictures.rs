//! Stages that look at pictures: `score` and `hash`.

use super::cutter::Cutter;
use crate::job::{Pass, PassKind, Source, StreamStage};
use crate::op::write::VectorFormat;
use crate::op::{HashPictures, Op, Score};
use crate::recipe::document::{Placed, StageSettings};
use crate::recipe::error::RecipeError;
use crate::recipe::settings::{HashSettings, ScoreSettings};

impl Cutter<'_> {
    /// A score runs in the pass that has the pictures: where they are fetched, or where shards are read.
    pub(super) fn score(&mut self, stage: &Placed<StageSettings>, settings: &ScoreSettings) -> Result<(), RecipeError> {
        let model = self.model.take().ok_or_else(|| RecipeError::new(&stage.place, "the model was not looked for"))?;
        let known = |name: &&str| self.schema.field_with_name(name).is_ok();
        let text = match &settings.text {
            Some(name) if !known(&name.as_str()) => return Err(self.no_column(stage.key("text"), name)),
            Some(name) => name.clone(),
            None => match ["text", "caption"].into_iter().find(known) {
                Some(name) => name.to_owned(),
                None => {
                    return Err(RecipeError::new(&stage.place, "there is no column `text` or `caption`: name the captions with `text`"));
                }
            },
        };
        for name in std::iter::once(&model.name)
            .chain(model.heads.iter().map(|head| &head.name))
            .chain(model.prompts.iter().map(|prompts| &prompts.name))
        {
            // Scores of shards that are read again may be made anew; what a recipe has is not written over.
            let again = self.ending.is_some() && self.schema.field_with_name(name).is_ok_and(|field| field.data_type().is_floating());
            if known(&name.as_str()) && !again {
                let message = format!("there is a column `{name}` already: give the score another `name`");
                return Err(RecipeError::new(stage.key("name"), message));
            }
        }
        let vectors = settings.vectors.unwrap_or_default();
        if vectors != VectorFormat::None {
            if self.vectors != VectorFormat::None && self.vectors != vectors {
                return Err(RecipeError::new(stage.key("vectors"), "all score stages of a recipe store their vectors in one format"));
            }
            if vectors == VectorFormat::ClipRetrieval && self.vectors == vectors {
                let message = "clip-retrieval's layout holds the vectors of one model: store those of one score stage only";
                return Err(RecipeError::new(stage.key("vectors"), message));
            }
            self.vectors = vectors;
        }
        let pictures = self.fetch.is_some() || self.ending.is_some();
        if !pictures {
            return Err(RecipeError::new(&stage.place, "`score` needs pictures: put it after `fetch`, or read `shards`"));
        }
        if let Some(fetch) = &mut self.fetch
            && !fetch.pass.fetch.images.options.disable_all_reencoding
        {
            fetch.pass.fetch.scale_for.push(model.clone());
        }
        let score = Score { model, text, probability: settings.probability, vectors: vectors != VectorFormat::None };
        if let Some(Pass { kind: PassKind::Source { source: Source::Shards(read), .. }, .. }) = &mut self.open
            && !settings.recompute
        {
            score.take_stored(&mut read.vectors);
        }
        self.schema =
            Op::Score(Box::new(score.clone())).output_schema(&self.schema).map_err(|e| RecipeError::new(&stage.place, e.to_string()))?;
        self.push(StreamStage::Score(Box::new(score)));
        Ok(())
    }

    /// Hashes are made where the pixels are: by `fetch`, or from the pictures of shards that are read again.
    pub(super) fn hash(&mut self, stage: &Placed<StageSettings>, settings: &HashSettings) -> Result<(), RecipeError> {
        if settings.hashes.is_empty() {
            return Err(RecipeError::new(stage.key("hashes"), "`hashes` is empty: nothing is asked for"));
        }
        let mut hashes = settings.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        if self.fetch.is_none() && self.ending.is_none() {
            return Err(RecipeError::new(&stage.place, "`hash` needs pictures: put it after `fetch`, or read `shards`"));
        }
        let op = HashPictures { hashes };
        for field in crate::hashes::fields(&op.hashes) {
            // Hashes of shards that are read again may be made anew.
            if self.ending.is_none() && self.schema.field_with_name(field.name()).is_ok() {
                return Err(RecipeError::new(&stage.place, format!("there is a column `{}` already", field.name())));
            }
        }
        self.schema =
            Op::HashPictures(op.clone()).output_schema(&self.schema).map_err(|e| RecipeError::new(&stage.place, e.to_string()))?;
        match &mut self.fetch {
            Some(fetch) if !fetch.pass.fetch.images.options.disable_all_reencoding => {
                fetch.pass.fetch.images.hashes.extend(op.hashes);
            }
            _ => self.push(StreamStage::Hash(op)),
        }
        Ok(())
    }
}
