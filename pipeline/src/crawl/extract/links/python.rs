//! `urllib.parse.urljoin` of CPython 3.11, for rows that equal cc2dataset's. Not how browsers join; see `web` for that.

use std::net::{Ipv4Addr, Ipv6Addr};

const RELATIVE: [&str; 20] = [
    "", "ftp", "http", "gopher", "nntp", "imap", "wais", "file", "https", "shttp", "mms", "prospero", "rtsp", "rtsps", "rtspu", "sftp",
    "svn", "svn+ssh", "ws", "wss",
];
const NETLOC: [&str; 26] = [
    "", "ftp", "http", "gopher", "nntp", "telnet", "imap", "wais", "file", "mms", "https", "shttp", "snews", "prospero", "rtsp", "rtsps",
    "rtspu", "rsync", "svn", "svn+ssh", "sftp", "nfs", "git", "git+ssh", "ws", "wss",
];
const PARAMS: [&str; 16] =
    ["", "ftp", "hdl", "prospero", "http", "imap", "https", "shttp", "rtsp", "rtsps", "rtspu", "sip", "sips", "mms", "sftp", "tel"];

/// Characters whose compatibility form (NFKC) holds one of `/?#@:`; Python refuses them in the host.
const SPLITTING: [char; 19] = [
    '\u{2047}', '\u{2048}', '\u{2049}', '\u{2100}', '\u{2101}', '\u{2105}', '\u{2106}', '\u{2a74}', '\u{fe13}', '\u{fe16}', '\u{fe55}',
    '\u{fe56}', '\u{fe5f}', '\u{fe6b}', '\u{ff03}', '\u{ff0f}', '\u{ff1a}', '\u{ff1f}', '\u{ff20}',
];

/// Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PythonValueError;

#[derive(Debug, Default)]
struct Split {
    scheme: String,
    netloc: String,
    path: String,
    params: String,
    query: String,
    fragment: String,
}

/// `urljoin(base, url)`. `Err` where Python raises `ValueError`.
///
/// # Errors
/// Unbalanced brackets or no IPv6 address between them, and hosts with characters that stand for delimiters.
pub fn python_urljoin(base: &str, url: &str) -> Result<String, PythonValueError> {
    if base.is_empty() {
        return Ok(url.to_owned());
    }
    if url.is_empty() {
        return Ok(base.to_owned());
    }
    let base = urlparse(base, "")?;
    let mut split = urlparse(url, &base.scheme)?;
    if split.scheme != base.scheme || !RELATIVE.contains(&split.scheme.as_str()) {
        return Ok(url.to_owned());
    }
    if NETLOC.contains(&split.scheme.as_str()) {
        if !split.netloc.is_empty() {
            return Ok(unparse(&split));
        }
        split.netloc = base.netloc;
    }
    if split.path.is_empty() && split.params.is_empty() {
        split.path = base.path;
        split.params = base.params;
        if split.query.is_empty() {
            split.query = base.query;
        }
        return Ok(unparse(&split));
    }
    let path = std::mem::take(&mut split.path);
    let mut segments: Vec<&str>;
    if path.starts_with('/') {
        segments = path.split('/').collect();
    } else {
        segments = base.path.split('/').collect();
        if segments.last().is_some_and(|last| !last.is_empty()) {
            segments.pop();
        }
        segments.extend(path.split('/'));
        // Empty segments between the first and the last would be slashes too many.
        let last = segments.len() - 1;
        let mut at = 0;
        segments.retain(|segment| {
            let keep = at == 0 || at == last || !segment.is_empty();
            at += 1;
            keep
        });
    }
    let mut resolved: Vec<&str> = Vec::with_capacity(segments.len());
    for segment in &segments {
        match *segment {
            ".." => {
                resolved.pop();
            }
            "." => {}
            other => resolved.push(other),
        }
    }
    if matches!(segments.last(), Some(&"." | &"..")) {
        resolved.push("");
    }
    split.path = resolved.join("/");
    if split.path.is_empty() {
        split.path.push('/');
    }
    Ok(unparse(&split))
}

/// cc2dataset's `make_link_absolute`: urls that begin with `http://` or `https://` stay, others are joined, and where
/// joining fails the url stays as well.
pub fn python_urljoin_or_same(base: &str, url: &str) -> String {
    if url.starts_with("http://") || url.starts_with("https://") {
        return url.to_owned();
    }
    python_urljoin(base, url).unwrap_or_else(|_| url.to_owned())
}

