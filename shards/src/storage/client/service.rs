//! The HTTP service that the object-store crate talks through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Said, Verdict, is_throttling, retry_after};
use super::backoff::Backoff;
use super::body::HeldBody;
use super::gate::Gate;
use super::refusal::{Facts, Refusal, Silent, Why};
use crate::storage::Limits;

/// Bytes of an error's body that are looked at.
const ERROR_BODY: usize = 64 << 10;
/// Connections that fail before a store has ever answered are tried this often: the address is likely wrong.
const NEVER_ANSWERED: u32 = 4;
/// How long a service that gives out credentials may take.
const CREDENTIALS_PATIENCE: Duration = Duration::from_secs(10);
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST_UPLOAD: f64 = 65_536.0;

/// Makes the clients of one store; all of them share its limits.
#[derive(Debug, Clone)]
pub(crate) struct Manners(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    facts: Arc<Facts>,
    limits: Limits,
    connections: Arc<Semaphore>,
    gate: Mutex<Gate>,
    answered: AtomicBool,
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    shared: Arc<Shared>,
}

impl Manners {
    pub(crate) fn new(facts: Arc<Facts>, limits: Limits) -> Self {
        let connections = Arc::new(Semaphore::new(limits.connections.max(1)));
        let gate = Mutex::new(Gate::new(limits.spacing));
        Self(Arc::new(Shared { facts, limits, connections, gate, answered: AtomicBool::new(false) }))
    }
}

impl HttpConnector for Manners {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { inner, shared: Arc::clone(&self.0) }))
    }
}

/// How one try ended without a success.
struct Failure {
    /// `None`: asking again does not change it.
    again: Option<Again>,
    why: Why,
    said: Option<Said>,
    transport: Option<HttpError>,
}

