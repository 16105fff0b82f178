//! What a site says about itself: robots.txt, tdmrep.json and ai.txt, asked for once, kept for a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::header::CONTENT_ENCODING;
use url::Url;

use super::body::{Limits, read_prefix};
use super::cache::FlightCache;
use super::client::{Transport, Want};
use super::config::{FetchConfig, secs};
use super::decode::Coding;
use super::metrics::Metrics;
use super::optout::TdmRules;
use super::outcome::{FetchFailure, OptOut};
use super::redirect::{is_redirect, target};
use super::robots::{Matching, RobotsTxt, Verdict};

/// RFC 9309 §2.3.1.2: at least five.
const POLICY_REDIRECTS: u32 = 5;
/// tdmrep.json is small; a larger one is not read.
const TDM_MAX_BYTES: u64 = 1 << 20;
/// RFC 9309 §2.3.1.4: after "a reasonably long period of time (for example, 30 days)" of being unreachable a site
/// counts as one without robots.txt. A process that long is not foreseen, but a stale copy may be used for that long.
const STALE_FOR: Duration = Duration::from_secs(30 * 86_400);

/// What robots.txt of an origin came to.
#[derive(Debug, Clone)]
pub(crate) enum Robots {
    /// No rules: there is none, or it is of no use.
    Open,
    /// Rules, and when they were read.
    Rules(Arc<RobotsTxt>, Instant),
    /// Complete disallow for now.
    Unreachable(Arc<FetchFailure>),
}

/// The three files' caches.
pub(crate) struct Sites {
    robots: FlightCache<Robots>,
    tdm: FlightCache<Option<Arc<TdmRules>>>,
    ai: FlightCache<Option<Arc<RobotsTxt>>>,
    asker: Arc<Asker>,
    cfg: Arc<FetchConfig>,
}

/// One asks for the files; shared with the pending questions.
struct Asker {
    transport: Transport,
    cfg: Arc<FetchConfig>,
    limits: Limits,
}

/// How asking for a file went.
enum Answer {
    Body(Vec<u8>),
    Status(u16),
    LostInRedirects,
    Failed(FetchFailure),
}

/// A piece of policy, and whether this call made a request for it.
pub(crate) struct Asked<T> {
    pub(crate) value: T,
    pub(crate) requested: bool,
}

impl Sites {
    pub(crate) fn new(cfg: Arc<FetchConfig>, transport: Transport) -> Self {
        let entries = cfg.robots_cache_entries;
        Self {
            robots: FlightCache::new(entries),
            tdm: FlightCache::new(entries),
            ai: FlightCache::new(entries),
            asker: Arc::new(Asker { transport, limits: Limits::new(&cfg), cfg: Arc::clone(&cfg) }),
            cfg,
        }
    }

    /// The robots.txt of `origin` (`http://host:port`).
    pub(crate) async fn robots(&self, origin: &str) -> Asked<Robots> {
        let asker = Arc::clone(&self.asker);
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let url = format!("{origin}/robots.txt");
        let (ttl, error_ttl) = (secs(self.cfg.robots_ttl), secs(self.cfg.robots_error_ttl));
        let value = self
            .robots
            .get_or_ask(origin, Instant::now(), move |stale| async move {
                flag.store(true, Ordering::Relaxed);
                let fresh = asker.robots(&url).await;
                match (fresh, stale) {
                    // Unreachable at a later visit: the old rules hold (RFC 9309 §2.4).
                    (Robots::Unreachable(_), Some(Robots::Rules(rules, read))) if read.elapsed() < STALE_FOR => {
                        (Robots::Rules(rules, read), error_ttl)
                    }
                    (Robots::Unreachable(why), _) => (Robots::Unreachable(why), error_ttl),
                    (known, _) => (known, ttl),
                }
            })
            .await;
        Asked { value, requested: asked.load(Ordering::Relaxed) }
    }

    /// The tdmrep.json of `origin`.
    pub(crate) async fn tdm(&self, origin: &str) -> Asked<Option<Arc<TdmRules>>> {
        let asker = Arc::clone(&self.asker);
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let url = format!("{origin}/.well-known/tdmrep.json");
        let (ttl, error_ttl) = (secs(self.cfg.robots_ttl), secs(self.cfg.robots_error_ttl));
        let value = self
            .tdm
            .get_or_ask(origin, Instant::now(), move |stale| async move {
                flag.store(true, Ordering::Relaxed);
                match asker.ask(&url, TDM_MAX_BYTES).await {
                    Answer::Body(bytes) => (TdmRules::parse(&bytes).map(Arc::new), ttl),
                    Answer::Status(status) if status < 500 => (None, ttl),
                    _ => (stale.flatten(), error_ttl),
                }
            })
            .await;
        Asked { value, requested: asked.load(Ordering::Relaxed) }
    }

