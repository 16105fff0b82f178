//! Names to public addresses: fixed answers, a bounded cache with the TTLs of the answers, one
//! look-up per name at a time, and only addresses that the guard lets through.
//!
//! The cache is what the connector sees, too (`Resolve`), so the address that was judged is the address that is
//! connected to; a name cannot answer twice differently in between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;

use super::cache::FlightCache;
use super::config::{FetchConfig, secs};
use super::guard::{Guard, is_localhost};
use super::metrics::Metrics;
use super::outcome::FetchFailure;

/// How long a failed look-up is not tried again.
const TRANSIENT_TTL: Duration = Duration::from_secs(5);
/// More addresses than this of one answer are not looked at.
const MAX_ADDRESSES: usize = 16;

/// Why a name has no usable address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DnsError {
    #[error("`{0}` does not exist")]
    NotFound(String),
    #[error("looking up `{0}` failed: {1}")]
    Transient(String, String),
    #[error("`{0}` leads to no public address ({1})")]
    Blocked(String, String),
    #[error("no dns resolver: {0}; set `nameservers`")]
    NoResolver(String),
}

impl DnsError {
    pub(crate) fn failure(&self) -> FetchFailure {
        let code = match self {
            Self::NotFound(_) => "dns_not_found",
            Self::Transient(..) => "dns_transient",
            Self::Blocked(..) => "blocked_address",
            Self::NoResolver(_) => "dns_no_resolver",
        };
        FetchFailure::new(code, self.to_string())
    }
}

pub(crate) type Answer = Result<Arc<[IpAddr]>, DnsError>;

/// The process's resolver.
#[derive(Clone)]
pub(crate) struct Dns {
    inner: Arc<Inner>,
}

struct Inner {
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    cache: FlightCache<Answer>,
    backend: Backend,
    timeout: Duration,
    min_ttl: Duration,
    max_ttl: Duration,
    negative_ttl: Duration,
}

#[derive(Clone)]
enum Backend {
    Hickory(Arc<TokioResolver>),
    Missing(String),
}

impl Dns {
    pub(crate) fn new(cfg: &FetchConfig, guard: Arc<Guard>, metrics: Arc<Metrics>) -> Self {
        Self {
            inner: Arc::new(Inner {
                guard,
                metrics,
                cache: FlightCache::new(cfg.dns_cache_entries),
                backend: backend(cfg),
                timeout: secs(cfg.dns_timeout),
                min_ttl: secs(cfg.dns_min_ttl),
                max_ttl: secs(cfg.dns_max_ttl).max(secs(cfg.dns_min_ttl)),
                negative_ttl: secs(cfg.dns_negative_ttl),
            }),
        }
    }

    /// The public addresses of `host`, at most 16, never empty.
    pub(crate) async fn lookup(&self, host: &str) -> Answer {
        let host = host.trim_end_matches('.');
        let mut fixed = self.inner.guard.fixed(host).peekable();
        if fixed.peek().is_some() {
            return self.inner.judge(host, fixed);
        }
        if is_localhost(host) {
            return self.inner.judge(host, std::iter::once(Ipv4Addr::LOCALHOST.into()));
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.inner.judge(host, std::iter::once(ip));
        }
        let now = Instant::now();
        if let Some(answer) = self.inner.cache.get(host, now) {
            Metrics::add(&self.inner.metrics.dns_cache_hits, 1);
            return answer;
        }
        let inner = Arc::clone(&self.inner);
        let name = host.to_owned();
        self.inner.cache.get_or_ask(host, now, move |_| async move { inner.ask(&name).await }).await
    }
}

