//! Header lines, shared by WARC and HTTP.

use std::borrow::Cow;

/// Length of the header block at the front of `data`, its empty line included. `\r\n` and `\n` may be mixed.
pub(crate) fn block_len(data: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &data[from..]) {
        let next = from + at + 1;
        match data.get(next) {
            Some(b'\n') => return Some(next + 1),
            Some(b'\r') if data.get(next + 1) == Some(&b'\n') => return Some(next + 2),
            // `\r\r\n`, from files written in text mode twice over.
            Some(b'\r') if data.get(next + 1..next + 3) == Some(b"\r\n") => return Some(next + 3),
            _ => from = next,
        }
    }
    None
}

/// The lines of a header block as name and value, both trimmed. Lines without a colon are passed over.
/// A folded line (one that begins with a blank) belongs to the value before it.
pub(crate) fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            loop {
                end = memchr::memchr(b'\n', &rest[end..]).map_or(rest.len(), |at| end + at + 1);
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let line = &rest[..end];
            rest = &rest[end..];
            if let Some(colon) = memchr::memchr(b':', line) {
                return Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()));
            }
        }
    })
}

/// The first value of a field.
pub(crate) fn field<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(block).find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
}

/// A header value as text: UTF-8, or Latin-1 when it is not.
pub(crate) fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains('\n') => Cow::Borrowed(text),
        Ok(text) => Cow::Owned(text.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")),
        Err(_) => encoding_rs::mem::decode_latin1(value),
    }
}
