//! One guarded GET: no cookies, no credentials, no referrer, no proxies, no automatic redirects, and
//! an error that says which of the limits or layers failed.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION};
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::{Host, Url};

use super::config::{FetchConfig, FetchError, secs};
use super::dns::{Dns, DnsError};
use super::guard::Guard;
use super::metrics::Metrics;
use super::outcome::FetchFailure;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// An image, with more from the same host to follow or not.
    Image {
        /// Whether the connection is worth keeping.
        more: bool,
    },
    /// robots.txt and its like; the image follows.
    Policy,
}

/// The HTTP client behind the guard.
#[derive(Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    pub(crate) guard: Arc<Guard>,
    pub(crate) dns: Dns,
    pub(crate) metrics: Arc<Metrics>,
    head_wait: Duration,
    max_header_bytes: u64,
}

impl Transport {
    pub(crate) fn new(cfg: &FetchConfig, guard: Arc<Guard>, dns: Dns, metrics: Arc<Metrics>) -> Result<Self, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let client = reqwest::Client::builder()
            .user_agent(cfg.user_agent())
            .default_headers(headers)
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .dns_resolver(dns.clone())
            .connect_timeout(secs(cfg.connect_timeout))
            .pool_idle_timeout(secs(cfg.keep_alive))
            .pool_max_idle_per_host(cfg.per_host_concurrency.min(64))
            .http1_max_headers(cfg.max_headers)
            .http2_max_header_list_size(u32::try_from(cfg.max_header_bytes).unwrap_or(u32::MAX))
            .http2_adaptive_window(false)
            .tcp_nodelay(true)
            .tls_danger_accept_invalid_certs(!cfg.verify_tls)
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self {
            client,
            guard,
            dns,
            metrics,
            head_wait: secs(cfg.connect_timeout) + secs(cfg.header_timeout),
            max_header_bytes: cfg.max_header_bytes,
        })
    }

    /// Judges the URL and its name. Nothing has been sent when this fails.
    pub(crate) async fn check(&self, url: &Url) -> Result<(), FetchFailure> {
        if let Err(blocked) = self.guard.check_url(url) {
            Metrics::add(&self.metrics.guard_blocked, 1);
            return Err(blocked.into());
        }
        match url.host() {
            Some(Host::Domain(name)) => self.dns.lookup(name).await.map(|_| ()).map_err(|e| e.failure()),
            _ => Ok(()),
        }
    }

    /// Sends one GET and brings the response head, by `deadline` at the latest.
    /// [`check`](Self::check) has to have let the URL through.
    pub(crate) async fn get(&self, url: &Url, want: Want, deadline: Instant) -> Result<reqwest::Response, FetchFailure> {
        // reqwest does not ask the resolver for literal addresses, so the guard looks again here, the
        // last moment before the connection.
        self.guard.check_url(url)?;
        let mut request = self.client.get(url.clone());
        request = match want {
            Want::Image { more } => {
                let request = request.header(ACCEPT, HeaderValue::from_static("image/*,*/*;q=0.5"));
                if more { request } else { request.header(CONNECTION, HeaderValue::from_static("close")) }
            }
            Want::Policy => request.header(ACCEPT, HeaderValue::from_static("text/plain,*/*;q=0.5")),
        };
        let wait = Instant::now() + self.head_wait;
        let response = match tokio::time::timeout_at(wait.min(deadline), request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(classify(&error)),
            Err(_) if deadline < wait => {
                return Err(FetchFailure::new("total_timeout", "no response head when the time for the url was up"));
            }
            Err(_) => {
                return Err(FetchFailure::new("header_timeout", "no complete response head in time"));
            }
        };
        if let Some(addr) = response.remote_addr()
            && let Err(blocked) = self.guard.check_ip(addr.ip())
        {
            return Err(blocked.into());
        }
        let head: u64 = response.headers().iter().map(|(k, v)| (k.as_str().len() + v.len() + 4) as u64).sum();
        if head > self.max_header_bytes {
            return Err(FetchFailure::new("header_too_large", format!("the response head has {head} bytes")));
        }
        Ok(response)
    }
}

/// Names what went wrong. hyper and rustls do not let their causes be seen through reqwest other
/// than by their messages, so a test per message watches over this table.
pub(crate) fn classify(error: &reqwest::Error) -> FetchFailure {
    let mut text = String::new();
    let mut io_kind = None;
    let mut os_code = None;
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(e) = cause {
        if let Some(dns) = e.downcast_ref::<DnsError>() {
            return dns.failure();
        }
        if let Some(io) = e.downcast_ref::<io::Error>() {
            io_kind = Some(io.kind());
            os_code = io.raw_os_error().or(os_code);
        }
        text.clear();
        use std::fmt::Write as _;
        let _ = write!(text, "{e}");
        if let Some(code) = by_message(&text) {
            return FetchFailure::new(code, text);
        }
        cause = e.source();
    }
    let code = match (io_kind, os_code) {
        // EMFILE, ENFILE, ENOBUFS, EADDRNOTAVAIL
        (_, Some(23 | 24 | 99 | 105)) => "local_resources",
        (Some(io::ErrorKind::ConnectionRefused), _) => "connect_refused",
        (Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe), _) => "connection_reset",
        (Some(io::ErrorKind::UnexpectedEof), _) => "connection_closed",
        (Some(io::ErrorKind::HostUnreachable), _) => "host_unreachable",
        (Some(io::ErrorKind::NetworkUnreachable), _) => "network_unreachable",
        _ if error.is_timeout() && error.is_connect() => "connect_timeout",
        _ if error.is_timeout() => "header_timeout",
        (Some(io::ErrorKind::TimedOut), _) => "connect_timeout",
        _ if error.is_connect() => "connect_failed",
        _ => "protocol_error",
    };
    FetchFailure::new(code, text)
}

fn by_message(text: &str) -> Option<&'static str> {
    const TABLE: &[(&str, &str)] = &[
        ("message head is too large", "header_too_large"),
        ("header list", "header_too_large"),
        ("connection closed before message completed", "connection_closed"),
        ("end of file before message length reached", "length_mismatch"),
        ("unexpected EOF during chunk", "length_mismatch"),
        ("certificate expired", "tls_expired"),
        ("certificate not valid yet", "tls_expired"),
        ("Expired", "tls_expired"),
        ("NotValidYet", "tls_expired"),
        ("not valid for name", "tls_wrong_host"),
        ("NotValidForName", "tls_wrong_host"),
        ("UnknownIssuer", "tls_unknown_issuer"),
        ("unknown issuer", "tls_unknown_issuer"),
        ("invalid peer certificate", "tls_bad_certificate"),
        ("received fatal alert", "tls_handshake"),
        ("received corrupt message", "tls_handshake"),
        ("peer is incompatible", "tls_handshake"),
        ("peer misbehaved", "tls_handshake"),
        ("tls handshake eof", "tls_handshake"),
        ("invalid HTTP", "protocol_error"),
        ("invalid chunk size", "protocol_error"),
        ("invalid chunk", "protocol_error"),
        ("refused stream", "connection_reset"),
        ("GOAWAY", "connection_reset"),
    ];
    TABLE.iter().find(|(part, _)| text.contains(part)).map(|(_, code)| *code)
}
