//! A cluster inside one process, for tests and for trying a recipe before it goes to machines.

use std::net::TcpListener;

use tokio::task::JoinHandle;

use super::client::ClusterError;
use super::{ExecutorSettings, SchedulerSettings, Takes, run_executor, run_scheduler};

/// A scheduler and executors as tasks of this process; they end when it is dropped.
pub struct Standalone {
    address: String,
    tasks: Vec<JoinHandle<()>>,
    _work: tempfile::TempDir,
}

impl Standalone {
    /// Starts a scheduler and executors with so many slots each. Everything between them goes over loopback, as it would
    /// between machines.
    ///
    /// # Errors
    /// When no port or folder is to be had, or the scheduler does not start.
    pub async fn start(executors: usize, slots: usize, memory_bytes: u64) -> Result<Self, ClusterError> {
        let failed = |e: std::io::Error| ClusterError::Process { place: "standalone cluster".into(), message: e.to_string() };
        let work = tempfile::Builder::new().prefix("trommel-standalone-").tempdir().map_err(failed)?;
        let (tell, told) = tokio::sync::oneshot::channel();
        let settings = SchedulerSettings { bind: "127.0.0.1:0".into(), external_host: "127.0.0.1".into(), ..SchedulerSettings::default() };
        let mut tasks = vec![tokio::spawn(async move {
            let listening = move |port| {
                let _ = tell.send(port);
            };
            if let Err(error) = run_scheduler(&settings, listening).await {
                tracing::error!(%error, "the scheduler ended");
            }
        })];
        let scheduler_port = told.await.map_err(|_| failed(std::io::Error::other("the scheduler did not start")))?;
        for number in 0..executors.max(1) {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)?;
            let settings = ExecutorSettings {
                scheduler_host: "127.0.0.1".into(),
                scheduler_port,
                bind_host: "127.0.0.1".into(),
                external_host: "127.0.0.1".into(),
                port: free.port(),
                slots,
                takes: Takes::ALL,
                threads: slots,
                memory_bytes,
                work_dir: work.path().join(format!("executor-{number}")),
                patience_s: 10,
                tls: None,
            };
            tasks.push(tokio::spawn(async move {
                if let Err(error) = run_executor(&settings, Default::default()).await {
                    tracing::error!(%error, "an executor ended");
                }
            }));
        }
        Ok(Self { address: format!("ballista://127.0.0.1:{scheduler_port}"), tasks, _work: work })
    }

    /// Address for a [`BallistaEngine`](super::BallistaEngine).
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
