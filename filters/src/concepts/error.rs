//! What can go wrong with lists of entries, counts and dictionaries.

use std::path::PathBuf;

/// An error of [`concepts`](super).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a file is not what its format says.
    #[error("`{}`, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A stream could not be read or written.
    #[error("cannot read or write {what}")]
    Stream {
        /// What was in the stream.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Text that should be JSON of a given shape is not.
    #[error("not {expected}")]
    Json {
        /// The shape.
        expected: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A table of counts names an entry that the list has not.
    #[error("the counts name `{entry}`, which is not among the {entries} entries: another list?")]
    UnknownEntry {
        /// The stranger.
        entry: String,
        /// Length of the list.
        entries: usize,
    },
    /// Two tables of counts belong to lists of different lengths.
    #[error("counts over {left} and {right} entries cannot be added: they belong to different lists")]
    Lengths {
        /// Entries of the table that was added to.
        left: usize,
        /// Entries of the table that was added.
        right: usize,
    },
    /// Counts of a language whose list of entries is not known.
    #[error("there are counts of the language `{0}`, but no entries of it")]
    UnknownLanguage(String),
    /// The entries do not fit the 32-bit tables.
    #[error("too many entries: {0}")]
    TooMany(String),
    /// A number is outside of its range.
    #[error("`{name}` is {value}, but must be {range}")]
    Range {
        /// The number's name.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}
