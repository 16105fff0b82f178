//! What can go wrong at the door.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};
use thiserror::Error;

use super::client::{Refusal, Silent, Why};

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
    /// The object store failed in a way that has no name here.
    #[error("`{place}`: {source}")]
    Store {
        /// Url of the object.
        place: String,
        /// What the store said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The url or a variable cannot be used.
    #[error("`{place}`: {problem}")]
    Settings {
        /// Url, or name of the variable.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store does not know who asks, or nobody said it.
    #[error("`{place}`: the credentials are refused: {said}; looked at {looked}")]
    Credentials {
        /// Url of the object.
        place: String,
        /// What the store said.
        said: String,
        /// Which settings were looked at, and which were found.
        looked: String,
    },
    /// The store knows who asks, and does not allow it.
    #[error("`{place}`: access is denied: {said}; looked at {looked}")]
    Denied {
        /// Url of the object.
        place: String,
        /// What the store said.
        said: String,
        /// Which settings were looked at, and which were found.
        looked: String,
    },
    /// There is no such bucket or container.
    #[error("`{place}`: there is no bucket or container `{bucket}`: {said}")]
    NoBucket {
        /// Url of the object.
        place: String,
        /// Name of the bucket.
        bucket: String,
        /// What the store said.
        said: String,
    },
    /// The bucket lies in another region than the one that was asked.
    #[error("`{place}`: the bucket `{bucket}` is not in region `{asked}`; set AWS_REGION to {actual}")]
    Region {
        /// Url of the object.
        place: String,
        /// Name of the bucket.
        bucket: String,
        /// The region that was asked.
        asked: String,
        /// The region that the store named, or words for one that it did not name.
        actual: String,
    },
    /// The bucket's quota is used up.
    #[error("`{place}`: the store is full: {said}")]
    Full {
        /// Url of the object.
        place: String,
        /// What the store said.
        said: String,
    },
    /// The store asked to come back later until patience ran out.
    #[error("`{place}`: the store asks for fewer requests: {said}")]
    Throttled {
        /// Url of the object.
        place: String,
        /// What the store said, and how often it was asked.
        said: String,
    },
    /// The store failed, or could not be reached, until patience ran out.
    #[error("`{place}`: the store cannot be reached: {said}")]
    Unreachable {
        /// Url of the object.
        place: String,
        /// What went wrong, and how often it was tried.
        said: String,
    },
    /// A body ended before its length, or fell silent, as often as it was asked for.
    #[error("`{place}`: reading broke off: {said}")]
    BrokeOff {
        /// Url of the object.
        place: String,
        /// What went wrong.
        said: String,
    },
    /// The answer to a conditional write was lost; it may have happened.
    #[error("`{place}`: it is not known whether the object was written: {said}")]
    Unknown {
        /// Url of the object.
        place: String,
        /// What went wrong.
        said: String,
    },
    /// The object is another one than when it was opened.
    #[error("`{place}`: changed while it was read")]
    Changed {
        /// Url of the object.
        place: String,
    },
    /// Web servers are read from and not written to.
    #[error("`{place}`: nothing can be written over http; name a folder, s3://, gs:// or az://")]
    ReadOnly {
        /// Url of the object.
        place: String,
    },
}

impl StorageError {
    pub(crate) fn io(place: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { place: place.as_ref().display().to_string(), source }
    }

    pub(crate) fn settings(place: impl Into<String>, problem: String) -> Self {
        Self::Settings { place: place.into(), problem }
    }

    /// Gives a store's error its name.
    pub(crate) fn store(place: impl Into<String>, source: object_store::Error) -> Self {
        let place = place.into();
        if let Some(refusal) = find::<Refusal>(&source) {
            let (said, facts) = (refusal.to_string(), &refusal.facts);
            let (bucket, looked) = (facts.bucket.clone(), facts.looked.clone());
            return match refusal.why {
                Why::Credentials => Self::Credentials { place, said, looked },
                Why::Denied => Self::Denied { place, said, looked },
                Why::NoBucket => Self::NoBucket { place, bucket, said },
                Why::Region => {
                    let named = refusal.said.as_ref().and_then(|said| said.region.clone());
                    let actual = named.map_or_else(|| "the bucket's region".to_owned(), |region| format!("`{region}`"));
                    Self::Region { place, bucket, asked: facts.region.clone().unwrap_or_default(), actual }
                }
                Why::Full => Self::Full { place, said },
                Why::Throttled => Self::Throttled { place, said },
                Why::Unreachable => Self::Unreachable { place, said },
                Why::Unknown => Self::Unknown { place, said },
                Why::NotSupported | Why::Refused => Self::Store { place, source: Box::new(source) },
            };
        }
        let broken = find::<HttpError>(&source)
            .is_some_and(|e| matches!(e.kind(), HttpErrorKind::Timeout | HttpErrorKind::Interrupted | HttpErrorKind::Request))
            || find::<Silent>(&source).is_some();
        if broken {
            return Self::BrokeOff { place, said: super::client::root_cause(&source).to_string() };
        }
        Self::Store { place, source: Box::new(source) }
    }

    /// Whether there is nothing of that name.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Store { source, .. } => matches!(**source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }

    /// Whether the disk or the quota is full: no other unit can succeed either.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Store { source, .. } => find::<std::io::Error>(source.as_ref()).is_some_and(is_full),
            Self::Full { .. } => true,
            _ => false,
        }
    }

    /// Whether the same operation may succeed later. The retries within the operation are already spent; an engine that
    /// repeats the whole unit may yet get through.
    pub fn is_transient(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } | Self::BrokeOff { .. } | Self::Unknown { .. } | Self::Changed { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                ErrorKind::Interrupted
                    | ErrorKind::TimedOut
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::WouldBlock
                    | ErrorKind::StaleNetworkFileHandle
            ),
            _ => false,
        }
    }

    /// Whether another answer needs other credentials or rights: every request to this store fails alike.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Credentials { .. } | Self::Denied { .. } => true,
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }

    /// Whether the store cannot do this at all.
    pub(crate) fn is_not_supported(&self) -> bool {
        let Self::Store { source, .. } = self else { return false };
        matches!(**source, object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. })
            || find::<Refusal>(source.as_ref()).is_some_and(|refusal| refusal.why == Why::NotSupported)
    }
}

/// The first error of a kind in a chain of causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
