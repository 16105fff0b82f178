//! One step of one URL: at most one request, then an answer or what has to come next. Whoever schedules
//! steps keeps the host's spacing and concurrency by spacing and counting steps.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use tokio::time::Instant;
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use super::Fetcher;
use super::body::read;
use super::client::Want;
use super::config::secs;
use super::decode::Coding;
use super::metrics::Metrics;
use super::optout::{TdmRules, tdm_header_denies, usage_denies, x_robots_tag};
use super::outcome::{FetchFailure, FetchOutcome, Fetched, OptOut};
use super::politeness::Slot;
use super::redirect::{is_redirect, target};
use super::robots::RobotsTxt;
use super::site::{Robots, robots_optout};

/// What a download takes of the memory bound before its size is known.
const FIRST_SHARE: u64 = 256 << 10;

/// A URL on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) index: u32,
    pub(crate) url: Url,
    pub(crate) authority: Arc<Authority>,
    pub(crate) attempts: u32,
    pub(crate) redirects: u32,
    pub(crate) requests: u32,
    /// Active time of this attempt so far.
    pub(crate) spent: Duration,
    /// Hashes of the URLs that this attempt has been at.
    pub(crate) seen: Vec<u64>,
}

/// Scheme, host and port, with what is known of its policy.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) origin: String,
    pub(crate) host_at: usize,
    robots: OnceLock<Robots>,
    tdm: OnceLock<Option<Arc<TdmRules>>>,
    ai: OnceLock<Option<Arc<RobotsTxt>>>,
}

impl Authority {
    pub(crate) fn new(origin: String, host_at: usize) -> Self {
        Self { origin, host_at, robots: OnceLock::new(), tdm: OnceLock::new(), ai: OnceLock::new() }
    }
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Next {
    Done(FetchOutcome),
    /// Policy has been read; the URL itself is next.
    Again,
    Redirect(Url),
    Trouble {
        failure: FetchFailure,
        retry_after: Option<Duration>,
    },
}

/// A finished step.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) next: Next,
    /// Whether a request was made.
    pub(crate) requested: bool,
    /// Whether the host answered over HTTP.
    pub(crate) answered: bool,
}

impl Fetcher {
    /// What is known against `job` without any request: nothing if more has to be asked.
    pub(crate) fn known_verdict(&self, job: &Job) -> Option<FetchOutcome> {
        let authority = &job.authority;
        let path = path_and_query(&job.url);
        match authority.robots.get() {
            Some(Robots::Unreachable(failure)) => {
                return Some(FetchOutcome::Failed(failure.as_ref().clone()));
            }
            Some(Robots::Rules(rules, _)) => {
                let found = robots_optout(rules, path, self.cfg.content_signals, &authority.origin);
                if let Some(opt_out) = found {
                    return Some(FetchOutcome::Refused(opt_out));
                }
            }
            Some(Robots::Open) | None => {}
        }
        if let Some(Some(rules)) = authority.tdm.get()
            && let Some(location) = rules.reserved(path)
        {
            let source = format!("{}/.well-known/tdmrep.json", authority.origin);
            return Some(FetchOutcome::Refused(OptOut { signal: "tdmrep_json", value: location, source }));
        }
        if let Some(Some(rules)) = authority.ai.get()
            && let Some(opt_out) = robots_optout(rules, path, false, &authority.origin)
        {
            let source = format!("{}/ai.txt", authority.origin);
            return Some(FetchOutcome::Refused(OptOut { signal: "ai_txt", source, ..opt_out }));
        }
        None
    }

    /// Whether the policy of an authority is known as far as it is asked for.
    pub(crate) fn policy_known(&self, authority: &Authority) -> bool {
        let robots = !self.cfg.robots || authority.robots.get().is_some();
        // Who is unreachable is asked nothing more.
        let closed = matches!(authority.robots.get(), Some(Robots::Unreachable(_)));
        let tdm = !self.cfg.tdmrep || authority.tdm.get().is_some();
        let ai = !self.cfg.ai_txt || authority.ai.get().is_some();
        closed || (robots && tdm && ai)
    }

