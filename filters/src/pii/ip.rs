//! IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest textual form of an address.
const MOST: usize = 45;

/// The end of the address at byte `i`, unless it is one that points at nobody.
pub(super) fn at(bytes: &[u8], i: usize, before: Option<u8>) -> Option<usize> {
    match before {
        Some(b'.' | b'-') => None,
        Some(b'/') if i < 2 || bytes[i - 2] != b'/' => None,
        Some(b':') => v4(bytes, i),
        _ => v4(bytes, i).or_else(|| v6(bytes, i)),
    }
}

fn v4(bytes: &[u8], i: usize) -> Option<usize> {
    let len = bytes[i..].iter().take(MOST).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let text = std::str::from_utf8(&bytes[i..i + len]).ok()?;
    // A full stop may end the sentence.
    let text = text.strip_suffix('.').unwrap_or(text);
    // Rust's parser refuses leading zeros, which dates and versions have.
    let ip: Ipv4Addr = text.parse().ok()?;
    let end = i + text.len();
    let joined = match bytes.get(end) {
        Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-') => true,
        Some(b'.') => bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        _ => false,
    };
    let [first, ..] = ip.octets();
    let nobody = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast() || first == 0 || first >= 224;
    (!joined && !nobody && !after_version_word(&bytes[..i])).then_some(end)
}

/// Whether a word before says that the four numbers are a version.
fn after_version_word(before: &[u8]) -> bool {
    let tail = &before[before.len().saturating_sub(12)..];
    let tail = String::from_utf8_lossy(tail).to_lowercase();
    let tail = tail.trim_end_matches([' ', ':', '.', '=']);
    ["version", "ver", " v", "release", "build", "firmware", "chapter", "section", "update", "patch"]
        .iter()
        .any(|word| tail.ends_with(word))
        || tail == "v"
}

fn v6(bytes: &[u8], i: usize) -> Option<usize> {
    let len = bytes[i..].iter().take(MOST).take_while(|b| b.is_ascii_hexdigit() || **b == b':').count();
    let text = std::str::from_utf8(&bytes[i..i + len]).ok()?;
    if text.bytes().filter(|b| *b == b':').count() < 2 {
        return None;
    }
    let text = if text.ends_with("::") { text } else { text.trim_end_matches(':') };
    let ip: Ipv6Addr = text.parse().ok()?;
    let end = i + text.len();
    let joined = bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    // Global unicast is 2000::/3 (RFC 4291, section 2.4); the rest is local, multicast or unassigned. One group and
    // "::" alone is a word of code as often as a network.
    let global = (0x2000..0x4000).contains(&ip.segments()[0]);
    let groups = text.split(':').filter(|g| !g.is_empty()).count();
    (!joined && global && groups >= 2).then_some(end)
}
