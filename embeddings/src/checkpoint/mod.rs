//! Where a model's files are: a folder, or a hub id in the cache. What they say: the config and the weights.

pub mod builtin;
pub mod config;
mod digest;
mod files;
pub mod locate;
pub mod weights;

pub use digest::{expect_sha256, sha256_of};
pub use files::{Layout, ModelFiles};
pub use locate::locate;
