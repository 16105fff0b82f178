//! One number for one caption.

use super::clean::for_each_clean_char;

/// Bytes of hash input gathered before they are hashed.
const CHUNK: usize = 512;

/// The 128-bit hash of a caption, in bytes; see [`text_hash`].
pub fn text_hash_bytes(text: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = [0u8; CHUNK];
    let mut used = 0;
    for_each_clean_char(text, |c| {
        for lower in c.to_lowercase() {
            if used + lower.len_utf8() > CHUNK {
                hasher.update(&buffer[..used]);
                used = 0;
            }
            used += lower.encode_utf8(&mut buffer[used..]).len();
        }
    });
    hasher.update(&buffer[..used]);
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// Which captions are the same caption: 32 hex digits, the first 128 bits of BLAKE3 over the text, cleaned
/// ([`clean_text`](super::clean_text)) and put in lower case.
///
/// Rules on repeated captions count or cap by this column.
pub fn text_hash(text: &str) -> String {
    crate::uid::hex(&text_hash_bytes(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_white_space_do_not_matter_and_words_do() {
        let want = text_hash("a red house");
        assert_eq!(text_hash("  A Red\n\u{200b}HOUSE "), want);
        assert_ne!(text_hash("ared house"), want);
        assert_eq!(want.len(), 32);
    }

    #[test]
    fn it_is_blake3_of_the_normalised_text_at_any_length() {
        for n in [0, 1, 511, 512, 513, 5000] {
            let text = "É".repeat(n);
            let want = blake3::hash("é".repeat(n).as_bytes());
            assert_eq!(text_hash(&text), want.to_hex().as_str()[..32]);
        }
    }
}
