//! What keeps a card from being written.

use thiserror::Error;

/// A fact that is missing or has the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CardError {
    /// Croissant requires these properties of every dataset, and none of them can be read off a run.
    #[error("a card needs {}: only a person can give {}", listed(.facts), if .facts.len() == 1 { "it" } else { "them" })]
    Missing {
        /// Names of the facts, as [`Facts`](super::Facts) has them.
        facts: Vec<&'static str>,
    },
    /// A fact does not have the form that the format asks for.
    #[error("`{fact}` of a card is `{value}`: {problem}")]
    Form {
        /// Name of the fact.
        fact: &'static str,
        /// What was given, shortened.
        value: String,
        /// What would be right.
        problem: &'static str,
    },
}

fn listed(facts: &[&str]) -> String {
    facts.iter().map(|fact| format!("`{fact}`")).collect::<Vec<_>>().join(", ")
}
