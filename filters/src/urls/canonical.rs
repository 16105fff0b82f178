//! One spelling for one address.

use url::Url;

use super::parse_http;

/// Query parameters that say where a visitor came from and not what is shown.
const TRACKING: &[&str] = &[
    "gclid",
    "gclsrc",
    "dclid",
    "wbraid",
    "gbraid",
    "fbclid",
    "msclkid",
    "yclid",
    "twclid",
    "ttclid",
    "igshid",
    "igsh",
    "mc_cid",
    "mc_eid",
    "_hsenc",
    "_hsmi",
    "__hssc",
    "__hstc",
    "__hsfp",
    "hsctatracking",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "s_cid",
    "vero_conv",
    "vero_id",
    "wickedid",
    "_openstat",
    "mkt_tok",
    "_ga",
    "_gl",
    "srsltid",
    "epik",
    "li_fat_id",
    "irclickid",
];

/// What [`canonical_url_with`] does beyond parsing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CanonicalOptions {
    /// Drops `utm_*`, `gclid`, `fbclid` and other parameters that only track visitors; the others keep their order
    /// and spelling.
    pub strip_tracking: bool,
}

/// The canonical form of an absolute `http` or `https` URL, nothing for anything else.
///
/// The WHATWG URL parser (url.spec.whatwg.org) lowers scheme and host, turns international hosts into Punycode and
/// odd spellings of IPv4 addresses into the usual one, drops default ports, resolves `.` and `..`, and gives an empty
/// path its `/`. The fragment is dropped. Order and spelling of the query stay, and so do user names. Applied twice,
/// nothing changes.
pub fn canonical_url(url: &str) -> Option<String> {
    canonical_url_with(url, CanonicalOptions::default())
}

/// [`canonical_url`] with options.
pub fn canonical_url_with(url: &str, options: CanonicalOptions) -> Option<String> {
    let mut url = parse_http(url)?;
    url.set_fragment(None);
    if options.strip_tracking {
        drop_tracking(&mut url);
    }
    Some(url.into())
}

/// [`canonical_url`] without tracking parameters; see [`CanonicalOptions::strip_tracking`].
pub fn strip_tracking(url: &str) -> Option<String> {
    canonical_url_with(url, CanonicalOptions { strip_tracking: true })
}

fn drop_tracking(url: &mut Url) {
    let Some(query) = url.query() else { return };
    let is_tracking = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default().to_ascii_lowercase();
        name.starts_with("utm_") || TRACKING.contains(&name.as_str())
    };
    if !query.split('&').any(|part| is_tracking(&part)) {
        return;
    }
    let kept: Vec<&str> = query.split('&').filter(|part| !is_tracking(part)).collect();
    let kept = kept.join("&");
    url.set_query((!kept.is_empty()).then_some(&kept));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_spelling() {
        for (url, want) in [
            ("HTTP://Example.COM", "http://example.com/"),
            ("https://example.com:443/a/../b/./c.jpg#top", "https://example.com/b/c.jpg"),
            ("http://example.com:8080/", "http://example.com:8080/"),
            ("https://bücher.example/ä?q=ü", "https://xn--bcher-kva.example/%C3%A4?q=%C3%BC"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            (" \n https://example.com/a b\t.jpg ", "https://example.com/a%20b.jpg"),
            ("https:\\\\example.com\\a", "https://example.com/a"),
            ("http://a.example/?b=2&a=1&utm_source=x", "http://a.example/?b=2&a=1&utm_source=x"),
        ] {
            assert_eq!(canonical_url(url).as_deref(), Some(want), "{url:?}");
            assert_eq!(canonical_url(want).as_deref(), Some(want));
        }
    }

    #[test]
    fn what_is_not_http_has_none() {
        for url in [
            "",
            "example.com",
            "/a.jpg",
            "//example.com/a",
            "data:image/png;base64,AA==",
            "javascript:alert(1)",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://",
            "http://[::1",
            "http://a b/",
            "https://exa%mple/",
        ] {
            assert_eq!(canonical_url(url), None, "{url:?}");
        }
    }

    #[test]
    fn tracking_parameters_go_when_asked() {
        let strip = |url| strip_tracking(url).unwrap();
        assert_eq!(strip("http://a.example/?utm_source=x&id=1&FBCLID=y&b=%20&gclid"), "http://a.example/?id=1&b=%20");
        assert_eq!(strip("http://a.example/?utm_source=x"), "http://a.example/");
        assert_eq!(strip("http://a.example/?"), "http://a.example/?");
        assert_eq!(strip("http://a.example/?a=1&&b"), "http://a.example/?a=1&&b");
    }
}
