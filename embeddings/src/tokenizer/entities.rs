//! Character references of HTML, as Python's `html.unescape` reads them.

use std::sync::LazyLock;

/// Names of the HTML standard, sorted, with and without the semicolon, each with its code points in hexadecimal.
/// Written by `tests/models/make_inputs.py` from Python's `html.entities`.
static TABLE: &str = include_str!("entities.txt");

static NAMES: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let code = |hex: &str| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
    let entry = |line: &'static str| {
        let (name, codes) = line.split_once(' ')?;
        Some((name, codes.split(' ').filter_map(code).collect()))
    };
    TABLE.lines().filter_map(entry).collect()
});

/// Windows-1252 for the numbers 128 to 159, which the standard maps like that.
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018,
    0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
];

/// The character that Windows-1252 has at 128 to 159.
pub(super) fn windows_1252(code: u32) -> Option<char> {
    let index = code.checked_sub(0x80)? as usize;
    char::from_u32(u32::from(*WINDOWS_1252.get(index)?))
}

/// What a name stands for, with its semicolon if it has one.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let names = &*NAMES;
    names.binary_search_by(|(entry, _)| (*entry).cmp(name)).ok().map(|at| names[at].1.as_str())
}

/// Decodes every reference once, as `html.unescape`.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match reference(after) {
            Some(length) => {
                decode(&after[..length], &mut out);
                rest = &after[length..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Bytes of the reference that starts behind an ampersand:
/// `#[0-9]+;?`, `#[xX][0-9a-fA-F]+;?` or `[^\t\n\f <&#;]{1,32};?`.
fn reference(after: &str) -> Option<usize> {
    let with_semicolon = |length: usize| length + usize::from(after[length..].starts_with(';'));
    if let Some(number) = after.strip_prefix('#') {
        let hexadecimal = number.starts_with(['x', 'X']);
        let digits = &number[usize::from(hexadecimal)..];
        let digit = |byte: &u8| if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        let length = digits.bytes().take_while(digit).count();
        return (length > 0).then(|| with_semicolon(1 + usize::from(hexadecimal) + length));
    }
    let stops = |c: char| matches!(c, '\t' | '\n' | '\x0C' | ' ' | '<' | '&' | '#' | ';');
    let length = after.chars().take(32).take_while(|&c| !stops(c)).map(char::len_utf8).sum();
    (length > 0).then(|| with_semicolon(length))
}

fn decode(reference: &str, out: &mut String) {
    if let Some(number) = reference.strip_prefix('#') {
        out.extend(numbered(number.trim_end_matches(';')));
        return;
    }
    if let Some(value) = named(reference) {
        out.push_str(value);
        return;
    }
    // The longest prefix that is a name; Python tries down to two characters.
    let ends = reference.char_indices().map(|(at, _)| at).skip(2).collect::<Vec<_>>();
    for end in ends.into_iter().rev() {
        if let Some(value) = named(&reference[..end]) {
            out.push_str(value);
            out.push_str(&reference[end..]);
            return;
        }
    }
    out.push('&');
    out.push_str(reference);
}

/// The character of a number, none for those that the standard calls invalid.
pub(super) fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // Digits were checked; what does not fit is beyond Unicode.
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    match code {
        0 | 0xD800..=0xDFFF | 0x11_0000.. => Some('\u{FFFD}'),
        0x0D => Some('\r'),
        0x80..=0x9F => windows_1252(code),
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0xFDD0..=0xFDEF => None,
        _ if code & 0xFFFE == 0xFFFE => None,
        _ => char::from_u32(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_decoded_as_python_does() {
        // Values of `html.unescape` of Python 3.11.
        for (text, expected) in [
            ("a &amp; b &lt;c&gt;", "a & b <c>"),
            ("&notit; &notin; &no;", "¬it; ∉ &no;"),
            ("&#8217;&#x2019;&#X2019 &#146;", "’’’ ’"),
            ("&#0;&#xD800;&#99999999999;&#1;&#xFFFF;|", "\u{FFFD}\u{FFFD}\u{FFFD}|"),
            ("&amp;amp; & && &; &#; &#x;", "&amp; & && &; &#; &#x;"),
            ("&ampé &eacute", "&é é"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
