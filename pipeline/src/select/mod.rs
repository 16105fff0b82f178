//! Chooses a subset of metadata, with a reason for every row that is left out.
//!
//! A [`Selection`] is a list of stages over parquet metadata. Stages that look at one row at a time run together in one
//! reading of the files; a stage that needs to see all rows (a top fraction, a cap, a balance) first collects what it needs
//! in the same reading, and judges in the next. Between two readings a row is a byte on disk, its fate; memory holds the
//! pieces in hand and what a stage collects: counts, patterns, and keys that spill.
//!
//! ```text
//! metadata ─ scan: keep, language │ collect scores ─ threshold ─ scan: top │ count patterns ─ weights ─ scan: m4 │ subset
//!                └ exclusions                                      └ exclusions                        └ exclusions
//! ```
//!
//! Nothing depends on the order of the files, on how they are cut, or on the number of threads: thresholds are exact, draws
//! are hashes of the rows' names.

mod assets;
mod diversity;
mod error;
mod exclusions;
mod expression;
mod grouped;
mod inputs;
mod lookup;
mod names;
mod order;
mod ordered;
mod output;
pub mod presets;
mod references;
mod report;
mod run;
mod scan;
pub mod spec;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod vectors;

/// Beginning of the names of the columns that name groups of near-duplicates.
pub const DUP_GROUP: &str = "dup_group";

pub use diversity::{Dimension, GroupRate, PassTable};
pub(crate) use diversity::{script as script_of, top_level as top_level_of};
pub use error::SelectError;
pub use inputs::Inputs;
pub use lookup::{Said, file_of, rows_at, rows_where, uids_of};
pub use output::SubsetFormat;
pub use report::{Finding, Selected};
pub use run::{SelectOptions, check, select};
pub use spec::Selection;
pub(crate) use vectors::{beside_identity, open_beside};
