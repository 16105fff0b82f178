//! Passes on a Ballista cluster, and the two verbs that make one.
//!
//! Ballista decides *where* a partition runs; the ledger in the job's output remembers *what is done*. A pass is planned
//! once, by the client, and travels as a physical plan whose nodes are ours ([`PhysicalCodec`]); its leaves are scans of
//! small parquet files, which the scheduler can slice. Around a plan over units stands a [`SettleExec`]: a unit ends in a
//! marker or in a failure that is put down beside it, whoever runs it and however often. So the client needs nothing
//! from an executor but its work: what became of a unit is read from the output, also after a crash of anything.
//!
//! Client, scheduler, executor and tests all take functions, codecs, stores and options from [`registry`]. Plans carry
//! the [`build_id`](registry::build_id) of the program that made them, and are refused by another.

mod client;
mod codec;
mod engine;
mod executor;
mod placement;
pub mod registry;
mod scheduler;
mod settle;
mod standalone;
mod stores;
mod tls;

pub use client::ClusterError;
pub use codec::{LogicalCodec, PhysicalCodec};
pub use engine::BallistaEngine;
pub use executor::{ExecutorSettings, run_executor};
pub use placement::Takes;
pub use scheduler::{SchedulerSettings, run_scheduler};
pub use settle::SettleExec;
pub use standalone::Standalone;
pub use stores::Stores;
pub use tls::Tls;

#[cfg(test)]
mod tests;

/// Largest message between client, scheduler and executors. A plan over two thousand units is a few MiB.
const MESSAGE_BYTES: u32 = 256 << 20;
