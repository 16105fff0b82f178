//! What a job consists of.
//!
//! A recipe is cut at its global stages. What stands between two cuts is one pass over units; a cut is a pass of its own:
//!
//! ```text
//! source → language → keep ┊ dedupe ┊ keep ┊ (pack) fetch → keep → write
//!  └──── units → tables ──┘ └ lists ┘└ tables ┘ └ units ┘ └─ units → shards ─┘
//! ```

use serde::{Deserialize, Serialize};
use trommel_shards::source::SourceFile;

use crate::op::write::ShardSpec;
use crate::op::{Extract, Fetch, HashPictures, Language, Op, ReadList, ReadShards, Score};
use crate::plan::Keep;
use crate::recipe::settings::ReshardSettings;
use crate::select::Selection;

/// What feeds a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Archives: WAT, WARC, ARC, WACZ, HTML.
    Archives(Extract),
    /// Url lists.
    Lists(ReadList),
    /// Finished shards.
    Shards(ReadShards),
}

impl Source {
    /// The operation that reads the files.
    pub fn op(&self) -> Op {
        match self {
            Self::Archives(op) => Op::Extract(op.clone()),
            Self::Lists(op) => Op::ReadList(op.clone()),
            Self::Shards(op) => Op::ReadShards(op.clone()),
        }
    }
}

/// A stage that looks at one row at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamStage {
    /// Adds the language.
    Language(Language),
    /// Marks what a predicate refuses.
    Keep(Keep),
    /// Adds scores of a model.
    Score(Box<Score>),
    /// Adds hashes of pictures.
    Hash(HashPictures),
}

impl StreamStage {
    /// What the config hash is made of.
    pub fn text(&self) -> String {
        match self {
            Self::Language(op) => format!("language {}", serde_json::to_string(op).unwrap_or_default()),
            // Where and in what pieces a model computes is not part of what it says.
            Self::Score(op) => {
                let model = crate::scorers::ScoreModel { device: String::new(), ..op.model.clone() };
                format!("score {}", serde_json::to_string(&Score { model, ..(**op).clone() }).unwrap_or_default())
            }
            Self::Hash(op) => format!("hash {}", serde_json::to_string(op).unwrap_or_default()),
            Self::Keep(keep) => format!("keep {} {:?}", keep.stage, keep.conditions),
        }
    }
}

/// Fetching, with what follows it in the same pass.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchPass {
    /// The stage's name.
    pub stage: String,
    /// The operation.
    pub fetch: Fetch,
    /// Rows of a unit, and so of a full shard.
    pub unit_rows: usize,
    /// Rows of one host that stay together; `None` keeps input order.
    pub host_rows: Option<usize>,
    /// Digits of a shard's number.
    pub digits: usize,
    /// Rounds for what slow hosts have not given.
    pub rounds: usize,
    /// Units that run at a time at most.
    pub units_at_once: usize,
    /// Lanes of the units; by the number of rows where nothing is said.
    pub lanes: Option<usize>,
}

/// One pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// Its name in marker folders: `1-extract`.
    pub name: String,
    /// Stages over single rows, before what the pass is for.
    pub before: Vec<StreamStage>,
    /// What the pass is for.
    pub kind: PassKind,
}

/// What a pass is for.
#[derive(Debug, Clone, PartialEq)]
pub enum PassKind {
    /// Reads the source, ends in tables, or in shards when there is nothing to fetch.
    Source {
        /// The files.
        files: Vec<SourceFile>,
        /// How they are read.
        source: Source,
        /// Final shards instead of tables.
        shards: Option<ShardSpec>,
    },
    /// Lists duplicates.
    Dedupe {
        /// The stage's name.
        stage: String,
        /// Columns of the key.
        by: Vec<String>,
        /// Sort expressions, the first row is kept: `(sql, descending)`.
        order: Vec<(String, bool)>,
        /// Earlier outputs (parquet files or folders) whose rows win.
        against: Vec<String>,
    },
    /// Takes duplicates out and runs the stages that follow; ends in tables, or in shards.
    Table {
        /// Final shards instead of tables.
        shards: Option<ShardSpec>,
    },
    /// Fetches and writes shards. The stages of `before` come after fetching here.
    Fetch(Box<FetchPass>, Box<ShardSpec>),
    /// Chooses among the rows of finished shards: a subset, and a reason for every other row.
    Select(Box<Selection>),
    /// Writes the subset of the shards in `raw/` as shards of exact size.
    Reshard(Box<ReshardPass>),
}

/// Writing final shards from those in [`RAW`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReshardPass {
    /// How they are cut.
    pub settings: ReshardSettings,
}

/// Folder of the shards that a selection chooses from.
pub const RAW: &str = "raw";
/// The subset that a selection writes.
pub(super) const SUBSET: &str = "selection/subset.parquet";
/// Groups of near-duplicates as pictures.
pub(super) const GALLERY: &str = "selection/groups.html";
/// Folder of the tables of groups of near-duplicates.
pub(super) const GROUPS: &str = "selection/groups";
/// What a selection says of itself.
pub(super) const REPORT: &str = "selection/report.json";
