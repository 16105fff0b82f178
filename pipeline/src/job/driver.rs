//! Runs the passes of a job: what is done stays, what is pending is planned and given to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit};
use datafusion::prelude::SessionContext;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use trommel_shards::columns::{CONTROL_ROW, ROW, UID, UNIT};
use trommel_shards::marker::{self, Counts, Marker};
use trommel_shards::storage::{Storage, StorageError};
use trommel_shards::table::TableError;

use super::beat::Beat;
use super::parts::{Turn, share};
use super::passes::{FetchPass, Pass, PassKind, Source, StreamStage};
use super::{rounds, sweep, units};
use crate::engine::{Engine, EngineChoice, OpenError, Opening, Outcome, Spread, Units, reason};
use crate::ledger::{Failure, Intent, JobFile, JobLock, LedgerError, Part, Presence, here, now, short_hash, upstream_identity};
use crate::op::write::{InputIdentity, ShardSpec, Target};
use crate::op::{Dedupe, Drops, HOST, KEY, ORDER, Only, Op, Pack, Write, lanes};
use crate::plan::{SessionSettings, StageNode, functions, session};
use crate::report::{Funnel, Progress, ProgressLine};
use crate::select::Selected;
use crate::services::Services;

/// Units that one plan holds at most: bounds the time that planning takes.
const UNITS_PER_PLAN: usize = 2000;

/// A run that could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// The output folder is not for this run.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A selection cannot be made.
    #[error(transparent)]
    Select(#[from] crate::select::SelectError),
    /// The engine cannot be used.
    #[error(transparent)]
    Engine(#[from] OpenError),
    /// The final shards cannot be written.
    #[error(transparent)]
    Reshard(#[from] crate::reshard::RunError),
    /// A pass failed as a whole.
    #[error("pass `{pass}`: {message}")]
    Pass {
        /// The pass.
        pass: String,
        /// Why, one sentence.
        message: String,
        /// The error.
        #[source]
        source: DataFusionError,
    },
    /// Another part has not done its share, and gives no sign of life.
    #[error(
        "pass `{pass}`: {units} units of other parts are not done, and part {part} gave no sign of life for {seconds} s: start it, then run this \
         again to go on"
    )]
    Parts {
        /// The pass.
        pass: String,
        /// Units that are not done.
        units: usize,
        /// The part whose the first of them is.
        part: Part,
        /// Seconds of silence.
        seconds: u64,
    },
    /// Interrupted; what was finished is safe.
    #[error("interrupted: finished units are safe, run the same command again to go on")]
    Interrupted,
}

/// How a job runs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Resume, or start over.
    pub intent: Intent,
    /// Threads for decoding, and partitions of shuffles.
    pub threads: usize,
    /// Bytes that sorts and shuffles may hold.
    pub memory_bytes: usize,
    /// Folder for spill files; the system's temporary folder by default.
    pub spill_folder: Option<PathBuf>,
    /// No progress lines.
    pub quiet: bool,
    /// Ask again for what failed for a passing reason.
    pub retry_failed: bool,
    /// What runs the passes.
    pub engine: EngineChoice,
    /// The share of the units that this run does, with others beside it on the same output.
    pub part: Option<Part>,
    /// How long it waits for a part that gives no sign of life.
    pub part_patience: Duration,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What became of all rows.
    pub funnel: Funnel,
    /// Units that failed, with their pass and the reason.
    pub failed: Vec<(String, String, String)>,
    /// Units that were done in this run, and those that were done before.
    pub units: (usize, usize),
    /// Seconds that the run took.
    pub seconds: f64,
    /// What the models did, by the name of their column.
    pub models: BTreeMap<String, serde_json::Value>,
    /// What was chosen, and why.
    pub selected: Option<Selected>,
}

/// A job, ready to run.
pub struct Job {
    /// Its name.
    pub name: String,
    /// The resolved recipe, for people.
    pub recipe: serde_json::Value,
    /// Where its output goes: a folder or a url.
    pub output: String,
    /// The passes.
    pub passes: Vec<Pass>,
    /// The stages in recipe order.
    pub stages: Vec<String>,
}

/// One pass on its way.
pub(super) struct Here<'a> {
    pub(super) job: &'a Job,
    pub(super) context: SessionContext,
    pub(super) services: Arc<Services>,
    pub(super) engine: Box<dyn Engine>,
    pub(super) options: &'a RunOptions,
    pub(super) settings: SessionSettings,
    pub(super) config: String,
    pub(super) failed: Vec<(String, String, String)>,
    pub(super) units: (usize, usize),
    pub(super) put_back: bool,
    pub(super) selected: Option<Selected>,
    pub(super) beat: Beat,
}

/// What a pass leaves for the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct Upstream {
    /// The pass that wrote the tables.
    pub(super) pass: String,
    /// Markers of its units.
    pub(super) markers: BTreeMap<String, Marker>,
    /// Columns of the tables.
    pub(super) schema: Option<SchemaRef>,
    /// A dedupe pass that has listed rows of these tables.
    pub(super) lists: Option<Lists>,
}

/// What a dedupe pass leaves.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    /// The stage, for the exclusion table.
    stage: String,
    /// The pass, whose marker holds the digests.
    pass: String,
    /// Where the lists are.
    folder: String,
}

impl Upstream {
    fn identity(&self, unit: &str, lists: &BTreeMap<String, String>) -> String {
        upstream_identity(self.markers.get(unit), lists.get(unit).map(String::as_str))
    }
}