fn urlparse(url: &str, scheme: &str) -> Result<Split, PythonValueError> {
    let mut split = urlsplit(url, scheme)?;
    if PARAMS.contains(&split.scheme.as_str()) && split.path.contains(';') {
        let from = split.path.rfind('/').unwrap_or(0);
        if let Some(at) = split.path[from..].find(';') {
            split.params = split.path[from + at + 1..].to_owned();
            split.path.truncate(from + at);
        }
    }
    Ok(split)
}

fn urlsplit(url: &str, scheme: &str) -> Result<Split, PythonValueError> {
    let url = url.trim_start_matches(|c: char| c <= ' ');
    let owned: String;
    let mut url = if url.contains(['\t', '\r', '\n']) {
        owned = url.replace(['\t', '\r', '\n'], "");
        owned.as_str()
    } else {
        url
    };
    let mut split = Split { scheme: scheme.to_owned(), ..Split::default() };
    if let Some(colon) = url.find(':')
        && colon > 0
        && url.as_bytes()[0].is_ascii_alphabetic()
        && url.as_bytes()[..colon].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    {
        split.scheme = url[..colon].to_ascii_lowercase();
        url = &url[colon + 1..];
    }
    if let Some(rest) = url.strip_prefix("//") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        split.netloc = rest[..end].to_owned();
        url = &rest[end..];
        check_brackets(&split.netloc)?;
    }
    if let Some((before, fragment)) = url.split_once('#') {
        split.fragment = fragment.to_owned();
        url = before;
    }
    if let Some((before, query)) = url.split_once('?') {
        split.query = query.to_owned();
        url = before;
    }
    if split.netloc.contains(SPLITTING) {
        return Err(PythonValueError);
    }
    split.path = url.to_owned();
    Ok(split)
}

fn check_brackets(netloc: &str) -> Result<(), PythonValueError> {
    if netloc.contains('[') != netloc.contains(']') {
        return Err(PythonValueError);
    }
    let Some((_, rest)) = netloc.split_once('[') else {
        return Ok(());
    };
    let host = rest.split_once(']').map_or(rest, |(host, _)| host);
    let sound = match host.strip_prefix('v') {
        Some(future) => future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty() && version.bytes().all(|b| b.is_ascii_hexdigit()) && !address.is_empty() && !address.contains('\n')
        }),
        None => is_python_ipv6(host),
    };
    if sound { Ok(()) } else { Err(PythonValueError) }
}

/// `ipaddress.ip_address` gives an IPv6 address: with a scope after `%` too.
fn is_python_ipv6(host: &str) -> bool {
    if host.parse::<Ipv4Addr>().is_ok() {
        return false;
    }
    match host.split_once('%') {
        Some((address, scope)) => !scope.is_empty() && !scope.contains('%') && address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv6Addr>().is_ok(),
    }
}

fn unparse(split: &Split) -> String {
    let mut path = split.path.clone();
    if !split.params.is_empty() {
        path.push(';');
        path.push_str(&split.params);
    }
    let scheme = split.scheme.as_str();
    let mut out = String::with_capacity(scheme.len() + split.netloc.len() + path.len() + split.query.len() + split.fragment.len() + 6);
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push(':');
    }
    if !split.netloc.is_empty() || (!scheme.is_empty() && NETLOC.contains(&scheme) && !path.starts_with("//")) {
        out.push_str("//");
        out.push_str(&split.netloc);
        if !path.is_empty() && !path.starts_with('/') {
            out.push('/');
        }
    }
    out.push_str(&path);
    if !split.query.is_empty() {
        out.push('?');
        out.push_str(&split.query);
    }
    if !split.fragment.is_empty() {
        out.push('#');
        out.push_str(&split.fragment);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Right-hand sides: CPython 3.11.7, `urllib.parse.urljoin`.
    #[test]
    fn joins_as_cpython_does() {
        let base = "http://a/b/c/d;p?q";
        for (url, joined) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../../../g", "http://a/g"),
            ("http:g", "http://a/b/c/g"),
            ("HTTP://X/y", "http://X/y"),
            ("a//b", "http://a/b/c/a/b"),
            ("/a//b", "http://a/a//b"),
            ("x?", "http://a/b/c/x"),
            (" x ", "http://a/b/c/x "),
        ] {
            assert_eq!(python_urljoin(base, url).as_deref(), Ok(joined), "{url:?}");
        }
        assert_eq!(python_urljoin(base, "//[x"), Err(PythonValueError));
        assert_eq!(python_urljoin(base, "//a\u{ff0f}b"), Err(PythonValueError));
        assert_eq!(python_urljoin("", "x").as_deref(), Ok("x"));
    }
}
