//! The physical node.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexRequirement, OrderingRequirements, Partitioning, PhysicalExpr, PhysicalSortRequirement,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, ReplaceChildrenOptions,
};

use crate::op::{Env, Need, Op};

/// Runs one operation over every partition of its input.
#[derive(Debug)]
pub struct StageExec {
    input: Arc<dyn ExecutionPlan>,
    op: Arc<Op>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StageExec {
    /// Puts an operation on top of a physical plan.
    ///
    /// # Errors
    /// When the input lacks a column that the operation reads.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, op: Arc<Op>) -> Result<Self> {
        let schema = op.output_schema(&input.schema())?;
        // Only the number of partitions is promised: operations may drop the columns that a hash was over.
        let partitions = input.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Self { input, op, schema, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    /// The operation.
    pub fn op(&self) -> &Op {
        &self.op
    }
}

impl DisplayAs for StageExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op.name(), self.op.describe())
    }
}

impl ExecutionPlan for StageExec {
    fn name(&self) -> &str {
        self.op.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let distribution = match self.op.need() {
            Need::Any => Distribution::UnspecifiedDistribution,
            Need::Single => Distribution::SinglePartition,
            Need::Hash(columns) => {
                let keys = columns.iter().filter_map(|name| Column::new_with_schema(name, &self.input.schema()).ok());
                Distribution::KeyPartitioned(keys.map(|column| Arc::new(column) as Arc<dyn PhysicalExpr>).collect())
            }
        };
        InputDistributionRequirements::new(vec![distribution])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let schema = self.input.schema();
        let ordering = self.op.ordering();
        let keys = ordering.iter().filter_map(|name| {
            let column = Column::new_with_schema(name, &schema).ok()?;
            Some(PhysicalSortRequirement::new(Arc::new(column), Some(SortOptions { descending: false, nulls_first: false })))
        });
        vec![LexRequirement::new(keys).map(OrderingRequirements::new)]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // A unit must stay whole and in order: never repartition below an operation that did not ask for it.
        vec![false]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
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
            return internal_err!("`{}` takes one input, {} given", self.op.name(), children.len());
        }
        Ok(Arc::new(Self::try_new(children.swap_remove(0), Arc::clone(&self.op))?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let env = Env::new(&context, partition, Arc::clone(&self.schema), self.metrics.clone())?;
        self.op.run(input, env)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
