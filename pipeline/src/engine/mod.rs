//! Where plans run.

mod local;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionContext;
use tokio_util::sync::CancellationToken;
use trommel_shards::marker::Marker;
use trommel_shards::storage::StorageError;
use trommel_shards::table::TableError;

pub use local::LocalEngine;

use crate::report::Progress;

/// The units of a plan: partition *i* of its one scan is the file of unit *i*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The pass, as marker folders name it.
    pub pass: String,
    /// Config hash of the markers that the plan writes.
    pub config: String,
    /// The units, in the order of the partitions.
    pub names: Vec<String>,
    /// Units that one process runs at a time.
    pub at_once: usize,
    /// Units that must not run at the same time on different machines share a number; empty when all may. An engine of
    /// one process needs no care: what they share (a host's limits) is kept by the process.
    pub lanes: Vec<usize>,
}

/// How the partitions of a plan relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// One unit per partition; a failed one does not touch the others.
    Units(Units),
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

/// The physical plan of a pass, whose partitions are the units where there are units. It is the same for every engine.
///
/// # Errors
/// When the plan cannot be made, or its partitions are not its units.
pub(crate) async fn planned(
    context: &SessionContext,
    plan: &LogicalPlan,
    spread: &Spread,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let state = context.state();
    let physical = state.query_planner().create_physical_plan(&state.optimize(plan)?, &state).await?;
    let partitions = physical.output_partitioning().partition_count();
    match spread {
        Spread::Units(units) if units.names.len() != partitions => {
            Err(DataFusionError::Internal(format!("{} units became {partitions} partitions", units.names.len())))
        }
        _ => Ok(physical),
    }
}

/// The units and markers in the rows that a [`Write`](crate::op::Write) emits.
pub(crate) fn markers_of(batches: &[RecordBatch]) -> Result<Vec<(String, Marker)>, DataFusionError> {
    let mut done = Vec::new();
    for batch in batches {
        let (units, markers) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let marker = serde_json::from_str(markers.value(row)).map_err(|e| DataFusionError::External(Box::new(e)))?;
            done.push((units.value(row).to_owned(), marker));
        }
    }
    Ok(done)
}

/// Which engine runs a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// This process.
    #[default]
    Local,
    /// A cluster inside this process: as many executors, with as many slots each.
    Standalone {
        /// Executors.
        executors: usize,
        /// Partitions that each runs at a time.
        slots: usize,
    },
    /// A cluster.
    Ballista {
        /// Its scheduler: `ballista://host:port`.
        address: String,
        /// Certificates, where its processes talk TLS.
        tls: Option<TlsFiles>,
    },
}

/// PEM files of a process that talks TLS with a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of the authority that every process of the cluster has its own certificate from.
    pub authority: PathBuf,
    /// The process's certificate, for its name as the others write it, with those between it and the authority.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
}

impl EngineChoice {
    /// The same engine, with certificates where it is a cluster of other processes.
    #[must_use]
    pub fn with_tls(self, tls: Option<TlsFiles>) -> Self {
        match self {
            Self::Ballista { address, .. } => Self::Ballista { address, tls },
            other => other,
        }
    }
}

impl std::fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Standalone { executors, .. } => write!(f, "standalone:{executors}"),
            Self::Ballista { address, .. } => f.write_str(address),
        }
    }
}

impl std::str::FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let standalone = |executors: &str| match executors.parse() {
            Ok(executors) if (1..=64).contains(&executors) => Ok(Self::Standalone { executors, slots: 2 }),
            _ => Err(format!("`standalone:{executors}`: 1 to 64 executors")),
        };
        match text {
            "local" => Ok(Self::Local),
            "standalone" => standalone("2"),
            text => match text.strip_prefix("standalone:") {
                Some(executors) => standalone(executors),
                None if text.starts_with("ballista://") => Ok(Self::Ballista { address: text.to_owned(), tls: None }),
                None => Err(format!("`{text}`: `local`, `standalone`, or `ballista://HOST:PORT`")),
            },
        }
    }
}

/// What opens an engine.
#[derive(Clone)]
pub struct Opening {
    /// Stops it.
    pub cancel: CancellationToken,
    /// Counts what it does.
    pub progress: Arc<Progress>,
    /// Bytes that sorts and shuffles may hold, on each machine.
    pub memory_bytes: usize,
}

impl EngineChoice {
    /// Opens the engine.
    ///
    /// # Errors
    /// When no scheduler answers, or the program was built without clusters.
    #[cfg(feature = "cluster")]
    pub async fn open(&self, with: Opening) -> Result<Box<dyn Engine>, OpenError> {
        use crate::cluster::BallistaEngine;
        Ok(match self {
            Self::Local => Box::new(LocalEngine::new(with.cancel)),
            Self::Standalone { executors, slots } => {
                Box::new(BallistaEngine::standalone(*executors, *slots, with.memory_bytes as u64, with.cancel, with.progress).await?)
            }
            Self::Ballista { address, tls } => Box::new(BallistaEngine::connect(address, tls.as_ref(), with.cancel, with.progress).await?),
        })
    }

    /// Opens the engine.
    ///
    /// # Errors
    /// When it is not [`EngineChoice::Local`]: the program was built without clusters.
    #[cfg(not(feature = "cluster"))]
    pub async fn open(&self, with: Opening) -> Result<Box<dyn Engine>, OpenError> {
        match self {
            Self::Local => Ok(Box::new(LocalEngine::new(with.cancel))),
            _ => Err(OpenError::NotBuilt),
        }
    }
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The program has no clusters in it.
    #[error("this program was built without clusters: build it with `cargo build --release --features cluster`")]
    NotBuilt,
    /// The cluster cannot be used.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
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

/// Whether the same work may succeed a moment later or elsewhere: a store that is busy, a connection that broke.
pub fn is_transient(error: &DataFusionError) -> bool {
    use std::io::ErrorKind;
    causes(error).any(|cause| {
        cause.downcast_ref::<StorageError>().is_some_and(StorageError::is_transient)
            || matches!(cause.downcast_ref::<TableError>(), Some(TableError::Storage(e)) if e.is_transient())
            || cause.downcast_ref::<std::io::Error>().is_some_and(|e| {
                matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::TimedOut)
            })
    })
}

/// An error's root as one sentence.
pub fn reason(error: &DataFusionError) -> String {
    error.find_root().to_string().trim_start_matches("External error: ").to_owned()
}

/// The chain of causes of an error, itself first.
pub fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