    /// The ai.txt of `origin`.
    pub(crate) async fn ai(&self, origin: &str) -> Asked<Option<Arc<RobotsTxt>>> {
        let asker = Arc::clone(&self.asker);
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let url = format!("{origin}/ai.txt");
        let (ttl, error_ttl) = (secs(self.cfg.robots_ttl), secs(self.cfg.robots_error_ttl));
        let value = self
            .ai
            .get_or_ask(origin, Instant::now(), move |stale| async move {
                flag.store(true, Ordering::Relaxed);
                match asker.ask(&url, asker.cfg.robots_max_bytes).await {
                    Answer::Body(bytes) => (Some(Arc::new(asker.parse(&bytes))), ttl),
                    Answer::Status(status) if status < 500 => (None, ttl),
                    _ => (stale.flatten(), error_ttl),
                }
            })
            .await;
        Asked { value, requested: asked.load(Ordering::Relaxed) }
    }
}

impl Asker {
    fn parse(&self, bytes: &[u8]) -> RobotsTxt {
        RobotsTxt::parse(bytes, &self.cfg.user_agent_token, &self.cfg.also_agents, Matching::Rfc9309)
    }

    async fn robots(&self, url: &str) -> Robots {
        let unreachable = |failure| Robots::Unreachable(Arc::new(failure));
        match self.ask(url, self.cfg.robots_max_bytes).await {
            Answer::Body(bytes) => Robots::Rules(Arc::new(self.parse(&bytes)), Instant::now()),
            // RFC 9309 §2.3.1.2: past the last redirect it counts as unavailable.
            Answer::LostInRedirects => Robots::Open,
            // 429 is a 4xx, but it says "later", not "there is none"; Google reads it so, too.
            Answer::Status(status) if status == 429 || status >= 500 => unreachable(FetchFailure::new(
                "robots_unreachable",
                format!("robots.txt answered {status}, which forbids everything for now"),
            )),
            Answer::Status(_) => Robots::Open,
            Answer::Failed(failure) => {
                unreachable(FetchFailure { message: format!("robots.txt could not be read: {}", failure.message), ..failure })
            }
        }
    }

    /// GETs a small file, following redirects to other hosts, too, each behind the guard.
    async fn ask(&self, url: &str, limit: u64) -> Answer {
        let deadline = tokio::time::Instant::now() + secs(self.cfg.total_timeout);
        let Ok(mut url) = Url::parse(url) else {
            return Answer::Failed(FetchFailure::new("invalid_url", "no url for the site's rules"));
        };
        for _ in 0..=POLICY_REDIRECTS {
            if let Err(failure) = self.transport.check(&url).await {
                return Answer::Failed(failure);
            }
            Metrics::add(&self.transport.metrics.policy_requests, 1);
            let mut response = match self.transport.get(&url, Want::Policy, deadline).await {
                Ok(response) => response,
                Err(failure) => return Answer::Failed(failure),
            };
            let status = response.status().as_u16();
            if is_redirect(status) {
                match target(&url, response.headers(), self.cfg.max_url_bytes) {
                    Ok(next) => url = next,
                    // A redirect to nowhere is an answer without a file.
                    Err(_) => return Answer::LostInRedirects,
                }
                continue;
            }
            if !(200..300).contains(&status) {
                return Answer::Status(status);
            }
            let coding = match Coding::of(response.headers().get_all(CONTENT_ENCODING).iter().map(|v| v.as_bytes())) {
                Ok(coding) => coding,
                Err(failure) => return Answer::Failed(failure),
            };
            return match read_prefix(&mut response, coding, limit, &self.limits, deadline).await {
                Ok((mut bytes, cut)) => {
                    if cut {
                        // A rule that the limit cuts in two is none.
                        let whole = memchr::memrchr2(b'\n', b'\r', &bytes).map_or(0, |at| at + 1);
                        bytes.truncate(whole);
                    }
                    Answer::Body(bytes)
                }
                Err(failure) => Answer::Failed(failure),
            };
        }
        Answer::LostInRedirects
    }
}

/// The opt-out in a robots.txt for `path`, if there is one.
pub(crate) fn robots_optout(rules: &RobotsTxt, path: &str, content_signals: bool, origin: &str) -> Option<OptOut> {
    let source = format!("{origin}/robots.txt");
    match rules.verdict(path, content_signals) {
        Verdict::Allowed => None,
        Verdict::Disallowed { agent, rule } => Some(OptOut { signal: "robots_txt", value: format!("{agent}: disallow {rule}"), source }),
        Verdict::Signal(line) => Some(OptOut { signal: "content_signal", value: line, source }),
        Verdict::Usage(line) => Some(OptOut { signal: "content_usage", value: line, source }),
    }
}
