//! Texts before they are cut.

use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;
use regex::Regex;

use super::options::Normalise;

/// datatrove's `PUNCTUATION` beyond ASCII (`utils/text.py`); in ASCII it has all but `\` to `_`-like exceptions below.
const PUNCTUATION: &str = "—”％１〈、━【「」，】；“《„’∶´．（–？！：～«〉》）。…►»";

#[expect(clippy::expect_used, reason = "constant patterns, compiled by every test of this module")]
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?").expect("a constant pattern"));

#[expect(clippy::expect_used, reason = "constant patterns, compiled by every test of this module")]
static MARKS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{Mn}+").expect("a constant pattern"));

/// Appends the normalised text to `out`, which is emptied.
pub(super) fn normalise(text: &str, how: Normalise, out: &mut String) {
    out.clear();
    match how {
        Normalise::Nothing => out.push_str(text),
        Normalise::Lower => {
            for word in text.split_whitespace() {
                if !out.is_empty() {
                    out.push(' ');
                }
                lower(word, out);
            }
        }
        Normalise::Caption => caption(text, out),
        Normalise::Datatrove => datatrove(text, out),
    }
}

fn lower(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else {
        out.push_str(&text.to_lowercase());
    }
}

fn caption(text: &str, out: &mut String) {
    // Combining marks stay with their letter: without them, words of Indic scripts would fall apart.
    let is_mark = |c: char| !c.is_ascii() && MARKS.is_match(c.encode_utf8(&mut [0; 4]));
    let mut space = false;
    for c in text.chars() {
        if c.is_alphanumeric() || is_mark(c) {
            if space && !out.is_empty() {
                out.push(' ');
            }
            space = false;
            if c.is_ascii() {
                out.push(c.to_ascii_lowercase());
            } else {
                out.extend(c.to_lowercase());
            }
        } else {
            space = true;
        }
    }
}

fn is_datatrove_punctuation(c: char) -> bool {
    match c {
        // Its control characters leave out tab and line feed, which are white space anyway.
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        ' '..='~' => c.is_ascii_punctuation(),
        _ => PUNCTUATION.contains(c),
    }
}

fn datatrove(text: &str, out: &mut String) {
    let lower = text.to_lowercase();
    let numbered = NUMBERS.replace_all(&lower, "0");
    let mut spaced = String::with_capacity(numbered.len());
    for word in numbered.split(|c: char| c.is_whitespace() || is_datatrove_punctuation(c)).filter(|word| !word.is_empty()) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    if spaced.is_ascii() {
        out.push_str(&spaced);
        return;
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&spaced);
    out.push_str(MARKS.replace_all(&decomposed, "").trim());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, how: Normalise) -> String {
        let mut out = String::from("left over");
        normalise(text, how, &mut out);
        out
    }

    #[test]
    fn simplified_texts_are_those_of_datatrove() {
        // datatrove 0.10: simplify_text(text).
        for (text, simple) in [
            (
                "The Quick brown-fox, no. 12.5 jumps over the lazy dóg's 3,000 friends & left “early” ﬁn",
                "the quick brown fox no 0 jumps over the lazy dog s 0 friends left early ﬁn",
            ),
            ("ΣΑΣ İstanbul ß", "σας istanbul ß"),
            ("Ⅷ ²³ ١٢٫٥ 〇", "ⅷ ²³ 0 〇"),
            ("हिन्दी कैमरा", "\u{939}\u{93f}\u{928}\u{926}\u{940} \u{915}\u{92e}\u{930}\u{93e}"),
            ("e\u{301} Å ﬀ 東京タワー「塔」", "e a ﬀ 東京タワー 塔"),
            ("a\u{a0}b\u{2003}c\u{200b}d\u{1c}\u{85}e", "a b c\u{200b}d e"),
            ("Ünïcödé—dash…", "unicode dash"),
            ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
        ] {
            assert_eq!(of(text, Normalise::Datatrove), simple);
        }
    }

    #[test]
    fn captions_keep_letters_marks_and_digits() {
        assert_eq!(of("  A RED  fox's den\u{2014}No. 7! ", Normalise::Caption), "a red fox s den no 7");
        assert_eq!(of("हिन्दी, कैमरा", Normalise::Caption), "हिन्दी कैमरा");
        assert_eq!(of("ÉTÉ \t été", Normalise::Lower), "été été");
        assert_eq!(of("...", Normalise::Caption), "");
    }
}
