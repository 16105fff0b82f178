//! What an operation finds around it when it runs.

use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::prelude::SessionConfig;
use tokio::sync::mpsc::Sender;

use crate::plan::JobOptions;
use crate::services::{Services, ServicesPool};

/// The surroundings of one running partition.
#[derive(Clone)]
pub struct Env {
    /// What the process shares.
    pub services: Arc<Services>,
    /// The partition's number.
    pub partition: usize,
    /// Schema of what comes out.
    pub schema: SchemaRef,
    /// The engine's memory pool.
    pub pool: Arc<dyn MemoryPool>,
    /// Metrics of the node.
    pub metrics: ExecutionPlanMetricsSet,
}

/// Where a running operation puts its batches. A send that fails means that nobody reads any more.
pub(crate) type Out = Sender<Result<RecordBatch>>;

impl Env {
    /// Takes the services from the session.
    ///
    /// # Errors
    /// When the session was made without them, or the job's output cannot be opened from here.
    pub fn new(context: &TaskContext, partition: usize, schema: SchemaRef, metrics: ExecutionPlanMetricsSet) -> Result<Self> {
        let services = services_of(context.session_config())?;
        Ok(Self { services, partition, schema, pool: Arc::clone(context.memory_pool()), metrics })
    }

    /// A stream fed by a task. The task ends with its reader: when the stream is dropped, the task is aborted, and what
    /// it was writing is rolled back by the writers' own drop.
    pub fn stream<F, Fut>(&self, work: F) -> SendableRecordBatchStream
    where
        F: FnOnce(Out) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        let out = builder.tx();
        builder.spawn(async move { work(out).await });
        builder.build()
    }
}

/// The services of a session: the job's own, or in a process that works for many jobs those of the job that the session's
/// options name.
///
/// # Errors
/// As [`Env::new`].
pub(crate) fn services_of(config: &SessionConfig) -> Result<Arc<Services>> {
    match (config.get_extension::<Services>(), config.get_extension::<ServicesPool>()) {
        (Some(services), _) => Ok(services),
        (None, Some(pool)) => {
            let output = config.options().extensions.get::<JobOptions>().map(|options| options.output.clone()).unwrap_or_default();
            if output.is_empty() {
                return Err(DataFusionError::Configuration("the plan came without the output of its job (`trommel.output`)".into()));
            }
            pool.of(&output).map_err(external)
        }
        (None, None) => Err(DataFusionError::Configuration("the session has no services: make it with `plan::session`".into())),
    }
}

/// An error of ours on its way through the engine.
pub(crate) fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
