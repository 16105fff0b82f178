//! Whether a match is a whole word.

use std::sync::LazyLock;

use regex::Regex;

/// Whether `text[start..end]`, not empty, is a whole word in `text`, by the rules of [`super`].
pub(super) fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(inside), Some(after)) = (text.get(..start), text.get(start..end), text.get(end..)) else {
        // Matches of UTF-8 in UTF-8 begin and end between characters.
        return false;
    };
    let first = inside.chars().next();
    let last = inside.chars().next_back();
    let begins = match (before.chars().next_back(), first) {
        (Some(outer), Some(inner)) => !joined(outer, inner) || unspaced(outer) || unspaced(inner),
        _ => true,
    };
    begins
        && match (last, after.chars().next()) {
            (Some(_), Some(outer)) if is_mark(outer) => false,
            (Some(inner), Some(outer)) => !joined(inner, outer) || unspaced(outer) || unspaced(inner) || hangul(inner),
            _ => true,
        }
}

/// Whether both are word characters, so that no word ends between them where words are spaced.
fn joined(a: char, b: char) -> bool {
    is_word(a) && is_word(b)
}

/// `\w` of Unicode's regular expressions: letters, marks, decimal digits, connectors, joiners.
fn is_word(c: char) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\w").ok());
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    // Most are told without the table; the joiners and marks are not alphanumeric.
    c.is_alphanumeric() || of_class(&WORD, c)
}

/// A combining mark: belongs to the character before it.
fn is_mark(c: char) -> bool {
    static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{M}").ok());
    !c.is_ascii() && of_class(&MARK, c)
}

fn of_class(class: &LazyLock<Option<Regex>>, c: char) -> bool {
    let mut buffer = [0; 4];
    class.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut buffer)))
}

/// Letters of scripts that are written without spaces between words: Han, Hiragana, Katakana, Bopomofo, Thai, Lao, Khmer, Myanmar.
fn unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff // Thai, Lao
        | 0x1000..=0x109f | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f // Myanmar
        | 0x1780..=0x17ff | 0x19e0..=0x19ff // Khmer
        | 0x2e80..=0x2fdf // radicals
        | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3031..=0x3035 | 0x3038..=0x303b // iteration marks and numerals of Han and Kana
        | 0x3041..=0x312f // Hiragana, Katakana, Bopomofo
        | 0x31a0..=0x31bf | 0x31f0..=0x31ff // more Bopomofo and Katakana
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff // Han
        | 0xff66..=0xff9f // Katakana of half width
        | 0x1aff0..=0x1b16f // more Kana
        | 0x20000..=0x3ffff // more Han
    )
}

/// Syllables of Hangul.
fn hangul(c: char) -> bool {
    matches!(u32::from(c), 0xac00..=0xd7a3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_characters_are_letters_marks_digits_and_connectors() {
        for c in ['a', 'Z', '0', '_', 'é', 'я', '\u{94d}', '\u{301}', '\u{200d}', '中'] {
            assert!(is_word(c), "{c:?}");
        }
        for c in [' ', '-', '\'', '’', '。', '#', '\u{200b}'] {
            assert!(!is_word(c), "{c:?}");
        }
    }

    #[test]
    fn marks_are_told_from_letters() {
        assert!(is_mark('\u{301}') && is_mark('\u{e35}') && is_mark('\u{93f}'));
        assert!(!is_mark('a') && !is_mark('ก') && !is_mark('、'));
    }
}
