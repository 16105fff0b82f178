//! The operations: what a pass does to its rows, one file each.
//!
//! An operation is data. It says which columns it needs and adds, how its input must be spread, and how one partition of
//! batches becomes another. It holds no hidden state: what a process shares (fetcher, decoder pool, storage) comes from
//! [`Services`](crate::services::Services) at run time, so that the same operation runs in any process.

mod dedupe;
mod drops;
mod env;
mod extract;
mod fetch;
mod files;
mod hash;
mod language;
mod only;
mod pack;
mod read_list;
mod read_shards;
pub(crate) mod rows;
mod scatter;
mod score;
pub mod write;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ROW, UNIT};

pub use dedupe::{Dedupe, KEY, ORDER, dedupe_schema};
pub use drops::Drops;
pub use env::Env;
#[cfg(feature = "cluster")]
pub(crate) use env::external;
pub(crate) use env::services_of;
pub use extract::Extract;
pub use fetch::{Blocking, Fetch, FetchImages, WaitingRows};
pub use hash::HashPictures;
pub use language::Language;
pub use only::Only;
pub use pack::{MOST_LANES, Pack, lanes};
pub use read_list::ReadList;
pub use read_shards::{ReadShards, StoredVectors};
pub use rows::{UnitRows, control_row, exclude};
pub use scatter::{HOST, PLACE, Scatter};
pub use score::{Score, image_vectors_column, pixels_column, text_vectors_column};
pub use write::Write;

/// How an operation's input must be spread over partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// As it comes; whole units, in order.
    Any,
    /// All rows with the same values of these columns in one partition.
    Hash(Vec<String>),
    /// One partition.
    Single,
}

/// Every operation that a plan can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Archive files to candidates.
    Extract(Extract),
    /// Url lists to candidates.
    ReadList(ReadList),
    /// Shards to rows with their pictures.
    ReadShards(ReadShards),
    /// Adds `lang` and `lang_score` with a model from a file.
    Language(Language),
    /// Finds the rows that are duplicates.
    Dedupe(Dedupe),
    /// Marks the rows that an earlier pass has listed as duplicates.
    Drops(Drops),
    /// Keeps the rows that a list names.
    Only(Only),
    /// Gives every piece of a host's rows its place in the run.
    Scatter(Scatter),
    /// Cuts a list into units of work that hold many hosts.
    Pack(Pack),
    /// Fetches, decodes, judges, resizes and encodes.
    Fetch(Box<Fetch>),
    /// Scores pairs with a model.
    Score(Box<Score>),
    /// Adds hashes of pictures.
    HashPictures(HashPictures),
    /// Writes units with their exclusions and markers.
    Write(Box<Write>),
}

impl Op {
    /// The operation's name in plans and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extract(_) => "Extract",
            Self::ReadList(_) => "ReadList",
            Self::ReadShards(_) => "ReadShards",
            Self::Language(_) => "Language",
            Self::Dedupe(_) => "Dedupe",
            Self::Drops(_) => "Drops",
            Self::Only(_) => "Only",
            Self::Scatter(_) => "Scatter",
            Self::Pack(_) => "Pack",
            Self::Fetch(_) => "Fetch",
            Self::Score(_) => "Score",
            Self::HashPictures(_) => "HashPictures",
            Self::Write(_) => "Write",
        }
    }

    /// One line for `--explain`.
    pub fn describe(&self) -> String {
        match self {
            Self::Extract(op) => op.describe(),
            Self::ReadList(op) => op.describe(),
            Self::ReadShards(op) => op.describe(),
            Self::Language(op) => op.describe(),
            Self::Dedupe(op) => op.describe(),
            Self::Drops(op) => op.describe(),
            Self::Only(op) => op.describe(),
            Self::Scatter(op) => op.describe(),
            Self::Pack(op) => op.describe(),
            Self::Fetch(op) => op.describe(),
            Self::Score(op) => op.describe(),
            Self::HashPictures(op) => op.describe(),
            Self::Write(op) => op.describe(),
        }
    }

    /// The operation as JSON: what travels to another process, and what config hashes are made of.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Op::to_text`] wrote.
    ///
    /// # Errors
    /// When the text is of another version.
    pub fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// How the input must be spread.
    pub fn need(&self) -> Need {
        match self {
            Self::Dedupe(op) => op.need(),
            Self::Scatter(_) => Scatter::need(),
            Self::Pack(_) => Need::Single,
            Self::Write(op) if matches!(op.target, write::Target::Lists { .. }) => Need::Single,
            _ => Need::Any,
        }
    }

    /// The columns that the input must be sorted by, ascending; none for most.
    pub fn ordering(&self) -> Vec<&'static str> {
        match self {
            Self::Scatter(_) => Scatter::ordering(),
            Self::Pack(op) => op.ordering(),
            Self::Write(op) if matches!(op.target, write::Target::Lists { .. }) => vec![UNIT, ROW],
            _ => vec![],
        }
    }

    /// The columns that come out of an input.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        match self {
            Self::Extract(op) => op.output_schema(input),
            Self::ReadList(op) => op.output_schema(input),
            Self::ReadShards(op) => op.output_schema(input),
            Self::Language(op) => op.output_schema(input),
            Self::Dedupe(op) => op.output_schema(input),
            Self::Drops(_) | Self::Only(_) => Ok(Arc::new(input.clone())),
            Self::Scatter(_) => Scatter::output_schema(input),
            Self::Pack(op) => op.output_schema(input),
            Self::Fetch(op) => op.output_schema(input),
            Self::Score(op) => op.output_schema(input),
            Self::HashPictures(op) => op.output_schema(input),
            Self::Write(_) => Ok(write::stats_schema()),
        }
    }

    /// Runs the operation over one partition.
    ///
    /// # Errors
    /// When a service is missing; errors of rows and units come through the stream.
    pub fn run(&self, input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        match self {
            Self::Extract(op) => op.run(input, env),
            Self::ReadList(op) => op.run(input, env),
            Self::ReadShards(op) => op.run(input, env),
            Self::Language(op) => op.run(input, env),
            Self::Dedupe(op) => op.run(input, env),
            Self::Drops(op) => op.run(input, env),
            Self::Only(op) => op.run(input, env),
            Self::Scatter(op) => op.run(input, env),
            Self::Pack(op) => op.run(input, env),
            Self::Fetch(op) => op.run(input, env),
            Self::Score(op) => op.run(input, env),
            Self::HashPictures(op) => op.run(input, env),
            Self::Write(op) => op.run(input, env),
        }
    }
}
