//! Verbs and flags. The settings that a recipe shares come from [`settings`](crate::recipe::settings).

mod choosing;
mod cluster;
mod demo;
mod index;
mod making;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

pub(super) use choosing::{CardArgs, ReshardArgs, SelectArgs};
pub(super) use cluster::TlsArgs;
#[cfg(feature = "cluster")]
pub(super) use cluster::{ExecutorArgs, SchedulerArgs};
pub(super) use demo::{DemoArgs, MiniwebArgs};
pub(super) use index::{IndexArgs, SearchArgs};
pub(super) use making::{EmbedArgs, ExtractArgs, FetchArgs, HashArgs, RunArgs};

use crate::engine::EngineChoice;
use crate::ledger::Part;
use crate::report::{Metrics, Progress, Role};

/// Turns web crawls into training-ready image-text datasets.
#[derive(Debug, Parser)]
#[command(name = "trommel", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb takes.
    #[command(flatten)]
    pub common: Common,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Print the report as JSON on standard output.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// No progress lines.
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Threads; all cores by default.
    #[arg(long, global = true, env = "TROMMEL_THREADS", help_heading = "Everywhere")]
    pub threads: Option<usize>,
    /// Memory that sorts and shuffles may hold before they spill, in MiB.
    #[arg(long, global = true, env = "TROMMEL_MEMORY_MIB", default_value_t = 512, help_heading = "Everywhere")]
    pub memory_mib: usize,
    /// Folder for spill files; the system's temporary folder by default.
    #[arg(long, global = true, env = "TROMMEL_SPILL", help_heading = "Everywhere")]
    pub spill: Option<PathBuf>,
    /// Serve numbers for Prometheus at this address (`/metrics`), while a job, a scheduler or an executor runs.
    #[arg(long, global = true, env = "TROMMEL_METRICS", value_name = "HOST:PORT", help_heading = "Everywhere")]
    pub metrics: Option<String>,
    /// Form of the log on standard error: text, or one JSON object a line. What is logged is chosen by TROMMEL_LOG.
    #[arg(long, global = true, env = "TROMMEL_LOG_FORMAT", default_value = "text", help_heading = "Everywhere")]
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Common {
    /// Serves the numbers of this process, where they were asked for.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) async fn metrics(&self, role: Role, progress: &Arc<Progress>) -> anyhow::Result<Option<Metrics>> {
        let Some(address) = &self.metrics else { return Ok(None) };
        let serving = Metrics::serve(address, role, Arc::clone(progress)).await;
        Ok(Some(serving.with_context(|| format!("`--metrics {address}`"))?))
    }

    /// Threads to use.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get)).max(1)
    }
}

/// How a run treats what is there.
#[derive(Debug, Clone, Args)]
pub struct Resume {
    /// Start over: remove what the job left in its output folder.
    #[arg(long)]
    pub fresh: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub explain: bool,
    /// Fetch again what failed for a passing reason in an earlier run.
    #[arg(long)]
    pub retry_failed: bool,
    /// What runs the passes: `local`, `standalone` (a cluster inside this process), or `ballista://HOST:PORT`.
    #[arg(long, default_value = "local", env = "TROMMEL_ENGINE")]
    pub engine: EngineChoice,
    /// Certificates for the cluster.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Do one share of the units, beside other runs on the same output: INDEX/COUNT, counted from 0, as job arrays count.
    #[arg(long, env = "TROMMEL_PART", conflicts_with_all = ["fresh", "retry_failed"])]
    pub part: Option<Part>,
    /// Seconds to wait for a part that gives no sign of life.
    #[arg(long, default_value_t = 3600)]
    pub part_patience: u64,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a recipe, all passes; what is done stays done.
    Run(RunArgs),
    /// Extract candidates from WAT, WARC, ARC, WACZ or HTML files.
    Extract(Box<ExtractArgs>),
    /// Fetch the pictures of url lists into shards.
    Fetch(Box<FetchArgs>),
    /// Hash the pictures of shards: PDQ, pHash, dHash, pixels, and what near-copies are found by.
    Hash(Box<HashArgs>),
    /// Score the pairs of shards with a model: vectors and score columns, shard by shard.
    Embed(Box<EmbedArgs>),
    /// Choose from metadata: a subset, and a reason for every row that is left out.
    Select(Box<SelectArgs>),
    /// Write a subset of shards as shards of exact size, copying pictures as they are.
    Reshard(Box<ReshardArgs>),
    /// The whole pipeline on a miniature web that the program serves itself, on loopback.
    Demo(DemoArgs),
    /// Write a Croissant file and a data card beside a dataset, from what its ledger knows.
    Card(Box<CardArgs>),
    /// Work out what a recipe would cost for billions of pairs: bytes, requests, hours and money of each stage.
    Plan(Box<super::plan::PlanArgs>),
    /// What became of all rows of an output folder.
    Stats {
        /// The output folder.
        dir: String,
    },
    /// How far the passes of an output folder are.
    Status {
        /// The output folder.
        dir: String,
    },
    /// Check a recipe, a shard, or an output folder against its markers.
    Validate {
        /// A recipe (`.toml`), a tar or parquet file, or an output folder.
        path: String,
    },
    /// Build a Faiss index of the vectors beside metadata.
    Index(Box<IndexArgs>),
    /// Search an index by text, picture, uid or vector.
    Search(Box<SearchArgs>),
    /// Print the JSON schema of a recipe.
    Schema,
    /// Print the functions that predicates may use.
    Functions,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Run the scheduler of a cluster.
    #[cfg(feature = "cluster")]
    Scheduler(SchedulerArgs),
    /// Run an executor of a cluster.
    #[cfg(feature = "cluster")]
    Executor(ExecutorArgs),
    /// Serve the miniature web until interrupted, for tests and benches.
    #[command(hide = true)]
    Miniweb(MiniwebArgs),
}
