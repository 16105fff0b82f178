//! Verbs and flags. The settings that a recipe shares come from [`settings`](crate::recipe::settings).

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::engine::{EngineChoice, TlsFiles};
use crate::ledger::Part;
use crate::recipe::choosing::{BalanceSettings, BaselineSettings, CapSettings, SampleSettings};
use crate::recipe::near::{DecontaminateSettings, NearSettings, RetrieveSettings};
use crate::recipe::settings::{FetchSettings, HashSettings, KeepSettings, ReshardSettings, ScoreSettings, WriteSettings};
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

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The recipe.
    pub recipe: PathBuf,
    /// Instead of the recipe's output.
    #[arg(long, short)]
    pub output: Option<String>,
    /// What is there.
    #[command(flatten)]
    pub resume: Resume,
}

/// Flags of `extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Files, globs, folders or urls.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Where the candidates go.
    #[arg(long, short)]
    pub output: String,
    /// image, image_only, audio, video, text.
    #[arg(long, value_delimiter = ',', default_value = "image")]
    pub types: Vec<String>,
    /// `cc2dataset` for that program's rows and columns exactly.
    #[arg(long)]
    pub compat: Option<String>,
    /// Longest caption in bytes; longer ones are counted and left out.
    #[arg(long)]
    pub max_text_bytes: Option<usize>,
    /// What is there.
    #[command(flatten)]
    pub resume: Resume,
}

/// Flags of `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Url lists: files, globs, folders or urls.
    #[arg(required_unless_present = "url_list")]
    pub inputs: Vec<String>,
    /// Url list, as img2dataset names it.
    #[arg(long, hide = true)]
    pub url_list: Option<String>,
    /// Where the shards go.
    #[arg(long, short, alias = "output-folder")]
    pub output: String,
    /// A url or mail address where site owners reach you; it goes into the user agent. Needed.
    #[arg(long, env = "TROMMEL_CONTACT")]
    pub contact: Option<String>,
    /// Column of the url.
    #[arg(long, default_value = "url")]
    pub url_col: String,
    /// Column of the caption.
    #[arg(long)]
    pub caption_col: Option<String>,
    /// Other columns to keep; all by default, none with `--compat img2dataset`.
    #[arg(long, value_delimiter = ',')]
    pub save_additional_columns: Option<Vec<String>>,
    /// Format of a list whose ending does not say it.
    #[arg(long)]
    pub input_format: Option<trommel_shards::lists::ListFormat>,
    /// Any setting of the fetcher, as `backoff_max=60`; see `[network]` in `trommel schema`.
    #[arg(long = "net", value_name = "KEY=VALUE")]
    pub net: Vec<String>,
    /// Picture and network settings.
    #[command(flatten)]
    pub fetch: FetchSettings,
    /// Shard settings.
    #[command(flatten)]
    pub write: WriteSettings,
    /// What is there.
    #[command(flatten)]
    pub resume: Resume,
}

/// Flags of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// Shards: tars or parquet files with pictures; files, globs, folders or urls.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Where the scores and vectors go: `SHARD.parquet` without pictures, and the vectors beside it.
    #[arg(long, short)]
    pub output: String,
    /// The model.
    #[command(flatten)]
    pub score: ScoreSettings,
    /// `datacomp` for the columns of its metadata, and npz files that its baselines read.
    #[arg(long)]
    pub compat: Option<String>,
    /// What is there.
    #[command(flatten)]
    pub resume: Resume,
}

/// Flags of `hash`.
#[derive(Debug, Args)]
pub struct HashArgs {
    /// Shards: tars, or parquet files with pictures; paths, globs, folders or urls.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Where the tables go: a folder, or s3://, gs://, az://.
    #[arg(long, short)]
    pub output: String,
    /// Which hashes.
    #[command(flatten)]
    pub hash: HashSettings,
    /// What is there.
    #[command(flatten)]
    pub resume: Resume,
}

