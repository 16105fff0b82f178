//! One place that makes sessions: functions, planner, limits and services, the same for every engine and for tests.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{JobOptions, TrommelQueryPlanner};
use crate::services::Services;

/// Consumers that an out-of-memory error names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(5).unwrap();

/// What a session may use.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Partitions that a shuffle or a scan is cut into.
    pub partitions: usize,
    /// Bytes that sorts and shuffles may hold before they spill.
    pub memory_bytes: usize,
    /// Folder for spill files.
    pub spill_folder: PathBuf,
}

/// The functions that predicates and passes may use, beside DataFusion's own.
pub fn all_functions() -> Vec<ScalarUDF> {
    let filters = trommel_filters::functions::all_udfs().into_iter().map(|function| function.as_ref().clone());
    filters.chain(super::functions::all()).collect()
}

/// A session's state: DataFusion's own functions, ours, our planner.
///
/// # Errors
/// When a function cannot be registered.
pub(crate) fn state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
    let mut state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(TrommelQueryPlanner))
        .build();
    for function in all_functions() {
        #[cfg(all(test, feature = "cluster"))]
        let function = super::counted::counted(function);
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

/// Makes a session: DataFusion's own functions, ours, our planner, bounded memory, and the process-wide services.
///
/// # Errors
/// When the runtime cannot be made.
pub fn session(settings: &SessionSettings, services: Arc<Services>) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.partitions.max(1))
        .with_batch_size(8192)
        .with_round_robin_repartition(false)
        .with_repartition_file_scans(false)
        .with_collect_statistics(false)
        .with_option_extension(JobOptions { output: services.storage.uri().to_owned() })
        .with_extension(Arc::clone(&services));
    let options = config.options_mut();
    // Partition i is unit i: with stealing, one partition takes the others' files, units are cut short together, and a
    // failure is booked under another unit's name.
    options.execution.enable_file_stream_work_stealing = false;
    // Plain strings everywhere: views do not travel well over IPC, and the operations ask for one type.
    options.execution.parquet.schema_force_view_types = false;
    options.execution.spill_compression = datafusion::config::SpillCompression::Lz4Frame;
    options.execution.sort_spill_reservation_bytes = (settings.memory_bytes / settings.partitions.max(1) / 8).clamp(1 << 20, 10 << 20);
    let pool = TrackConsumersPool::new(FairSpillPool::new(settings.memory_bytes), NAMED_CONSUMERS);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![settings.spill_folder.clone()]));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build_arc()?;
    let context = SessionContext::new_with_state(state(config, runtime)?);
    if let Some((url, store)) = services.storage.registration() {
        context.register_object_store(&url, store);
    }
    Ok(context)
}
