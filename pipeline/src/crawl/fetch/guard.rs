//! The wall around private networks: which URLs, names, ports and addresses may be contacted.
//!
//! The tables follow the IANA IPv4 and IPv6 Special-Purpose Address Registries, the IANA
//! Special-Use Domain Names and the WHATWG Fetch list of bad ports. A name is judged twice: by itself here, and by
//! every address that it resolves to, at the moment of connecting (see `dns`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

mod tables;

use tables::{BAD_PORTS, SPECIAL_NAMES, V4, V6};

/// A range of addresses, written `10.0.0.0/8`, `fd00::/8` or as a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    addr: IpAddr,
    prefix: u8,
}

/// A text that is not a [`Cidr`], a [`NamePattern`] or a [`ResolveOverride`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct PatternError {
    /// The text.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Cidr {
    /// Whether `ip` is in the range. A v4-mapped IPv6 address counts as the IPv4 address in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => v4_in(ip, net, self.prefix),
            (IpAddr::V6(net), IpAddr::V6(ip)) => v6_in(ip, net, self.prefix),
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || PatternError { text: text.to_owned(), expected: "an address range such as `10.0.0.0/8`" };
        let (addr, prefix) = match text.trim().split_once('/') {
            Some((a, p)) => (a, Some(p)),
            None => (text.trim(), None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| bad())?;
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(p) => p.parse::<u8>().ok().filter(|p| *p <= bits).ok_or_else(bad)?,
            None => bits,
        };
        Ok(Self { addr, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

impl TryFrom<String> for Cidr {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(value: Cidr) -> Self {
        value.to_string()
    }
}

/// A host name, or `*.suffix` for every name below `suffix` (and `suffix` itself).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern {
    name: String,
    below: bool,
}

impl NamePattern {
    /// Whether `host` (lower case, no trailing dot) is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        host == self.name || (self.below && is_below(host, &self.name))
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, below) = match text.trim().strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text.trim(), false),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return Err(PatternError { text: text.to_owned(), expected: "a host name or `*.suffix`" });
        }
        Ok(Self { name, below })
    }
}

impl TryFrom<String> for NamePattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(value: NamePattern) -> Self {
        if value.below { format!("*.{}", value.name) } else { value.name }
    }
}

/// A fixed DNS answer, written `name=ip` or `*.suffix=ip`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResolveOverride {
    /// Which names.
    pub pattern: NamePattern,
    /// The answer.
    pub addr: IpAddr,
}

impl FromStr for ResolveOverride {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || PatternError { text: text.to_owned(), expected: "`name=ip` or `*.suffix=ip`" };
        let (pattern, addr) = text.split_once('=').ok_or_else(bad)?;
        Ok(Self { pattern: pattern.parse().map_err(|_| bad())?, addr: addr.trim().parse().map_err(|_| bad())? })
    }
}

impl TryFrom<String> for ResolveOverride {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ResolveOverride> for String {
    fn from(value: ResolveOverride) -> Self {
        format!("{}={}", String::from(value.pattern), value.addr)
    }
}

/// Why the guard said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Blocked {
    /// Only http and https are fetched.
    #[error("scheme `{0}` is not fetched")]
    Scheme(String),
    /// The URL has no host.
    #[error("the url has no host")]
    NoHost,
    /// A port that belongs to another protocol.
    #[error("port {0} is not fetched from")]
    Port(u16),
    /// A special-use or single-label name.
    #[error("`{0}` is not a public name")]
    Name(String),
    /// An address that is not public.
    #[error("{0} is not a public address ({1})")]
    Address(IpAddr, &'static str),
}

impl Blocked {
    /// The stable code of the failure: `blocked_scheme`, `blocked_port` or `blocked_address`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "blocked_scheme",
            Self::Port(_) => "blocked_port",
            Self::NoHost => "invalid_url",
            Self::Name(_) | Self::Address(..) => "blocked_address",
        }
    }
}

/// Decides what may be contacted. Cheap; checked for every URL, every hop and every address.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow_net: Vec<Cidr>,
    allow_hosts: Vec<NamePattern>,
    overrides: Vec<ResolveOverride>,
    ports: Vec<u16>,
}

