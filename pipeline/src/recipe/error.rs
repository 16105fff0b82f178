//! What is wrong with a recipe, and where.

use thiserror::Error;

/// A place in a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The recipe's file name.
    pub file: String,
    /// Line, from 1; 0 when there is no one line.
    pub line: usize,
    /// The line's text, for the reader.
    pub text: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A recipe that cannot be run: the place, what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {message}{}{}", if .place.text.is_empty() { "" } else { "\n  | " }, .place.text)]
pub struct RecipeError {
    /// Where.
    pub place: Place,
    /// One sentence.
    pub message: String,
}

impl RecipeError {
    /// An error at a place.
    pub fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into() }
    }
}
