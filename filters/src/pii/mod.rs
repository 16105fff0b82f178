//! Personal data in captions: e-mail addresses, telephone numbers, payment cards, IP addresses, US social security
//! numbers.
//!
//! Hand-written scanners instead of regular expressions: every candidate is bounded in length, so the time is linear
//! in the text whatever it holds. They look for the shapes that people write, and prefer to miss a number without
//! any context over taking a part number for a telephone.

mod card;
mod email;
mod ip;
mod number;
mod phone;
mod ssn;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PiiKind {
    /// An e-mail address under a public top-level domain.
    Email,
    /// A telephone number: international with `+` or `00`, North American, with a trunk `0`, or after a word such as
    /// "tel".
    Phone,
    /// A payment card number: an issuer's prefix and length, and a right Luhn digit.
    Card,
    /// An IPv4 or IPv6 address that is not private, local or otherwise reserved.
    Ip,
    /// A US social security number, written 3-2-4 with hyphens.
    Ssn,
}

impl PiiKind {
    /// All kinds, in the order that [`pii_kinds`] lists them.
    pub const ALL: [Self; 5] = [Self::Email, Self::Phone, Self::Card, Self::Ip, Self::Ssn];

    /// The name in [`pii_kinds`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Ip => "ip",
            Self::Ssn => "ssn",
        }
    }

    /// What [`redact_pii`] puts in its place.
    pub fn token(self) -> &'static str {
        match self {
            Self::Email => "<EMAIL>",
            Self::Phone => "<PHONE>",
            Self::Card => "<CARD>",
            Self::Ip => "<IP>",
            Self::Ssn => "<SSN>",
        }
    }
}

/// One finding: bytes `start..end` of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PiiMatch {
    /// What it is.
    pub kind: PiiKind,
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

/// Whether the text holds personal data of any kind.
pub fn has_pii(text: &str) -> bool {
    let mut found = false;
    scan(text, &mut |_| {
        found = true;
        false
    });
    found
}

/// The kinds of personal data in the text, each once, as in `email,phone`; empty where there is none.
pub fn pii_kinds(text: &str) -> String {
    let found = find_pii(text);
    let kinds = PiiKind::ALL.into_iter().filter(|kind| found.iter().any(|m| m.kind == *kind));
    kinds.map(PiiKind::name).collect::<Vec<_>>().join(",")
}

/// The text with `<EMAIL>`, `<PHONE>`, `<CARD>`, `<IP>` or `<SSN>` in place of each finding.
pub fn redact_pii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for found in find_pii(text) {
        out.push_str(&text[done..found.start]);
        out.push_str(found.kind.token());
        done = found.end;
    }
    out.push_str(&text[done..]);
    out
}

/// All findings, in the order of the text; they do not overlap, and begin and end between characters.
pub fn find_pii(text: &str) -> Vec<PiiMatch> {
    let mut found = Vec::new();
    scan(text, &mut |m| {
        found.push(m);
        true
    });
    found
}

/// Calls `each` for every finding, in order, until it says `false`.
fn scan(text: &str, each: &mut dyn FnMut(PiiMatch) -> bool) {
    // E-mail first: an address may hold digits that would read as a number.
    let mut from = 0;
    while let Some((start, end)) = email::next(text, from) {
        if !scan_numbers(text, from, start, each) || !each(PiiMatch { kind: PiiKind::Email, start, end }) {
            return;
        }
        from = end;
    }
    scan_numbers(text, from, text.len(), each);
}

/// Finds everything that is made of digits in bytes `from..to`.
fn scan_numbers(text: &str, from: usize, to: usize, each: &mut dyn FnMut(PiiMatch) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut i = from;
    let mut last_end = from;
    while i < to {
        let b = bytes[i];
        if !(b.is_ascii_digit() || matches!(b, b'+' | b'(' | b':' | b'a'..=b'f' | b'A'..=b'F')) {
            i += 1;
            continue;
        }
        let before = if i == from { None } else { Some(bytes[i - 1]) };
        // "12 4111 ...": a number among numbers. A finding just before makes it the next of a list.
        let among = follows_digit(&bytes[from..i]) && last_end + 1 != i;
        if let Some((kind, end)) = at(text, from, i, to, before, among) {
            last_end = end;
            if !each(PiiMatch { kind, start: i, end }) {
                return false;
            }
            i = end;
        } else if b.is_ascii_alphanumeric() {
            // Nothing begins inside a token.
            i = bytes[i..to].iter().position(|b| !b.is_ascii_alphanumeric()).map_or(to, |n| i + n);
        } else {
            i += 1;
        }
    }
    true
}

/// Whether the text ends in a digit and one separator.
fn follows_digit(text: &[u8]) -> bool {
    let wide = text.iter().rev().take(3).take_while(|b| **b >= 0x80).count();
    let width = match text.last() {
        Some(b' ' | b'-' | b'.' | b'/' | b',' | b':' | b'(') => 1,
        _ => wide,
    };
    width > 0 && text.len() > width && text[text.len() - width - 1].is_ascii_digit()
}

/// The finding that begins at byte `i`, if any.
fn at(text: &str, from: usize, i: usize, to: usize, before: Option<u8>, among: bool) -> Option<(PiiKind, usize)> {
    let bytes = &text.as_bytes()[..to];
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    if let Some(end) = ip::at(bytes, i, before) {
        return Some((PiiKind::Ip, end));
    }
    if !(bytes[i].is_ascii_digit() || matches!(bytes[i], b'+' | b'(')) {
        return None;
    }
    // Short groups among others are passed over, so that a page of single digits costs linear time.
    if among && !bytes[i..].iter().take(4).all(u8::is_ascii_digit) {
        return None;
    }
    let run = number::Run::read(text, i, to)?;
    if let Some(end) = card::at(&run) {
        return Some((PiiKind::Card, end));
    }
    if let Some(end) = ssn::at(bytes, i, before) {
        return Some((PiiKind::Ssn, end));
    }
    if among || run.digits.len() < phone::LEAST_DIGITS {
        return None;
    }
    phone::at(text, from, i, &run, before).map(|end| (PiiKind::Phone, end))
}

#[cfg(test)]
mod tests;
