//! The pass that fetches: tables are packed into units and fetched, round after round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident, lit};
use trommel_shards::columns::{CONTROL_ROW, ROW};
use trommel_shards::marker::{Counts, Marker};

use super::error::JobError;
use super::here::{Here, Upstream};
use super::parts::Turn;
use super::passes::{FetchPass, Pass, StreamStage};
use super::rounds;
use super::running::{Pace, Step};
use crate::crawl::fetch::PolitenessKey;
use crate::engine::Spread;
use crate::ledger::{short_hash, upstream_identity};
use crate::op::write::{InputIdentity, ShardSpec, Target};
use crate::op::{HOST, Only, Op, Pack, Scatter, Write, lanes};
use crate::plan::StageNode;
use crate::report::{Funnel, ProgressLine};

impl Here<'_> {
    /// Packs and fetches, round after round, until nothing is left over.
    pub(super) async fn fetch(
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
        let mut rows: u64 = upstream.markers.values().map(|marker| marker.counts.kept).sum();
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
            let by_host = fetch.host_rows.is_some();
            // A lane has a unit that is not full: more lanes than units would be shards of a few rows.
            let most = usize::try_from(rows / fetch.unit_rows.max(1) as u64).unwrap_or(usize::MAX).max(1);
            let lanes = if by_host { fetch.lanes.unwrap_or_else(|| lanes(rows, fetch.unit_rows)).min(most) } else { 1 };
            let pack = Pack { unit_rows: fetch.unit_rows, by_host, first_unit, digits: fetch.digits, lanes };
            let scatter = fetch.host_rows.map(|host_rows| (Scatter { host_rows }, fetch.fetch.config.politeness_key));
            self.pack(pass, &packed, &files, &schema, only.take(), (scatter, pack), &config, &identity).await?;
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
            rows = units.iter().filter_map(|unit| all.get(unit)).map(|marker| marker.counts.deferred).sum();
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
        (scatter, pack): (Option<(Scatter, PolitenessKey)>, Pack),
        config: &str,
        identity: &str,
    ) -> Result<(), JobError> {
        let config = short_hash(format!("{config} {scatter:?} {pack:?}").as_bytes());
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
        if let Some((_, politeness_key)) = &scatter {
            // Lanes keep together what limits are counted by.
            let key = match politeness_key {
                PolitenessKey::Host => "host_key",
                PolitenessKey::Domain => "domain_key",
            };
            let host = self.function(key).map_err(fail)?;
            columns.push(host.call(vec![ident("url")]).alias(HOST));
        }
        let plan = LogicalPlanBuilder::from(rows)
            .filter(ident(ROW).not_eq(lit(CONTROL_ROW)))
            .and_then(|plan| plan.project(columns))
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| match scatter {
                Some((scatter, _)) => StageNode::plan(plan, Op::Scatter(scatter)),
                None => Ok(plan),
            })
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
