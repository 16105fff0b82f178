//! Where plans run.

mod local;

use async_trait::async_trait;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use trommel_shards::marker::Marker;
use trommel_shards::storage::StorageError;
use trommel_shards::table::TableError;

pub use local::LocalEngine;

/// How the partitions of a plan relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// One unit per partition, in this order; a failed one does not touch the others.
    Units(Vec<String>),
    /// Partitions that exchange rows: all run at once, and one failure fails the pass.
    Shuffle,
}

/// A unit that failed.
#[derive(Debug)]
pub struct UnitFailure {
    /// The unit.
    pub unit: String,
    /// Why.
    pub error: DataFusionError,
}

/// What a plan came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Finished units with their markers.
    pub done: Vec<(String, Marker)>,
    /// Failed units.
    pub failed: Vec<UnitFailure>,
}

/// Runs plans that end in a [`Write`](crate::op::Write).
///
/// A caller promises that the plan's scans were made by the session that it passes. An engine promises that every unit in
/// [`Outcome::done`] has its outputs and its marker in place, that a unit it reports as failed has no marker, and that
/// a crash leaves nothing but units without markers. It may run a unit again after a failure of its own machines; outputs
/// are named by unit, so that does no harm.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Name for people: `local`, `ballista`.
    fn name(&self) -> &str;

    /// Runs a plan to its end.
    ///
    /// # Errors
    /// When the plan cannot be made, a shuffle fails, the disk is full, or the run was cancelled. Failed units are no
    /// error.
    async fn run(&self, context: &SessionContext, plan: LogicalPlan, spread: Spread) -> Result<Outcome, DataFusionError>;
}

/// Whether an error ends the run: nothing else can succeed either.
pub fn is_fatal(error: &DataFusionError) -> bool {
    causes(error).any(|cause| {
        let full = |e: &StorageError| e.is_full();
        cause.downcast_ref::<StorageError>().is_some_and(full)
            || matches!(cause.downcast_ref::<TableError>(), Some(TableError::Storage(e)) if full(e))
            || cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull)
    })
}

/// The chain of causes of an error, itself first.
pub fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
