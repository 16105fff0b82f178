//! `trommel scheduler`: decides where partitions run.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::ConfigProducer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::client::{ClusterError, chain};
use super::codec::{LogicalCodec, PhysicalCodec};
use super::placement::Placement;
use super::tls::Tls;
use super::{MESSAGE_BYTES, registry};

/// What a scheduler is told.
#[derive(Clone)]
pub struct SchedulerSettings {
    /// Address and port that it listens on; port 0 takes a free one.
    pub bind: String,
    /// Name under which executors and clients reach it.
    pub external_host: String,
    /// Seconds without a sign of life after which an executor counts as lost, and its work goes elsewhere.
    pub executor_timeout_s: u64,
    /// Times that a task is tried.
    pub task_attempts: usize,
    /// Talks TLS, with those who do.
    pub tls: Option<Tls>,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self { bind: "127.0.0.1:50050".into(), external_host: "localhost".into(), executor_timeout_s: 60, task_attempts: 4, tls: None }
    }
}

/// Runs a scheduler until it fails or is dropped. `listening` is told the port.
///
/// # Errors
/// When the address cannot be bound, or the service ends.
pub async fn run_scheduler(settings: &SchedulerSettings, listening: impl FnOnce(u16)) -> Result<(), ClusterError> {
    let failed = |e: &dyn std::error::Error| ClusterError::Process { place: settings.bind.clone(), message: chain(e) };
    let listener = listen(&settings.bind).await.map_err(|e| failed(&e))?;
    let port = listener.local_addr().map_err(|e| failed(&e))?.port();
    let producer: ConfigProducer = Arc::new(registry::config);
    let config = SchedulerConfig {
        external_host: settings.external_host.clone(),
        bind_port: port,
        // Executors ask for work: they may stand behind a firewall, and a dead one is not sent any.
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        task_distribution: TaskDistributionPolicy::Custom(Arc::new(Placement::new(Duration::from_secs(settings.executor_timeout_s)))),
        grpc_server_max_decoding_message_size: MESSAGE_BYTES,
        grpc_server_max_encoding_message_size: MESSAGE_BYTES,
        grpc_client_max_message_size: MESSAGE_BYTES,
        executor_timeout_seconds: settings.executor_timeout_s,
        expire_dead_executor_interval_seconds: (settings.executor_timeout_s / 4).clamp(1, 15),
        no_executors_grace_period_seconds: settings.executor_timeout_s,
        // A pass of very many units is many jobs, and a finished one is some ten MiB. Who waits for it hears of its end within a second.
        finished_job_state_clean_up_interval_seconds: KEPT_S,
        task_max_failures: settings.task_attempts,
        stage_max_failures: settings.task_attempts,
        override_config_producer: Some(producer),
        override_session_builder: Some(Arc::new(registry::state)),
        override_logical_codec: Some(Arc::new(LogicalCodec::default())),
        override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
        use_tls: settings.tls.is_some(),
        override_create_grpc_client_endpoint: settings.tls.as_ref().map(Tls::endpoint),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(|e| failed(&e))?;
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await.map_err(|e| failed(&e))?;
    listening(port);
    let Some(tls) = &settings.tls else {
        return start_grpc_service_with_listener(listener, scheduler).await.map_err(|e| failed(&e));
    };
    // Ballista's own server has no TLS.
    let service = SchedulerGrpcServer::new(scheduler)
        .max_encoding_message_size(MESSAGE_BYTES as usize)
        .max_decoding_message_size(MESSAGE_BYTES as usize);
    let mut server = Server::builder().tls_config(tls.server()).map_err(|e| failed(&e))?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.add_service(service).serve_with_incoming(incoming).await.map_err(|e| failed(&e))
}

/// Seconds for which a finished job is remembered: well above what a client may be silent for.
const KEPT_S: u64 = 60;
/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// A listener whose connections send at once. Ballista's server does not ask for that, and without it the two small writes of
/// an answer wait for each other's acknowledgement: 40 ms for every question, many times what a small task takes.
async fn listen(bind: &str) -> std::io::Result<TcpListener> {
    let mut last = None;
    for address in lookup_host(bind).await? {
        let made = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            // Connections have it from their listener.
            socket.set_nodelay(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match made() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("it is the address of nothing")))
}
