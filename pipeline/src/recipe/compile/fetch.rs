//! `fetch`.

use super::cutter::{Cutter, OpenFetch};
use super::identity;
use crate::job::{FetchPass, Pass, PassKind};
use crate::op::{Blocking, Fetch, FetchImages, MOST_LANES, Op};
use crate::recipe::document::{Placed, StageSettings};
use crate::recipe::error::RecipeError;
use crate::recipe::settings::FetchSettings;

impl Cutter<'_> {
    pub(super) fn fetch(
        &mut self,
        number: usize,
        name: &str,
        stage: &Placed<StageSettings>,
        settings: &FetchSettings,
    ) -> Result<(), RecipeError> {
        if self.fetch.is_some() {
            return Err(RecipeError::new(&stage.place, "a recipe fetches once"));
        }
        let network = settings
            .network(self.recipe.network.value.clone(), self.recipe.job.value.contact.as_deref())
            .map_err(|e| RecipeError::new(&stage.place, e))?;
        if !settings.offline {
            if network.contact.trim().is_empty() {
                let message = "fetching needs a contact: set `contact = \"https://example.org/bot\"` in [job], a url or mail address where site owners reach you";
                return Err(RecipeError::new(&self.recipe.job.place, message));
            }
            network.validate().map_err(|e| RecipeError::new(&self.recipe.network.place, e.to_string()))?;
        }
        let hash = settings.hash_kind().map_err(|e| RecipeError::new(stage.key("compute_hash"), e))?;
        for (key, column) in [("verify_hash", &settings.verify_hash), ("bbox_col", &settings.bbox_col)] {
            if let Some(column) = column {
                self.schema.field_with_name(column).map_err(|_| self.no_column(stage.key(key), column))?;
            }
        }
        if settings.verify_hash.is_some() && hash.is_none() {
            return Err(RecipeError::new(stage.key("verify_hash"), "`verify_hash` needs `compute_hash`"));
        }
        let options = settings.image_options();
        options.validate().map_err(|e| RecipeError::new(stage.key(e.option), e.to_string()))?;
        if settings.offline && settings.archive.is_empty() {
            return Err(RecipeError::new(stage.key("offline"), "`offline` needs `archive`: there is nothing to ask"));
        }
        if settings.number_sample_per_shard == 0 {
            return Err(RecipeError::new(stage.key("number_sample_per_shard"), "a shard has at least one row"));
        }
        let bounds: [(&str, bool, &str); 5] = [
            ("unit_seconds", settings.unit_seconds.is_finite() && settings.unit_seconds > 0.0, "a number of seconds over 0"),
            ("rounds", settings.rounds > 0, "at least 1"),
            ("units_at_once", settings.units_at_once > 0, "at least 1"),
            ("lanes", settings.lanes.is_none_or(|lanes| (1..=MOST_LANES).contains(&lanes)), "1 to 1024"),
            ("oom_shard_count", settings.oom_shard_count <= 18, "at most 18 digits"),
        ];
        for (key, holds, wanted) in bounds {
            if !holds {
                return Err(RecipeError::new(stage.key(key), format!("`{key}` is {wanted}")));
            }
        }
        let unit_rows = settings.number_sample_per_shard;
        // Hosts are mixed for their sake; where none is asked, the rows keep their order and fill the units.
        let host_rows = match (settings.host_rows, self.shape.compat_img2dataset || settings.offline) {
            (Some(0), _) | (None, true) => None,
            (Some(rows), _) => Some(rows),
            (None, false) => Some((unit_rows / 200).max(1)),
        };
        let blocking = match settings.block_list.is_empty() {
            true => None,
            false => {
                let files = archives(&settings.block_list).map_err(|e| RecipeError::new(stage.key("block_list"), e))?;
                trommel_filters::hashes::BlockList::load(&files, settings.block_distance)
                    .map_err(|e| RecipeError::new(stage.key("block_list"), e.to_string()))?;
                if settings.disable_all_reencoding {
                    let message = "`block_list` looks at pictures, and `disable_all_reencoding` does not decode them";
                    return Err(RecipeError::new(stage.key("block_list"), message));
                }
                let identity = identity(&files);
                Some(Blocking { files, identity, distance: settings.block_distance, stage: name.to_owned() })
            }
        };
        let images = FetchImages {
            options,
            compute_hash: hash,
            verify_hash: settings.verify_hash.clone(),
            boxes: settings.bbox_col.clone(),
            hashes: Vec::new(),
            blocking,
            page_optout: !network.disallowed_directives.is_empty(),
        };
        let archive = archives(&settings.archive).map_err(|e| RecipeError::new(stage.key("archive"), e))?;
        let archive_identity = identity(&archive);
        let fetch = Fetch {
            config: network,
            images,
            archive,
            archive_identity,
            offline: settings.offline,
            unit_seconds: settings.unit_seconds,
            last_round: false,
            more_units: false,
            scale_for: Vec::new(),
        };
        self.close_tables();
        self.schema =
            Op::Fetch(Box::new(fetch.clone())).output_schema(&self.schema).map_err(|e| RecipeError::new(&stage.place, e.to_string()))?;
        let pass = FetchPass {
            stage: name.to_owned(),
            fetch,
            unit_rows,
            host_rows,
            digits: settings.oom_shard_count,
            rounds: settings.rounds,
            // Pictures of archives keep the processors busy: more units would only hold more.
            units_at_once: if settings.offline { settings.units_at_once.min(2) } else { settings.units_at_once },
            lanes: settings.lanes,
        };
        self.fetch = Some(OpenFetch { pass });
        self.open = Some(Pass { name: format!("{number}-fetch"), before: Vec::new(), kind: PassKind::Table { shards: None } });
        Ok(())
    }
}

/// The archive files of patterns, on this machine.
fn archives(patterns: &[String]) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for pattern in patterns {
        let found: Vec<String> = if std::path::Path::new(pattern).is_file() {
            vec![pattern.clone()]
        } else {
            glob::glob(pattern)
                .map_err(|e| e.to_string())?
                .filter_map(Result::ok)
                .filter(|path| path.is_file())
                .map(|path| path.display().to_string())
                .collect()
        };
        if found.is_empty() {
            return Err(format!("`{pattern}` matches no file"));
        }
        files.extend(found);
    }
    files.sort();
    files.dedup();
    Ok(files)
}
