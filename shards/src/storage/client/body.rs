//! The body of an answer, which keeps its place among the store's connections until it is read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::refusal::Silent;

/// Counts as a connection until its end, an error, or its drop; fails when no byte comes for too long. There is no limit
/// on the whole: a large object over a slow line is no fault.
pub(super) struct HeldBody {
    inner: HttpResponseBody,
    permit: Option<OwnedSemaphorePermit>,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
    /// Whether `silence` runs: it does only while somebody waits for bytes, so that a slow reader is not taken for a
    /// silent store.
    waiting: bool,
}

impl HeldBody {
    pub(super) fn new(inner: HttpResponseBody, permit: OwnedSemaphorePermit, patience: Duration) -> Self {
        Self { inner, permit: Some(permit), patience, silence: Box::pin(tokio::time::sleep(patience)), waiting: false }
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                self.permit = None;
                Poll::Ready(end)
            }
            Poll::Pending => {
                if !self.waiting {
                    let until = Instant::now() + self.patience;
                    self.silence.as_mut().reset(until);
                    self.waiting = true;
                }
                match self.silence.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        self.permit = None;
                        Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Silent { waited: self.patience }))))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
