//! What becomes of a URL.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;

use super::memory::MemoryPermit;

/// One URL of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchItem {
    /// The caller's number for it; comes back in [`FetchDone`].
    pub index: u32,
    /// The URL as found; parsed by the WHATWG rules.
    pub url: String,
}

/// The answer for one [`FetchItem`]; each gets exactly one.
#[derive(Debug)]
pub struct FetchDone {
    /// The number of the item.
    pub index: u32,
    /// What became of it.
    pub outcome: FetchOutcome,
}

/// What became of a URL.
#[derive(Debug)]
pub enum FetchOutcome {
    /// A body came.
    Success(Box<Fetched>),
    /// It failed.
    Failed(FetchFailure),
    /// Its owner has opted out; the body was not read.
    Refused(OptOut),
    /// It was not tried to the end within the budget, and should be in a later unit.
    Deferred,
}

/// A body and what came with it.
#[derive(Debug)]
pub struct Fetched {
    /// The body, decoded. May share memory with the connection's buffer.
    pub body: Bytes,
    /// The status, 200 or 203.
    pub status: u16,
    /// Where the body came from, after redirects.
    pub final_url: String,
    /// Redirects followed.
    pub redirects: u32,
    /// `Content-Type` as sent; not to be believed.
    pub content_type: Option<String>,
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<String>,
    /// All `X-Robots-Tag` values, joined by `, `; they did not refuse the image.
    pub x_robots_tag: Option<String>,
    /// The address that answered.
    pub remote_ip: Option<IpAddr>,
    /// Bytes of the body on the wire.
    pub wire_bytes: u64,
    /// Requests made for this URL: redirects and retries, not robots.txt.
    pub requests: u32,
    /// Time from the last request to the last byte.
    pub elapsed: Duration,
    /// Gives the bytes back to the fetcher's memory bound when dropped: keep it as long as the body.
    pub permit: MemoryPermit,
}

/// A failure with a code that stays the same between versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FetchFailure {
    /// Stable snake_case name; [`CODES`] lists all but the `http_NNN` family.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// Whether another try later may go better.
    pub transient: bool,
}

/// Why an image was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Which signal: `robots_txt`, `content_signal`, `content_usage`, `x_robots_tag`,
    /// `tdm_reservation`, `tdmrep_json`, `ai_txt` or `meta_robots`.
    pub signal: &'static str,
    /// The word, rule or agent that decided.
    pub value: String,
    /// Where it was seen.
    pub source: String,
}

/// Every failure code, with whether it is transient. Statuses have `http_` and their number
/// instead; of these 408, 425, 429 and 5xx (but not 501 and 505) are transient.
pub const CODES: &[(&str, bool)] = &[
    ("bad_encoding", false),
    ("bad_redirect", false),
    ("blocked_address", false),
    ("blocked_port", false),
    ("blocked_scheme", false),
    ("body_too_large", false),
    ("connect_failed", true),
    ("connect_refused", true),
    ("connect_timeout", true),
    ("connection_closed", true),
    ("connection_reset", true),
    ("decoded_too_large", false),
    ("dns_no_resolver", true),
    ("dns_not_found", false),
    ("dns_transient", true),
    ("empty_body", false),
    ("header_timeout", true),
    ("header_too_large", false),
    ("host_throttled", true),
    ("host_unreachable", true),
    ("idle_timeout", true),
    ("internal", true),
    ("invalid_url", false),
    ("length_mismatch", true),
    ("local_resources", true),
    ("memory_timeout", true),
    ("network_unreachable", true),
    ("protocol_error", false),
    ("redirect_loop", false),
    ("robots_unreachable", true),
    ("streaming_content", false),
    ("tls_bad_certificate", false),
    ("tls_expired", false),
    ("tls_handshake", false),
    ("tls_unknown_issuer", false),
    ("tls_wrong_host", false),
    ("too_many_redirects", false),
    ("too_slow", true),
    ("total_timeout", true),
    ("unsupported_encoding", false),
];

/// Whether another try may go better, by the code alone: codes of [`CODES`], statuses, and `deferred_too_long`.
pub fn is_transient(code: &str) -> bool {
    if let Some(status) = code.strip_prefix("http_").and_then(|digits| digits.parse::<u16>().ok()) {
        return transient_status(status);
    }
    code == "deferred_too_long" || CODES.iter().any(|&(known, transient)| known == code && transient)
}

fn transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || (status >= 500 && !matches!(status, 501 | 505))
}

impl FetchFailure {
    /// A failure whose transience is that of its code in [`CODES`].
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let transient = CODES.iter().find(|(c, _)| *c == code).is_some_and(|(_, t)| *t);
        Self { code, message: message.into(), transient }
    }

    /// The failure for a status that is not a success.
    pub(crate) fn status(status: u16) -> Self {
        let transient = transient_status(status);
        Self { code: status_code(status), message: format!("the server answered {status}"), transient }
    }
}

/// `http_404` and its kin without an allocation per answer.
fn status_code(status: u16) -> &'static str {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..1000).map(|n| format!("http_{n:03}")).collect());
    NAMES.get(usize::from(status)).map_or("http_other", String::as_str)
}

impl From<super::guard::Blocked> for FetchFailure {
    fn from(blocked: super::guard::Blocked) -> Self {
        Self::new(blocked.code(), blocked.to_string())
    }
}
