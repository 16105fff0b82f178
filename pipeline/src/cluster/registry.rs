//! What client, scheduler, executor and tests must agree on, made in one place.

use std::sync::{Arc, LazyLock};

use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;

use super::codec::{LogicalCodec, PhysicalCodec};
use super::stores::Stores;
use crate::ledger::short_hash;
use crate::plan::{JobOptions, all_functions};

/// Counts changes of what travels between processes that neither the version nor the functions' names show.
const WIRE: u32 = 2;

/// Who made a plan: the version of the program, and a hash over the functions it knows and over the form of its nodes.
pub fn build_id() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(|| {
        let mut names: Vec<String> =
            all_functions().iter().map(|function| format!("{} {:?}", function.name(), function.signature())).collect();
        names.sort();
        let hash = short_hash(format!("{WIRE} {} {}", ballista_core::BALLISTA_VERSION, names.join(" ")).as_bytes());
        format!("{}+{}", env!("CARGO_PKG_VERSION"), hash.get(..8).unwrap_or_default())
    });
    &BUILD
}

/// The options of a session as every process starts with them: Ballista's, with the job's own. Adaptive planning is off
/// (its cover of lost executors is open upstream), and a task holds one partition, so that a retry repeats one unit.
pub fn config() -> SessionConfig {
    adapted(SessionConfig::new().with_option_extension(JobOptions::default()))
}

/// Turns a session's options into those of a cluster.
pub fn adapted(config: SessionConfig) -> SessionConfig {
    let mut config = config
        .upgrade_for_ballista()
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_grpc_client_max_message_size(super::MESSAGE_BYTES as usize)
        .with_ballista_logical_extension_codec(Arc::new(LogicalCodec::default()))
        .with_ballista_physical_extension_codec(Arc::new(PhysicalCodec::default()));
    // An option of Ballista's, which `upgrade_for_ballista` has registered: it cannot be unknown.
    if let Err(error) = config.options_mut().set("ballista.scheduler.max_partitions_per_task", "1") {
        tracing::error!(%error, "tasks may hold more than one unit");
    }
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config
}

/// A session's state with every function and node, for the scheduler and for the executors' registry.
///
/// # Errors
/// When the runtime cannot be made.
pub fn state(config: SessionConfig) -> Result<SessionState> {
    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(Stores::default())).build_arc()?;
    crate::plan::state(config, runtime)
}
