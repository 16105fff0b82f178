//! A job on its way: what all passes share, and the way from one to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use trommel_shards::marker::{Counts, Marker};
use trommel_shards::storage::Storage;

use super::beat::Beat;
use super::driver::{Job, RunOptions};
use super::error::JobError;
use super::parts::Turn;
use super::passes::{Pass, PassKind, Source, StreamStage};
use super::running::{Pace, Step};
use super::units;
use crate::engine::{Engine, reason};
use crate::ledger::{short_hash, upstream_identity};
use crate::op::write::{InputIdentity, ShardSpec, Target};
use crate::op::{Drops, Op, Write};
use crate::plan::SessionSettings;
use crate::report::Funnel;
use crate::select::Selected;
use crate::services::Services;

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
    pub(super) stage: String,
    /// The pass, whose marker holds the digests.
    pub(super) pass: String,
    /// Where the lists are.
    pub(super) folder: String,
}

impl Upstream {
    pub(super) fn identity(&self, unit: &str, lists: &BTreeMap<String, String>) -> String {
        upstream_identity(self.markers.get(unit), lists.get(unit).map(String::as_str))
    }
}

impl Here<'_> {
    pub(super) fn storage(&self) -> &Storage {
        &self.services.storage
    }

    pub(super) fn error(&self, pass: &str, source: DataFusionError) -> JobError {
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

    pub(super) async fn passes(&mut self, passes: &[Pass], funnel: &mut Funnel) -> Result<(), JobError> {
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
                units::write_all(self.storage(), &folder, pending.iter().filter_map(|unit| Some((unit.as_str(), *inputs.get(unit)?))))
                    .await?;
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

    fn target(&self, pass: &Pass, shards: Option<&ShardSpec>) -> Target {
        match shards {
            Some(spec) => Target::Shards(spec.clone()),
            None => Target::Table { folder: format!("_trommel/tables/{}", pass.name) },
        }
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
}
