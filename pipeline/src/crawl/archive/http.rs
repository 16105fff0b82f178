//! The HTTP response inside a record.

use std::borrow::Cow;

use super::body;
use super::lines::{block_len, field, fields, text};

/// A response as archived. Nothing is decoded yet.
#[derive(Debug, Clone, Copy)]
pub struct HttpResponse<'a> {
    /// Status code, 0 to 999.
    pub status: u16,
    head: &'a [u8],
    /// The body as archived: maybe chunked, maybe compressed, and maybe neither although the headers say so.
    pub raw_body: &'a [u8],
}

/// Why a body could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Larger than the limit once decoded.
    #[error("the decoded body is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More content codings on top of each other than anyone uses in earnest.
    #[error("more than {limit} content codings")]
    TooManyCodings {
        /// The limit.
        limit: usize,
    },
}

impl<'a> HttpResponse<'a> {
    /// The first header of that name, without regard to case.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        field(self.head, name).map(text)
    }

    /// All headers of that name.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        fields(self.head).filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| text(value))
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        fields(self.head).map(|(name, value)| (text(name), text(value)))
    }

    /// The body with `Transfer-Encoding` and `Content-Encoding` undone, at most `limit` bytes.
    ///
    /// Archives often hold a body already decoded beside the header that says it is not (and the reverse), so each
    /// coding is undone only where the bytes agree with it. A compressed body that ends early, or is damaged, gives
    /// what could be decoded of it. Returns the body and whether it is whole.
    pub fn body(&self, limit: usize) -> Result<(Cow<'a, [u8]>, bool), BodyError> {
        body::decode(
            self.raw_body,
            field(self.head, "Transfer-Encoding"),
            fields(self.head).filter(|(name, _)| name.eq_ignore_ascii_case(b"Content-Encoding")).map(|(_, value)| value),
            limit,
        )
    }
}

/// Splits a block that begins with `HTTP/`. The reason phrase may be missing; the header's end too (then all is header).
pub(crate) fn split(block: &[u8]) -> Option<HttpResponse<'_>> {
    if !block.get(..5)?.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    let line_end = memchr::memchr(b'\n', block).unwrap_or(block.len());
    let line = &block[..line_end];
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.next();
    let status = words
        .next()
        .map(<[u8]>::trim_ascii)
        .filter(|word| word.len() == 3 && word.iter().all(u8::is_ascii_digit))
        .map_or(0, |word| word.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')));
    let head_len = block_len(block).unwrap_or(block.len());
    Some(HttpResponse { status, head: &block[(line_end + 1).min(head_len)..head_len], raw_body: &block[head_len..] })
}
