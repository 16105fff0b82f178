//! Undoing transfer and content codings, with a bound on the result.

use std::borrow::Cow;
use std::io::Read;

use super::http::BodyError;

/// Content codings undone on top of each other. Browsers allow any number; captures with more than two are attacks.
const CODINGS: usize = 4;

pub(crate) fn decode<'a, 'h>(
    raw: &'a [u8],
    transfer: Option<&[u8]>,
    codings: impl Iterator<Item = &'h [u8]>,
    limit: usize,
) -> Result<(Cow<'a, [u8]>, bool), BodyError> {
    let mut body = Cow::Borrowed(raw);
    let mut whole = true;
    if transfer.is_some_and(|value| contains_token(value, b"chunked"))
        && let Some((joined, complete)) = dechunk(raw)
    {
        body = Cow::Owned(joined);
        whole &= complete;
    }
    let mut list: Vec<&[u8]> = codings.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    list.retain(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    if list.len() > CODINGS {
        return Err(BodyError::TooManyCodings { limit: CODINGS });
    }
    for name in list.iter().rev() {
        if let Some((decoded, complete)) = decode_one(&body, name, limit)? {
            body = Cow::Owned(decoded);
            whole &= complete;
        }
    }
    if body.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    Ok((body, whole))
}

fn contains_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

/// Joins chunks. `None` when the body is not chunked after all; `false` when it ends early.
pub(crate) fn dechunk(raw: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    let mut first = true;
    loop {
        let Some((length, data)) = chunk_head(rest) else {
            return if first { None } else { Some((out, rest.trim_ascii().is_empty() && !rest.is_empty())) };
        };
        if length == 0 {
            return Some((out, true));
        }
        let take = length.min(data.len());
        out.extend_from_slice(&data[..take]);
        if take < length {
            // A first "chunk" beyond the body is a body that only looks chunked.
            return if first { None } else { Some((out, false)) };
        }
        first = false;
        rest = &data[take..];
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        if rest.is_empty() {
            return Some((out, false));
        }
    }
}

fn chunk_head(data: &[u8]) -> Option<(usize, &[u8])> {
    let line_end = memchr::memchr(b'\n', &data[..data.len().min(4096)])?;
    let line = data[..line_end].split(|byte| *byte == b';').next()?.trim_ascii();
    if line.is_empty() || line.len() > 15 {
        return None;
    }
    let length = usize::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
    Some((length, &data[line_end + 1..]))
}

/// Undoes one coding. `None`: the body is not in that coding, or the coding is not known.
fn decode_one(body: &[u8], name: &[u8], limit: usize) -> Result<Option<(Vec<u8>, bool)>, BodyError> {
    let name = name.strip_prefix(b"x-").unwrap_or(name).to_ascii_lowercase();
    match name.as_slice() {
        b"gzip" if body.starts_with(&[0x1f, 0x8b]) => bounded(flate2::read::MultiGzDecoder::new(body), limit),
        b"zstd" if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => match zstd::stream::read::Decoder::with_buffer(body) {
            Ok(decoder) => bounded(decoder, limit),
            Err(_) => Ok(None),
        },
        b"br" => bounded(brotli::Decompressor::new(body, 16 << 10), limit),
        // RFC 9110 means zlib; some servers send it bare, and browsers take both.
        b"deflate" => match bounded(flate2::read::ZlibDecoder::new(body), limit)? {
            Some(found) => Ok(Some(found)),
            None => bounded(flate2::read::DeflateDecoder::new(body), limit),
        },
        _ => Ok(None),
    }
}

/// Reads a decoder to its end. `None` when it gives nothing before it fails: the body was something else.
fn bounded(mut reader: impl Read, limit: usize) -> Result<Option<(Vec<u8>, bool)>, BodyError> {
    let mut out = Vec::new();
    let mut piece = vec![0u8; 32 << 10];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(Some((out, true))),
            Ok(n) => {
                if out.len() + n > limit {
                    return Err(BodyError::TooLarge { limit });
                }
                out.extend_from_slice(&piece[..n]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Ok((!out.is_empty()).then_some((out, false))),
        }
    }
}
