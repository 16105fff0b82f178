//! Path patterns with `*` and `$`, matched in time that does not explode.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;

/// How percent-encoding is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// RFC 9309 §2.2.2: encoded unreserved characters are decoded and non-ASCII octets encoded, on both sides.
    #[default]
    Rfc9309,
    /// Google's library: the path is taken as it is, only patterns get their non-ASCII octets encoded.
    AsWritten,
}

/// A path pattern of robots.txt, ai.txt or tdmrep.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The text between the stars.
    parts: Box<[Box<[u8]>]>,
    anchored: bool,
    len: u32,
}

impl Pattern {
    pub(crate) fn new(text: &[u8], matching: Matching) -> Self {
        let text = normalise(text, matching);
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let (body, anchored) = match text.strip_suffix(b"$") {
            Some(body) => (body, true),
            None => (text.as_ref(), false),
        };
        let mut parts: Vec<Box<[u8]>> = Vec::new();
        let pieces: Vec<&[u8]> = body.split(|b| *b == b'*').collect();
        let last = pieces.len() - 1;
        for (i, piece) in pieces.iter().enumerate() {
            // Neighbouring stars are one star.
            if i == 0 || i == last || !piece.is_empty() {
                parts.push((*piece).into());
            }
        }
        Self { parts: parts.into(), anchored, len }
    }

    /// Length of the pattern in octets: its priority.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether the pattern matches the beginning of `path`, or all of it when it ends in `$`.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let Some((head, rest)) = self.parts.split_first() else {
            return true;
        };
        let Some(mut path) = path.strip_prefix(head.as_ref()) else {
            return false;
        };
        let Some((tail, middle)) = rest.split_last() else {
            return !self.anchored || path.is_empty();
        };
        // Taking each part as early as it comes never spoils a later one.
        for part in middle {
            match memmem::find(path, part) {
                Some(at) => path = &path[at + part.len()..],
                None => return false,
            }
        }
        if self.anchored { path.ends_with(tail) } else { tail.is_empty() || memmem::find(path, tail).is_some() }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                f.write_str("*")?;
            }
            f.write_str(&String::from_utf8_lossy(part))?;
        }
        if self.anchored { f.write_str("$") } else { Ok(()) }
    }
}

/// Brings percent-encoding into one form.
pub(super) fn normalise(text: &[u8], matching: Matching) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| *b >= 0x80 || *b == b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte >= 0x80 {
            push_encoded(&mut out, byte);
            continue;
        }
        let pair = text.get(at).zip(text.get(at + 1));
        if byte == b'%'
            && let Some((high, low)) = pair.and_then(|(h, l)| hex(*h).zip(hex(*l)))
        {
            at += 2;
            let decoded = high << 4 | low;
            let unreserved = decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded);
            if matching == Matching::Rfc9309 && unreserved {
                out.push(decoded);
            } else {
                push_encoded(&mut out, decoded);
            }
            continue;
        }
        out.push(byte);
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// The path and query of a URL text, from its first slash after the host on and without the fragment; `/`
/// where there is none. Google's rules: the text need not be a valid URL.
#[must_use]
pub fn path_of(url: &str) -> Cow<'_, str> {
    let search_from = if let Some(rest) = url.strip_prefix("//") { url.len() - rest.len() } else { url.find("://").map_or(0, |at| at + 3) };
    let end = url[search_from..].find('#').map_or(url.len(), |at| search_from + at);
    let text = &url[..end];
    match text[search_from.min(end)..].find(['/', '?', ';']) {
        Some(at) => {
            let path = &text[search_from + at..];
            if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) }
        }
        None => Cow::Borrowed("/"),
    }
}
