//! Block lists of hosts and addresses.

mod load;

pub use load::{BlockListBuilder, BlockListError, OnBadLine};

use url::{Host, Url};

use super::parse_http;
use super::string_set::StringSet;

/// Which list a URL is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked<'a> {
    /// Its host, or a domain above it, is on the list of this name.
    Host(&'a str),
    /// It begins with an address on the list of this name.
    Url(&'a str),
}

impl<'a> Blocked<'a> {
    /// The name of the list.
    pub fn list(self) -> &'a str {
        match self {
            Self::Host(list) | Self::Url(list) => list,
        }
    }
}

/// Hosts and URL prefixes that are not to be fetched or kept.
///
/// Reads the layout of the UT1 lists of Université Toulouse Capitole (a folder per category with the files `domains`
/// and `urls`), plain lists of hosts, and hosts files (`0.0.0.0 ads.example`). `#` begins a comment. A host entry
/// covers the host and all below it, on label boundaries: `example.com` covers `a.example.com` and not
/// `notexample.com`. A URL entry covers the same host with or without `www.`, whatever the scheme and port, from a
/// path boundary on: `example.com/ads` covers `/ads`, `/ads/1.jpg` and `/ads?x` and not `/adsense`. A URL entry without
/// a path covers that host, and not what is below it.
///
/// A look-up hashes each domain suffix and each path prefix once, however long the lists are.
#[derive(Debug, Default)]
pub struct BlockList {
    lists: Vec<String>,
    hosts: StringSet,
    urls: StringSet,
    skipped: u64,
}

impl BlockList {
    /// Which list `url` is on, if any; what is no `http` or `https` URL is on none.
    pub fn check(&self, url: &str) -> Option<Blocked<'_>> {
        self.check_parsed(&parse_http(url)?)
    }

    /// [`check`](Self::check) of a URL that is parsed already.
    pub fn check_parsed(&self, url: &Url) -> Option<Blocked<'_>> {
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(list) = self.host_on(host, matches!(url.host(), Some(Host::Domain(_)))) {
            return Some(Blocked::Host(list));
        }
        self.url_on(host, url).map(Blocked::Url)
    }

    /// How many hosts and URL prefixes there are.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.urls.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bad lines were left out; see [`OnBadLine::Skip`].
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn host_on(&self, host: &str, is_name: bool) -> Option<&str> {
        let mut rest = host;
        loop {
            if let Some(list) = self.hosts.get(rest.as_bytes()) {
                return Some(&self.lists[usize::from(list)]);
            }
            // An address has no domains above it.
            match rest.split_once('.') {
                Some((_, above)) if is_name => rest = above,
                _ => return None,
            }
        }
    }

    fn url_on(&self, host: &str, url: &Url) -> Option<&str> {
        if self.urls.len() == 0 {
            return None;
        }
        let mut key = String::from(without_www(host));
        let path_at = key.len();
        key.push_str(url.path());
        if let Some(query) = url.query() {
            key.push('?');
            key.push_str(query);
        }
        let boundaries = key.bytes().enumerate().skip(path_at).filter(|(_, b)| matches!(b, b'/' | b'?' | b'&'));
        // Longest first would name the most exact list; shortest first ends sooner, and blocked is blocked.
        boundaries
            .map(|(i, _)| i)
            .chain([key.len()])
            .find_map(|end| self.urls.get(&key.as_bytes()[..end]))
            .map(|list| self.lists[usize::from(list)].as_str())
    }
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

#[cfg(test)]
mod tests;
