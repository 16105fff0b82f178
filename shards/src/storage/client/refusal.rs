//! What a store's "no" means, kept as a value until somebody can act on it.

use std::sync::Arc;
use std::time::Duration;

use object_store::client::HttpError;
use thiserror::Error;

use super::answer::Said;

/// Nothing came for too long.
#[derive(Debug, Error)]
#[error("no byte came for {} s", waited.as_secs_f32())]
pub(crate) struct Silent {
    pub(crate) waited: Duration,
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It does not know who asks.
    Credentials,
    /// It knows who asks, and that one may not.
    Denied,
    /// There is no such bucket or container.
    NoBucket,
    /// The bucket lies in another region.
    Region,
    /// No room is left.
    Full,
    /// It asked to come back later until patience ran out.
    Throttled,
    /// It failed, or could not be reached, until patience ran out.
    Unreachable,
    /// The answer to a write that must not be repeated was lost: it may have happened.
    Unknown,
    /// The store cannot do this.
    NotSupported,
    /// Something else, which asking again does not change.
    Refused,
}

/// The end of a request. Travels as the source of an [`HttpError`], through the object-store crate's own errors, to
/// [`StorageError`](crate::storage::StorageError).
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) why: Why,
    /// What the answer said, when there was one.
    pub(crate) said: Option<Said>,
    /// What broke, when there was none.
    pub(crate) transport: Option<HttpError>,
    /// Requests made, the first one included.
    pub(crate) tries: u32,
    /// From the first request to giving up.
    pub(crate) elapsed: Duration,
    /// How long the store asked to be left alone, when that is longer than this program waits.
    pub(crate) asked: Option<Duration>,
    /// What the store was opened with.
    pub(crate) facts: Arc<Facts>,
}

/// What is known of a store before it is asked anything. No secret is in here.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Bucket, container or origin.
    pub(crate) bucket: String,
    /// Hosts that are the store itself: exact, or as the end after a dot. Others give out credentials.
    pub(crate) hosts: Vec<String>,
    /// Which settings were looked at for credentials, and which were found.
    pub(crate) looked: String,
    /// Region in force, where the vendor has them.
    pub(crate) region: Option<String>,
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.transport.as_ref().map(|e| e as _)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.said, &self.transport) {
            (Some(said), _) => write!(f, "{said}")?,
            (None, Some(error)) => write!(f, "{}", root_cause(error))?,
            (None, None) => write!(f, "no answer")?,
        }
        if let Some(asked) = self.asked {
            write!(f, ", which asks to be left alone for {} s", asked.as_secs())?;
        }
        if self.tries > 1 {
            write!(f, "; given up after {} tries in {:.1} s", self.tries, self.elapsed.as_secs_f32())?;
        }
        Ok(())
    }
}

/// The innermost error, where the reason is: the layers above it say only that a request failed.
pub(crate) fn root_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}
