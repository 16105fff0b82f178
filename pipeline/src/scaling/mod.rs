//! The plan on paper: what a recipe would cost for billions of pairs, before a machine is rented.
//!
//! [`plan`] takes the stages of a job, rates that were measured on one machine ([`Rates`]), machines as they are written on the
//! command line ([`Machines`]), and what no machine can measure ([`Assumptions`], each with its source). It gives bytes, requests,
//! hours, shuffle volume, metadata and cost for every stage, and what sets its pace. How long fetching waits for hosts comes from a
//! simulated crawl ([`politeness`]).
//!
//! The same input gives the same plan: of all this only [`calibrate`] runs anything or looks at a clock. [`stages_of`] makes the stages
//! from a recipe.

mod assumptions;
pub mod calibrate;
mod cost;
mod error;
pub mod flops;
mod from_recipe;
mod machines;
mod model;
mod plan;
pub mod politeness;
pub mod published;
mod rates;
mod stage;
pub mod table;

#[cfg(test)]
mod tests;

pub use assumptions::{Assumptions, PairsAt};
pub use cost::{Bound, Limits, Metadata, StageCost};
pub use error::PlanError;
pub use from_recipe::{ModelFlops, Said, StagesError, stages_of};
pub use machines::{Gpus, Group, Machines, Role};
pub use plan::{Plan, Totals, plan};
pub use rates::{Calibration, Item, MeasuredOn, Measurement, Rate, Rates, Source};
pub use stage::{FetchStage, ScoreStage, Stage, StageKind};
