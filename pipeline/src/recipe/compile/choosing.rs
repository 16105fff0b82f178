//! Stages that choose among finished shards, and the last stage, which writes.

use super::cutter::Cutter;
use crate::job::RAW;
use crate::op::write::{OutputFormat, ShardSpec};
use crate::recipe::choosing::{kinds_of, named_parts};
use crate::recipe::document::{Placed, StageSettings};
use crate::recipe::error::RecipeError;
use crate::recipe::settings::{ReshardSettings, WriteSettings};
use crate::select::Selection;
use crate::select::spec::Kind;

impl Cutter<'_> {
    /// The parts of a stage that needs to see all rows; a `where` goes with the rows, as long as nothing has been chosen.
    pub(super) fn chosen(&self, name: &str, stage: &Placed<StageSettings>) -> Result<Option<Vec<Kind>>, RecipeError> {
        let kinds = kinds_of(stage, name)?;
        let streams = matches!(&stage.value, StageSettings::Keep(settings) if !settings.is_global());
        Ok(kinds.filter(|_| !streams || !self.selection.stages.is_empty()))
    }

    /// Takes a stage that chooses among finished shards.
    pub(super) fn choose(&mut self, name: &str, stage: &Placed<StageSettings>, kinds: Vec<Kind>) -> Result<(), RecipeError> {
        if self.fetch.is_none() && self.ending.is_none() {
            let message = format!(
                "`{}` chooses among finished shards: put it behind `fetch`, or read `shards`; for lists and tables there is `trommel select`",
                stage.value.name()
            );
            return Err(RecipeError::new(&stage.place, message));
        }
        let parts = Selection { seed: self.selection.seed, stages: named_parts(name, kinds).collect() };
        crate::select::check(&parts, self.context, &self.schema).map_err(|e| RecipeError::new(&stage.place, e.to_string()))?;
        self.names.extend(parts.stages.iter().map(|part| part.name.clone()));
        self.selection.stages.extend(parts.stages);
        Ok(())
    }

    /// The last stage: final shards of the pass that has the pictures, or, behind stages that choose, of a subset.
    pub(super) fn write(&mut self, stage: &Placed<StageSettings>, settings: &WriteSettings) -> Result<(), RecipeError> {
        if self.selection.stages.is_empty() {
            for (key, given) in [("shard_size", settings.shard_size.is_some()), ("order", settings.order != "input")] {
                if given {
                    let message = format!(
                        "`{key}` is of shards behind stages that choose; there are none here (`trommel reshard` cuts finished shards)"
                    );
                    return Err(RecipeError::new(stage.key(key), message));
                }
            }
            self.write = Some(self.shards(stage, settings)?);
            return Ok(());
        }
        let format = match settings.format {
            OutputFormat::Webdataset => "webdataset",
            OutputFormat::Parquet => "parquet",
            _ => {
                let message = "behind stages that choose, shards are `webdataset` or `parquet`";
                return Err(RecipeError::new(stage.key("format"), message));
            }
        };
        if settings.compat.as_deref().is_some_and(|compat| compat != "datacomp") {
            return Err(RecipeError::new(stage.key("compat"), "behind stages that choose, `compat` is `datacomp`"));
        }
        let shard_size = self.fetch.as_ref().map_or(10_000, |fetch| fetch.pass.unit_rows as u64);
        let shard_size = settings.shard_size.unwrap_or(shard_size);
        if shard_size == 0 {
            return Err(RecipeError::new(stage.key("shard_size"), "a shard has at least one sample"));
        }
        self.reshard = ReshardSettings {
            shard_size,
            order: settings.order.clone(),
            shuffle_seed: self.selection.seed,
            shard_format: format.to_owned(),
            shard_compat: settings.compat.clone(),
            ..ReshardSettings::default()
        };
        crate::reshard::options_of(&self.reshard, 1).map_err(|(key, message)| RecipeError::new(stage.key(key), message))?;
        let raw = WriteSettings { format: settings.format, ..WriteSettings::default() };
        self.write = Some(ShardSpec { folder: RAW.to_owned(), ..self.shards(stage, &raw)? });
        Ok(())
    }

    fn shards(&self, stage: &Placed<StageSettings>, settings: &WriteSettings) -> Result<ShardSpec, RecipeError> {
        let fetch = self.fetch.as_ref();
        if fetch.is_none() && self.ending.is_none() && matches!(settings.format, OutputFormat::Webdataset | OutputFormat::Files) {
            return Err(RecipeError::new(
                stage.key("format"),
                "without `fetch` there are no pictures to write: use `format = \"parquet\"`",
            ));
        }
        if self.shape.datacomp && settings.format != OutputFormat::Metadata {
            return Err(RecipeError::new(stage.key("compat"), "`compat = \"datacomp\"` is about metadata: use `format = \"metadata\"`"));
        }
        // Shards that are read again may call it either way.
        let captioned = self.ending.is_some() && self.schema.field_with_name("text").is_err();
        let caption = if self.shape.compat_img2dataset || captioned { "caption" } else { "text" };
        Ok(ShardSpec {
            format: settings.format,
            shard_rows: fetch.map_or(10_000, |fetch| fetch.pass.unit_rows),
            caption: self.schema.field_with_name(caption).is_ok().then(|| caption.to_owned()),
            extension: match fetch {
                Some(fetch) => fetch.pass.fetch.images.options.encode_format.extension().to_owned(),
                None => self.ending.clone().unwrap_or_else(|| "jpg".to_owned()),
            },
            compat: self.shape.compat_img2dataset,
            datacomp: self.shape.datacomp,
            vectors: self.vectors,
            folder: String::new(),
            fetch_stage: fetch.map_or_else(String::new, |fetch| fetch.pass.stage.clone()),
            deferred_folder: String::new(),
            failed_folder: String::new(),
        })
    }
}
