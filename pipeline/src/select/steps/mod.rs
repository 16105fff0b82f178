//! The stages of a selection, one file each: what a stage reads, what it collects, and how it judges.

pub(super) mod cap;
pub(super) mod clusters;
pub(super) mod decontaminate;
pub(super) mod gathered;
pub(super) mod keep;
pub(super) mod language;
pub(super) mod m4;
pub(super) mod metaclip;
pub(super) mod near;
pub(super) mod repeat;
pub(super) mod retrieve;
pub(super) mod sample;
pub(super) mod top;
