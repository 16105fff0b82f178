//! E-mail addresses.

use memchr::memchr_iter;

/// Longest local part, RFC 5321 section 4.5.3.1.1.
const LOCAL_MOST: usize = 64;
/// Longest domain, same place.
const DOMAIN_MOST: usize = 255;

/// The first address in `text` that begins at or after byte `from`.
pub(super) fn next(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    memchr_iter(b'@', &bytes[from..]).find_map(|at| address(text, from, from + at))
}

/// The address around the `@` at byte `at`.
fn address(text: &str, from: usize, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let local = bytes[from..at].iter().rev().take(LOCAL_MOST + 1).take_while(|b| is_local(**b)).count();
    if local == 0 || local > LOCAL_MOST {
        return None;
    }
    let start = at - local;
    // Punctuation that an address cannot begin with belongs to the text before.
    let skipped = bytes[start..at].iter().take_while(|b| !b.is_ascii_alphanumeric() && **b != b'_').count();
    if skipped == local || bytes[at - 1] == b'.' {
        return None;
    }
    // Bytes over 0x7f belong to letters of international domains.
    let domain =
        bytes[at + 1..].iter().take(DOMAIN_MOST + 1).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | 0x80..)).count();
    if domain > DOMAIN_MOST {
        return None;
    }
    let domain = text.get(at + 1..at + 1 + domain)?;
    let domain = match domain.find(|c: char| !c.is_ascii() && !c.is_alphanumeric()) {
        Some(end) => &domain[..end],
        None => domain,
    };
    let len = public_domain(domain)?;
    Some((start + skipped, at + 1 + len))
}

fn is_local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'~' | b'=')
}

/// Length of the part of `domain` that is a name under a known public suffix.
///
/// Only listed suffixes count, or `logo@2x.png` would be an address. Labels are dropped from the end while there is
/// no such name: a sentence may go on without a space (`a@example.com.Call`).
fn public_domain(domain: &str) -> Option<usize> {
    let mut name = domain.trim_end_matches(['.', '-']);
    for _ in 0..3 {
        let lower = name.to_lowercase();
        let well_formed = lower.split('.').all(|l| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-'));
        if well_formed && psl::domain(lower.as_bytes()).is_some_and(|d| d.suffix().is_known()) {
            return Some(name.len());
        }
        name = &name[..name.rfind('.')?];
    }
    None
}
