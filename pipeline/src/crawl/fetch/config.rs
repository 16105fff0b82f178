//! Every setting of the fetcher, with the defaults and why they were chosen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::guard::{Cidr, NamePattern, ResolveOverride};

/// What one politeness queue stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum PolitenessKey {
    /// One queue per host name (the unit that Nutch and StormCrawler call `byHost`).
    #[default]
    Host,
    /// One queue per registrable domain of the Public Suffix List (`byDomain`): a thousand
    /// subdomains of one site share the limits.
    Domain,
}

/// Settings of a [`Fetcher`](super::Fetcher). All times are seconds, all sizes bytes.
///
/// The defaults follow the limits that crawlers publish (Nutch, StormCrawler, Heritrix, Scrapy):
/// bounded in every direction, two requests at a time and ten a second per host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchConfig {
    /// Product token of the user agent and of robots.txt groups; letters, `_` and `-` (RFC 9309 §2.2.1).
    pub user_agent_token: String,
    /// A URL or e-mail address where the operator can be reached. Mandatory.
    pub contact: String,
    /// Longest look-up of a name.
    pub dns_timeout: f64,
    /// Longest TCP connect and TLS handshake together.
    pub connect_timeout: f64,
    /// Longest wait for the complete response head once connected.
    pub header_timeout: f64,
    /// Longest silence inside a body.
    pub idle_timeout: f64,
    /// Longest active time of one URL over all its redirects and one attempt; time spent waiting
    /// for the host's turn does not count.
    pub total_timeout: f64,
    /// Slowest body accepted, bytes a second, once `min_rate_grace` has passed; 0 switches it off.
    pub min_rate: u64,
    /// Seconds of body before `min_rate` is looked at.
    pub min_rate_grace: f64,
    /// Largest body on the wire.
    pub max_body_bytes: u64,
    /// Largest body after content decoding.
    pub max_decoded_bytes: u64,
    /// Largest ratio of decoded to wire bytes, looked at once 1 MiB has come out.
    pub max_decode_ratio: u64,
    /// Redirects followed for one URL.
    pub max_redirects: u32,
    /// Largest response head: the sum of the names and values of its headers. hyper itself
    /// refuses an HTTP/1 head over 408 KiB while reading it.
    pub max_header_bytes: u64,
    /// Most header lines in a response.
    pub max_headers: usize,
    /// Longest URL.
    pub max_url_bytes: usize,
    /// Most requests in flight in the process.
    pub concurrency: usize,
    /// The adaptive controller never goes below this many requests in flight.
    pub min_concurrency: usize,
    /// Most requests in flight per politeness key.
    pub per_host_concurrency: usize,
    /// Seconds between the starts of two requests to one politeness key.
    pub per_host_delay: f64,
    /// What the two limits above are counted by.
    pub politeness_key: PolitenessKey,
    /// Attempts after the first for a transient failure.
    pub retries: u32,
    /// Retries allowed as a share of the first attempts in a unit (with 10 always allowed), so that an
    /// outage is not amplified.
    pub retry_budget: f64,
    /// First back-off after a throttling answer or connection trouble; doubles each time.
    pub backoff_base: f64,
    /// Longest back-off.
    pub backoff_max: f64,
    /// A longer `Retry-After` is cut to this.
    pub max_retry_after: f64,
    /// Consecutive connection-level failures, or consecutive throttling answers, after which the
    /// rest of a host's URLs in the unit is given up.
    pub host_failures: u32,
    /// Longest wait for one host inside a unit; a host that asks for more is deferred.
    pub max_host_wait: f64,
    /// URLs of one politeness key fetched per unit, the rest is deferred; 0 = all.
    pub max_urls_per_host_per_unit: usize,
    /// Politeness states kept (the idle ones go first).
    pub host_table_entries: usize,
    /// Ask for and obey robots.txt.
    pub robots: bool,
    /// Rules written for these agents are obeyed too (for instance `img2dataset`, `CCBot`, `GPTBot`).
    pub also_agents: Vec<String>,
    /// A longer `Crawl-delay` is cut to this.
    pub max_crawl_delay: f64,
    /// How long a robots.txt (and tdmrep.json, ai.txt) is kept; RFC 9309 §2.4 says 24 hours at most.
    pub robots_ttl: f64,
    /// How long "unreachable" is believed before robots.txt is asked for again.
    pub robots_error_ttl: f64,
    /// How much of a robots.txt is parsed; RFC 9309 §2.5 demands at least 500 KiB.
    pub robots_max_bytes: u64,
    /// Sites whose rules are kept.
    pub robots_cache_entries: usize,
    /// Ask for and obey `/.well-known/tdmrep.json`; the header is always obeyed.
    pub tdmrep: bool,
    /// Ask for and obey Spawning's `/ai.txt`.
    pub ai_txt: bool,
    /// Obey `Content-Signal: ai-train=no` and `Content-Usage: train-ai=n`.
    pub content_signals: bool,
    /// Words of `X-Robots-Tag` and meta robots that refuse an image.
    pub disallowed_directives: Vec<String>,
    /// Address ranges opened although they are not public.
    pub allow_net: Vec<Cidr>,
    /// Special-use names opened (`intranet.corp`, `*.lan`); their addresses are checked all the same.
    pub allow_hosts: Vec<NamePattern>,
    /// Ports that may be used; empty = all but those that the WHATWG Fetch standard forbids.
    pub ports: Vec<u16>,
    /// Fixed answers, `pattern=ip`, the pattern a name or `*.suffix`; checked like any other address.
    pub resolve: Vec<ResolveOverride>,
    /// DNS servers as `ip` or `ip:port`; empty = those of the system.
    pub nameservers: Vec<String>,
    /// Answers kept.
    pub dns_cache_entries: usize,
    /// A shorter TTL is stretched to this.
    pub dns_min_ttl: f64,
    /// A longer TTL is cut to this.
    pub dns_max_ttl: f64,
    /// How long a name that does not exist is remembered at most.
    pub dns_negative_ttl: f64,
    /// Refuse bad certificates.
    pub verify_tls: bool,
    /// Bodies in memory, in bytes, counted until their [`Fetched`](super::Fetched) is dropped.
    pub max_bytes_in_flight: u64,
    /// How long an idle connection is kept for the next request.
    pub keep_alive: f64,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            user_agent_token: "trommel".to_owned(),
            contact: String::new(),
            dns_timeout: 5.0,
            connect_timeout: 5.0,
            header_timeout: 10.0,
            idle_timeout: 10.0,
            total_timeout: 30.0,
            min_rate: 1024,
            min_rate_grace: 5.0,
            max_body_bytes: 32 << 20,
            max_decoded_bytes: 32 << 20,
            max_decode_ratio: 200,
            max_redirects: 10,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            max_url_bytes: 16 << 10,
            concurrency: 256,
            min_concurrency: 16,
            per_host_concurrency: 2,
            per_host_delay: 0.1,
            politeness_key: PolitenessKey::Host,
            retries: 1,
            retry_budget: 0.1,
            backoff_base: 1.0,
            backoff_max: 60.0,
            max_retry_after: 300.0,
            host_failures: 5,
            max_host_wait: 60.0,
            max_urls_per_host_per_unit: 0,
            host_table_entries: 200_000,
            robots: true,
            also_agents: Vec::new(),
            max_crawl_delay: 30.0,
            robots_ttl: 86_400.0,
            robots_error_ttl: 600.0,
            robots_max_bytes: 500 << 10,
            robots_cache_entries: 50_000,
            tdmrep: true,
            ai_txt: false,
            content_signals: true,
            disallowed_directives: ["noai", "noimageai", "noindex", "noimageindex", "none", "noml"].map(str::to_owned).to_vec(),
            allow_net: Vec::new(),
            allow_hosts: Vec::new(),
            ports: Vec::new(),
            resolve: Vec::new(),
            nameservers: Vec::new(),
            dns_cache_entries: 200_000,
            dns_min_ttl: 30.0,
            dns_max_ttl: 3600.0,
            dns_negative_ttl: 300.0,
            verify_tls: true,
            max_bytes_in_flight: 512 << 20,
            keep_alive: 10.0,
        }
    }
}

