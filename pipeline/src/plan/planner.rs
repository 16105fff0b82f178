//! From the logical node to the physical one.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::{StageExec, StageNode};

/// Plans our node, and leaves every other to DataFusion.
#[derive(Debug, Default)]
pub struct StagePlanner;

#[async_trait]
impl ExtensionPlanner for StagePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match (node.as_any().downcast_ref::<StageNode>(), physical_inputs) {
            (Some(node), [input]) => Ok(Some(Arc::new(StageExec::try_new(Arc::clone(input), Arc::clone(&node.op))?))),
            _ => Ok(None),
        }
    }
}

/// A query planner that knows our node.
#[derive(Debug, Default)]
pub struct TrommelQueryPlanner;

#[async_trait]
impl QueryPlanner for TrommelQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(StagePlanner)]).create_physical_plan(plan, session).await
    }
}
