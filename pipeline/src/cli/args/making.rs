//! Flags of the verbs that make data: `run`, `extract`, `fetch`, `embed`, `hash`.

use std::path::PathBuf;

use clap::Args;

use super::Resume;
use crate::recipe::settings::{FetchSettings, HashSettings, ScoreSettings, WriteSettings};

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