impl Guard {
    /// A guard with the given openings (see the fields of the same names of
    /// [`FetchConfig`](super::FetchConfig)).
    #[must_use]
    pub fn new(allow_net: Vec<Cidr>, allow_hosts: Vec<NamePattern>, overrides: Vec<ResolveOverride>, ports: Vec<u16>) -> Self {
        Self { allow_net, allow_hosts, overrides, ports }
    }

    /// Checks all that can be known of a URL without resolving its name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_url(&self, url: &Url) -> Result<(), Blocked> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Blocked::Scheme(url.scheme().to_owned()));
        }
        let host = url.host().ok_or(Blocked::NoHost)?;
        let port = url.port_or_known_default().unwrap_or(0);
        let open = if self.ports.is_empty() { BAD_PORTS.binary_search(&port).is_err() } else { self.ports.contains(&port) };
        if !open {
            return Err(Blocked::Port(port));
        }
        match host {
            Host::Ipv4(ip) => self.check_ip(ip.into()),
            Host::Ipv6(ip) => self.check_ip(ip.into()),
            Host::Domain(name) => self.check_name(name),
        }
    }

    /// Checks a host name. `localhost` and the names below it are fine where loopback is opened.
    ///
    /// # Errors
    /// [`Blocked::Name`].
    pub fn check_name(&self, name: &str) -> Result<(), Blocked> {
        let host = name.trim_end_matches('.');
        if self.fixed(host).next().is_some() || self.allow_hosts.iter().any(|p| p.matches(host)) {
            return Ok(());
        }
        if is_localhost(host) && self.check_ip(Ipv4Addr::LOCALHOST.into()).is_ok() {
            return Ok(());
        }
        let single = !host.contains('.');
        if host.is_empty() || single || SPECIAL_NAMES.iter().any(|s| host == *s || is_below(host, s)) {
            return Err(Blocked::Name(host.to_owned()));
        }
        Ok(())
    }

    /// Checks one address, with the IPv4 address inside a v4-mapped or NAT64 address judged as itself.
    ///
    /// # Errors
    /// [`Blocked::Address`] with the registry's name of the range.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), Blocked> {
        if self.allow_net.iter().any(|net| net.contains(ip)) {
            return Ok(());
        }
        let reason = match ip {
            IpAddr::V4(v4) => v4_reason(v4),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => v4_reason(v4),
                None => v6_reason(v6),
            },
        };
        match reason {
            Some(reason) => Err(Blocked::Address(ip, reason)),
            None => Ok(()),
        }
    }

    /// The fixed answers for a name, in the order in which they were given.
    pub(crate) fn fixed<'a>(&'a self, host: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.overrides.iter().filter(move |o| o.pattern.matches(host)).map(|o| o.addr)
    }
}

/// RFC 6761: `localhost` and everything below it is loopback and is never asked of a DNS server.
pub(crate) fn is_localhost(host: &str) -> bool {
    host == "localhost" || is_below(host, "localhost")
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

fn v4_in(ip: Ipv4Addr, net: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    (u32::from(ip) ^ u32::from(net)) & mask == 0
}

fn v6_in(ip: Ipv6Addr, net: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    (u128::from(ip) ^ u128::from(net)) & mask == 0
}

fn v4_reason(ip: Ipv4Addr) -> Option<&'static str> {
    V4.iter().find(|(net, prefix, _)| v4_in(ip, *net, *prefix)).map(|(.., why)| *why)
}

fn v6_reason(ip: Ipv6Addr) -> Option<&'static str> {
    // RFC 6052 well-known prefix: on a DNS64 network it stands for a public IPv4 host, so it is as
    // good or bad as the address inside.
    if v6_in(ip, Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96) {
        let [.., a, b, c, d] = ip.octets();
        return v4_reason(Ipv4Addr::new(a, b, c, d));
    }
    // Only 2000::/3 has been given out as global unicast.
    if !v6_in(ip, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) {
        return Some("not global unicast");
    }
    V6.iter().find(|(net, prefix, _)| v6_in(ip, *net, *prefix)).map(|(.., why)| *why)
}
