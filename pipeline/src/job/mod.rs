//! A job: the passes that a recipe compiles to, and what runs what is pending of them.
//!
//! [`Job::run`] takes the output for itself and goes through the passes (`driver`, `here`). A pass over units plans those that have no valid
//! marker (`running`, `marking`, `scanning`); fetching is rounds of packing and such passes (`fetching`, `rounds`); finding duplicates and
//! choosing look at all rows (`deduping`, `choose`). Other parts of the same job are waited for in `parts`.

mod beat;
mod choose;
mod deduping;
mod driver;
mod error;
mod explain;
mod fetching;
mod here;
mod marking;
mod parts;
mod passes;
mod rounds;
mod running;
mod scanning;
mod stats;
mod sweep;
mod units;

use trommel_shards::source::SourceFile;

pub use driver::{Finished, Job, RunOptions};
pub use error::JobError;
pub use passes::{FetchPass, Pass, PassKind, RAW, ReshardPass, Source, StreamStage};
pub use stats::{JobStats, PassStats, read_stats};

/// Folders of an output that hold no shards and no tables of shards.
const BESIDE: [&str; 4] = ["excluded", "vectors", "selection", "_trommel"];

/// The shards, and tables of shards, among the files of outputs: without what lies beside them, and without the folder
/// [`RAW`] that they were chosen from, unless there is nothing else.
pub fn finished_files(files: Vec<SourceFile>) -> Vec<SourceFile> {
    let folder = |uri: &str, up: usize| uri.split(['/', '\\']).rev().nth(up).unwrap_or_default().to_owned();
    let beside = |uri: &str| (1..3).any(|up| BESIDE.contains(&folder(uri, up).as_str())) || folder(uri, 1).ends_with(".excluded");
    let files: Vec<SourceFile> = files.into_iter().filter(|file| !beside(&file.uri)).collect();
    let rest: Vec<SourceFile> = files.iter().filter(|file| folder(&file.uri, 1) != RAW).cloned().collect();
    if rest.is_empty() { files } else { rest }
}
