//! Flags of `demo` and of the miniature web.

use std::path::PathBuf;

use clap::Args;

use super::TlsArgs;
use crate::engine::EngineChoice;

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
