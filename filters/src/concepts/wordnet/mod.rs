//! WordNet as nltk reads it, and DataComp's `text_based` rule on it.

mod dictionary;
mod rule;
#[cfg(test)]
mod tests;

pub use dictionary::{Morphy, WordNet};
pub use rule::{Memo, SynsetIds, TextRule};
