//! The caption rules of published datasets, without their language part.

use std::sync::LazyLock;

use regex::Regex;

use super::count::{chars, is_python_space, words};

/// The caption rule of DataComp's *basic* filter: more than 2 words and more than 5 characters.
///
/// `len(text.split()) > 2 and len(text) > 5` in `baselines/apply_filter.py`. The filter also wants English, which is
/// [`lang`](crate::language::lang) or a fastText model.
pub fn datacomp_caption_ok(text: &str) -> bool {
    words(text) > 2 && more_chars_than(text, 5)
}

/// The caption rule of DataComp's *image-based* filter: more than 1 fastText token and more than 5 characters.
///
/// `len(fasttext.tokenize(text)) > 1 and len(text) > 5`. fastText splits at ASCII white space and NUL only, and a
/// newline is a token of its own.
pub fn datacomp_image_caption_ok(text: &str) -> bool {
    more_chars_than(text, 5) && fasttext_tokens(text) > 1
}

/// The caption rule of LAION-400M and LAION-5B: at least 5 characters, after stripping the text and leaving out what
/// cannot be printed.
///
/// `len(text) >= 5` in `ccpp.py`, after newlines became spaces and Python's `str.strip` and `str.isprintable` were
/// applied. LAION also repaired mis-decoded text with ftfy before; that is not done here.
pub fn laion_caption_ok(text: &str) -> bool {
    /// What Python's `isprintable` refuses: the categories C and Z, save the space.
    static UNPRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}--[ ]]+").ok());
    const LEAST: usize = 5;

    // LAION replaced newlines first, so that inner ones count as a space each.
    let text = text.trim_matches(is_python_space);
    if text.is_ascii() {
        let counts = |b: &u8| (0x20..0x7f).contains(b) || *b == b'\n';
        return text.bytes().filter(counts).take(LEAST).count() == LEAST;
    }
    let Some(unprintable) = UNPRINTABLE.as_ref() else {
        return false;
    };
    let left_out: usize = unprintable.find_iter(text).map(|m| m.as_str().chars().filter(|c| *c != '\n').count()).sum();
    chars(text) - left_out >= LEAST
}

fn more_chars_than(text: &str, limit: usize) -> bool {
    text.chars().nth(limit).is_some()
}

fn fasttext_tokens(text: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for b in text.bytes() {
        let space = matches!(b, b' ' | 0x09..=0x0d | 0);
        count += usize::from(!space && !inside) + usize::from(b == b'\n');
        inside = !space;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datacomp_wants_three_words_and_six_characters() {
        assert!(datacomp_caption_ok("a b cde"));
        assert!(!datacomp_caption_ok("a b c"));
        assert!(datacomp_caption_ok("a b c "));
        assert!(!datacomp_caption_ok("golden retriever"));
        assert!(!datacomp_caption_ok(""));
    }

    #[test]
    fn the_image_based_rule_counts_fasttext_tokens() {
        // Golden value: fasttext.tokenize("a b\nc\n\n d") has 7 tokens.
        assert_eq!(fasttext_tokens("a b\nc\n\n d"), 7);
        assert!(datacomp_image_caption_ok("golden retriever"));
        assert!(!datacomp_image_caption_ok("retriever"));
        assert!(datacomp_image_caption_ok("retriever\n"));
        assert!(!datacomp_image_caption_ok("golden\u{3000}retriever"));
        assert!(!datacomp_image_caption_ok("a b"));
    }

    #[test]
    fn laion_wants_five_printable_characters() {
        assert!(laion_caption_ok("house"));
        assert!(!laion_caption_ok("hous"));
        assert!(!laion_caption_ok("  hous  "));
        assert!(laion_caption_ok("ho us"));
        assert!(laion_caption_ok("ho\nus"));
        assert!(!laion_caption_ok("ho\tus"));
        assert!(laion_caption_ok("高い山の上"));
        assert!(!laion_caption_ok("高い山の"));
        assert!(!laion_caption_ok("高い\u{200b}山の"));
        assert!(!laion_caption_ok("高い\u{3000}山の"));
        assert!(laion_caption_ok("高い 山の"));
    }
}
