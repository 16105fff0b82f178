//! What is wanted.

use std::sync::Arc;

use super::{Extra, GroupBy, ImageHook, ReshardError};

/// How resharding is done.
#[derive(Clone)]
pub struct ReshardOptions {
    /// The order of the samples.
    pub order: Order,
    /// How many samples a shard has.
    pub sizes: Sizes,
    /// Largest sum of a shard's members in bytes, as they lie in the input; a shard may then be shorter. A sample that is
    /// larger stands alone. DataComp's resharder uses 3 GB.
    pub max_bytes: Option<u64>,
    /// How shards are numbered and named.
    pub names: ShardNames,
    /// What is written.
    pub format: ShardFormat,
    /// How samples are named.
    pub keys: Keys,
    /// Whether a tar gets a parquet file beside it. DataComp's resharder writes none.
    pub table: bool,
    /// Column with the caption, which becomes the `txt` member when tars are made of parquet shards. The first of `text`,
    /// `caption`, `TEXT` that is there when it is `None`.
    pub caption: Option<String>,
    /// Columns that are added to, or replaced in, the JSON member and the table.
    pub extra: Option<Arc<dyn Extra>>,
    /// Makes, for each output shard, what may change a picture (blur, another encoding). `None`: nothing is decoded.
    pub hook: Option<HookFactory>,
    /// Input shards that are scanned at a time.
    pub threads: usize,
}

/// Makes the hook of one output shard.
pub type HookFactory = Arc<dyn Fn() -> ImageHook + Send + Sync>;

impl Default for ReshardOptions {
    fn default() -> Self {
        Self {
            order: Order::Input,
            sizes: Sizes::Exact(10_000),
            max_bytes: None,
            names: ShardNames::default(),
            format: ShardFormat::Webdataset,
            keys: Keys::Kept,
            table: true,
            caption: None,
            extra: None,
            hook: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl ReshardOptions {
    /// As DataComp's resharder writes: `00000000.tar` with keys `{uid}-{copy}`, 3 GB at most, no tables.
    pub fn datacomp() -> Self {
        Self {
            max_bytes: Some(3_000_000_000),
            names: ShardNames { first: 0, width: 8 },
            keys: Keys::UidAndCopy,
            table: false,
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), ReshardError> {
        let fail = |message: &str| Err(ReshardError::Options(message.to_owned()));
        match self.sizes {
            Sizes::Exact(0) | Sizes::Equal(0) => return fail("shard size is 0; at least one sample per shard is needed"),
            Sizes::Count(0) => return fail("number of shards is 0; at least one is needed"),
            Sizes::Equal(_) | Sizes::Count(_) if self.max_bytes.is_some() => {
                return fail("shards of equal size cannot also be limited in bytes; use an exact size with the limit");
            }
            _ => {}
        }
        match &self.order {
            Order::Grouped { by, .. } => by.check(),
            _ => Ok(()),
        }
    }

    /// Everything that shapes the output but the hook and the extra columns, which the caller knows, as text.
    pub(super) fn describe(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} table={} caption={:?}",
            self.order, self.sizes, self.max_bytes, self.names, self.format, self.keys, self.table, self.caption
        )
    }
}

/// The order of the samples in the output.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Input shards in their order, samples in theirs, copies of a sample side by side.
    Input,
    /// By `hash64(seed, uid, copy)`: the same for every order and sharding of the input.
    Shuffled {
        /// Of the hash.
        seed: u64,
    },
    /// By a group first, and shuffled in each group: samples of one aspect ratio or sequence length share shards.
    Grouped {
        /// What makes a group.
        by: GroupBy,
        /// Of the hash.
        seed: u64,
    },
}

/// How many samples a shard has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// So many, and the rest in the last one.
    Exact(u64),
    /// At most so many, in as few shards as that takes, sizes differing by one at most.
    Equal(u64),
    /// So many shards (fewer when there are fewer samples), sizes differing by one at most.
    Count(u64),
}

/// How shards are numbered and named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardNames {
    /// Number of the first shard.
    pub first: u64,
    /// Digits, with leading zeros: 5 for img2dataset's `00000`, 8 for DataComp's `00000000`.
    pub width: usize,
}

impl Default for ShardNames {
    fn default() -> Self {
        Self { first: 0, width: 5 }
    }
}

impl ShardNames {
    /// Name of the shard at a place in the plan, without an ending.
    pub fn name(&self, shard: usize) -> String {
        format!("{:0width$}", self.first + shard as u64, width = self.width)
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardFormat {
    /// Tars.
    Webdataset,
    /// Parquet files with the pictures in a binary column.
    Parquet,
}

/// How samples are named. Two samples of one output shard never have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As in the input; copies after the first, and samples of other shards that had the same key, get `-1`, `-2`, …
    Kept,
    /// DataComp's: `{uid}-{copy}`.
    UidAndCopy,
    /// The shard's name followed by the row's number, as img2dataset numbers.
    Fresh,
}
