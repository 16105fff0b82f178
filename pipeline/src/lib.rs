//! How pairs flow: crawls in, training-ready image-text shards out.
//!
//! A [`recipe`] compiles to a [`job`]: passes over units of work, each a DataFusion [`plan`] of [`op`]erations that an
//! [`engine`] runs. The [`ledger`] remembers what is done. [`crawl`] reads archives, extracts candidates and fetches
//! pictures. [`cli`] is the binary. With the feature `cluster` there is also the engine that hands plans to Ballista.

pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod crawl;
pub mod decoders;
pub mod engine;
mod failpoint;
pub mod gallery;
pub mod hashes;
pub mod job;
pub mod ledger;
pub mod miniweb;
pub mod op;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod reshard;
pub mod scaling;
pub mod scorers;
pub mod search;
pub mod select;
pub mod services;
