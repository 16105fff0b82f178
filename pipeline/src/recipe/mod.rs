//! The recipe: what a job is, in TOML.
//!
//! Every key has one definition, in [`settings`]: flag, recipe key, default and doc come from it, and so do `--help` and the
//! JSON schema. An unknown key is an error with its line and the nearest key.

mod belongs;
pub mod choosing;
mod compile;
mod document;
mod error;
mod model;
pub mod near;
pub mod settings;

pub use choosing::{kinds_of, selection_of};
pub use compile::{Compiled, compile};
pub use document::{Placed, Recipe, StageSettings, parse_stages};
pub use error::{Place, RecipeError};

/// The nearest of some names, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), candidate), candidate))
        .min()
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len().max(name.len()) / 4)
        .map(|(_, candidate)| candidate)
}

/// The JSON schema of a recipe, for editors and for `trommel schema`.
pub fn json_schema() -> serde_json::Value {
    document::json_schema()
}

#[cfg(test)]
mod tests;
