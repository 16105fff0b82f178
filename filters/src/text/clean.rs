//! Cleaning a caption of what nobody sees.

use std::borrow::Cow;

/// The caption as one clean line.
///
/// Runs of white space and control characters (NUL too) become one space, and there is none at the ends. Characters
/// without a shape are dropped: bidirectional controls, zero-width spaces, byte order marks, soft hyphens, tag
/// characters, interlinear marks and noncharacters; they survive copying, and hide text from readers. Joiners
/// (U+200C, U+200D) and variation selectors stay, as Persian, the Indic scripts and emoji need them. Nothing else
/// changes: no case, no Unicode normalisation.
///
/// Cleaning twice changes nothing, and a clean text is not copied.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for_each_clean_char(text, |c| out.push(c));
    Cow::Owned(out)
}

/// [`clean_text`] of bytes that may not be UTF-8: each malformed sequence becomes U+FFFD first.
pub fn clean_bytes(bytes: &[u8]) -> String {
    clean_text(&String::from_utf8_lossy(bytes)).into_owned()
}

/// What a character becomes.
enum Role {
    Space,
    Dropped,
    Kept,
}

fn role(c: char) -> Role {
    match c {
        ' '..='~' if c != ' ' => Role::Kept,
        _ if c.is_whitespace() || c.is_control() => Role::Space,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{e0000}'..='\u{e007f}' => Role::Dropped,
        // The last two code points of each plane are noncharacters.
        _ if (c as u32) & 0xfffe == 0xfffe => Role::Dropped,
        _ => Role::Kept,
    }
}

/// Calls `each` with every character of the cleaned text.
pub(super) fn for_each_clean_char(text: &str, mut each: impl FnMut(char)) {
    let mut started = false;
    let mut gap = false;
    for c in text.chars() {
        match role(c) {
            Role::Space => gap = started,
            Role::Dropped => {}
            Role::Kept => {
                if std::mem::take(&mut gap) {
                    each(' ');
                }
                started = true;
                each(c);
            }
        }
    }
}

fn is_clean(text: &str) -> bool {
    let mut after_space = true;
    for c in text.chars() {
        match role(c) {
            Role::Kept => after_space = false,
            Role::Space if c == ' ' && !after_space => after_space = true,
            Role::Space | Role::Dropped => return false,
        }
    }
    !after_space || text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_controls_become_one_space() {
        assert_eq!(clean_text("  a\r\n\tb\0c\u{a0}\u{3000}d \u{7f}"), "a b c d");
        assert_eq!(clean_text("\0\n "), "");
    }

    #[test]
    fn characters_without_a_shape_are_dropped() {
        assert_eq!(clean_text("ab\u{202e}cd\u{200b}e\u{ad}f\u{feff}g\u{fffe}\u{e0041}"), "abcdefg");
        // A space on either side of a dropped character is still one space.
        assert_eq!(clean_text("a \u{200e} b"), "a b");
    }

    #[test]
    fn joiners_and_emoji_stay() {
        let text = "می\u{200c}خواهم 👩\u{200d}👧 ❤\u{fe0f}";
        assert!(matches!(clean_text(text), Cow::Borrowed(t) if t == text));
    }

    #[test]
    fn a_clean_text_is_not_copied() {
        assert!(matches!(clean_text("two words"), Cow::Borrowed(_)));
        assert!(matches!(clean_text(""), Cow::Borrowed(_)));
        assert!(matches!(clean_text("two  words"), Cow::Owned(_)));
        assert!(matches!(clean_text("words "), Cow::Owned(_)));
    }

    #[test]
    fn malformed_bytes_are_replaced() {
        assert_eq!(clean_bytes(b"caf\xe9 \xff\xfe au lait\n"), "caf\u{fffd} \u{fffd}\u{fffd} au lait");
    }
}
