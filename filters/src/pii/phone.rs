//! Telephone numbers.

use super::number::{Gap, Run, Shape};

/// No rule takes fewer.
pub(super) const LEAST_DIGITS: usize = 7;

/// Words after which digits are a telephone number, in lower case.
const CUES: &[&str] = &[
    "tel",
    "tel.",
    "tel.no",
    "telephone",
    "phone",
    "ph",
    "ph.",
    "call",
    "call us",
    "mobile",
    "mob",
    "mob.",
    "cell",
    "fax",
    "fax.",
    "whatsapp",
    "sms",
    "hotline",
    "telefon",
    "telefax",
    "handy",
    "rufnummer",
    "téléphone",
    "tél",
    "tél.",
    "appelez",
    "teléfono",
    "telefono",
    "móvil",
    "movil",
    "llame",
    "celular",
    "telefone",
    "cellulare",
    "telefoon",
    "тел",
    "тел.",
    "телефон",
    "звоните",
    "电话",
    "電話",
    "手机",
    "전화",
    "phone number",
    "tel no",
    "call now",
    "contact no",
    "contact",
    "phone no",
    "mobile no",
    "mobile number",
    "tel. no",
];

/// How far back a cue is looked for, in bytes.
const CUE_WINDOW: usize = 32;

/// Words after which digits are something else, in lower case.
const OTHER: &[&str] = &[
    "isbn",
    "isbn-13",
    "isbn-10",
    "issn",
    "ean",
    "upc",
    "gtin",
    "asin",
    "sku",
    "item",
    "item no",
    "part",
    "part no",
    "model",
    "art",
    "art.",
    "art.nr",
    "art. nr",
    "ref",
    "ref.",
    "order",
    "invoice",
    "serial",
    "doi",
    "id",
    "no",
    "nr",
    "№",
    "patent",
    "lot",
    "batch",
    "code",
    "catalog",
    "catalogue",
    "version",
    "oem",
];

/// The end of the telephone number that begins at byte `i` of `text`, and of which `run` are the digits.
pub(super) fn at(text: &str, from: usize, i: usize, run: &Run, before: Option<u8>) -> Option<usize> {
    if matches!(before, Some(b'.' | b',' | b'/' | b'-' | b'#' | b'$' | b'*' | b'=')) {
        return None;
    }
    let lead = lead(text, from, i);
    let cue = CUES.iter().any(|word| ends_with_word(&lead, word));
    if !cue && !run.plus && OTHER.iter().any(|word| ends_with_word(&lead, word)) {
        return None;
    }
    (1..=run.groups.len()).rev().find_map(|n| {
        let part = run.first(n);
        let end = run.ends[n - 1];
        let ends_here = match run.gaps.get(n - 1) {
            None => ends_number(text.as_bytes(), end),
            Some(gap) => matches!(gap, Gap::Space | Gap::Bracket | Gap::Slash),
        };
        let found = if part.plus {
            international(&part)
        } else {
            let next = run.groups.get(n..).unwrap_or_default();
            (cue && cued(&part)) || prefixed_00(&part) || north_american(&part, next) || trunk_zero(&part)
        };
        (ends_here && found).then_some(end)
    })
}

/// Whether nothing after byte `end` makes the number part of something else.
fn ends_number(bytes: &[u8], end: usize) -> bool {
    match bytes.get(end) {
        Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'%' | b'@') => false,
        Some(b',' | b'.' | b'-' | b'/') => !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        _ => true,
    }
}

/// The text before the number in lower case, without the punctuation at its end.
fn lead(text: &str, from: usize, i: usize) -> String {
    let start = text.floor_char_boundary(i.saturating_sub(CUE_WINDOW).max(from));
    let lower = text[start.min(i)..i].to_lowercase();
    lower.trim_end_matches([' ', ':', '.', '#', '-', '\u{a0}', '：', '(', '[', '=', '/', '📞', '☎', '\u{fe0f}']).into()
}

fn ends_with_word(lead: &str, word: &str) -> bool {
    lead.strip_suffix(word.trim_end_matches('.'))
        .is_some_and(|rest| !rest.chars().next_back().is_some_and(|c| c.is_alphanumeric() && word.is_ascii()))
}

/// `+` and 8 to 15 digits (ITU-T E.164) that begin with a country code; separators as people like.
fn international(run: &Shape<'_>) -> bool {
    let len = run.digits.len();
    match run.digits[0] {
        0 => false,
        1 => len == 11 && !is_flat(run),
        _ => (8..=15).contains(&len) && !is_flat(run),
    }
}

/// Like [`international`], with 00 in place of the plus.
fn prefixed_00(run: &Shape<'_>) -> bool {
    run.digits.starts_with(&[0, 0])
        && run.digits.get(2).is_some_and(|d| *d != 0)
        && (10..=17).contains(&run.digits.len())
        && (run.groups.len() > 1 || run.digits.len() >= 12)
        && !is_flat(run)
}

/// 3-3-4 with separators, an optional leading 1; area and exchange begin with 2 to 9 (North American Numbering
/// Plan).
///
/// Groups with only spaces between them are a row of numbers if more groups follow, unless those are a number too.
fn north_american(run: &Shape<'_>, next: &[usize]) -> bool {
    let (groups, digits, gaps) = match (run.groups, run.digits) {
        ([1, groups @ ..], [1, digits @ ..]) => (groups, digits, run.gaps.get(1..).unwrap_or_default()),
        (groups, digits) => (groups, digits, run.gaps),
    };
    let shaped = groups == [3, 3, 4] && !gaps.contains(&Gap::Slash);
    let alone = next.is_empty() || next.starts_with(&[3, 3, 4]) || gaps.iter().any(|gap| *gap != Gap::Space);
    shaped && alone && digits[0] >= 2 && digits[3] >= 2 && !is_flat(run)
}

/// A trunk 0 and 9 to 11 digits in two to six groups, as in most of Europe, Asia and Africa.
fn trunk_zero(run: &Shape<'_>) -> bool {
    let n = run.groups.len();
    let first = run.groups.first().copied().unwrap_or(0);
    run.digits.first() == Some(&0)
        && run.digits.get(1).is_some_and(|d| *d != 0)
        && (9..=12).contains(&run.digits.len())
        && (2..=6).contains(&n)
        && (2..=5).contains(&first)
        && run.groups.iter().all(|g| *g >= 2)
        && !is_date(run)
        && !is_flat(run)
}

/// Any 7 to 15 digits after a cue, unless they are a date.
fn cued(run: &Shape<'_>) -> bool {
    (LEAST_DIGITS..=15).contains(&run.digits.len()) && !is_date(run)
}

/// One digit repeated, which stands for a number and is none.
fn is_flat(run: &Shape<'_>) -> bool {
    run.digits.iter().all(|d| *d == run.digits[0])
}

/// Day, month and year, in any order, with anything after.
fn is_date(run: &Shape<'_>) -> bool {
    matches!(run.groups, [2, 2, 4, ..] | [4, 2, 2, ..] | [1, 1, 4] | [1, 2, 4] | [2, 1, 4])
        && run.gaps.iter().take(2).all(|gap| *gap == run.gaps[0])
        && {
            let value = |group: usize| {
                let start: usize = run.groups[..group].iter().sum();
                run.digits[start..start + run.groups[group]].iter().fold(0u32, |x, d| x * 10 + u32::from(*d))
            };
            let year_first = run.groups[0] == 4;
            let (year, a, b) = if year_first { (value(0), value(1), value(2)) } else { (value(2), value(0), value(1)) };
            (1500..2200).contains(&year) && a.min(b) <= 12 && a.max(b) <= 31
        }
}
