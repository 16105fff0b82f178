//! DataFusion in this process.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use futures::stream;
use tokio_util::sync::CancellationToken;

use super::{Engine, Outcome, Spread, UnitFailure, is_fatal, markers_of, planned};
use crate::op::services_of;

/// Runs partitions as tasks of this process: a bounded number of units at a time, the next one as soon as one ends.
pub struct LocalEngine {
    cancel: CancellationToken,
}

impl LocalEngine {
    /// An engine that stops when the token is cancelled.
    pub fn new(cancel: CancellationToken) -> Self {
        Self { cancel }
    }
}

#[async_trait]
impl Engine for LocalEngine {
    fn name(&self) -> &str {
        "local"
    }

    async fn run(&self, context: &SessionContext, plan: LogicalPlan, spread: Spread) -> Result<Outcome> {
        let physical = planned(context, &plan, &spread).await?;
        let partitions = physical.output_partitioning().partition_count();
        let task = context.task_ctx();
        let mut outcome = Outcome::default();
        let (names, at_once) = match spread {
            Spread::Units(units) => (units.names, units.at_once.max(1)),
            Spread::Shuffle => (Vec::new(), partitions.max(1)),
        };
        let services = services_of(task.session_config())?;
        let waiting: Vec<_> = names.iter().map(|_| services.behind.add(1)).collect();
        let waiting = waiting.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let mut running = stream::iter((0..partitions).zip(waiting).map(|(partition, waiting)| {
            let (physical, task) = (Arc::clone(&physical), Arc::clone(&task));
            async move {
                drop(waiting);
                (partition, run_partition(physical, task, partition).await)
            }
        }))
        .buffer_unordered(at_once);
        loop {
            let next = tokio::select! {
                // Dropping the tasks rolls back the units in hand.
                () = self.cancel.cancelled() => return Err(cancelled()),
                next = running.next() => next,
            };
            let Some((partition, result)) = next else { break };
            let result = result.and_then(|batches| markers_of(&batches));
            match (result, names.get(partition)) {
                (Ok(done), _) => outcome.done.extend(done),
                (Err(error), Some(unit)) if !is_fatal(&error) => {
                    if self.cancel.is_cancelled() {
                        return Err(cancelled());
                    }
                    tracing::warn!(unit, %error, "unit failed");
                    outcome.failed.push(UnitFailure { unit: unit.clone(), error });
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(outcome)
    }
}

fn cancelled() -> DataFusionError {
    DataFusionError::Execution("cancelled".into())
}

/// Aborts its task when dropped, so that giving up a run gives up its units.
struct Running<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run_partition(plan: Arc<dyn ExecutionPlan>, task: Arc<TaskContext>, partition: usize) -> Result<Vec<RecordBatch>> {
    let mut running = Running(tokio::spawn(async move {
        let mut stream = plan.execute(partition, task)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }));
    match (&mut running.0).await {
        Ok(result) => result,
        Err(error) => Err(DataFusionError::Execution(format!("a task ended early: {error}"))),
    }
}
