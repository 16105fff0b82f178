//! Character references in attributes and text, undone as the HTML standard's tokenizer does.

mod table;

use table::NAMED;

/// Longest name, `CounterClockwiseContourIntegral`.
const NAME_BYTES: usize = 31;

/// Where the text stands. In attributes `&copy=` and `&copya` stay as they are, for the sake of urls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Attribute,
    Text,
}

/// Undoes the references in `text`, or gives `None` when there are none to undo.
pub(crate) fn decode<'a>(text: &str, place: Place, out: &'a mut String) -> Option<&'a str> {
    let first = memchr::memchr(b'&', text.as_bytes())?;
    out.clear();
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    let mut changed = false;
    loop {
        // `rest` begins with an ampersand.
        match reference(rest, place) {
            Some((Decoded::Char(c), used)) => {
                out.push(c);
                rest = &rest[used..];
                changed = true;
            }
            Some((Decoded::Text(t), used)) => {
                out.push_str(t);
                rest = &rest[used..];
                changed = true;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
        match memchr::memchr(b'&', rest.as_bytes()) {
            Some(at) => {
                out.push_str(&rest[..at]);
                rest = &rest[at..];
            }
            None => {
                out.push_str(rest);
                break;
            }
        }
    }
    changed.then_some(out)
}

enum Decoded {
    Char(char),
    Text(&'static str),
}

fn reference(rest: &str, place: Place) -> Option<(Decoded, usize)> {
    let bytes = rest.as_bytes();
    match bytes.get(1)? {
        b'#' => numeric(bytes).map(|(c, used)| (Decoded::Char(c), used)),
        b'a'..=b'z' | b'A'..=b'Z' => named(rest, place),
        _ => None,
    }
}

fn named(rest: &str, place: Place) -> Option<(Decoded, usize)> {
    let bytes = &rest.as_bytes()[1..];
    let run = bytes.iter().take(NAME_BYTES + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if bytes.get(run) == Some(&b';')
        && let Ok(at) = NAMED.binary_search_by(|(name, _, _)| name.as_bytes().cmp(&bytes[..run]))
    {
        return Some((Decoded::Text(NAMED[at].2), run + 2));
    }
    // Without a semicolon: the longest of the old names that fits. They have 2 to 6 characters.
    for length in (2..=run.min(6)).rev() {
        if let Ok(at) = NAMED.binary_search_by(|(name, _, _)| name.as_bytes().cmp(&bytes[..length]))
            && NAMED[at].1
        {
            let next = bytes.get(length);
            if place == Place::Attribute && next.is_some_and(|byte| *byte == b'=' || byte.is_ascii_alphanumeric()) {
                return None;
            }
            return Some((Decoded::Text(NAMED[at].2), length + 1));
        }
    }
    None
}

fn numeric(bytes: &[u8]) -> Option<(char, usize)> {
    let (radix, start) = if matches!(bytes.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
    let mut code = 0u32;
    let mut at = start;
    while let Some(digit) = bytes.get(at).and_then(|byte| char::from(*byte).to_digit(radix)) {
        code = code.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == start {
        return None;
    }
    if bytes.get(at) == Some(&b';') {
        at += 1;
    }
    let c = match code {
        0 => char::REPLACEMENT_CHARACTER,
        // The standard reads these as windows-1252.
        0x80..=0x9f => WINDOWS_1252[(code - 0x80) as usize],
        _ => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    Some((c, at))
}

static WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–',
    '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(text: &str) -> String {
        let mut out = String::new();
        decode(text, Place::Attribute, &mut out).unwrap_or(text).to_owned()
    }

    fn text(text: &str) -> String {
        let mut out = String::new();
        decode(text, Place::Text, &mut out).unwrap_or(text).to_owned()
    }

    #[test]
    fn references_are_undone_as_browsers_do() {
        for (raw, decoded) in [
            ("a&amp;b", "a&b"),
            ("&amp;amp;", "&amp;"),
            ("?a=1&copy=2", "?a=1&copy=2"),
            ("?a=1&copyx", "?a=1&copyx"),
            ("&copy ", "© "),
            ("&#65;&#x42;&#67", "ABC"),
            ("&#128;&#0;&#xd800;&#x110000;", "€\u{fffd}\u{fffd}\u{fffd}"),
            ("&", "&"),
            ("&&amp;&", "&&&"),
            ("&nosuch;", "&nosuch;"),
            ("&NotEqualTilde;", "\u{2242}\u{338}"),
            ("&#;", "&#;"),
            ("&CounterClockwiseContourIntegral;", "\u{2233}"),
        ] {
            assert_eq!(attribute(raw), decoded, "{raw}");
        }
        assert_eq!(text("&copy=2 &notit; &notin;"), "©=2 ¬it; ∉");
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(NAMED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(raw in "[&#;xX0-9a-z é]{0,40}") {
            let _ = attribute(&raw);
            let _ = text(&raw);
        }
    }
}
