//! The header line of an ARC record (Internet Archive, *ARC File Format*, 1996): five fields in version 1, ten in version 2.

use std::borrow::Cow;

/// A parsed ARC header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArcLine<'a> {
    /// May hold blanks, as crawlers wrote urls down unescaped.
    pub(crate) url: &'a [u8],
    pub(crate) date: &'a [u8],
    pub(crate) content_type: &'a [u8],
    /// `None`: negative or not a number.
    pub(crate) length: Option<u64>,
}

/// Longest line that is taken for a header.
const LINE_BYTES: usize = 16 << 10;

/// Parses the line at the front of `data`. Also gives the length of the line, its end included.
pub(crate) fn parse_line(data: &[u8]) -> Option<(ArcLine<'_>, usize)> {
    let head = &data[..data.len().min(LINE_BYTES)];
    let newline = memchr::memchr(b'\n', head)?;
    let line = head[..newline].trim_ascii_end();
    // Cheap first: a scheme in front.
    let colon = memchr::memchr2(b':', b' ', line)?;
    if line[colon] != b':' || !line[..colon].iter().all(u8::is_ascii_alphanumeric) || colon == 0 {
        return None;
    }
    let parts: Vec<&[u8]> = line.rsplitn(12, |byte| *byte == b' ').collect();
    // Counted from the right: length, type, date, address (version 1).
    let date_at = parts.iter().position(|part| is_date(part))?;
    let length_of = |part: &[u8]| std::str::from_utf8(part).ok().and_then(|text| text.parse::<u64>().ok());
    if date_at < 2 || date_at + 1 >= parts.len() {
        return None;
    }
    // Everything left of date and address is the url.
    let right: usize = parts[..=date_at + 1].iter().map(|part| part.len() + 1).sum();
    let url = line.get(..line.len().checked_sub(right)?)?;
    let content_type = parts[date_at - 1];
    let address = parts[date_at + 1];
    if url.is_empty() || !address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'-')) {
        return None;
    }
    Some((ArcLine { url, date: parts[date_at], content_type, length: length_of(parts[0]) }, newline + 1))
}

fn is_date(part: &[u8]) -> bool {
    (8..=18).contains(&part.len()) && part.iter().all(u8::is_ascii_digit) && matches!(part[0], b'1' | b'2')
}

/// A date of fourteen digits (`YYYYMMDDhhmmss`, always UTC) as WARC writes it; one of another length as it stands.
pub(crate) fn warc_date(date: &[u8]) -> Cow<'_, str> {
    let digits = String::from_utf8_lossy(date);
    match digits.as_bytes() {
        all if all.len() == 14 && all.is_ascii() => {
            let part = |from: usize, to: usize| &digits[from..to];
            let (day, time) = ([part(0, 4), part(4, 6), part(6, 8)].join("-"), [part(8, 10), part(10, 12), part(12, 14)].join(":"));
            Cow::Owned(format!("{day}T{time}Z"))
        }
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_arc_records_have_the_form_of_warc_dates() {
        assert_eq!(warc_date(b"20080430204825"), "2008-04-30T20:48:25Z");
        assert_eq!(warc_date(b"200804302048"), "200804302048");
    }
}
