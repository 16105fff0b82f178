//! Where a model's files are: a folder, or a hub id in the cache. What they say: the config and the weights.

pub mod builtin;
pub mod config;
pub mod locate;
pub mod weights;

pub use locate::{Layout, ModelFiles, expect_sha256, locate, sha256_of};
