//! Passes over units: which are pending, and the plans that do them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use trommel_shards::marker::Marker;
use trommel_shards::storage::StorageError;

use super::error::JobError;
use super::here::Here;
use super::parts::share;
use super::passes::{Pass, StreamStage};
use crate::engine::{Spread, Units, reason};
use crate::ledger::Failure;
use crate::op::{Op, Write};
use crate::plan::StageNode;
use crate::report::ProgressLine;

/// Units that one plan holds at most: bounds the time that planning takes.
const UNITS_PER_PLAN: usize = 2000;
/// Units whose outputs are looked at in the store at a time.
const LOOKS_AT_ONCE: usize = 32;

/// How many units of a pass may run at a time, and which not beside each other on different machines.
pub(super) struct Pace {
    pub(super) at_once: usize,
    pub(super) lanes: BTreeMap<String, usize>,
}

impl Pace {
    pub(super) fn of(at_once: usize) -> Self {
        Self { at_once, lanes: BTreeMap::new() }
    }
}

/// One step of a pass over units.
pub(super) enum Step<'a> {
    Op(Op),
    Stage(&'a StreamStage),
}

impl Step<'_> {
    /// The step on top of a plan; `more` says that other plans of the same pass come after it.
    fn plan(&self, context: &SessionContext, input: LogicalPlan, more: bool) -> Result<LogicalPlan, DataFusionError> {
        match self {
            Self::Op(Op::Fetch(fetch)) if more => {
                StageNode::plan(input, Op::Fetch(Box::new(crate::op::Fetch { more_units: true, ..(**fetch).clone() })))
            }
            Self::Op(op) => StageNode::plan(input, op.clone()),
            Self::Stage(StreamStage::Language(op)) => StageNode::plan(input, Op::Language(op.clone())),
            Self::Stage(StreamStage::Score(op)) => StageNode::plan(input, Op::Score(op.clone())),
            Self::Stage(StreamStage::Hash(op)) => StageNode::plan(input, Op::HashPictures(op.clone())),
            Self::Stage(StreamStage::Keep(keep)) => keep.plan(context, input),
        }
    }
}

impl Here<'_> {
    /// Runs the pending units of a pass, some thousands in one plan. Returns the columns of what it writes.
    #[allow(clippy::too_many_arguments, reason = "what a pass over units consists of")]
    pub(super) async fn run_units(
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
        let build = |units: &[String], more: bool| -> Result<(SessionContext, LogicalPlan, SchemaRef), DataFusionError> {
            let files: Vec<String> = units.iter().map(|unit| format!("{folder}/{unit}.parquet")).collect();
            let context = self.context_for(units.len().max(1))?;
            let mut plan = self.scan(&files, schema)?;
            for step in steps {
                plan = step.plan(&context, plan, more)?;
            }
            let columns = Arc::clone(plan.schema().inner());
            Ok((context, StageNode::plan(plan, Op::Write(Box::new(write.clone())))?, columns))
        };
        // The columns are known without running anything.
        let probe = ["none".to_owned()];
        let (_, _, columns) = build(&probe, false).map_err(fail)?;
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
        for (number, units) in pending.chunks(UNITS_PER_PLAN).enumerate() {
            let more = (number + 1) * UNITS_PER_PLAN < pending.len();
            let (context, plan, _) = build(units, more).map_err(fail)?;
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

    /// The units of this run without a valid marker. Outputs of units that are no longer there, or that have changed, are
    /// removed.
    pub(super) async fn pending(
        &mut self,
        pass: &str,
        config: &str,
        identities: &BTreeMap<String, String>,
        lanes: &BTreeMap<String, usize>,
    ) -> Result<Vec<String>, JobError> {
        Ok(self.pending_of(pass, config, identities, lanes).await?.0)
    }

    /// As [`Here::pending`]; and whether no unit of any run is done.
    pub(super) async fn pending_of(
        &mut self,
        pass: &str,
        config: &str,
        identities: &BTreeMap<String, String>,
        lanes: &BTreeMap<String, usize>,
    ) -> Result<(Vec<String>, bool), JobError> {
        let markers = Marker::read_all(self.storage(), pass).await?;
        let own = self.options.part.map(|part| share(part, identities.keys().cloned(), lanes));
        let mine = |unit: &String| own.as_ref().is_none_or(|own| own.contains(unit));
        let (mut valid, mut stale, mut done, mut fitting) = (BTreeSet::new(), BTreeMap::new(), 0, Vec::new());
        for (unit, marker) in markers {
            let fits = identities.get(&unit).is_some_and(|identity| *identity == marker.input) && marker.config == config;
            if !mine(&unit) {
                done += usize::from(fits);
                // Theirs to judge; only what no unit stands behind any more is removed, by the first part.
                if !identities.contains_key(&unit) && self.options.part.is_some_and(|part| part.index == 0) {
                    stale.insert(unit, marker);
                }
            } else if fits {
                fitting.push((unit, marker));
            } else {
                stale.insert(unit, marker);
            }
        }
        let storage = self.storage();
        let look =
            |(unit, marker): (String, Marker)| async move { Ok::<_, StorageError>((marker.outputs_present(storage).await?, unit, marker)) };
        let looked_at: Vec<(bool, String, Marker)> = stream::iter(fitting).map(look).buffered(LOOKS_AT_ONCE).try_collect().await?;
        for (present, unit, marker) in looked_at {
            if present {
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
}
