//! Where a record starts, and how long it is.

use super::lines::{block_len, field};

/// Whether `data` begins with a WARC version line. `None`: too short to tell.
pub(crate) fn is_version_line(data: &[u8]) -> Option<bool> {
    let head = &data[..data.len().min(5)];
    if head != &b"WARC/"[..head.len()] {
        return Some(false);
    }
    if data.len() < 9 {
        return None;
    }
    let line = &data[5..data.len().min(24)];
    let digits = line.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    Some(digits >= 3 && matches!(line.get(digits), Some(b'\r' | b'\n' | b' ')))
}

/// First place in `data` where a WARC version line begins at the start of a line (or of `data`).
pub(crate) fn find_version_line(data: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&data[from..], b"WARC/") {
        let at = from + at;
        if (at == 0 || data[at - 1] == b'\n') && is_version_line(&data[at..]) == Some(true) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// First place in `data` where an ARC header line begins at the start of a line.
pub(crate) fn find_arc_line(data: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        if super::arc::parse_line(&data[from..]).is_some() {
            return Some(from);
        }
        from += memchr::memchr(b'\n', &data[from..])? + 1;
    }
}

/// The header block at the front of `data` and what it says of the length.
pub(crate) struct WarcHead {
    /// Length of the version line and the header block, the empty line included.
    pub(crate) bytes: usize,
    /// `None`: no `Content-Length`, or one that is not a number.
    pub(crate) length: Option<u64>,
}

/// Parses the head of a record; `None` while its end is not in `data`.
pub(crate) fn parse_head(data: &[u8]) -> Option<WarcHead> {
    let bytes = block_len(data)?;
    let length =
        field(&data[..bytes], "Content-Length").and_then(|value| std::str::from_utf8(value).ok()).and_then(|value| value.parse().ok());
    Some(WarcHead { bytes, length })
}
