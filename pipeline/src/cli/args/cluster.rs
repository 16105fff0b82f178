//! Flags of the processes of a cluster, and of those who talk to it.

use std::path::PathBuf;

use clap::Args;

use crate::engine::TlsFiles;

/// Certificates of a process that belongs to a cluster, or hands it work.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// Talk TLS with the cluster: the certificate (PEM) of the authority that all its processes have theirs from.
    #[arg(long, env = "TROMMEL_TLS_CA", requires_all = ["tls_cert", "tls_key"], value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate (PEM) of this process.
    #[arg(long, env = "TROMMEL_TLS_CERT", requires = "tls_ca", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key (PEM) of the certificate.
    #[arg(long, env = "TROMMEL_TLS_KEY", requires = "tls_ca", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The files, where TLS is asked for: clap sees to it that all are there or none.
    pub fn files(&self) -> Option<TlsFiles> {
        let (authority, certificate, key) = (self.tls_ca.clone()?, self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { authority, certificate, key })
    }
}

/// Flags of `scheduler`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct SchedulerArgs {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:50050")]
    pub bind: String,
    /// Name under which executors and clients reach this machine.
    #[arg(long, default_value = "localhost")]
    pub external_host: String,
    /// Seconds without a sign of life after which an executor is lost, and its work goes elsewhere.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..))]
    pub executor_timeout: u64,
    /// Times that a task is tried before its job is given up.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub task_attempts: u16,
    /// Certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Flags of `executor`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct ExecutorArgs {
    /// The scheduler: `ballista://HOST:PORT`.
    #[arg(long, env = "TROMMEL_SCHEDULER", default_value = "ballista://127.0.0.1:50050")]
    pub scheduler: String,
    /// Address to listen on for those who read this executor's shuffles.
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: String,
    /// Port to listen on.
    #[arg(long, default_value_t = 50051)]
    pub port: u16,
    /// Name under which others reach this machine; the bind address by default.
    #[arg(long)]
    pub external_host: Option<String>,
    /// Partitions that run at a time: cores, or devices where models run on cards. All cores by default.
    #[arg(long)]
    pub slots: Option<usize>,
    /// Kinds of work to take, separated by commas: `fetch`, `score` (models), and `rest`. All by default. A pass that fetches
    /// and scores needs an executor that takes both.
    #[arg(long)]
    pub takes: Option<crate::cluster::Takes>,
    /// Folder for shuffles and spills.
    #[arg(long)]
    pub work_dir: Option<PathBuf>,
    /// Seconds to wait for the scheduler to answer.
    #[arg(long, default_value_t = 60)]
    pub patience: u16,
    /// Certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
}