    /// Makes the next request for `job`. `more` says whether others for the same host wait.
    pub(crate) async fn step(&self, job: &mut Job, slot: &Slot, more: bool) -> Stepped {
        if let Err(failure) = self.transport.check(&job.url).await {
            return Stepped { next: trouble(failure), requested: false, answered: false };
        }
        if let Some(requested) = self.ask_policy(&job.authority, slot).await {
            let next = self.known_verdict(job).map_or(Next::Again, Next::Done);
            let failed = matches!(job.authority.robots.get(), Some(Robots::Unreachable(_)));
            return Stepped { next, requested, answered: requested && !failed };
        }
        // Waiting for memory is our own affair and comes before the URL's clock starts.
        let mut permit = self.memory.share(FIRST_SHARE).await;
        let started = Instant::now();
        let left = secs(self.cfg.total_timeout).saturating_sub(job.spent);
        let deadline = started + left;
        job.requests += 1;
        Metrics::add(&self.metrics.requests, 1);
        let response = self.transport.get(&job.url, Want::Image { more }, deadline).await;
        let mut answered = false;
        let next = match response {
            Err(failure) => trouble(failure),
            Ok(mut response) => {
                answered = true;
                let next = self.judge_head(job, &response);
                match next {
                    Some(next) => next,
                    None => match self.download(job, &mut response, started, deadline, &mut permit).await {
                        Ok(mut fetched) => {
                            fetched.permit = permit;
                            Next::Done(FetchOutcome::Success(Box::new(fetched)))
                        }
                        Err(failure) => trouble(failure),
                    },
                }
            }
        };
        job.spent += started.elapsed();
        Stepped { next, requested: true, answered }
    }

    /// Makes sure of one more piece of the authority's policy. None when nothing was missing, else
    /// whether a request was made.
    async fn ask_policy(&self, authority: &Authority, slot: &Slot) -> Option<bool> {
        if self.policy_known(authority) {
            return None;
        }
        let mut requested = false;
        if self.cfg.robots && authority.robots.get().is_none() {
            let asked = self.sites.robots(&authority.origin).await;
            requested = asked.requested;
            if let Robots::Rules(rules, _) = &asked.value
                && let Some(delay) = rules.crawl_delay()
            {
                slot.host().slow_down(delay.min(secs(self.cfg.max_crawl_delay)));
            }
            let _ = authority.robots.set(asked.value);
        }
        if requested || self.policy_known(authority) {
            return Some(requested);
        }
        if self.cfg.tdmrep && authority.tdm.get().is_none() {
            let asked = self.sites.tdm(&authority.origin).await;
            requested = asked.requested;
            let _ = authority.tdm.set(asked.value);
        }
        if requested || self.policy_known(authority) {
            return Some(requested);
        }
        if self.cfg.ai_txt && authority.ai.get().is_none() {
            let asked = self.sites.ai(&authority.origin).await;
            requested = asked.requested;
            let _ = authority.ai.set(asked.value);
        }
        Some(requested)
    }

    /// What the response head decides; none when the body is wanted.
    fn judge_head(&self, job: &mut Job, response: &reqwest::Response) -> Option<Next> {
        let status = response.status().as_u16();
        let headers = response.headers();
        if is_redirect(status) {
            return Some(match self.follow(job, headers) {
                Ok(url) => Next::Redirect(url),
                Err(failure) => Next::Done(FetchOutcome::Failed(failure)),
            });
        }
        // 203 is a 200 that a proxy has touched. A 206 was not asked for, a 204 or 205 has nothing.
        if !matches!(status, 200 | 203) {
            let retry_after = headers
                .get(RETRY_AFTER)
                .filter(|_| matches!(status, 408 | 425 | 429) || status >= 500)
                .and_then(|v| self.backoff.retry_after(v.as_bytes(), SystemTime::now()));
            return Some(Next::Trouble { failure: FetchFailure::status(status), retry_after });
        }
        if let Some(opt_out) = self.header_optout(headers, &job.url) {
            return Some(Next::Done(FetchOutcome::Refused(opt_out)));
        }
        let kind = headers.get(CONTENT_TYPE).map(|v| v.as_bytes().trim_ascii_start().to_ascii_lowercase());
        if kind.is_some_and(|k| k.starts_with(b"multipart/") || k.starts_with(b"text/event-stream")) {
            let failure = FetchFailure::new("streaming_content", "the content type announces a stream without end");
            return Some(Next::Done(FetchOutcome::Failed(failure)));
        }
        None
    }

