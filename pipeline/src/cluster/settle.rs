//! The node above a plan over units: each unit ends in a marker or in a failure that is put down.
//!
//! Ballista knows only jobs that succeed and jobs that fail, and repeats tasks of its own accord. So a unit that cannot be
//! finished must not be an error of the task, and a unit that an earlier attempt has finished must not be done again.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::marker::Marker;

use crate::engine::{is_fatal, is_transient, reason};
use crate::ledger::{Failure, StopSign};
use crate::op::Env;

/// What a [`SettleExec`] has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The pass, as marker folders name it.
    pub pass: String,
    /// Config hash of its markers.
    pub config: String,
    /// The sign in the output at which the work is dropped.
    pub stop: String,
}

/// Runs the units of a partition one after another, and puts down what became of each.
#[derive(Debug)]
pub struct SettleExec {
    input: Arc<dyn ExecutionPlan>,
    settle: Settle,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SettleExec {
    /// Puts the node above a plan whose leaf is a scan of one file per unit.
    pub fn new(input: Arc<dyn ExecutionPlan>, settle: Settle) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { input, settle, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// What it settles.
    pub fn settle(&self) -> &Settle {
        &self.settle
    }
}

impl DisplayAs for SettleExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settle: pass={}", self.settle.pass)
    }
}

impl ExecutionPlan for SettleExec {
    fn name(&self) -> &str {
        "Settle"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != 1 {
            return internal_err!("`Settle` takes one input, {} given", children.len());
        }
        Ok(Arc::new(Self::new(children.swap_remove(0), self.settle.clone())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let units = units(&self.input)?;
        let Some(units) = units.get(partition).cloned() else { return internal_err!("there is no partition {partition}") };
        let env = Env::new(&context, partition, self.schema(), self.metrics.clone())?;
        let (input, settle) = (Arc::clone(&self.input), self.settle.clone());
        let storage = env.services.storage.clone();
        let services = Arc::clone(&env.services);
        Ok(env.stream(move |out| async move {
            let sign = StopSign::new(&storage, &settle.stop);
            let mut stop = std::pin::pin!(sign.called());
            for (place, unit) in units.iter().enumerate() {
                // Left by an attempt whose executor was lost before it could say so. What did not fit was removed before the pass.
                let known = Marker::read(&storage, &settle.pass, unit).await.map_err(retried)?;
                if known.is_some_and(|marker| marker.config == settle.config) {
                    continue;
                }
                // The units of a lane are done one after another: those behind this one wait for its place.
                let _behind = services.behind.add(units.len() - place - 1);
                let one = regroup(&input, &[vec![(partition, place)]])?;
                let mut stream = one.execute(0, Arc::clone(&context))?;
                let mut failed = None;
                loop {
                    let batch = tokio::select! {
                        batch = stream.next() => batch,
                        () = &mut stop => {
                            tracing::info!(unit, "the run was given up: its unit is dropped");
                            return Ok(());
                        }
                    };
                    match batch {
                        Some(Ok(batch)) => {
                            if out.send(Ok(batch)).await.is_err() {
                                return Ok(());
                            }
                        }
                        Some(Err(error)) => {
                            failed = Some(error);
                            break;
                        }
                        None => break,
                    }
                }
                let Some(error) = failed else { continue };
                if is_transient(&error) {
                    return Err(retried(error));
                }
                tracing::warn!(unit, %error, "unit failed");
                let fatal = is_fatal(&error);
                let failure = Failure { config: settle.config.clone(), error: reason(&error), fatal };
                failure.write(&storage, &settle.pass, unit).await.map_err(retried)?;
                if fatal {
                    break;
                }
            }
            Ok(())
        }))
    }
}

/// The one class of errors that Ballista tries again.
fn retried(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::IoError(std::io::Error::other(error))
}

/// The units that each partition of a plan works on: the names of the files that its scan reads, without their endings.
///
/// # Errors
/// When the plan has no scan of files, or more than one.
pub(super) fn units(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Vec<String>>> {
    let mut found: Vec<Vec<Vec<String>>> = Vec::new();
    plan.apply(|node| {
        if let Some(scan) = scan_of(node) {
            let name = |file: &datafusion::datasource::listing::PartitionedFile| {
                let name = file.object_meta.location.filename().unwrap_or_default();
                name.strip_suffix(".parquet").unwrap_or(name).to_owned()
            };
            found.push(scan.file_groups.iter().map(|group| group.files().iter().map(name).collect()).collect());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        count => internal_err!("a plan over units reads one set of files, this one {count}"),
    }
}

/// The same plan over other groups of its files; a file is named by its present group and its place in it. Each group is
/// a partition.
///
/// # Errors
/// When a place does not exist.
pub(super) fn regroup(plan: &Arc<dyn ExecutionPlan>, groups: &[Vec<(usize, usize)>]) -> Result<Arc<dyn ExecutionPlan>> {
    let replaced = Arc::clone(plan).transform_up(|node| {
        let Some(scan) = scan_of(&node) else { return Ok(Transformed::no(node)) };
        let mut files = Vec::with_capacity(groups.len());
        for group in groups {
            let mut members = Vec::with_capacity(group.len());
            for &(from, place) in group {
                match scan.file_groups.get(from).and_then(|group| group.files().get(place)) {
                    Some(file) => members.push(file.clone()),
                    None => return internal_err!("the scan has no file {place} in group {from}"),
                }
            }
            files.push(FileGroup::new(members));
        }
        let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(files).build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(scan) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(replaced.data)
}

fn scan_of(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let source: &dyn std::any::Any = node.downcast_ref::<DataSourceExec>()?.data_source().as_ref();
    source.downcast_ref::<FileScanConfig>()
}
