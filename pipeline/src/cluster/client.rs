//! Talking to a scheduler: submit a plan, wait, cancel, read the last rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use ballista_core::client::BallistaClient;
use ballista_core::extension::{BallistaConfigGrpcEndpoint, SessionConfigHelperExt};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result::Result as Submitted;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, GetJobStatusParams, PartitionLocation, RemoveSessionParams, job_status,
};
use ballista_core::utils::create_grpc_client_endpoint;
use ballista_core::version;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::TryStreamExt;
use thiserror::Error;
use tonic::transport::Channel;

use super::MESSAGE_BYTES;
use super::codec::PhysicalCodec;
use super::tls::Tls;

/// Between two questions about a job.
const POLL: Duration = Duration::from_millis(100);
/// How long a scheduler may be silent, in the middle of a job, before it counts as lost.
const SILENCE: Duration = Duration::from_secs(20);

/// What can go wrong between a client and its cluster.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The address is none.
    #[error("`{address}` is no address of a scheduler: written ballista://HOST:PORT")]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody answers there.
    #[error("no scheduler answers at {address}: {message}")]
    Unreachable {
        /// The address.
        address: String,
        /// What the connection said.
        message: String,
    },
    /// The scheduler went away during a job.
    #[error("the scheduler at {address} no longer answers ({message}): finished units are safe, run the same command again to go on")]
    Lost {
        /// The address.
        address: String,
        /// What the connection said.
        message: String,
    },
    /// The scheduler does not take the plan.
    #[error("the scheduler at {address} refuses the plan: {message}")]
    Refused {
        /// The address.
        address: String,
        /// Why.
        message: String,
    },
    /// The plan cannot be written down.
    #[error("the plan cannot travel: {message}")]
    Plan {
        /// Why.
        message: String,
    },
    /// A job failed.
    #[error("the cluster gave up: {message}")]
    Job {
        /// What the scheduler says.
        message: String,
    },
    /// The rows of a finished job could not be read.
    #[error("the result cannot be read from executor {executor}: {message}")]
    Result {
        /// The executor.
        executor: String,
        /// Why.
        message: String,
    },
    /// An address or folder that a process of the cluster cannot use.
    #[error("`{place}`: {message}")]
    Process {
        /// The address, file or folder.
        place: String,
        /// Why.
        message: String,
    },
}

/// A job that the scheduler has taken.
pub(super) struct Job {
    id: String,
    session: String,
}

/// How a job ended.
pub(super) enum Ended {
    /// All tasks are done; where their rows are.
    Done(Vec<PartitionLocation>),
    /// It was given up.
    Failed(String),
}

/// A connection to a scheduler.
#[derive(Clone)]
pub(super) struct Client {
    address: String,
    scheduler: SchedulerGrpcClient<Channel>,
    tls: Option<Tls>,
}

impl Client {
    /// Connects to `ballista://host:port`.
    pub(super) async fn connect(address: &str, tls: Option<Tls>) -> Result<Self, ClusterError> {
        let place = address.strip_prefix("ballista://").or_else(|| address.strip_prefix("df://"));
        let url = place.and_then(|place| url::Url::parse(&format!("http://{place}")).ok());
        let Some(url) = url.filter(|url| url.port().is_some() && url.path() == "/") else {
            return Err(ClusterError::Address { address: address.to_owned() });
        };
        let unreachable = |e: &dyn std::error::Error| ClusterError::Unreachable { address: address.to_owned(), message: chain(e) };
        let endpoint = create_grpc_client_endpoint(url.as_str().trim_end_matches('/').to_owned(), None).map_err(|e| unreachable(&e))?;
        let endpoint = match &tls {
            Some(tls) => tls.endpoint()(endpoint).map_err(|e| unreachable(e.as_ref()))?,
            None => endpoint,
        };
        let channel = endpoint.connect_timeout(SILENCE).connect().await.map_err(|e| unreachable(&e))?;
        let limit = MESSAGE_BYTES as usize;
        let scheduler = SchedulerGrpcClient::new(channel).max_encoding_message_size(limit).max_decoding_message_size(limit);
        Ok(Self { address: address.to_owned(), scheduler, tls })
    }

