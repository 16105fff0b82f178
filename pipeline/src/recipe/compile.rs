//! From a recipe to a job: the stages are cut into passes and checked against the columns that they will find.

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::prelude::SessionContext;
use trommel_shards::columns::{UID, URL};
use trommel_shards::lists::ColumnChoice;
use trommel_shards::source::{SourceFile, expand};

use super::choosing::{kinds_of, named_parts};
use super::document::{Placed, Recipe, StageSettings};
use super::error::{Place, RecipeError};
use super::settings::{DedupeSettings, FetchSettings, HashSettings, ReshardSettings, ScoreSettings, SourceSettings, WriteSettings};
use crate::job::{FetchPass, Job, Pass, PassKind, RAW, ReshardPass, Source, StreamStage};
use crate::op::write::{OutputFormat, ShardSpec, VectorFormat};
use crate::op::{Blocking, Extract, Fetch, FetchImages, HashPictures, Language, Op, ReadList, ReadShards, Score};
use crate::plan::Keep;
use crate::scorers::ScoreModel;
use crate::select::Selection;
use crate::select::spec::Kind;

/// A compiled recipe.
pub struct Compiled {
    /// The job, ready to run.
    pub job: Job,
}

/// Options of a compilation that are not part of a recipe.
struct Shape {
    compat_img2dataset: bool,
    datacomp: bool,
    compat_cc2dataset: bool,
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

/// Finds the input files and says how they are read.
async fn source(settings: &Placed<SourceSettings>, shape: &Shape) -> Result<(Vec<SourceFile>, Source), RecipeError> {
    let value = &settings.value;
    let kinds = [
        ("wat", &value.wat),
        ("warc", &value.warc),
        ("wacz", &value.wacz),
        ("html", &value.html),
        ("urls", &value.urls),
        ("shards", &value.shards),
    ];
    let given: Vec<_> = kinds.into_iter().filter(|(_, patterns)| !patterns.is_empty()).collect();
    let names = || kinds.map(|(name, _)| format!("`{name}`")).join(", ");
    if given.is_empty() {
        return Err(RecipeError::new(&settings.place, format!("the source names no input: one of {}", names())));
    }
    let alone = given.iter().find(|(name, _)| matches!(*name, "urls" | "shards")).map(|(name, _)| *name);
    if let Some(name) = alone.filter(|_| given.len() > 1) {
        let message = "url lists, shards and archives have different columns: use one of them in a recipe";
        return Err(RecipeError::new(settings.key(name), message));
    }
    let mut files = Vec::new();
    for (name, patterns) in given {
        for pattern in patterns {
            let found = expand(pattern).await.map_err(|e| RecipeError::new(settings.key(name), e.to_string()))?;
            files.extend(found);
        }
    }
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    files.dedup();
    if alone == Some("shards") {
        let files = shard_files(files).map_err(|e| RecipeError::new(settings.key("shards"), e))?;
        let first = files[0].uri.clone();
        let read = tokio::task::spawn_blocking(move || ReadShards::resolve(&first)).await;
        let read = read
            .map_err(|e| RecipeError::new(&settings.place, e.to_string()))?
            .map_err(|e| RecipeError::new(settings.key("shards"), e.to_string().replace("Execution error: ", "")))?;
        return Ok((files, Source::Shards(read)));
    }
    if alone.is_none() {
        let extract = Extract { types: value.types.clone(), cc2dataset: shape.compat_cc2dataset, max_text_bytes: value.max_text_bytes };
        extract
            .options()
            .map_err(|e| RecipeError::new(settings.key("types"), e.to_string().replace("Invalid or Unsupported Configuration: ", "")))?;
        return Ok((files, Source::Archives(extract)));
    }
    // img2dataset carries no column along unless asked to.
    let additional = match (&value.save_additional_columns, shape.compat_img2dataset) {
        (None, true) => Some(Vec::new()),
        (given, _) => given.clone(),
    };
    let choice = ColumnChoice { url: value.url_col.clone(), caption: value.caption_col.clone(), additional };
    let text = if shape.compat_img2dataset { "caption" } else { "text" };
    let (file, format, uid) = (files[0].uri.clone(), value.input_format, !shape.compat_img2dataset);
    let resolved = tokio::task::spawn_blocking(move || ReadList::resolve(&file, format, choice, text, uid)).await;
    let read = resolved
        .map_err(|e| RecipeError::new(&settings.place, e.to_string()))?
        .map_err(|e| RecipeError::new(settings.key("urls"), e.to_string()))?;
    Ok((files, Source::Lists(read)))
}

/// The shards among files: tars where there are any (the parquet files beside them belong to them), else parquet files.
fn shard_files(files: Vec<SourceFile>) -> Result<Vec<SourceFile>, String> {
    let ends = |file: &SourceFile, ending: &str| file.uri.to_ascii_lowercase().ends_with(ending);
    let count = files.len();
    let files = crate::job::finished_files(files);
    let tars = files.iter().any(|file| ends(file, ".tar"));
    let shards: Vec<SourceFile> = files.into_iter().filter(|file| ends(file, if tars { ".tar" } else { ".parquet" })).collect();
    if shards.is_empty() { Err(format!("none of the {count} files is a shard: a `.tar` or `.parquet`")) } else { Ok(shards) }
}

fn source_schema(place: &Place, source: &Source) -> Result<SchemaRef, RecipeError> {
    let op = source.op();
    let work = Schema::new(vec![arrow::datatypes::Field::new("path", arrow::datatypes::DataType::Utf8, false)]);
    op.output_schema(&work).map_err(|e| RecipeError::new(place, e.to_string()))
}

/// A fetching stage that waits for the stages behind it.
struct OpenFetch {
    pass: FetchPass,
}

/// Cuts stages into passes.
struct Cutter<'a> {
    recipe: &'a Recipe,
    context: &'a SessionContext,
    shape: &'a Shape,
    schema: SchemaRef,
    passes: Vec<Pass>,
    open: Option<Pass>,
    fetch: Option<OpenFetch>,
    write: Option<ShardSpec>,
    /// The model of the score stage in hand.
    model: Option<ScoreModel>,
    /// How the vectors of score stages are stored.
    vectors: VectorFormat,
    /// Ending of the pictures of shards that are read again.
    ending: Option<String>,
    /// Stages that choose among finished shards.
    selection: Selection,
    reshard: ReshardSettings,
    names: Vec<String>,
}

