//! What can be wrong with two sets of vectors that are to be searched.

use thiserror::Error;

use crate::scores::ScoreError;

/// A search that cannot be done. Rows without a direction are no error: they are left out and counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NeighbourError {
    /// Vectors of different length.
    #[error("vectors of {queries} components (model `{query_model}`) are searched among vectors of {base} (model `{base_model}`)")]
    Dimensions {
        /// Components of the vectors that ask.
        queries: usize,
        /// Components of the vectors that are searched.
        base: usize,
        /// Model of the vectors that ask.
        query_model: String,
        /// Model of the vectors that are searched.
        base_model: String,
    },
    /// Vectors of different models: their similarity means nothing.
    #[error("vectors of model `{queries}` are searched among vectors of model `{base}`")]
    Models {
        /// Model of the vectors that ask.
        queries: String,
        /// Model of the vectors that are searched.
        base: String,
    },
    /// More rows than 32 bits number.
    #[error("{0} rows; {max} can be searched at once", max = u32::MAX)]
    TooManyRows(usize),
    /// A setting without meaning.
    #[error("`{name}` is {value}; {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Columns of different length.
    #[error("{what}: {found} rows, {expected} expected")]
    Lengths {
        /// Which rows.
        what: &'static str,
        /// Rows that the others have.
        expected: usize,
        /// Rows that these have.
        found: usize,
    },
    /// The lists could not be trained.
    #[error("the lists of the search cannot be trained")]
    Lists(#[from] ScoreError),
}

pub(super) fn setting(name: &'static str, value: impl ToString, expected: &'static str) -> NeighbourError {
    NeighbourError::Setting { name, value: value.to_string(), expected }
}
