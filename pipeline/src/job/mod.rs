//! A job: the passes that a recipe compiles to, and the driver that runs what is pending of them.

mod driver;
mod passes;
mod rounds;
mod stats;
mod sweep;
mod units;

pub use driver::{Finished, Job, JobError, RunOptions};
pub use passes::{FetchPass, Pass, PassKind, Source, StreamStage};
pub use stats::{JobStats, PassStats, read_stats};