struct Again {
    /// The store asked for this pause.
    asked: Option<Duration>,
    /// Whether all requests to the store shall hear of the pause.
    all: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.is_store(&request) {
            return self.ask_for_credentials(request).await;
        }
        let shared = &self.shared;
        let once = must_not_be_repeated(&request);
        let started = Instant::now();
        let mut backoff = Backoff::new(shared.limits.first_pause, shared.limits.longest_pause);
        let (mut tries, mut forbidden) = (0, 0);
        loop {
            let permit = self.permit().await?;
            let wait = self.gate(|gate| gate.admit(Instant::now()));
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            tries += 1;
            let mut failure = match self.ask(&request, permit).await {
                Ok(response) => {
                    shared.answered.store(true, Ordering::Relaxed);
                    self.gate(Gate::ease);
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            if failure.said.is_some() {
                shared.answered.store(true, Ordering::Relaxed);
            }
            let never = tries >= NEVER_ANSWERED && !shared.answered.load(Ordering::Relaxed);
            let mut pause = backoff.next_pause();
            if failure.said.as_ref().is_some_and(|said| said.status == 403) && forbidden < shared.limits.forbidden_retries {
                pause = pause.max(shared.limits.forbidden_pause.saturating_mul(1 << forbidden.min(16)));
                forbidden += 1;
                failure.again.get_or_insert(Again { asked: None, all: true });
                failure.why = Why::Throttled;
            }
            let give_up = |failure: Failure, asked| {
                let Failure { why, said, transport, .. } = failure;
                let facts = Arc::clone(&shared.facts);
                Err(HttpError::new(
                    HttpErrorKind::Unknown,
                    Refusal { why, said, transport, tries, elapsed: started.elapsed(), asked, facts },
                ))
            };
            let Some(again) = &failure.again else { return give_up(failure, None) };
            if once && failure.why == Why::Unreachable && !failure.transport.as_ref().is_some_and(|e| e.kind() == HttpErrorKind::Connect) {
                failure.why = Why::Unknown;
                return give_up(failure, None);
            }
            let longest = again.asked.unwrap_or_default().max(pause);
            if tries > shared.limits.retries || never || started.elapsed() + longest > shared.limits.retry_time {
                let asked = again.asked.filter(|asked| *asked > shared.limits.retry_time.saturating_sub(started.elapsed()));
                return give_up(failure, asked);
            }
            tracing::debug!(tries, pause_ms = longest.as_millis() as u64, said = ?failure.said, error = ?failure.transport, "a request to a store is made again");
            if again.all {
                // The gate holds this request back, and all others with it.
                self.gate(|gate| gate.close(Instant::now(), longest));
            } else {
                tokio::time::sleep(longest).await;
            }
        }
    }
}

impl Service {
    fn gate<T>(&self, act: impl FnOnce(&mut Gate) -> T) -> T {
        act(&mut self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.shared.connections).acquire_owned().await.map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))
    }

    /// One request, and what its answer means.
    async fn ask(&self, request: &HttpRequest, permit: OwnedSemaphorePermit) -> Result<HttpResponse, Failure> {
        let limits = &self.shared.limits;
        let upload = Duration::from_secs_f64(request.body().content_length() as f64 / SLOWEST_UPLOAD);
        let response = match tokio::time::timeout(limits.timeout + upload, self.inner.execute(request.clone())).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(broken(error)),
            Err(_) => return Err(broken(HttpError::new(HttpErrorKind::Timeout, Silent { waited: limits.timeout + upload }))),
        };
        let (parts, body) = response.into_parts();
        let body = HttpResponseBody::new(HeldBody::new(body, permit, limits.timeout));
        if parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED {
            if is_object(request) {
                return Ok(HttpResponse::from_parts(parts, body));
            }
            // A page of a list, the number of an upload: read here, so that one that breaks off is asked for again.
            return match body.bytes().await {
                Ok(bytes) => Ok(HttpResponse::from_parts(parts, bytes.into())),
                Err(error) => Err(broken(error)),
            };
        }
        let text = match beginning(body).await {
            Ok(text) => text,
            // The status alone says enough for most decisions.
            Err(_) => Bytes::new(),
        };
        let said = Said::read(parts.status, &parts.headers, &text);
        match said.verdict(self.shared.facts.region.as_deref()) {
            Verdict::Pass => Ok(HttpResponse::from_parts(parts, text.into())),
            Verdict::Stop(why) => Err(Failure { again: None, why, said: Some(said), transport: None }),
            Verdict::Again { untouched } => {
                let asked = retry_after(&parts.headers);
                let throttling = is_throttling(&said);
                // Where the limits name a spacing, every complaint is heard by all; elsewhere only an explicit wish.
                let all = asked.is_some() || (throttling && !limits.spacing.is_zero());
                let why = if throttling || untouched { Why::Throttled } else { Why::Unreachable };
                Err(Failure { again: Some(Again { asked, all }), why, said: Some(said), transport: None })
            }
        }
    }

    /// Whether the request goes to the store, rather than to a service that gives out credentials for it.
    fn is_store(&self, request: &HttpRequest) -> bool {
        let Some(host) = request.uri().host() else { return false };
        self.shared.facts.hosts.iter().any(|own| host == own || host.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    /// Requests for credentials keep their status: the object-store crate reads it. On a machine that is no cloud instance
    /// nobody answers at the metadata address, and waiting for it would hide that no credentials were given.
    async fn ask_for_credentials(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let outcome = tokio::time::timeout(CREDENTIALS_PATIENCE, self.inner.execute(request)).await;
        let error = match outcome {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(_) => HttpError::new(HttpErrorKind::Timeout, Silent { waited: CREDENTIALS_PATIENCE }),
        };
        let facts = Arc::clone(&self.shared.facts);
        let refusal =
            Refusal { why: Why::Credentials, said: None, transport: Some(error), tries: 1, elapsed: Duration::ZERO, asked: None, facts };
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

/// Whether the answer's body is an object, of any length, rather than the store's own words.
fn is_object(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET
        && !["list-type=", "comp=list", "uploads"].iter().any(|words| query.split('&').any(|q| q.starts_with(words)))
}

/// A write on condition that nothing is there yet: made twice, it would refuse itself.
fn must_not_be_repeated(request: &HttpRequest) -> bool {
    request.method() == Method::PUT
        && (request.headers().contains_key(http::header::IF_NONE_MATCH) || request.headers().contains_key("x-goog-if-generation-match"))
}

fn broken(error: HttpError) -> Failure {
    let again = match error.kind() {
        HttpErrorKind::Decode => None,
        _ if is_certificate(&error) => None,
        _ => Some(Again { asked: None, all: false }),
    };
    Failure { again, why: Why::Unreachable, said: None, transport: Some(error) }
}

/// A certificate that is not trusted now is not trusted in a minute either. The TLS library's error is only text here.
fn is_certificate(error: &HttpError) -> bool {
    super::refusal::root_cause(error).to_string().contains("certificate")
}

/// The first bytes of an error's body. A server that never ends is not listened to for long.
async fn beginning(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    let mut text = BytesMut::new();
    let mut pieces = body.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        text.extend_from_slice(&piece[..piece.len().min(ERROR_BODY - text.len())]);
        if text.len() >= ERROR_BODY {
            break;
        }
    }
    Ok(text.freeze())
}
