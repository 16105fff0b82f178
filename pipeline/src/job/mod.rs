//! A job: the passes that a recipe compiles to, and the driver that runs what is pending of them.

mod beat;
mod choose;
mod driver;
mod parts;
mod passes;
mod rounds;
mod stats;
mod sweep;
mod units;

use trommel_shards::source::SourceFile;

pub use driver::{Finished, Job, JobError, RunOptions};
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
