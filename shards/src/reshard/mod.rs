//! Shards and a subset in, shards of exact size out, in a stated order: members are copied, nothing is decoded.
//!
//! [`Reshard::plan`] scans the input shards (tar headers and tables, never pictures) and decides which sample, and which copy
//! of it, stands where in the output. [`Reshard::write_shard`] then writes any output shard, in any order, in parallel, and
//! again with the same bytes: resuming is up to the caller. With [`ReshardOptions::datacomp`] and
//! [`Reshard::write_datacomp_files`] the output is what DataComp's `resharder.py` leaves, but for its numbering, which there
//! depends on which process is first.
//!
//! ```
//! # use std::sync::Arc;
//! # use trommel_shards::{reshard::{InputShard, Reshard, ReshardOptions, Sizes}, storage::Storage, subset::Subset, tar::TarWriter};
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let folder = dir.path().to_str().unwrap_or_default();
//! let input = Storage::open(&format!("{folder}/in"))?;
//! let mut tar = TarWriter::new();
//! for n in 0..5 {
//!     tar.append(&format!("{n}.jpg"), b"a picture, which nobody looks at")?;
//!     tar.append(&format!("{n}.json"), format!("{{\"uid\": \"{n:032x}\"}}").as_bytes())?;
//! }
//! input.put("00000.tar", tar.finish()).await?;
//! // The first sample twice, the fourth once.
//! let subset = Subset::of_uids([("0".repeat(32).parse()?, 2), (format!("{:032x}", 3).parse()?, 1)])?;
//!
//! let options = ReshardOptions { sizes: Sizes::Exact(2), ..ReshardOptions::default() };
//! let plan = Reshard::plan(vec![InputShard::named(&input.uri_of("00000.tar"))], Some(Arc::new(subset)), options).await?;
//! assert_eq!((plan.shards(), plan.rows(0), plan.rows(1)), (2, 2, 1));
//! let output = Storage::open(&format!("{folder}/out"))?;
//! for shard in 0..plan.shards() {
//!     plan.write_shard(shard, &output).await?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compat;
mod error;
mod extra;
mod group;
mod input;
mod json;
mod options;
mod pictures;
mod plan;
mod scan;
mod schema;
mod store;
mod write;

pub use error::ReshardError;
pub use extra::{BoxError, Extra, ImageHook, ImageMember, NewImage};
pub use group::GroupBy;
pub use input::InputShard;
pub use options::{HookFactory, Keys, Order, ReshardOptions, ShardFormat, ShardNames, Sizes};
pub use plan::{Reshard, ReshardCounts};

use crate::storage::Written;

/// One output shard, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardWritten {
    /// Its name, without an ending.
    pub name: String,
    /// Its samples.
    pub rows: u64,
    /// Its files, by name, with length and digest.
    pub outputs: Vec<(String, Written)>,
}

#[cfg(test)]
mod tests;
