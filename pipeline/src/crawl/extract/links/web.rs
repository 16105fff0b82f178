//! Joining as browsers do (WHATWG URL), with a short way for urls that are in normal form already.

use url::Url;

/// Why a url is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UrlFault {
    Bad,
    Scheme,
}

/// What a byte may be part of without the url parser changing it.
const HOST: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let c = byte as u8;
        let mut class = PATH | QUERY;
        if c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'-' {
            class |= HOST;
        }
        // Left to the parser: what it may escape, cut at or turn around.
        if matches!(c, b'"' | b'#' | b'<' | b'>' | b'?' | b'`' | b'{' | b'}' | b'^' | b'|' | b'\\' | b'[' | b']' | b'\'') {
            class &= !PATH;
        }
        if matches!(c, b'"' | b'#' | b'<' | b'>' | b'\'') {
            class &= !QUERY;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| CLASS[usize::from(*byte)] & class != 0)
}

/// Whether path and query would come out of the parser as they are. The path must begin with a slash.
fn normal_path_and_query(rest: &[u8]) -> bool {
    let (path, query) = match memchr::memchr(b'?', rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &[][..]),
    };
    all(path, PATH) && all(query, QUERY) && !has_dot_segment(path)
}

/// Whether a segment may be `.` or `..`, in any spelling. May say yes too often, for hidden files.
fn has_dot_segment(path: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'/', &path[from..]) {
        from += at + 1;
        match path.get(from) {
            Some(b'.') => return true,
            Some(b'%') if path[from..].len() >= 3 && path[from + 1] == b'2' && matches!(path[from + 2], b'e' | b'E') => {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Whether the host would come out as it is: a lower-case name whose last label begins with a letter, so that it is no
/// IPv4 address in any spelling, and no label of which is punycode or begins or ends with a hyphen.
fn normal_host(host: &[u8]) -> bool {
    if host.is_empty() || host.len() > 253 || !all(host, HOST) || memchr::memmem::find(host, b"--").is_some() {
        return false;
    }
    let last = memchr::memrchr(b'.', host).map_or(host, |dot| &host[dot + 1..]);
    last.first().is_some_and(u8::is_ascii_lowercase) && !host.starts_with(b".") && memchr::memmem::find(host, b"..").is_none()
}

/// Whether an absolute url is in the form that the parser would give it.
pub(crate) fn is_normal(url: &[u8]) -> bool {
    let Some(rest) = url.strip_prefix(b"https://").or_else(|| url.strip_prefix(b"http://")) else {
        return false;
    };
    let Some(slash) = memchr::memchr(b'/', rest) else {
        return false;
    };
    normal_host(&rest[..slash]) && normal_path_and_query(&rest[slash..])
}

/// The url that relative links of a page are joined to.
#[derive(Debug, Default)]
pub(crate) struct Base {
    page: String,
    base: Option<String>,
    parsed: Option<Option<Parsed>>,
}

#[derive(Debug)]
struct Parsed {
    url: Url,
    /// End of scheme, host and port in the serialised url.
    origin: usize,
    /// End of the last slash of the path.
    directory: usize,
    scheme: usize,
    web: bool,
}

impl Base {
    /// Begins a page. `base` is the `href` of its first usable `base` element.
    pub(crate) fn set(&mut self, page: &str, base: Option<&str>) {
        self.page.clear();
        self.page.push_str(page);
        self.base = base.map(str::to_owned);
        self.parsed = None;
    }

    fn parsed(&mut self) -> Option<&Parsed> {
        if self.parsed.is_none() {
            let page = Url::parse(self.page.trim()).ok();
            let url = match self.base.as_deref() {
                Some(href) => {
                    let joined = match &page {
                        Some(page) => page.join(href).ok(),
                        None => Url::parse(href).ok(),
                    };
                    // The HTML standard: a base that cannot be parsed, or is data: or javascript:, is no base.
                    joined.filter(|url| !matches!(url.scheme(), "data" | "javascript")).or(page)
                }
                None => page,
            };
            self.parsed = Some(url.map(|url| {
                let text = url.as_str();
                let scheme = url.scheme().len();
                let web = matches!(url.scheme(), "http" | "https");
                let origin = if web { text[scheme + 3..].find('/').map_or(text.len(), |at| scheme + 3 + at) } else { text.len() };
                let path_end = text[origin..].find(['?', '#']).map_or(text.len(), |at| origin + at);
                let directory = text[..path_end].rfind('/').map_or(path_end, |at| at + 1).max(origin);
                Parsed { origin, directory, scheme, web, url }
            }));
        }
        self.parsed.as_ref().and_then(Option::as_ref)
    }

    /// Joins `link` and writes the absolute `http` or `https` url to `out`.
    pub(crate) fn join(&mut self, link: &str, out: &mut String) -> Result<(), UrlFault> {
        out.clear();
        let link = link.trim_matches(|c: char| c <= ' ');
        let bytes = link.as_bytes();
        if is_normal(bytes) {
            out.push_str(link);
            return Ok(());
        }
        if bytes.len() > 5 && bytes[..5].eq_ignore_ascii_case(b"data:") {
            return Err(UrlFault::Scheme);
        }
        let Some(parsed) = self.parsed() else {
            return slow(Url::parse(link), out);
        };
        if parsed.web {
            let text = parsed.url.as_str();
            match bytes {
                [b'/', b'/', rest @ ..] => {
                    let slash = memchr::memchr(b'/', rest).unwrap_or(0);
                    if slash > 0 && normal_host(&rest[..slash]) && normal_path_and_query(&rest[slash..]) {
                        out.push_str(&text[..=parsed.scheme]);
                        out.push_str(link);
                        return Ok(());
                    }
                }
                [b'/', ..] if normal_path_and_query(bytes) => {
                    out.push_str(&text[..parsed.origin]);
                    out.push_str(link);
                    return Ok(());
                }
                [b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_', ..]
                    if !bytes.contains(&b':') && normal_path_and_query(bytes) && text[..parsed.directory].ends_with('/') =>
                {
                    out.push_str(&text[..parsed.directory]);
                    out.push_str(link);
                    return Ok(());
                }
                _ => {}
            }
        }
        slow(parsed.url.join(link), out)
    }
}

fn slow(parsed: Result<Url, url::ParseError>, out: &mut String) -> Result<(), UrlFault> {
    let url = parsed.map_err(|_| UrlFault::Bad)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlFault::Scheme);
    }
    out.push_str(url.as_str());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(page: &str, link: &str) {
        let mut base = Base::default();
        base.set(page, None);
        let mut out = String::new();
        let ours = base.join(link, &mut out);
        let theirs = Url::parse(page).and_then(|page| page.join(link));
        match theirs {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                assert_eq!((ours, out.as_str()), (Ok(()), url.as_str()), "{page} + {link:?}")
            }
            Ok(_) => assert_eq!(ours, Err(UrlFault::Scheme), "{page} + {link:?}"),
            Err(_) => assert!(ours.is_err(), "{page} + {link:?}"),
        }
    }

    #[test]
    fn the_short_way_gives_what_the_parser_gives() {
        let pages = ["http://example.com/a/b/c?d#e", "https://user@example.com:8080/x", "http://1.2.3.4/", "https://example.org"];
        let links = [
            "x.jpg",
            "/x.jpg",
            "//h.example/x.jpg",
            "../x.jpg",
            "./x",
            ".x",
            "a/../b",
            "a/%2e%2e/b",
            "a b.jpg",
            "HTTP://A.b/C",
            "http://A.b/C",
            "http://a.b",
            "http://a.b/",
            "http://a.b/x?y=z'",
            "http://1.2.3/",
            "http://0x7f.1/",
            "http://a.1/",
            "http://a.b:80/x",
            "http://a.b:81/x",
            "http://u@a.b/x",
            "?q",
            "#f",
            "",
            "x#f",
            "x?y#f",
            "data:image/png,x",
            "javascript:x",
            "mailto:a@b",
            "c:d",
            "http:x",
            "http:/x",
            "http:///x",
            "http://xn--a/",
            "http://a--b.c/x",
            "http://a..b/x",
            "http://a./x",
            "http://.a/x",
            "http://-a.b/x",
            "///x/y",
            "//",
            "//x",
            "/\\x",
            "x|y",
            "x^y",
            "x{y}",
            "x[1]",
            "/a//b",
            "/a/./b",
            "/a/.hidden",
            "/a/%2E/b",
            "/a/%2fb",
            "/a%zz",
            "/é",
            "http://é.com/x",
            "/x?é",
            "/x?a|b`^{}",
            "/x?a[]=1",
            "/x'y",
            "a\tb",
        ];
        for page in pages {
            for link in links {
                check(page, link);
            }
        }
    }

    proptest! {
        #[test]
        fn any_link_is_joined_as_the_parser_joins_it(link in "[ -~]{0,24}") {
            check("https://example.com/a/b?c", &link);
        }

        #[test]
        fn any_link_like_text_is_joined_as_the_parser_joins_it(link in "(http:|https:)?/{0,3}[a-c0-9.%2eE/?:@#-]{0,20}") {
            check("http://example.com/a/b?c", &link);
        }
    }
}
