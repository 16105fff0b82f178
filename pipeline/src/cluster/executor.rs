//! `trommel executor`: runs partitions.

use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::{ConfigProducer, RuntimeProducer};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use tokio_util::sync::CancellationToken;

use super::client::{ClusterError, chain};
use super::codec::{LogicalCodec, PhysicalCodec};
use super::placement::{Takes, executor_name};
use super::tls::Tls;
use super::{MESSAGE_BYTES, Stores, registry};
use crate::report::Progress;
use crate::services::ServicesPool;

/// What an executor is told.
#[derive(Clone)]
pub struct ExecutorSettings {
    /// The scheduler's host.
    pub scheduler_host: String,
    /// The scheduler's port.
    pub scheduler_port: u16,
    /// Address that it listens on for those who read its shuffles.
    pub bind_host: String,
    /// Name under which others reach it.
    pub external_host: String,
    /// Port for those who read its shuffles.
    pub port: u16,
    /// Partitions that it runs at a time: cores, or devices where models run on cards.
    pub slots: usize,
    /// Kinds of work that it takes.
    pub takes: Takes,
    /// Threads for decoding and for models, over all slots.
    pub threads: usize,
    /// Bytes that the sorts and shuffles of all slots may hold before they spill.
    pub memory_bytes: u64,
    /// Folder for shuffles and spills.
    pub work_dir: PathBuf,
    /// Seconds that it waits for a scheduler to answer.
    pub patience_s: u16,
    /// Talks TLS, with those who do.
    pub tls: Option<Tls>,
}

/// Runs an executor until it is told to stop (SIGTERM, ctrl-c); tasks in hand are finished first.
///
/// # Errors
/// When the folder or the addresses cannot be used, or no scheduler answers.
pub async fn run_executor(settings: &ExecutorSettings, progress: Arc<Progress>) -> Result<(), ClusterError> {
    let place = settings.work_dir.display().to_string();
    std::fs::create_dir_all(&settings.work_dir).map_err(|e| ClusterError::Process { place: place.clone(), message: e.to_string() })?;
    let failed =
        |e: &dyn std::error::Error| ClusterError::Process { place: format!("{}:{}", settings.bind_host, settings.port), message: chain(e) };
    let pool = Arc::new(ServicesPool::new(settings.work_dir.clone(), settings.threads, CancellationToken::new(), progress));
    let tls = settings.tls.clone();
    let producer: ConfigProducer = Arc::new(move || {
        let config = registry::config().with_extension(Arc::clone(&pool));
        tls.as_ref().map_or(config.clone(), |tls| tls.session(config))
    });
    let stores = Arc::new(Stores::default());
    let spill = settings.work_dir.clone();
    let runtime: RuntimeProducer = Arc::new(move |_| {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill.clone()]));
        RuntimeEnvBuilder::new().with_disk_manager_builder(disk).with_object_store_registry(Arc::clone(&stores) as _).build_arc()
    });
    let state = registry::state(registry::config()).map_err(|e| failed(&e))?;
    let config = ExecutorProcessConfig {
        scheduler_host: settings.scheduler_host.clone(),
        scheduler_port: settings.scheduler_port,
        scheduler_connect_timeout_seconds: settings.patience_s,
        bind_host: settings.bind_host.clone(),
        external_host: Some(settings.external_host.clone()),
        port: settings.port,
        // The scheduler places by it.
        executor_id: executor_name(settings.takes),
        vcores: settings.slots.max(1),
        // As the scheduler has it: an executor asks for work.
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(place),
        memory_pool_size: Some(settings.memory_bytes),
        job_data_ttl_seconds: 24 * 3600,
        job_data_clean_up_interval_seconds: 600,
        grpc_max_decoding_message_size: MESSAGE_BYTES,
        grpc_max_encoding_message_size: MESSAGE_BYTES,
        executor_heartbeat_interval_seconds: 5,
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        override_runtime_producer: Some(runtime),
        override_config_producer: Some(producer),
        override_logical_codec: Some(Arc::new(LogicalCodec::default())),
        override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
        override_arrow_flight_service: settings.tls.as_ref().map(Tls::flight),
        override_create_grpc_client_endpoint: settings.tls.as_ref().map(Tls::endpoint),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await.map_err(|e| failed(&e))
}
