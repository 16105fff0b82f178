//! Parts of an address.

use url::{Host, Url};

use super::parse_http;

/// The host of an `http` or `https` URL: a lower-case name in ASCII (Punycode), or an IP address, IPv6 in brackets.
pub fn host(url: &str) -> Option<String> {
    parse_http(url)?.host_str().map(Into::into)
}

/// The registered domain of an `http` or `https` URL: the public suffix and one label (`bbc.co.uk`).
///
/// By the Public Suffix List, its private part included, so that `a.github.io` and `b.github.io` are two. Nothing for
/// IP addresses, and for hosts that are a public suffix themselves.
pub fn domain(url: &str) -> Option<String> {
    let url = parse_http(url)?;
    psl::domain_str(name(&url)?).map(Into::into)
}

/// The last label of the host of an `http` or `https` URL (`uk` of `www.bbc.co.uk`); nothing for IP addresses.
pub fn tld(url: &str) -> Option<String> {
    let url = parse_http(url)?;
    let label = name(&url)?.rsplit('.').next()?;
    (!label.is_empty()).then(|| label.into())
}

/// The name of the host without a dot at its end; nothing for IP addresses.
pub(super) fn name(url: &Url) -> Option<&str> {
    match url.host()? {
        Host::Domain(name) => Some(name.strip_suffix('.').unwrap_or(name)),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// The file extension in the path of an `http` or `https` URL: 1 to 8 ASCII letters and digits after the last dot of
/// the last segment, in lower case (`jpg`).
pub fn url_ext(url: &str) -> Option<String> {
    const LONGEST: usize = 8;
    let url = parse_http(url)?;
    let segment = url.path().rsplit('/').next()?;
    let (stem, ext) = segment.rsplit_once('.')?;
    let plain = (1..=LONGEST).contains(&ext.len()) && ext.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then(|| ext.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_domains_and_tlds_are_split_by_the_public_suffix_list() {
        for (url, want_host, want_domain, want_tld) in [
            ("https://WWW.BBC.co.uk/x", Some("www.bbc.co.uk"), Some("bbc.co.uk"), Some("uk")),
            ("https://a.b.example.com./", Some("a.b.example.com."), Some("example.com"), Some("com")),
            ("http://foo.github.io/", Some("foo.github.io"), Some("foo.github.io"), Some("io")),
            ("http://github.io/", Some("github.io"), None, Some("io")),
            ("http://www.食狮.公司.cn/", Some("www.xn--85x722f.xn--55qx5d.cn"), Some("xn--85x722f.xn--55qx5d.cn"), Some("cn")),
            ("http://127.1:80/", Some("127.0.0.1"), None, None),
            ("http://[2001:DB8::1]/", Some("[2001:db8::1]"), None, None),
            ("http://localhost/", Some("localhost"), None, Some("localhost")),
            ("ftp://example.com/", None, None, None),
            ("example.com", None, None, None),
        ] {
            assert_eq!(host(url).as_deref(), want_host, "{url}");
            assert_eq!(domain(url).as_deref(), want_domain, "{url}");
            assert_eq!(tld(url).as_deref(), want_tld, "{url}");
        }
    }

    #[test]
    fn extensions_are_those_of_the_last_segment() {
        for (url, want) in [
            ("http://a.example/x/Photo.JPG?w=1.png#f.gif", Some("jpg")),
            ("http://a.example/a.tar.gz", Some("gz")),
            ("http://a.example/v1.2/photo", None),
            ("http://a.example/.htaccess", None),
            ("http://a.example/photo.", None),
            ("http://a.example/photo.jpg%20", None),
            ("http://a.example/photo.jpg:large", None),
            ("http://a.com", None),
        ] {
            assert_eq!(url_ext(url).as_deref(), want, "{url}");
        }
    }
}
