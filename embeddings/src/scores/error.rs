//! What can be wrong with the vectors that are to be scored.

use thiserror::Error;

/// Scores that cannot be computed. A null vector is no error: its score is null.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Vectors of different length.
    #[error("{what}: vectors of {found} components against vectors of {expected}")]
    Dimensions {
        /// Which vectors.
        what: &'static str,
        /// Components that the others have.
        expected: usize,
        /// Components that these have.
        found: usize,
    },
    /// Columns or tables of different length.
    #[error("{what}: {found} rows, {expected} expected")]
    Lengths {
        /// Which rows.
        what: &'static str,
        /// Rows that the others have.
        expected: usize,
        /// Rows that these have.
        found: usize,
    },
    /// A value that is NaN or infinite, where only a null may stand for what could not be computed.
    #[error("{what}: row {row} is not finite")]
    NotFinite {
        /// Which values.
        what: &'static str,
        /// The row.
        row: usize,
    },
    /// Nothing to compare with.
    #[error("{what} are empty")]
    Empty {
        /// Which vectors.
        what: &'static str,
    },
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
    /// The matrices are larger than the linear algebra library can index.
    #[error("a matrix of {0} by {1} is too large")]
    TooLarge(usize, usize),
}
