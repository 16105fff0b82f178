//! What can be wrong with stored vectors.

use thiserror::Error;

use crate::source::SourceError;
use crate::storage::StorageError;
use crate::table::TableError;

/// Vectors that cannot be read or written, with the file and, where it is known, the key and the row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VectorFileError {
    /// The file cannot be found or opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The table of vectors or metadata cannot be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Neither the ending nor the content of a folder says what it is.
    #[error("`{0}` holds no vectors that are known here: npy, npz, parquet, or a folder with `img_emb` or `text_emb`")]
    UnknownFormat(String),
    /// A column, key or subfolder that was asked for is missing, or none was named and there are several.
    #[error("`{file}` has no vectors `{column}`; it has {present}{hint}")]
    NoColumn {
        /// The file or folder.
        file: String,
        /// What was asked for.
        column: String,
        /// What there is.
        present: String,
        /// The nearest name, as a sentence, or nothing.
        hint: String,
    },
    /// Several columns, keys or subfolders hold vectors and none was named.
    #[error("`{file}` holds several columns of vectors, name one of {present}")]
    Ambiguous {
        /// The file or folder.
        file: String,
        /// What there is.
        present: String,
    },
    /// The file is damaged, hostile, or of a shape that is not taken.
    #[error("`{file}`: {message}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, with the key and the place.
        message: String,
    },
    /// What was to be written does not fit the file.
    #[error("`{file}`: {message}")]
    Rows {
        /// The file that is being written.
        file: String,
        /// What is wrong, with the row.
        message: String,
    },
}

impl VectorFileError {
    pub(crate) fn content(file: &str, message: impl std::fmt::Display) -> Self {
        Self::Content { file: file.to_owned(), message: message.to_string() }
    }

    pub(crate) fn rows(file: &str, message: impl std::fmt::Display) -> Self {
        Self::Rows { file: file.to_owned(), message: message.to_string() }
    }

    /// A name that is not there, with the nearest that is.
    pub(crate) fn no_column(file: &str, column: &str, names: &[String]) -> Self {
        let distance = |name: &&String| strsim::damerau_levenshtein(&name.to_lowercase(), &column.to_lowercase());
        let near = names.iter().min_by_key(distance).filter(|name| distance(name) <= 1 + name.len().max(column.len()) / 3);
        let near = near.or_else(|| names.iter().find(|name| name.contains(column) || column.contains(name.as_str())));
        Self::NoColumn {
            file: file.to_owned(),
            column: column.to_owned(),
            present: quoted(names),
            hint: near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default(),
        }
    }

    pub(crate) fn ambiguous(file: &str, names: &[String]) -> Self {
        Self::Ambiguous { file: file.to_owned(), present: quoted(names) }
    }
}

fn quoted(names: &[String]) -> String {
    // A hostile file may have thousands of names.
    let mut text = names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        text.push_str("none");
    } else if names.len() > 20 {
        text.push_str(", …");
    }
    text
}