/// Why a fetcher could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Site owners must be able to reach whoever runs the crawl.
    #[error("fetching needs a contact: set `contact` to a URL or an e-mail address that site owners can write to")]
    MissingContact,
    /// A setting has no usable value.
    #[error("`{key}` cannot be {value}: {reason}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
    /// The HTTP client could not be built.
    #[error("the http client could not be built")]
    Client(#[source] reqwest::Error),
}

impl FetchConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`FetchError::MissingContact`], or [`FetchError::Setting`] naming the first bad one.
    pub fn validate(&self) -> Result<(), FetchError> {
        let bad = |key, value: String, reason| Err(FetchError::Setting { key, value, reason });
        if self.contact.trim().is_empty() {
            return Err(FetchError::MissingContact);
        }
        if self.contact.len() > 300 || !self.contact.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return bad("contact", self.contact.clone(), "it goes into a header: printable ASCII, at most 300 characters");
        }
        let token = &self.user_agent_token;
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-') {
            return bad("user_agent_token", token.clone(), "letters, `_` and `-` only (RFC 9309)");
        }
        for (key, value, positive) in [
            ("dns_timeout", self.dns_timeout, true),
            ("connect_timeout", self.connect_timeout, true),
            ("header_timeout", self.header_timeout, true),
            ("idle_timeout", self.idle_timeout, true),
            ("total_timeout", self.total_timeout, true),
            ("min_rate_grace", self.min_rate_grace, false),
            ("per_host_delay", self.per_host_delay, false),
            ("retry_budget", self.retry_budget, false),
            ("backoff_base", self.backoff_base, false),
            ("backoff_max", self.backoff_max, false),
            ("max_retry_after", self.max_retry_after, false),
            ("max_host_wait", self.max_host_wait, false),
            ("max_crawl_delay", self.max_crawl_delay, false),
            ("robots_ttl", self.robots_ttl, false),
            ("robots_error_ttl", self.robots_error_ttl, false),
            ("dns_min_ttl", self.dns_min_ttl, false),
            ("dns_max_ttl", self.dns_max_ttl, false),
            ("dns_negative_ttl", self.dns_negative_ttl, false),
            ("keep_alive", self.keep_alive, false),
        ] {
            // A year bounds every sum of instants well inside what a clock can hold.
            if !(0.0..=31_557_600.0).contains(&value) || (positive && value == 0.0) {
                return bad(key, value.to_string(), "seconds, not negative, at most a year; a timeout is more than 0");
            }
        }
        for (key, value) in [
            ("concurrency", self.concurrency),
            ("min_concurrency", self.min_concurrency),
            ("per_host_concurrency", self.per_host_concurrency),
            ("max_headers", self.max_headers),
            ("host_table_entries", self.host_table_entries),
            ("robots_cache_entries", self.robots_cache_entries),
            ("dns_cache_entries", self.dns_cache_entries),
        ] {
            if value == 0 || value > 1 << 28 {
                return bad(key, value.to_string(), "at least 1, at most 2^28");
            }
        }
        if self.min_concurrency > self.concurrency {
            return bad("min_concurrency", self.min_concurrency.to_string(), "at most `concurrency`");
        }
        if self.host_failures == 0 {
            return bad("host_failures", "0".to_owned(), "at least 1");
        }
        for (key, value) in [("max_body_bytes", self.max_body_bytes), ("max_decoded_bytes", self.max_decoded_bytes)] {
            if value == 0 || value > 4 << 30 {
                return bad(key, value.to_string(), "1 byte to 4 GiB");
            }
        }
        if self.max_bytes_in_flight < 2 * self.largest_body() || self.max_bytes_in_flight > 1 << 41 {
            return bad(
                "max_bytes_in_flight",
                self.max_bytes_in_flight.to_string(),
                "at least twice the larger of `max_body_bytes` and `max_decoded_bytes`, at most 2 TiB",
            );
        }
        if self.robots_max_bytes < 500 << 10 {
            return bad("robots_max_bytes", self.robots_max_bytes.to_string(), "at least 512000 (RFC 9309)");
        }
        for server in &self.nameservers {
            if super::dns::parse_nameserver(server).is_none() {
                return bad("nameservers", server.clone(), "an address, or an address and a port");
            }
        }
        Ok(())
    }

    /// The user agent that every request carries: `token/version (+contact)`.
    #[must_use]
    pub fn user_agent(&self) -> String {
        format!("{}/{} (+{})", self.user_agent_token, env!("CARGO_PKG_VERSION"), self.contact.trim())
    }

    pub(crate) fn largest_body(&self) -> u64 {
        self.max_body_bytes.max(self.max_decoded_bytes)
    }
}

/// When a unit may end before its time, because little but slow hosts is left in it: as soon as what its hosts still give in a
/// second is less than half of what a unit gives on average. The rest is [`Deferred`](super::FetchOutcome::Deferred).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leave {
    /// Never.
    #[default]
    Never,
    /// While another unit waits for its [`Place`](super::Place).
    WhenOthersWait,
    /// Always: there is other work behind this unit.
    Always,
}

/// What one call of [`Fetcher::run_unit`](super::Fetcher::run_unit) may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitBudget {
    /// Time after which no request is started; what was not started is
    /// [`Deferred`](super::FetchOutcome::Deferred).
    pub time: Duration,
    /// Requests after which none is started (robots.txt, redirects and retries count).
    pub requests: u64,
    /// Whether it may end earlier.
    pub leave: Leave,
    /// How long it stays in any case: its hosts should have given their pieces by then.
    pub stay: Duration,
}

impl Default for UnitBudget {
    /// An hour, all of it, and as many requests as there are.
    fn default() -> Self {
        Self { time: Duration::from_secs(3600), requests: u64::MAX, leave: Leave::Never, stay: Duration::from_secs(60) }
    }
}

/// Seconds of a validated setting as a duration.
pub(crate) fn secs(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::ZERO)
}