impl Inner {
    async fn ask(&self, host: &str) -> (Answer, Duration) {
        Metrics::add(&self.metrics.dns_lookups, 1);
        let resolver = match &self.backend {
            Backend::Hickory(resolver) => resolver,
            Backend::Missing(why) => {
                return (Err(DnsError::NoResolver(why.clone())), TRANSIENT_TTL);
            }
        };
        // The dot keeps the search list of resolv.conf out of it.
        let looked_up = tokio::time::timeout(self.timeout, resolver.lookup_ip(format!("{host}."))).await;
        match looked_up {
            Err(_) => (Err(DnsError::Transient(host.to_owned(), "timed out".to_owned())), TRANSIENT_TTL),
            Ok(Ok(found)) => {
                let left = found.valid_until().saturating_duration_since(Instant::now());
                (self.judge(host, found.iter()), left.clamp(self.min_ttl, self.max_ttl))
            }
            Ok(Err(error)) => self.classify(host, &error),
        }
    }

    fn classify(&self, host: &str, error: &NetError) -> (Answer, Duration) {
        if let NetError::Dns(HickoryDnsError::NoRecordsFound(none)) = error
            && matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
        {
            let ttl = none.negative_ttl.map_or(self.negative_ttl, |s| Duration::from_secs(s.into()));
            return (Err(DnsError::NotFound(host.to_owned())), ttl.clamp(self.min_ttl.min(self.negative_ttl), self.negative_ttl));
        }
        if matches!(error, NetError::Dns(HickoryDnsError::ResponseCode(ResponseCode::NXDomain))) {
            return (Err(DnsError::NotFound(host.to_owned())), self.negative_ttl);
        }
        (Err(DnsError::Transient(host.to_owned(), error.to_string())), TRANSIENT_TTL)
    }

    /// Keeps the addresses that may be contacted. Of a mixed answer only the public ones are used.
    fn judge(&self, host: &str, found: impl Iterator<Item = IpAddr>) -> Answer {
        let mut refused = None;
        let mut good: Vec<IpAddr> = Vec::new();
        for ip in found.take(MAX_ADDRESSES) {
            match self.guard.check_ip(ip) {
                Ok(()) => good.push(ip),
                Err(why) => refused = Some(why),
            }
        }
        if good.is_empty() {
            return match refused {
                Some(why) => {
                    Metrics::add(&self.metrics.guard_blocked, 1);
                    Err(DnsError::Blocked(host.to_owned(), why.to_string()))
                }
                None => Err(DnsError::NotFound(host.to_owned())),
            };
        }
        Ok(good.into())
    }
}

impl reqwest::dns::Resolve for Dns {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let this = self.clone();
        Box::pin(async move {
            let answer = this.lookup(name.as_str()).await?;
            let addrs: Vec<SocketAddr> = answer.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addrs.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

fn backend(cfg: &FetchConfig) -> Backend {
    let (config, mut opts) = if cfg.nameservers.is_empty() {
        match hickory_resolver::system_conf::read_system_conf() {
            Ok((config, opts)) => {
                let (_, _, servers) = config.into_parts();
                if servers.is_empty() {
                    return Backend::Missing("the system names no dns server".to_owned());
                }
                (ResolverConfig::from_parts(None, Vec::new(), servers), opts)
            }
            Err(error) => {
                return Backend::Missing(format!("the system's dns settings cannot be read: {error}"));
            }
        }
    } else {
        let servers = cfg
            .nameservers
            .iter()
            .filter_map(|text| parse_nameserver(text))
            .map(|addr| {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                (udp.port, tcp.port) = (addr.port(), addr.port());
                NameServerConfig::new(addr.ip(), true, vec![udp, tcp])
            })
            .collect();
        (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
    };
    // One question per name, a second one only where there is no IPv4 address: half the load.
    opts.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    // The cache is ours, because it is shared with the guard and bounded with the rest.
    opts.cache_size = 0;
    opts.use_hosts_file = ResolveHosts::Never;
    opts.attempts = 2;
    opts.timeout = secs(cfg.dns_timeout / 2.5);
    opts.edns0 = true;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = opts;
    match builder.build() {
        Ok(resolver) => Backend::Hickory(Arc::new(resolver)),
        Err(error) => Backend::Missing(error.to_string()),
    }
}

/// `ip` or `ip:port`, port 53 where none is given.
pub(crate) fn parse_nameserver(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
}