    fn follow(&self, job: &mut Job, headers: &HeaderMap) -> Result<Url, FetchFailure> {
        let url = target(&job.url, headers, self.cfg.max_url_bytes)?;
        if job.redirects >= self.cfg.max_redirects {
            return Err(FetchFailure::new("too_many_redirects", format!("more than {} redirects", self.cfg.max_redirects)));
        }
        if job.seen.is_empty() {
            job.seen.push(xxh3_64(job.url.as_str().as_bytes()));
        }
        let hash = xxh3_64(url.as_str().as_bytes());
        if job.seen.contains(&hash) {
            return Err(FetchFailure::new("redirect_loop", "a redirect to where it came from"));
        }
        self.transport.guard.check_url(&url).inspect_err(|_| Metrics::add(&self.metrics.guard_blocked, 1))?;
        job.seen.push(hash);
        job.redirects += 1;
        Metrics::add(&self.metrics.redirects, 1);
        Ok(url)
    }

    fn header_optout(&self, headers: &HeaderMap, url: &Url) -> Option<OptOut> {
        const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
        const TDM_RESERVATION: HeaderName = HeaderName::from_static("tdm-reservation");
        const CONTENT_USAGE: HeaderName = HeaderName::from_static("content-usage");
        const CONTENT_SIGNAL: HeaderName = HeaderName::from_static("content-signal");
        let found = |signal, value| Some(OptOut { signal, value, source: url.as_str().to_owned() });
        if headers.contains_key(&X_ROBOTS_TAG) {
            let values: Vec<_> = texts(headers, &X_ROBOTS_TAG).collect();
            let values = values.iter().map(String::as_str);
            if let Some(word) = x_robots_tag(values, &self.agents, &self.cfg.disallowed_directives) {
                return found("x_robots_tag", word);
            }
        }
        if let Some(value) = texts(headers, &TDM_RESERVATION).find(|v| tdm_header_denies(v)) {
            return found("tdm_reservation", value);
        }
        if self.cfg.content_signals {
            if let Some(value) = texts(headers, &CONTENT_USAGE).find(|v| usage_denies(v)) {
                return found("content_usage", value);
            }
            if let Some(value) = texts(headers, &CONTENT_SIGNAL).find(|v| super::optout::signal_denies(v)) {
                return found("content_signal", value);
            }
        }
        None
    }

    async fn download(
        &self,
        job: &Job,
        response: &mut reqwest::Response,
        started: Instant,
        deadline: Instant,
        permit: &mut super::memory::MemoryPermit,
    ) -> Result<Fetched, FetchFailure> {
        let coding = Coding::of(response.headers().get_all(CONTENT_ENCODING).iter().map(|v| v.as_bytes()))?;
        let body = read(response, coding, &self.limits, deadline, &self.memory, permit).await?;
        Metrics::add(&self.metrics.wire_bytes, body.wire_bytes);
        if body.bytes.is_empty() {
            return Err(FetchFailure::new("empty_body", "a success without a body"));
        }
        let headers = response.headers();
        let one = |name: &HeaderName| texts(headers, name).next();
        let x_robots = HeaderName::from_static("x-robots-tag");
        let x_robots_tag = headers.contains_key(&x_robots).then(|| texts(headers, &x_robots).collect::<Vec<_>>().join(", "));
        Ok(Fetched {
            body: body.bytes,
            status: response.status().as_u16(),
            final_url: job.url.as_str().to_owned(),
            redirects: job.redirects,
            content_type: one(&CONTENT_TYPE),
            etag: one(&ETAG),
            last_modified: one(&LAST_MODIFIED),
            x_robots_tag,
            remote_ip: response.remote_addr().map(|a| a.ip()),
            wire_bytes: body.wire_bytes,
            requests: job.requests,
            elapsed: started.elapsed(),
            permit: super::memory::MemoryPermit::none(),
        })
    }
}

fn trouble(failure: FetchFailure) -> Next {
    Next::Trouble { failure, retry_after: None }
}

/// Header values as text; octets that are not UTF-8 are replaced.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + use<'a> {
    headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
}

/// Path and query, as robots.txt sees a URL.
pub(crate) fn path_and_query(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}
