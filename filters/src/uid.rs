//! The identity of an image-text pair.

/// The 128 bits of [`uid`], in bytes.
pub fn uid_bytes(url: &str, text: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(url.as_bytes());
    hasher.update(&[0]);
    hasher.update(text.as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// The key of a pair: 32 lower-case hex digits, the first 128 bits of BLAKE3 over `url`, a zero byte, `text`.
///
/// Both are taken as they are; canonicalise and clean them before, or keep them raw.
pub fn uid(url: &str, text: &str) -> String {
    hex(&uid_bytes(url, text))
}

/// `bytes` in lower-case hex.
pub(crate) fn hex(bytes: &[u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(32);
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_first_half_of_blake3_over_both_parts() {
        let want = blake3::hash(b"http://a.example/1.jpg\0a dog").to_hex();
        assert_eq!(uid("http://a.example/1.jpg", "a dog"), want.as_str()[..32]);
        // Golden value: the empty pair is BLAKE3 of one zero byte, from the test vectors of the BLAKE3 repository.
        assert_eq!(uid("", ""), "2d3adedff11b61f14c886e35afa03673");
    }

    #[test]
    fn moving_the_border_between_url_and_text_changes_it() {
        assert_ne!(uid("ab", "c"), uid("a", "bc"));
    }
}
