//! What can go wrong at the door.

use thiserror::Error;

/// A failed storage operation, with the file or object that it was about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused.
    #[error("`{place}`: {source}")]
    Io {
        /// File or folder.
        place: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The object store refused.
    #[error("`{place}`: {source}")]
    Store {
        /// Url of the object.
        place: String,
        /// What the store said.
        #[source]
        source: Box<object_store::Error>,
    },
}

impl StorageError {
    pub(crate) fn io(place: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { place: place.as_ref().display().to_string(), source }
    }

    pub(crate) fn store(place: impl Into<String>, source: object_store::Error) -> Self {
        Self::Store { place: place.into(), source: Box::new(source) }
    }

    /// Whether there is nothing of that name.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Store { source, .. } => matches!(**source, object_store::Error::NotFound { .. }),
        }
    }

    /// Whether the disk or the quota is full: no other unit can succeed either.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Store { source, .. } => {
                let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
                while let Some(error) = cause {
                    if error.downcast_ref::<std::io::Error>().is_some_and(is_full) {
                        return true;
                    }
                    cause = error.source();
                }
                false
            }
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