    /// Hands a plan over.
    pub(super) async fn submit(&self, plan: Arc<dyn ExecutionPlan>, session: &str, config: &SessionConfig) -> Result<Job, ClusterError> {
        let mut bytes = Vec::new();
        PhysicalPlanNode::try_from_physical_plan(plan, &PhysicalCodec::default())
            .and_then(|plan| plan.try_encode(&mut bytes))
            .map_err(|e| ClusterError::Plan { message: e.to_string() })?;
        let query = ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(bytes)),
            settings: self.tls.as_ref().map_or_else(|| config.clone(), |tls| tls.session(config.clone())).to_key_value_pairs(),
            session_id: session.to_owned(),
            operation_id: format!("{session}-{}", std::process::id()),
        };
        let mut request = tonic::Request::new(query);
        version::insert_version_header(request.metadata_mut());
        let refused = |message: String| ClusterError::Refused { address: self.address.clone(), message };
        let response = self.scheduler.clone().execute_query(request).await.map_err(|status| match status.code() {
            tonic::Code::Unavailable => ClusterError::Lost { address: self.address.clone(), message: status.message().to_owned() },
            _ => refused(status.message().to_owned()),
        })?;
        version::check_compatibility(Some(ballista_core::BALLISTA_VERSION), version::version_from_metadata(response.metadata()))
            .map_err(refused)?;
        match response.into_inner().result {
            Some(Submitted::Success(taken)) => Ok(Job { id: taken.job_id, session: session.to_owned() }),
            Some(Submitted::Failure(failure)) => {
                Err(ClusterError::Refused { address: self.address.clone(), message: format!("{:?}", failure.failure) })
            }
            None => Err(ClusterError::Refused { address: self.address.clone(), message: "an empty answer".into() }),
        }
    }

    /// Asks once; `None` while the job is queued or running.
    async fn ask(&self, job: &Job) -> Result<Option<Ended>, tonic::Status> {
        let answer = self.scheduler.clone().get_job_status(GetJobStatusParams { job_id: job.id.clone() }).await?.into_inner();
        Ok(match answer.status.and_then(|status| status.status) {
            Some(job_status::Status::Successful(done)) => Some(Ended::Done(done.partition_location)),
            Some(job_status::Status::Failed(failed)) => Some(Ended::Failed(failed.error)),
            Some(job_status::Status::Queued(_) | job_status::Status::Running(_)) | None => None,
        })
    }

    /// Waits until the job has ended. A scheduler that is silent for a moment is asked again.
    pub(super) async fn wait(&self, job: &Job) -> Result<Ended, ClusterError> {
        let mut silent = None;
        loop {
            match self.ask(job).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => silent = None,
                Err(status) => {
                    let since = *silent.get_or_insert_with(tokio::time::Instant::now);
                    if since.elapsed() > SILENCE {
                        return Err(ClusterError::Lost { address: self.address.clone(), message: status.message().to_owned() });
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends a job that nobody waits for any more.
    pub(super) async fn cancel(&self, job: &Job) {
        if let Err(status) = self.scheduler.clone().cancel_job(CancelJobParams { job_id: job.id.clone() }).await {
            tracing::warn!(job = job.id, error = status.message(), "the job could not be cancelled");
        }
        self.forget(job).await;
    }

    /// Lets the cluster forget a job: its rows on the executors, and its session.
    pub(super) async fn forget(&self, job: &Job) {
        let data = self.scheduler.clone().clean_job_data(CleanJobDataParams { job_id: job.id.clone(), remove_stage_ids: Vec::new() }).await;
        let session = self.scheduler.clone().remove_session(RemoveSessionParams { session_id: job.session.clone() }).await;
        if let Some(status) = data.err().or(session.err()) {
            tracing::debug!(job = job.id, error = status.message(), "what a job left is swept later");
        }
    }

    /// The rows of a job's last stage.
    pub(super) async fn rows(&self, places: Vec<PartitionLocation>) -> Result<Vec<RecordBatch>, ClusterError> {
        let mut batches = Vec::new();
        for place in places {
            let layout = place.layout();
            let (Some(executor), Some(partition)) = (place.executor_meta, place.partition_id) else { continue };
            let failed = |message: String| ClusterError::Result { executor: executor.id.clone(), message };
            let port = u16::try_from(executor.port).map_err(|e| failed(e.to_string()))?;
            let over = self.tls.as_ref().map(|tls| Arc::new(BallistaConfigGrpcEndpoint::new(tls.endpoint())));
            let mut client = BallistaClient::try_new(&executor.host, port, MESSAGE_BYTES as usize, self.tls.is_some(), over, 3, 1000, 0, 0)
                .await
                .map_err(|e| failed(e.to_string()))?;
            let stream = client
                .fetch_partition_proxied(&executor.id, &partition.into(), place.file_id, layout, &executor.host, port, true)
                .await
                .map_err(|e| failed(e.to_string()))?;
            let rows: Vec<RecordBatch> = stream.try_collect().await.map_err(|e| failed(e.to_string()))?;
            batches.extend(rows);
        }
        Ok(batches)
    }
}

/// An error with what caused it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