/// Flags of `select`. Stages run in this order: baseline, keep, decontaminate, near, retrieve, cap, sample, balance; a recipe has
/// them in any.
#[derive(Debug, Args)]
pub struct SelectArgs {
    /// Metadata: parquet files, globs, folders or urls; DataComp's, or the tables of shards.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// The subset: `.npy` as DataComp's, `.parquet` with copies and weights, or `.txt`. Beside it go the exclusion table,
    /// `NAME.excluded/`, and the report, `NAME.report.json`.
    #[arg(long, short)]
    pub output: String,
    /// Stages in TOML: `[[stage]]` tables with `use` one of keep, cap, sample, balance, baseline, near, decontaminate, retrieve, and a `seed` above them.
    #[arg(long, conflicts_with = "seed")]
    pub recipe: Option<PathBuf>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Baselines and presets.
    #[command(flatten)]
    pub baseline: BaselineSettings,
    /// Cuts.
    #[command(flatten)]
    pub keep: KeepSettings,
    /// Caps.
    #[command(flatten)]
    pub cap: CapSettings,
    /// Samples.
    #[command(flatten)]
    pub sample: SampleSettings,
    /// Balance.
    #[command(flatten)]
    pub balance: BalanceSettings,
    /// Near-duplicates.
    #[command(flatten)]
    pub near: NearSettings,
    /// Decontamination.
    #[command(flatten)]
    pub decontaminate: DecontaminateSettings,
    /// Retrieval.
    #[command(flatten)]
    pub retrieve: RetrieveSettings,
    /// Write no exclusion table, and neither tables nor a page of groups.
    #[arg(long, help_heading = "Output")]
    pub no_exclusions: bool,
    /// Do not count who passes by language, script, domain, licence and resolution.
    #[arg(long, help_heading = "Output")]
    pub no_pass_rates: bool,
    /// Warn of groups that pass at less than the average rate divided by this.
    #[arg(long, default_value_t = 2.0, value_name = "FACTOR", help_heading = "Output")]
    pub warn_factor: f64,
    /// An empty subset is no error.
    #[arg(long, help_heading = "Output")]
    pub allow_empty: bool,
    /// Print the stages as they are understood, and do nothing.
    #[arg(long, help_heading = "Output")]
    pub explain: bool,
}

/// Flags of `index`.
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Metadata whose vectors are indexed: parquet files, globs, folders or urls, with npz, npy or parquet files of vectors beside them.
    #[arg(required_unless_present = "merge")]
    pub inputs: Vec<String>,
    /// Folder of the index.
    #[arg(long, short)]
    pub output: String,
    /// Key of the vectors, as `l14_img`.
    #[arg(long, required_unless_present = "merge", default_value = "")]
    pub key: String,
    /// Join these indexes, of one training, instead of building.
    #[arg(long, num_args = 1.., value_name = "INDEX", conflicts_with_all = ["inputs", "key"])]
    pub merge: Vec<PathBuf>,
    /// The kind, as faiss's index factory reads it; chosen by number and memory without it.
    #[arg(long)]
    pub factory: Option<String>,
    /// Memory that the index may take when it is searched, in MiB.
    #[arg(long, default_value_t = 4000)]
    pub index_memory_mib: u64,
    /// Choose a kind that can be searched from the disk.
    #[arg(long)]
    pub mapped: bool,
    /// cosine, ip (inner product) or l2.
    #[arg(long, default_value = "cosine")]
    pub metric: String,
    /// Vectors to train on at most.
    #[arg(long)]
    pub training: Option<usize>,
    /// An index whose training is taken, so that both can be merged.
    #[arg(long, value_name = "INDEX")]
    pub like: Option<PathBuf>,
    /// Rows between two checkpoints.
    #[arg(long, default_value_t = 1_000_000)]
    pub part_rows: usize,
    /// Seed of the training sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Start over: remove what an earlier run left in the output folder.
    #[arg(long)]
    pub fresh: bool,
}

