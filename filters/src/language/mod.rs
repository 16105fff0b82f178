//! Which language a caption is written in.
//!
//! [`Cld2`] is built in and needs no file; [`FastText`] runs a supervised fastText model (`lid.176.bin`,
//! `lid.176.ftz` and their like) given by its path. Both are [`LanguageDetector`]s.

mod cld2;
pub mod fasttext;

pub use cld2::Cld2;
pub use fasttext::FastText;

use std::sync::OnceLock;

/// The code of a text whose language cannot be told (ISO 639-2 "undetermined").
pub const UNDETERMINED: &str = "und";

/// What a detector says about one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection<'a> {
    /// Language code: ISO 639-1 where one exists, else ISO 639-3, or [`UNDETERMINED`].
    ///
    /// A fastText model answers with whatever its labels are, less the `__label__` prefix.
    pub lang: &'a str,
    /// How sure the detector is, 0 to 1; 0 where `lang` is [`UNDETERMINED`]. Comparable within one detector only.
    pub score: f32,
}

impl Detection<'static> {
    /// The answer for a text that cannot be told.
    pub const UNDETERMINED: Self = Self { lang: UNDETERMINED, score: 0.0 };
}

/// Says which language a text is in.
///
/// Implementations are pure (the same text gives the same answer, on any thread, in any order), never fail and
/// never panic: a text that cannot be told is [`Detection::UNDETERMINED`]. Any `&str` may be passed, including
/// empty ones and ones of many megabytes.
pub trait LanguageDetector: Send + Sync {
    /// The most likely language of `text`.
    fn detect(&self, text: &str) -> Detection<'_>;

    /// Names the detector and its model, to be written beside the scores that it gave.
    fn id(&self) -> &str;
}

/// The detector that [`lang`] and [`lang_score`] ask: [`Cld2`].
pub fn default_detector() -> &'static dyn LanguageDetector {
    static DETECTOR: OnceLock<Cld2> = OnceLock::new();
    DETECTOR.get_or_init(Cld2::new)
}

/// Language code of `text` by the built-in detector, [`UNDETERMINED`] where it cannot tell.
pub fn lang(text: &str) -> &'static str {
    default_detector().detect(text).lang
}

/// How sure the built-in detector is of [`lang`], 0 to 1.
pub fn lang_score(text: &str) -> f32 {
    default_detector().detect(text).score
}

/// Whether there is a letter in `text`: what has none has no language.
fn has_letter(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_alphabetic()) || (!text.is_ascii() && text.chars().any(char::is_alphabetic))
}

/// The longest prefix of `text` of at most `limit` bytes that ends between two characters.
fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