impl Job {
    /// Runs the job to its end.
    ///
    /// # Errors
    /// [`JobError`]; failed units are no error, they are listed in [`Finished::failed`].
    pub async fn run(&self, options: &RunOptions, progress: Arc<Progress>, cancel: CancellationToken) -> Result<Finished, JobError> {
        let storage = Storage::open(&self.output)?;
        self.run_in(&storage, options, progress, cancel).await
    }

    /// Runs the job in an open storage.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub async fn run_in(
        &self,
        storage: &Storage,
        options: &RunOptions,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Result<Finished, JobError> {
        let lock = match options.part {
            None => JobLock::take(storage).await?,
            Some(part) => JobLock::take_part(storage, part).await?,
        };
        let result = self.run_locked(storage, options, progress, cancel).await;
        lock.release().await;
        if result.is_ok() && (options.part.is_some() || options.engine != EngineChoice::Local) {
            // What killed executors, or parts, had half written. Whoever can have the output for itself is the last one there.
            match JobLock::take(storage).await {
                Ok(lock) => {
                    storage.sweep_temporaries()?;
                    lock.release().await;
                }
                Err(LedgerError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        result
    }

    async fn run_locked(
        &self,
        storage: &Storage,
        options: &RunOptions,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Result<Finished, JobError> {
        let started = Instant::now();
        let file =
            JobFile::new(&self.name, self.recipe.clone(), self.passes.iter().map(|pass| pass.name.clone()).collect(), self.stages.clone());
        file.claim(storage, options.intent, options.part.is_some()).await?;
        if options.part.is_none() {
            sweep::strangers(storage, &self.passes).await?;
        }
        let spill = tempfile::Builder::new()
            .prefix("trommel-")
            .tempdir_in(options.spill_folder.clone().unwrap_or_else(std::env::temp_dir))
            .map_err(|source| LedgerError::Io { place: "the folder for spill files".into(), source })?;
        let services =
            Arc::new(Services::new(storage.clone(), Arc::clone(&progress), spill.path().to_path_buf(), options.threads, cancel.clone()));
        let settings =
            SessionSettings { partitions: options.threads, memory_bytes: options.memory_bytes, spill_folder: spill.path().to_path_buf() };
        let fail = |source| JobError::Pass { pass: "plan".into(), message: "the session could not be made".into(), source };
        let context = session(&settings, Arc::clone(&services)).map_err(fail)?;
        let opening = Opening { cancel: cancel.clone(), progress: Arc::clone(&services.progress), memory_bytes: options.memory_bytes };
        let engine = options.engine.open(opening).await?;
        let mut here = Here {
            job: self,
            context,
            services,
            engine,
            options,
            settings,
            config: short_hash(b"trommel layout 1"),
            put_back: false,
            failed: Vec::new(),
            units: (0, 0),
            selected: None,
            beat: Beat::start(self.presence(options), storage, &progress),
        };
        let mut funnel = Funnel::default();
        if let Err(error) = here.passes(&self.passes, &mut funnel).await {
            let error = if cancel.is_cancelled() { JobError::Interrupted } else { error };
            here.beat.end(&error.to_string()).await;
            return Err(error);
        }
        let mut text = serde_json::to_vec_pretty(&funnel).unwrap_or_default();
        text.push(b'\n');
        storage.put("funnel.json", text).await?;
        here.beat.end("done").await;
        let finished = Finished {
            funnel,
            failed: here.failed,
            units: here.units,
            seconds: started.elapsed().as_secs_f64(),
            models: here.services.model_metrics(),
            selected: here.selected,
        };
        Ok(finished)
    }

    fn presence(&self, options: &RunOptions) -> Presence {
        Presence {
            run: options.part.map_or_else(|| "whole".to_owned(), |part| part.name()),
            at: here(),
            engine: options.engine.to_string(),
            pass: String::new(),
            doing: "starting".into(),
            units: (0, 0),
            rows: 0,
            lost: 0,
            failures: BTreeMap::new(),
            pass_since: now(),
            seen: now(),
            ended: None,
        }
    }

    /// The plans of all passes as text, without running any. Columns that only the run can know are those of the recipe.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for pass in &self.passes {
            text.push_str(&format!("pass {}\n", pass.name));
            let line = match &pass.kind {
                PassKind::Source { files, source, shards } => {
                    format!("  read {} files ({}); {}", files.len(), source.op().describe(), end(shards.as_ref()))
                }
                PassKind::Dedupe { by, order, against, .. } => {
                    let order: Vec<String> = order.iter().map(|(sql, desc)| format!("{sql}{}", if *desc { " desc" } else { "" })).collect();
                    let keep =
                        if order.is_empty() { "the first in input order".to_owned() } else { format!("the first by {}", order.join(", ")) };
                    format!(
                        "  shuffle 128-bit keys of [{}], keep {keep}{}",
                        by.join(", "),
                        if against.is_empty() { String::new() } else { format!(", against {}", against.join(", ")) }
                    )
                }
                PassKind::Table { shards } => format!("  take duplicates out; {}", end(shards.as_ref())),
                PassKind::Select(selection) => {
                    let stages: Vec<&str> = selection.stages.iter().map(|stage| stage.name.as_str()).collect();
                    format!("  choose by {}; write a subset", stages.join(", "))
                }
                PassKind::Reshard(reshard) => {
                    format!("  write the subset as shards of {} samples, {} order", reshard.settings.shard_size, reshard.settings.order)
                }
                PassKind::Fetch(fetch, spec) => format!(
                    "  pack units of {} rows{}; {}; {}",
                    fetch.unit_rows,
                    fetch.host_rows.map_or(String::new(), |rows| format!(" with at most {rows} of a host")),
                    Op::Fetch(Box::new(fetch.fetch.clone())).describe(),
                    end(Some(spec))
                ),
            };
            text.push_str(&line);
            text.push('\n');
            for stage in &pass.before {
                text.push_str(&format!("    {}\n", stage.text()));
            }
        }
        text
    }
}

fn end(shards: Option<&ShardSpec>) -> String {
    shards.map_or("write tables".to_owned(), |spec| format!("write shards as {:?}", spec.format).to_lowercase())
}

impl Here<'_> {
    pub(super) fn storage(&self) -> &Storage {
        &self.services.storage
    }

    fn error(&self, pass: &str, source: DataFusionError) -> JobError {
        if self.services.cancel.is_cancelled() {
            return JobError::Interrupted;
        }
        let message = reason(&source).lines().next().unwrap_or_default().to_owned();
        JobError::Pass { pass: pass.to_owned(), message, source }
    }

    /// Goes on with the chain of config hashes.
    pub(super) fn chain(&mut self, text: &str) -> String {
        self.config = short_hash(format!("{} {text}", self.config).as_bytes());
        self.config.clone()
    }

    async fn passes(&mut self, passes: &[Pass], funnel: &mut Funnel) -> Result<(), JobError> {
        let mut upstream = Upstream::default();
        for pass in passes {
            self.beat.pass(&pass.name);
            upstream = self.pass(pass, upstream, funnel).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, pass: &Pass, upstream: Upstream, funnel: &mut Funnel) -> Result<Upstream, JobError> {
        let stages: Vec<String> = pass.before.iter().map(StreamStage::text).collect();
        match &pass.kind {
            PassKind::Source { files, source, shards } => {
                let config = self.chain(&format!("{source:?} {stages:?} {shards:?}"));
                let mut inputs = BTreeMap::new();
                let names = match source {
                    Source::Shards(_) => units::shard_names(files),
                    _ => files.iter().map(units::name_of).collect(),
                };
                for (name, file) in names.into_iter().zip(files) {
                    if let Some(other) = inputs.insert(name, file) {
                        let source = DataFusionError::Internal(format!("`{}` and `{}` would share a unit", other.uri, file.uri));
                        return Err(self.error(&pass.name, source));
                    }
                }
                let folder = format!("_trommel/units/{}", pass.name);
                let identities = inputs.iter().map(|(unit, file)| (unit.clone(), file.identity())).collect();
                let pending = self.pending(&pass.name, &config, &identities, &BTreeMap::new()).await?;
                for unit in &pending {
                    if let Some(file) = inputs.get(unit) {
                        units::write(self.storage(), &folder, unit, file).await?;
                    }
                }
                let target = self.target(pass, shards.as_ref());
                let write = Write { pass: pass.name.clone(), config: config.clone(), input: InputIdentity::Control, target };
                let ops = [Step::Op(source.op())].into_iter().chain(pass.before.iter().map(Step::Stage)).collect::<Vec<_>>();
                let schema =
                    self.run_units(pass, &folder, &units::schema(), &pending, &ops, &write, &Pace::of(self.options.threads)).await?;
                self.others(&pass.name, &config, identities.keys(), &BTreeMap::new()).await?;
                let markers = self.valid(&pass.name, identities.keys()).await?;
                funnel.rows = markers.values().map(|marker| marker.counts.rows).sum();
                self.book(funnel, &markers);
                Ok(Upstream { pass: pass.name.clone(), markers, schema: Some(schema), lists: None })
            }
            PassKind::Dedupe { stage, by, order, against } => {
                let config = self.chain(&format!("dedupe {by:?} {order:?}"));
                let identity = self.global_identity(&upstream, against).await?;
                let folder = format!("_trommel/lists/{}", pass.name);
                match self.turn(&pass.name, &config, &identity).await? {
                    Turn::Done => self.units.1 += 1,
                    mine => {
                        self.dedupe(pass, &upstream, by, order, against, &folder, &config, &identity).await?;
                        mine.over().await;
                    }
                }
                Ok(Upstream { lists: Some(Lists { stage: stage.clone(), pass: pass.name.clone(), folder }), ..upstream })
            }
            PassKind::Table { shards } => {
                let config = self.chain(&format!("table {stages:?} {shards:?}"));
                let lists = self.lists(&upstream).await?;
                let identities: BTreeMap<String, String> =
                    upstream.markers.keys().map(|unit| (unit.clone(), upstream.identity(unit, &lists))).collect();
                let pending = self.pending(&pass.name, &config, &identities, &BTreeMap::new()).await?;
                let mut ops = Vec::new();
                if let Some(lists) = &upstream.lists {
                    let drops = Drops { stage: lists.stage.clone(), folder: lists.folder.clone(), reason: "duplicate".into() };
                    ops.push(Step::Op(Op::Drops(drops)));
                }
                ops.extend(pass.before.iter().map(Step::Stage));
                let input = InputIdentity::Upstream {
                    pass: upstream.pass.clone(),
                    lists: upstream.lists.as_ref().map(|lists| lists.folder.clone()),
                };
                let write = Write { pass: pass.name.clone(), config: config.clone(), input, target: self.target(pass, shards.as_ref()) };
                let folder = format!("_trommel/tables/{}", upstream.pass);
                let schema = upstream.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
                let schema = self.run_units(pass, &folder, &schema, &pending, &ops, &write, &Pace::of(self.options.threads)).await?;
                self.others(&pass.name, &config, identities.keys(), &BTreeMap::new()).await?;
                let markers = self.valid(&pass.name, identities.keys()).await?;
                self.book(funnel, &markers);
                let waiting = upstream.markers.iter().filter(|(unit, _)| !markers.contains_key(*unit));
                funnel.pending += waiting.map(|(_, marker)| marker.counts.kept).sum::<u64>();
                Ok(Upstream { pass: pass.name.clone(), markers, schema: Some(schema), lists: None })
            }
            PassKind::Fetch(fetch, spec) => self.fetch(pass, fetch, spec, upstream, funnel).await,
            PassKind::Select(selection) => self.select(pass, selection, upstream, funnel).await,
            PassKind::Reshard(reshard) => self.reshard(pass, reshard, upstream).await,
        }
    }

    /// Packs and fetches, round after round, until nothing is left over.
    async fn fetch(
        &mut self,
        pass: &Pass,
        fetch: &FetchPass,
        spec: &ShardSpec,
        upstream: Upstream,
        funnel: &mut Funnel,
    ) -> Result<Upstream, JobError> {
        let stages: Vec<String> = pass.before.iter().map(StreamStage::text).collect();
        let schema = upstream.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
        let mut files: Vec<String> =
            upstream.markers.keys().map(|unit| format!("_trommel/tables/{}/{unit}.parquet", upstream.pass)).collect();
        let mut identity = self.global_identity(&upstream, &[]).await?;
        let mut only = None;
        let mut first_unit = 0;
        let mut counts = Counts::default();
        let mut all: BTreeMap<String, Marker> = BTreeMap::new();
        let mut round = 0;
        let base = self.config.clone();
        loop {
            let name = rounds::pass_name(&pass.name, round);
            let last_round = round + 1 >= fetch.rounds.max(1);
            let spec = ShardSpec {
                deferred_folder: rounds::folder(&pass.name, round + 1),
                failed_folder: rounds::failed_folder(&pass.name),
                ..spec.clone()
            };
            let shaping = serde_json::to_string(&spec).unwrap_or_default();
            let config = short_hash(
                format!(
                    "{base} fetch {} {} {:?} {stages:?} {shaping} {last_round}",
                    shape_of(&fetch.fetch),
                    fetch.unit_rows,
                    fetch.host_rows
                )
                .as_bytes(),
            );
            let packed = format!("{name}-units");
            let rows: u64 = if round == 0 {
                upstream.markers.values().map(|marker| marker.counts.kept).sum()
            } else {
                all.values().map(|marker| marker.counts.deferred).sum()
            };
            let lanes = if fetch.host_rows.is_some() { lanes(rows, fetch.unit_rows) } else { 1 };
            let pack = Pack { unit_rows: fetch.unit_rows, host_rows: fetch.host_rows, first_unit, digits: fetch.digits, lanes };
            self.pack(pass, &packed, &files, &schema, only.take(), pack, &config, &identity).await?;
            let work = Marker::read_all(self.storage(), &packed).await?;
            let work: BTreeMap<String, Marker> = work.into_iter().filter(|(unit, _)| unit != "all").collect();
            first_unit += work.len();
            let identities = work.iter().map(|(unit, marker)| (unit.clone(), upstream_identity(Some(marker), None))).collect();
            let lane = |marker: &Marker| marker.stats["lane"].as_u64().and_then(|lane| usize::try_from(lane).ok()).unwrap_or(0);
            let lanes: BTreeMap<String, usize> = work.iter().map(|(unit, marker)| (unit.clone(), lane(marker))).collect();
            let (pending, all_pending) = self.pending_of(&name, &config, &identities, &lanes).await?;
            if round == 0 && all_pending {
                // The first round is redone whole: what later rounds made of the old one is worth nothing.
                self.forget_rounds(&pass.name, 1).await?;
            }
            let op = Op::Fetch(Box::new(crate::op::Fetch { last_round, ..fetch.fetch.clone() }));
            let ops: Vec<Step<'_>> = [Step::Op(op)].into_iter().chain(pass.before.iter().map(Step::Stage)).collect();
            let input = InputIdentity::Upstream { pass: packed.clone(), lists: None };
            let write = Write { pass: name.clone(), config: config.clone(), input, target: Target::Shards(spec.clone()) };
            let pace = Pace { at_once: fetch.units_at_once, lanes };
            let shown = Pass { name: name.clone(), ..pass.clone() };
            self.run_units(&shown, &format!("_trommel/tables/{packed}"), &schema, &pending, &ops, &write, &pace).await?;
            self.others(&name, &config, identities.keys(), &pace.lanes).await?;
            if self.options.retry_failed && !self.put_back && self.last_round(&pass.name).await? == round {
                self.put_back = true;
                rounds::put_back_failed(self.storage(), &pass.name, &spec).await?;
                // Earlier rounds have other counts now.
                for (unit, marker) in &mut all {
                    if let Some(known) = self.marker_of(&pass.name, round, unit).await? {
                        *marker = known;
                    }
                }
            }
            let markers = self.valid(&name, identities.keys()).await?;
            funnel.pending +=
                work.iter().filter(|(unit, _)| !markers.contains_key(*unit)).map(|(_, marker)| marker.counts.kept).sum::<u64>();
            all.extend(markers);
            round += 1;
            let units = rounds::inputs(&pass.name, round, &all);
            if units.is_empty() {
                break;
            }
            files = Vec::with_capacity(units.len());
            for unit in &units {
                let table = self.table_of(&pass.name, round, unit).await?;
                files.push(table);
            }
            identity = rounds::identity(&pass.name, round, &all);
            only = Some(rounds::folder(&pass.name, round));
        }
        self.forget_rounds(&pass.name, round).await?;
        for marker in all.values() {
            // A row that was put off is counted in the round that took it.
            let mut own = marker.counts.clone();
            own.rows -= own.deferred.min(own.rows);
            own.deferred = 0;
            counts.add(&own);
        }
        funnel.pass(&counts, &self.job.stages);
        funnel.kept = counts.kept;
        Ok(Upstream { pass: pass.name.clone(), markers: all, schema: None, lists: None })
    }

    /// The number of the last round that has finished units.
    async fn last_round(&self, pass: &str) -> Result<usize, JobError> {
        let mut round = 0;
        while !Marker::read_all(self.storage(), &rounds::pass_name(pass, round + 1)).await?.is_empty() {
            round += 1;
        }
        Ok(round)
    }

    /// The marker of a unit of one of the rounds up to this one.
    async fn marker_of(&self, pass: &str, round: usize, unit: &str) -> Result<Option<Marker>, JobError> {
        for round in 0..=round {
            if let Some(marker) = Marker::read(self.storage(), &rounds::pass_name(pass, round), unit).await? {
                return Ok(Some(marker));
            }
        }
        Ok(None)
    }

    /// The table that a unit of an earlier round has worked on.
    async fn table_of(&self, pass: &str, round: usize, unit: &str) -> Result<String, JobError> {
        for round in 0..round {
            let table = format!("_trommel/tables/{}-units/{unit}.parquet", rounds::pass_name(pass, round));
            if self.storage().size(&table).await?.is_some() {
                return Ok(table);
            }
        }
        let source = DataFusionError::Internal(format!("the table of unit `{unit}` is gone"));
        Err(self.error(pass, source))
    }

    /// Removes what rounds from this one on have left.
    async fn forget_rounds(&self, pass: &str, from: usize) -> Result<(), JobError> {
        for round in from.. {
            let name = rounds::pass_name(pass, round);
            let units = format!("{name}-units");
            if Marker::read_all(self.storage(), &name).await?.is_empty() && Marker::read_all(self.storage(), &units).await?.is_empty() {
                return Ok(());
            }
            self.forget(&name, &BTreeSet::new()).await?;
            self.forget(&units, &BTreeSet::new()).await?;
        }
        Ok(())
    }

    /// Cuts tables into work units; redone whole unless its one marker fits.
    #[allow(clippy::too_many_arguments, reason = "one call site, all of one pass")]
    async fn pack(
        &mut self,
        pass: &Pass,
        name: &str,
        files: &[String],
        schema: &SchemaRef,
        only: Option<String>,
        pack: Pack,
        config: &str,
        identity: &str,
    ) -> Result<(), JobError> {
        let config = short_hash(format!("{config} {pack:?}").as_bytes());
        let turn = match self.turn(name, &config, identity).await? {
            Turn::Done => return Ok(()),
            mine => mine,
        };
        self.forget(name, &BTreeSet::new()).await?;
        if files.is_empty() {
            self.mark(name, &config, identity, BTreeMap::new(), Counts::default()).await?;
            turn.over().await;
            return Ok(());
        }
        let fail = |source| self.error(&pass.name, source);
        let mut rows = self.scan(files, schema).map_err(fail)?;
        if let Some(folder) = only {
            rows = StageNode::plan(rows, Op::Only(Only { folder })).map_err(fail)?;
        }
        let mut columns: Vec<Expr> = schema.fields().iter().map(|field| ident(field.name().as_str())).collect();
        if pack.host_rows.is_some() {
            let host = self.function("host_key").map_err(fail)?;
            columns.push(host.call(vec![ident("url")]).alias(HOST));
        }
        let plan = LogicalPlanBuilder::from(rows)
            .filter(ident(ROW).not_eq(lit(CONTROL_ROW)))
            .and_then(|plan| plan.project(columns))
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| StageNode::plan(plan, Op::Pack(pack)))
            .and_then(|plan| {
                let target = Target::Table { folder: format!("_trommel/tables/{name}") };
                StageNode::plan(
                    plan,
                    Op::Write(Box::new(Write {
                        pass: name.to_owned(),
                        config: config.clone(),
                        input: InputIdentity::Fixed(identity.to_owned()),
                        target,
                    })),
                )
            })
            .map_err(fail)?;
        let line = ProgressLine::start(&self.services.progress, name, 0, self.options.quiet);
        let context = self.context_for(self.settings.partitions).map_err(fail)?;
        let outcome = self.engine.run(&context, plan, Spread::Shuffle).await.map_err(fail)?;
        line.finish();
        let mut outputs = BTreeMap::new();
        let mut counts = Counts::default();
        for (_, marker) in &outcome.done {
            outputs.extend(marker.outputs.clone());
            counts.add(&marker.counts);
        }
        self.mark(name, &config, identity, outputs, counts).await?;
        turn.over().await;
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one call site, all of one pass")]
    async fn dedupe(
        &mut self,
        pass: &Pass,
        upstream: &Upstream,
        by: &[String],
        order: &[(String, bool)],
        against: &[String],
        folder: &str,
        config: &str,
        identity: &str,
    ) -> Result<(), JobError> {
        // Lists of an earlier state must not be taken for this one's: the marker goes first.
        self.forget(&pass.name, &BTreeSet::new()).await?;
        for entry in self.storage().list(folder).await? {
            self.storage().delete(&entry.name).await?;
        }
        let fail = |source| self.error(&pass.name, source);
        let schema = upstream.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
        let files: Vec<String> = upstream.markers.keys().map(|unit| format!("_trommel/tables/{}/{unit}.parquet", upstream.pass)).collect();
        let mut outcome = Outcome::default();
        let line = ProgressLine::start(&self.services.progress, &pass.name, 1, self.options.quiet);
        if !files.is_empty() {
            let plan = self.dedupe_plan(&files, &schema, by, order, against).await.map_err(fail)?;
            let write = Write {
                pass: pass.name.clone(),
                config: config.to_owned(),
                input: InputIdentity::Fixed(identity.to_owned()),
                target: Target::Lists { folder: folder.to_owned() },
            };
            let plan = StageNode::plan(plan, Op::Write(Box::new(write))).map_err(fail)?;
            let context = self.context_for(self.settings.partitions).map_err(fail)?;
            outcome = self.engine.run(&context, plan, Spread::Shuffle).await.map_err(fail)?;
        }
        self.services.progress.unit_done();
        line.finish();
        let mut outputs = BTreeMap::new();
        let mut counts = Counts::default();
        for (_, marker) in &outcome.done {
            outputs.extend(marker.outputs.clone());
            counts.add(&marker.counts);
        }
        self.units.0 += 1;
        self.mark(&pass.name, config, identity, outputs, counts).await
    }

    async fn dedupe_plan(
        &self,
        files: &[String],
        schema: &SchemaRef,
        by: &[String],
        order: &[(String, bool)],
        against: &[String],
    ) -> Result<LogicalPlan, DataFusionError> {
        let key = self.function("row_key")?.call(by.iter().map(|name| ident(name.as_str())).collect()).alias(KEY);
        let uid = if schema.field_with_name(UID).is_ok() { ident(UID) } else { ident("_uid") };
        let mut columns = vec![ident(UNIT), ident(ROW), uid.alias(UID), key.clone()];
        let directions: String = order.iter().map(|(_, descending)| if *descending { 'd' } else { 'a' }).collect();
        let rows = self.scan(files, schema)?;
        if !order.is_empty() {
            let exprs = order.iter().map(|(sql, _)| self.context.parse_sql_expr(sql, rows.schema())).collect::<Result<Vec<_>, _>>()?;
            columns.push(functions::order_key(&directions).call(exprs).alias(ORDER));
        }
        let mut plan = LogicalPlanBuilder::from(rows).filter(ident(ROW).not_eq(lit(CONTROL_ROW)))?.project(columns)?;
        if !against.is_empty() {
            let earlier = self
                .context
                .read_parquet(against.to_vec(), datafusion::prelude::ParquetReadOptions::default())
                .await?
                .into_unoptimized_plan();
            // The empty unit stands for rows of earlier outputs: they win, and are never listed.
            let mut columns =
                vec![lit("").alias(UNIT), lit(0_i64).alias(ROW), cast(col(UID), arrow::datatypes::DataType::Utf8).alias(UID), key];
            if !order.is_empty() {
                columns.push(lit(Vec::<u8>::new()).alias(ORDER));
            }
            let earlier = LogicalPlanBuilder::from(earlier).project(columns)?.build()?;
            plan = plan.union(earlier)?;
        }
        StageNode::plan(plan.build()?, Op::Dedupe(Dedupe { by: by.to_vec(), ordered: !order.is_empty() }))
    }

    /// Runs the pending units of a pass, some thousands in one plan. Returns the columns of what it writes.
    #[allow(clippy::too_many_arguments, reason = "what a pass over units consists of")]
    async fn run_units(
        &mut self,
        pass: &Pass,
        folder: &str,
        schema: &SchemaRef,
        pending: &[String],
        steps: &[Step<'_>],
        write: &Write,
        pace: &Pace,
    ) -> Result<SchemaRef, JobError> {
        let fail = |source| self.error(&pass.name, source);
        let build = |units: &[String]| -> Result<(SessionContext, LogicalPlan, SchemaRef), DataFusionError> {
            let files: Vec<String> = units.iter().map(|unit| format!("{folder}/{unit}.parquet")).collect();
            let context = self.context_for(units.len().max(1))?;
            let mut plan = self.scan(&files, schema)?;
            for step in steps {
                plan = step.plan(&context, plan)?;
            }
            let columns = Arc::clone(plan.schema().inner());
            Ok((context, StageNode::plan(plan, Op::Write(Box::new(write.clone())))?, columns))
        };
        // The columns are known without running anything.
        let probe = ["none".to_owned()];
        let (_, _, columns) = build(&probe).map_err(fail)?;
        if pending.is_empty() {
            return Ok(columns);
        }
        // What is begun again has not failed yet.
        let known = Failure::read_all(self.storage(), &write.pass).await?;
        for unit in pending.iter().filter(|unit| known.contains_key(*unit)) {
            Failure::clear(self.storage(), &write.pass, unit).await?;
        }
        let line = ProgressLine::start(&self.services.progress, &pass.name, pending.len() as u64, self.options.quiet);
        let mut failures = Vec::new();
        let mut done = 0;
        for units in pending.chunks(UNITS_PER_PLAN) {
            let (context, plan, _) = build(units).map_err(fail)?;
            let spread = Units {
                pass: write.pass.clone(),
                config: write.config.clone(),
                names: units.to_vec(),
                at_once: pace.at_once,
                lanes: if pace.lanes.is_empty() {
                    Vec::new()
                } else {
                    units.iter().map(|unit| pace.lanes.get(unit).copied().unwrap_or(0)).collect()
                },
            };
            let outcome = self.engine.run(&context, plan, Spread::Units(spread)).await.map_err(fail)?;
            done += outcome.done.len();
            for failure in outcome.failed {
                let error = reason(&failure.error);
                let put = Failure { config: write.config.clone(), error: error.clone(), fatal: false };
                put.write(self.storage(), &write.pass, &failure.unit).await?;
                failures.push((pass.name.clone(), failure.unit, error));
            }
        }
        line.finish();
        self.units.0 += done;
        self.failed.extend(failures);
        Ok(columns)
    }

    fn target(&self, pass: &Pass, shards: Option<&ShardSpec>) -> Target {
        match shards {
            Some(spec) => Target::Shards(spec.clone()),
            None => Target::Table { folder: format!("_trommel/tables/{}", pass.name) },
        }
    }

    fn function(&self, name: &str) -> Result<Arc<datafusion::logical_expr::ScalarUDF>, DataFusionError> {
        let known = self.context.state().scalar_functions().get(name).cloned();
        known.ok_or_else(|| DataFusionError::Internal(format!("the session lacks `{name}`")))
    }

    fn context_for(&self, partitions: usize) -> Result<SessionContext, DataFusionError> {
        session(&SessionSettings { partitions, ..self.settings.clone() }, Arc::clone(&self.services))
    }

    /// The url of a file of the output. A path is not parsed: it may hold characters that mean a pattern.
    fn url_of(&self, name: &str) -> Result<ListingTableUrl, DataFusionError> {
        let url = match self.storage().local_root() {
            Some(root) => url::Url::from_file_path(root.join(name)).ok(),
            None => url::Url::parse(&self.storage().uri_of(name)).ok(),
        };
        let url = url.ok_or_else(|| DataFusionError::Internal(format!("`{}` makes no url", self.storage().uri_of(name))))?;
        ListingTableUrl::try_new(url, None)
    }

    /// Scans tables of the job's output by name; with as many partitions as files, one file each, in this order.
    fn scan(&self, files: &[String], schema: &SchemaRef) -> Result<LogicalPlan, DataFusionError> {
        let urls = files.iter().map(|name| self.url_of(name)).collect::<Result<Vec<_>, _>>()?;
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(Arc::clone(schema));
        let table = ListingTable::try_new(config)?;
        LogicalPlanBuilder::scan("rows", datafusion::datasource::provider_as_source(Arc::new(table)), None)?
            // Bare names from here on: the stages know columns, not tables.
            .project(
                schema.fields().iter().map(|field| col(datafusion::common::Column::new(Some("rows"), field.name())).alias(field.name())),
            )?
            .build()
    }

    /// The units of this run without a valid marker. Outputs of units that are no longer there, or that have changed, are
    /// removed.
    async fn pending(
        &mut self,
        pass: &str,
        config: &str,
        identities: &BTreeMap<String, String>,
        lanes: &BTreeMap<String, usize>,
    ) -> Result<Vec<String>, JobError> {
        Ok(self.pending_of(pass, config, identities, lanes).await?.0)
    }

    /// As [`Here::pending`]; and whether no unit of any run is done.
    async fn pending_of(
        &mut self,
        pass: &str,
        config: &str,
        identities: &BTreeMap<String, String>,
        lanes: &BTreeMap<String, usize>,
    ) -> Result<(Vec<String>, bool), JobError> {
        let markers = Marker::read_all(self.storage(), pass).await?;
        let own = self.options.part.map(|part| share(part, identities.keys().cloned(), lanes));
        let mine = |unit: &String| own.as_ref().is_none_or(|own| own.contains(unit));
        let (mut valid, mut stale, mut done) = (BTreeSet::new(), BTreeMap::new(), 0);
        for (unit, marker) in markers {
            let fits = identities.get(&unit).is_some_and(|identity| *identity == marker.input) && marker.config == config;
            if !mine(&unit) {
                done += usize::from(fits);
                // Theirs to judge; only what no unit stands behind any more is removed, by the first part.
                if !identities.contains_key(&unit) && self.options.part.is_some_and(|part| part.index == 0) {
                    stale.insert(unit, marker);
                }
            } else if fits && marker.outputs_present(self.storage()).await? {
                valid.insert(unit);
                done += 1;
                self.units.1 += 1;
            } else {
                stale.insert(unit, marker);
            }
        }
        self.remove(pass, stale).await?;
        let mut pending: Vec<String> = identities.keys().filter(|unit| mine(unit) && !valid.contains(*unit)).cloned().collect();
        // In the order in which a scan sorts the files, so that partition i is unit i.
        pending.sort_by_cached_key(|unit| format!("{unit}.parquet"));
        Ok((pending, done == 0))
    }

    /// Removes markers and outputs of all units but these; the marker goes first, so that a crash leaves no marker
    /// without its outputs.
    pub(super) async fn forget(&self, pass: &str, keep: &BTreeSet<String>) -> Result<(), JobError> {
        let mut markers = Marker::read_all(self.storage(), pass).await?;
        markers.retain(|unit, _| !keep.contains(unit));
        self.remove(pass, markers).await
    }

    /// Removes these markers and their outputs, and none that another part has written since they were read.
    async fn remove(&self, pass: &str, markers: BTreeMap<String, Marker>) -> Result<(), JobError> {
        for (unit, marker) in markers {
            self.storage().delete(&marker::name(pass, &unit)).await?;
            for output in marker.outputs.keys() {
                self.storage().delete(output).await?;
            }
        }
        Ok(())
    }

    async fn valid(&self, pass: &str, units: impl Iterator<Item = &String>) -> Result<BTreeMap<String, Marker>, JobError> {
        let wanted: BTreeSet<&String> = units.collect();
        let mut markers = Marker::read_all(self.storage(), pass).await?;
        markers.retain(|unit, _| wanted.contains(unit));
        Ok(markers)
    }

    pub(super) fn book(&self, funnel: &mut Funnel, markers: &BTreeMap<String, Marker>) {
        let mut counts = Counts::default();
        for marker in markers.values() {
            counts.add(&marker.counts);
        }
        funnel.pass(&counts, &self.job.stages);
    }

    /// The digests of the lists of duplicates by unit, for identities: from the marker of the pass that wrote them.
    async fn lists(&self, upstream: &Upstream) -> Result<BTreeMap<String, String>, JobError> {
        let Some(lists) = &upstream.lists else { return Ok(BTreeMap::new()) };
        let marker = Marker::read(self.storage(), &lists.pass, "all").await?;
        let outputs = marker.map(|marker| marker.outputs).unwrap_or_default();
        let unit = |name: &str| Some(name.rsplit('/').next()?.strip_suffix(".parquet")?.to_owned());
        Ok(outputs.into_iter().filter_map(|(name, output)| Some((unit(&name)?, output.sha256))).collect())
    }

    pub(super) async fn global_identity(&self, upstream: &Upstream, against: &[String]) -> Result<String, JobError> {
        let lists = self.lists(upstream).await?;
        let mut text = String::new();
        for unit in upstream.markers.keys() {
            text.push_str(&format!("{unit} {}\n", upstream.identity(unit, &lists)));
        }
        for pattern in against {
            match trommel_shards::source::expand(pattern).await {
                Ok(files) => files.iter().for_each(|file| text.push_str(&format!("{}\n", file.identity()))),
                Err(e) => {
                    return Err(JobError::Pass {
                        pass: "dedupe".into(),
                        message: e.to_string(),
                        source: DataFusionError::External(Box::new(e)),
                    });
                }
            }
        }
        Ok(short_hash(text.as_bytes()))
    }

    pub(super) async fn mark(
        &self,
        pass: &str,
        config: &str,
        input: &str,
        outputs: BTreeMap<String, marker::Output>,
        counts: Counts,
    ) -> Result<(), JobError> {
        let marker = Marker {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: config.to_owned(),
            input: input.to_owned(),
            outputs,
            counts,
            stats: serde_json::Value::Null,
            elapsed_ms: 0,
        };
        Ok(marker.write(self.storage(), pass, "all").await?)
    }
}

/// How many units of a pass may run at a time, and which not beside each other on different machines.
struct Pace {
    at_once: usize,
    lanes: BTreeMap<String, usize>,
}

impl Pace {
    fn of(at_once: usize) -> Self {
        Self { at_once, lanes: BTreeMap::new() }
    }
}

/// One step of a pass over units.
enum Step<'a> {
    Op(Op),
    Stage(&'a StreamStage),
}

impl Step<'_> {
    fn plan(&self, context: &SessionContext, input: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        match self {
            Self::Op(op) => StageNode::plan(input, op.clone()),
            Self::Stage(StreamStage::Language(op)) => StageNode::plan(input, Op::Language(op.clone())),
            Self::Stage(StreamStage::Score(op)) => StageNode::plan(input, Op::Score(op.clone())),
            Self::Stage(StreamStage::Hash(op)) => StageNode::plan(input, Op::HashPictures(op.clone())),
            Self::Stage(StreamStage::Keep(keep)) => keep.plan(context, input),
        }
    }
}

/// What of a fetching stage shapes the bytes of its output. Patience and speed do not: changing them redoes nothing.
fn shape_of(fetch: &crate::op::Fetch) -> String {
    let config = &fetch.config;
    let images = serde_json::to_string(&fetch.images).unwrap_or_default();
    format!(
        "{images} {:?} {} {} {} {} {:?} {} {} {}",
        (&fetch.archive, &fetch.archive_identity),
        fetch.offline,
        config.robots,
        config.tdmrep,
        config.content_signals,
        config.disallowed_directives,
        config.ai_txt,
        config.max_body_bytes,
        config.max_decoded_bytes
    )
}
