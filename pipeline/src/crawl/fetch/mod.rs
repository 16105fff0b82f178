//! The fetcher: URLs in, bodies out; polite to hosts, bounded in every direction, walled off from
//! private networks, and never stuck.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use trommel::crawl::fetch::{FetchConfig, FetchItem, FetchOutcome, Fetcher, UnitBudget};
//!
//! let config = FetchConfig { contact: "https://example.org/bot".into(), ..FetchConfig::default() };
//! let fetcher = Fetcher::new(config)?;
//! let (out, mut answers) = tokio::sync::mpsc::channel(64);
//! let urls = vec![FetchItem { index: 0, url: "https://example.org/a.jpg".into() }];
//! let unit = tokio::spawn(async move { fetcher.run_unit(urls, UnitBudget::default(), out).await });
//! while let Some(done) = answers.recv().await {
//!     if let FetchOutcome::Success(fetched) = done.outcome {
//!         assert_eq!(fetched.status, 200);
//!     }
//! }
//! unit.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a URL goes through
//! Parsed by the WHATWG rules and judged by the [`guard`] → queued at its host → the host's turn comes (its own
//! concurrency and spacing, the process's adaptive concurrency) → its name is resolved and the addresses are judged →
//! robots.txt and tdmrep.json are asked for where they are not known → one GET → the head is judged
//! (status, opt-outs, limits) → a redirect goes back to the queue of the host that it leads to → the body is read under
//! its limits → one [`FetchDone`].
//!
//! # Limits
//! Statuses other than 200 and 203 are failures. Nothing is sent but `Host`, `User-Agent`, `Accept` and
//! `Accept-Encoding: identity`: no cookies, no credentials, no referrer. Proxies of the environment are not used, because
//! an address behind a proxy cannot be checked. HTTP/1.1 and HTTP/2 are spoken. Images behind log-ins,
//! cookies or scripts are out of reach by design.

mod adaptive;
mod body;
mod cache;
mod client;
mod config;
mod crew;
mod decode;
mod dns;
pub mod guard;
mod memory;
mod metrics;
pub mod optout;
mod outcome;
mod politeness;
mod redirect;
mod retry;
pub mod robots;
mod site;
mod step;
mod unit;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

pub use config::{FetchConfig, FetchError, Leave, PolitenessKey, UnitBudget};
pub use crew::Place;
pub use memory::MemoryPermit;
pub use metrics::MetricsSnapshot;
pub use optout::page_optout;
pub use outcome::{CODES, FetchDone, FetchFailure, FetchItem, FetchOutcome, Fetched, OptOut, is_transient};
pub(crate) use politeness::key_of;

use adaptive::Adaptive;
use body::Limits;
use client::Transport;
use config::secs;
use crew::Crew;
use dns::Dns;
use guard::Guard;
use memory::Memory;
use metrics::Metrics;
use politeness::Hosts;
use retry::Backoff;
use site::Sites;
use unit::Unit;

/// The process's fetcher: connections, caches, politeness and bounds, shared by all units.
pub struct Fetcher {
    cfg: Arc<FetchConfig>,
    transport: Transport,
    sites: Sites,
    hosts: Hosts,
    memory: Memory,
    adaptive: Arc<Adaptive>,
    crew: Arc<Crew>,
    metrics: Arc<Metrics>,
    limits: Limits,
    backoff: Backoff,
    /// Our own token and those that we also listen to.
    agents: Vec<String>,
}

impl Fetcher {
    /// A fetcher with these settings.
    ///
    /// # Errors
    /// [`FetchError`] where a setting is missing or wrong, or the HTTP client cannot be built. A system
    /// without DNS is no error here: the URLs whose names need it fail with `dns_no_resolver`.
    pub fn new(cfg: FetchConfig) -> Result<Arc<Self>, FetchError> {
        cfg.validate()?;
        let cfg = Arc::new(cfg);
        let metrics = Arc::new(Metrics::default());
        let guard = Arc::new(Guard::new(cfg.allow_net.clone(), cfg.allow_hosts.clone(), cfg.resolve.clone(), cfg.ports.clone()));
        let dns = Dns::new(&cfg, Arc::clone(&guard), Arc::clone(&metrics));
        let transport = Transport::new(&cfg, guard, dns, Arc::clone(&metrics))?;
        let mut agents = vec![cfg.user_agent_token.clone()];
        agents.extend(cfg.also_agents.iter().cloned());
        Ok(Arc::new(Self {
            sites: Sites::new(Arc::clone(&cfg), transport.clone()),
            hosts: Hosts::new(cfg.host_table_entries, secs(cfg.per_host_delay)),
            memory: Memory::new(&cfg),
            adaptive: Arc::new(Adaptive::new(cfg.min_concurrency, cfg.concurrency)),
            crew: Arc::default(),
            limits: Limits::new(&cfg),
            backoff: Backoff::new(&cfg),
            agents,
            transport,
            metrics,
            cfg,
        }))
    }

    /// Fetches a unit of URLs and sends exactly one [`FetchDone`] for each, in the order in which they end.
    ///
    /// Returns when all have been taken by the receiver: at the latest `budget.time` plus one
    /// `total_timeout` from now, plus the time for which the receiver lets answers wait. Stops at once when the receiver is
    /// dropped. Dropping the future cancels every request of the unit and gives back what they held.
    ///
    /// Call it on a multi-threaded runtime with time and I/O enabled; units may run side by side.
    pub async fn run_unit(self: &Arc<Self>, urls: Vec<FetchItem>, budget: UnitBudget, out: Sender<FetchDone>) {
        Unit::new(self, budget).run(urls, out).await;
    }

    /// Waits until one more unit may begin beside those that are at work: two always may, more where requests would find the
    /// machine at most half busy. Hold the place until the unit has ended. Units that run without one are not counted.
    pub async fn place(&self) -> Place {
        self.crew.place(|| self.adaptive.free() >= self.adaptive.limit().div_ceil(2)).await
    }

    /// The counters of all units so far.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot(self.adaptive.limit(), self.memory.in_flight())
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn config(&self) -> &FetchConfig {
        &self.cfg
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("cfg", &self.cfg).finish_non_exhaustive()
    }
}
