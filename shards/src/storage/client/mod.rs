//! Between this program and a store: bounded connections, bounded retries with back-off, and refusals that say why.
//!
//! The object-store crate knows the vendors' requests and signatures; what happens when an answer is not the wished one
//! is decided here, because that crate neither heeds `Retry-After` nor bounds connections, and gives reasons only as text.

mod answer;
mod backoff;
mod body;
mod gate;
mod refusal;
mod service;

pub(super) use refusal::{Facts, Refusal, Silent, Why, root_cause};
pub(super) use service::Manners;