impl<'a> Cutter<'a> {
    fn new(recipe: &'a Recipe, context: &'a SessionContext, shape: &'a Shape, schema: SchemaRef) -> Self {
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

    fn begin(&mut self, files: Vec<SourceFile>, source: Source) {
        if let Source::Shards(read) = &source {
            self.ending = Some(read.ending.clone());
        }
        let name = match source {
            Source::Archives(_) => "0-extract",
            Source::Lists(_) | Source::Shards(_) => "0-read",
        };
        self.open = Some(Pass { name: name.into(), before: Vec::new(), kind: PassKind::Source { files, source, shards: None } });
    }

    fn stage(&mut self, number: usize, stage: &Placed<StageSettings>) -> Result<(), RecipeError> {
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

    /// The parts of a stage that needs to see all rows; a `where` goes with the rows, as long as nothing has been chosen.
    fn chosen(&self, name: &str, stage: &Placed<StageSettings>) -> Result<Option<Vec<Kind>>, RecipeError> {
        let kinds = kinds_of(stage, name)?;
        let streams = matches!(&stage.value, StageSettings::Keep(settings) if !settings.is_global());
        Ok(kinds.filter(|_| !streams || !self.selection.stages.is_empty()))
    }

    /// Takes a stage that chooses among finished shards.
    fn choose(&mut self, name: &str, stage: &Placed<StageSettings>, kinds: Vec<Kind>) -> Result<(), RecipeError> {
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
    fn write(&mut self, stage: &Placed<StageSettings>, settings: &WriteSettings) -> Result<(), RecipeError> {
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

    fn push(&mut self, stage: StreamStage) {
        if let Some(pass) = &mut self.open {
            pass.before.push(stage);
        }
    }

    fn dedupe(&mut self, number: usize, name: &str, stage: &Placed<StageSettings>, settings: &DedupeSettings) -> Result<(), RecipeError> {
        if self.fetch.is_some() {
            return Err(RecipeError::new(
                &stage.place,
                "`dedupe` after `fetch` would rewrite every shard: put it before `fetch`, or run it over the finished shards",
            ));
        }
        if settings.by.is_empty() {
            return Err(RecipeError::new(stage.key("by"), "`by` names no column"));
        }
        for column in &settings.by {
            self.schema.field_with_name(column).map_err(|_| self.no_column(stage.key("by"), column))?;
        }
        let order = self.order(number, stage, settings)?;
        self.close_tables();
        let kind = PassKind::Dedupe { stage: name.to_owned(), by: settings.by.clone(), order, against: settings.against.clone() };
        self.passes.push(Pass { name: format!("{number}-dedupe"), before: Vec::new(), kind });
        self.open = Some(Pass { name: format!("{number}-kept"), before: Vec::new(), kind: PassKind::Table { shards: None } });
        Ok(())
    }

    fn order(&self, number: usize, stage: &Placed<StageSettings>, settings: &DedupeSettings) -> Result<Vec<(String, bool)>, RecipeError> {
        let place = stage.key("order");
        let Some(text) = settings.order.as_deref().map(str::trim).filter(|text| !text.is_empty() && *text != "first") else {
            return Ok(Vec::new());
        };
        if text == "hash" {
            let uid = if self.schema.field_with_name(UID).is_ok() { UID } else { "_uid" };
            // Rows of one key may share their uid: the place in the input breaks such ties.
            return Ok(vec![(format!("draw({}, '{number}.dedupe', {uid})", self.recipe.job.value.seed), false)]);
        }
        use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};
        let items = Parser::new(&GenericDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_comma_separated(Parser::parse_order_by_expr))
            .map_err(|e| RecipeError::new(place, e.to_string()))?;
        let order: Vec<(String, bool)> = items.into_iter().map(|item| (item.expr.to_string(), item.options.asc == Some(false))).collect();
        for (sql, _) in &order {
            Keep::parse("order", &format!("({sql}) is null"))
                .and_then(|probe| probe.check(self.context, &self.schema))
                .map_err(|e| RecipeError::new(place, e.to_string()))?;
        }
        Ok(order)
    }

    fn fetch(&mut self, number: usize, name: &str, stage: &Placed<StageSettings>, settings: &FetchSettings) -> Result<(), RecipeError> {
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
        let bounds: [(&str, bool, &str); 4] = [
            ("unit_seconds", settings.unit_seconds.is_finite() && settings.unit_seconds > 0.0, "a number of seconds over 0"),
            ("rounds", settings.rounds > 0, "at least 1"),
            ("units_at_once", settings.units_at_once > 0, "at least 1"),
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
            (None, false) => Some((unit_rows / 20).max(1)),
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
            units_at_once: settings.units_at_once,
        };
        self.fetch = Some(OpenFetch { pass });
        self.open = Some(Pass { name: format!("{number}-fetch"), before: Vec::new(), kind: PassKind::Table { shards: None } });
        Ok(())
    }

    /// A score runs in the pass that has the pictures: where they are fetched, or where shards are read.
    fn score(&mut self, stage: &Placed<StageSettings>, settings: &ScoreSettings) -> Result<(), RecipeError> {
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
    fn hash(&mut self, stage: &Placed<StageSettings>, settings: &HashSettings) -> Result<(), RecipeError> {
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

    /// Ends the open pass in tables. A pass that would only copy tables is left out.
    fn close_tables(&mut self) {
        if let Some(pass) = self.open.take() {
            let after_dedupe = matches!(self.passes.last(), Some(Pass { kind: PassKind::Dedupe { .. }, .. }));
            let copies = matches!(pass.kind, PassKind::Table { .. }) && pass.before.is_empty() && !after_dedupe;
            if !copies {
                self.passes.push(pass);
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<Pass>, RecipeError> {
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

    fn no_column(&self, place: &Place, name: &str) -> RecipeError {
        let known: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !name.starts_with('_')).collect();
        let hint = super::nearest(name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        RecipeError::new(place, format!("no column `{name}` here{hint}; there are {list}"))
    }
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
