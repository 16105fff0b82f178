//! How much there is of a caption.

/// Whether `c` separates words for Python's `str.split()`.
///
/// Python counts the four information separators as white space; Unicode's `White_Space` property does not.
pub(super) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// The words of `text` as Python's `str.split()` gives them.
pub(crate) fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_python_space).filter(|word| !word.is_empty())
}

/// Number of words: what `len(text.split())` is in Python.
///
/// Texts in scripts that put no spaces between words (Chinese, Japanese, Thai) count as few words, as there.
pub fn words(text: &str) -> usize {
    if !text.is_ascii() {
        return split_words(text).count();
    }
    let mut count = 0;
    let mut inside = false;
    for b in text.bytes() {
        let space = matches!(b, 0x09..=0x0d | 0x1c..=0x20);
        count += usize::from(!space && !inside);
        inside = !space;
    }
    count
}

/// Number of Unicode scalar values: what `len(text)` is in Python.
pub fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Share of the characters that are letters or digits of any script, 0 to 1; 0 for an empty text.
pub fn alnum_ratio(text: &str) -> f32 {
    let (mut all, mut alnum) = (0u64, 0u64);
    for c in text.chars() {
        all += 1;
        alnum += u64::from(c.is_alphanumeric());
    }
    if all == 0 { 0.0 } else { alnum as f32 / all as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_python_split() {
        // Golden values: len(s.split()) in CPython 3.11.
        for (text, want) in [
            ("", 0),
            ("   ", 0),
            ("one", 1),
            (" a  b\tc\nd ", 4),
            ("a\u{1c}b\u{1f}c", 3),
            ("a\u{1c}é", 2),
            ("a\u{85}b\u{a0}c\u{3000}d\u{2028}e", 5),
            ("a\u{200b}b\u{feff}c", 1),
            ("a\0b", 1),
            ("犬が走る", 1),
        ] {
            assert_eq!(words(text), want, "{text:?}");
            assert_eq!(split_words(text).count(), want, "{text:?}");
        }
    }

    #[test]
    fn chars_are_scalar_values_and_not_bytes() {
        assert_eq!(chars(""), 0);
        assert_eq!(chars("犬が走る"), 4);
        assert_eq!(chars("e\u{301}👩‍👧"), 5);
    }

    #[test]
    fn alnum_ratio_knows_all_scripts() {
        assert_eq!(alnum_ratio(""), 0.0);
        assert_eq!(alnum_ratio("----"), 0.0);
        assert_eq!(alnum_ratio("犬1a"), 1.0);
        assert_eq!(alnum_ratio("ab--"), 0.5);
    }
}
