//! Subset files: which uids make a dataset, and how often each.
//!
//! The format is DataComp's: an npy of pairs of unsigned 64-bit numbers (numpy's `u8,u8`), sorted, where a uid that stands
//! several times is wanted several times. [`SubsetWriter`] makes such files from uids in any order, [`Subset`] opens them
//! (and parquet tables, lists of uids, and pairs without a header) and says how often a uid is wanted, [`merge`] makes
//! unions, intersections and differences.

mod error;
mod file;
mod header;
mod merge;
mod rows;
pub(crate) mod spill;
mod uid;
mod writer;

pub use error::SubsetError;
pub use file::{Counted, Subset};
pub use merge::{SetOperation, merge};
pub use rows::COPIES;
pub use uid::Uid128;
pub use writer::SubsetWriter;

#[cfg(test)]
mod tests;
