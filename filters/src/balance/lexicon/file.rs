//! The lexicon as a file says it, and what can be wrong with it.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Words by language and name.
///
/// Languages are codes as the language column has them; case does not matter. It reads and writes with any serde format; [`FromStr`] takes TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LexiconFile {
    /// Language → name of an attribute or a label → words and phrases.
    pub languages: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl FromStr for LexiconFile {
    type Err = LexiconError;

    fn from_str(text: &str) -> Result<Self, LexiconError> {
        toml::from_str(text).map_err(|error| LexiconError::Toml(Box::new(error)))
    }
}

/// A caption's language has no words.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no lexicon for the language `{0}`")]
pub struct NoLexicon(
    /// The language, as it was asked for.
    pub String,
);

/// What can be wrong with a lexicon.
#[derive(Debug, thiserror::Error)]
pub enum LexiconError {
    /// The file is not TOML of the right shape.
    #[error("the lexicon cannot be read: {0}")]
    Toml(#[source] Box<toml::de::Error>),
    /// More names than a pattern has bits.
    #[error("{0} names: a pattern has 128 bits")]
    TooMany(usize),
    /// A name is asked for twice.
    #[error("the name `{0}` is given twice")]
    SameName(String),
    /// A language is listed twice, in different case.
    #[error("the language `{0}` is listed twice")]
    SameLanguage(String),
    /// A language does not list a name.
    #[error("the lexicon of `{language}` has no words for `{name}`: list some, or an empty list if that is meant")]
    MissingName {
        /// The language.
        language: String,
        /// The attribute or label.
        name: String,
    },
    /// A word is empty or white space.
    #[error("the lexicon of `{language}` has an empty word for `{name}`")]
    EmptyWord {
        /// The language.
        language: String,
        /// The attribute or label.
        name: String,
    },
    /// The automaton of a language cannot be built.
    #[error("the words of `{language}` do not fit into an automaton")]
    Automaton {
        /// The language.
        language: String,
        /// Why.
        source: aho_corasick::BuildError,
    },
}
