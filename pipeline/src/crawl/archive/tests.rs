//! Whole readers over generated files, and over the shared fixtures where they are.

mod damage;
mod fixtures;
mod images;
mod records;
pub(crate) mod write;

pub(crate) use fixtures::shared;
