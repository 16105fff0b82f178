//! Flags of the verbs that work on finished data: `select`, `reshard`, `card`.

use std::path::PathBuf;

use clap::Args;

use crate::recipe::choosing::{BalanceSettings, BaselineSettings, CapSettings, SampleSettings};
use crate::recipe::near::{DecontaminateSettings, NearSettings, RetrieveSettings};
use crate::recipe::settings::{KeepSettings, ReshardSettings};

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