/// Flags of `search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folder of the index.
    pub index: String,
    /// Ask by text; may be given more than once.
    #[arg(long = "text", value_name = "TEXT", help_heading = "Queries")]
    pub texts: Vec<String>,
    /// Ask by a picture's file.
    #[arg(long = "image", value_name = "FILE", help_heading = "Queries")]
    pub images: Vec<PathBuf>,
    /// Ask by the vector of a row of the index.
    #[arg(long = "uid", value_name = "UID", help_heading = "Queries")]
    pub uids: Vec<String>,
    /// Ask by the vectors of a file: npy, npz or parquet.
    #[arg(long = "vectors", value_name = "FILE", help_heading = "Queries")]
    pub vectors: Vec<String>,
    /// The model of the index's vectors, for texts and pictures: a folder or a hub id.
    #[arg(long, help_heading = "Queries")]
    pub model: Option<String>,
    /// auto, cpu, or cuda:0.
    #[arg(long, default_value = "auto", help_heading = "Queries")]
    pub device: String,
    /// Results of each query at most.
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Results")]
    pub k: u32,
    /// Only rows that are at least so near.
    #[arg(long, value_name = "SIMILARITY", allow_hyphen_values = true, help_heading = "Results")]
    pub at_least: Option<f32>,
    /// SQL over the metadata: only rows for which it holds.
    #[arg(long = "where", value_name = "SQL", help_heading = "Results")]
    pub predicate: Option<String>,
    /// The metadata, where it is not any more where the index was made of it.
    #[arg(long, num_args = 1.., help_heading = "Results")]
    pub meta: Vec<String>,
    /// Columns to show; url and caption by default.
    #[arg(long, value_delimiter = ',', help_heading = "Results")]
    pub columns: Vec<String>,
    /// Write a page of pictures.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub html: Option<PathBuf>,
    /// Lists to look into, of an index with lists.
    #[arg(long, help_heading = "Results")]
    pub probes: Option<usize>,
    /// Nodes to follow, of a graph.
    #[arg(long, help_heading = "Results")]
    pub ef_search: Option<usize>,
    /// Search the index from the disk instead of reading it.
    #[arg(long, help_heading = "Results")]
    pub mapped: bool,
}

/// Flags of `reshard`.
#[derive(Debug, Args)]
pub struct ReshardArgs {
    /// Shards: tars, or parquet files with pictures; paths, globs, folders or urls.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Where the shards go: a folder, or s3://, gs://, az://.
    #[arg(long, short)]
    pub output: String,
    /// The subset: DataComp's npy, a parquet table with uid and copies, or a uid a line. Everything without one.
    #[arg(long, short)]
    pub subset: Option<String>,
    /// How the shards are cut and named.
    #[command(flatten)]
    pub reshard: ReshardSettings,
    /// Start over: remove what an earlier run left in the output folder.
    #[arg(long)]
    pub fresh: bool,
    /// Say what would be written, and do nothing.
    #[arg(long)]
    pub explain: bool,
}

/// Flags of `card`: what the ledger cannot know.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// The output folder of a job.
    pub dir: String,
    /// Name of the dataset.
    #[arg(long)]
    pub name: String,
    /// What it is, in a sentence or two.
    #[arg(long)]
    pub description: String,
    /// Address of the licence.
    #[arg(long)]
    pub license: String,
    /// Where the dataset is, or will be.
    #[arg(long)]
    pub url: String,
    /// Who made it; may be given more than once.
    #[arg(long = "creator", required = true)]
    pub creators: Vec<String>,
    /// Day of publication, as 2025-01-31.
    #[arg(long)]
    pub date: String,
    /// Version, as 1.0.0.
    #[arg(long, default_value = "1.0.0")]
    pub dataset_version: String,
    /// What only a person can say, in TOML: `purpose`, `limitations`, `suitable_use` and the other headings of the card.
    #[arg(long)]
    pub notes: Option<PathBuf>,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the dataset goes.
    #[arg(long, short, default_value = "out/demo")]
    pub output: String,
    /// Pages of the miniature web.
    #[arg(long, default_value_t = 200)]
    pub pages: u32,
    /// Seed of the miniature web.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Keep what an earlier demo left there.
    #[arg(long)]
    pub resume: bool,
    /// What runs the passes, as for `run`; executors have to be on this machine, where the miniature web is.
    #[arg(long, default_value = "local")]
    pub engine: EngineChoice,
    /// Certificates for the cluster.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Flags of `miniweb`.
#[derive(Debug, Args)]
pub struct MiniwebArgs {
    /// Port on loopback; 0 for any.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Pages.
    #[arg(long, default_value_t = 200)]
    pub pages: u32,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Share of hostile urls.
    #[arg(long, default_value_t = 0.1)]
    pub hostile: f64,
    /// Share of slow hosts.
    #[arg(long, default_value_t = 0.02)]
    pub slow: f64,
    /// Folder to write WAT, WARC and url lists to before serving.
    #[arg(long)]
    pub write: Option<PathBuf>,
    /// WAT files to write.
    #[arg(long, default_value_t = 2)]
    pub wats: usize,
    /// Urls of the bench endpoint to write into `bench.tsv`.
    #[arg(long, default_value_t = 0)]
    pub bench_urls: usize,
}
