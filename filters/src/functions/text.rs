//! Functions on captions.

use std::sync::Arc;

use super::{Function, Kernel};
use crate::text;

pub(super) fn group() -> Vec<Function> {
    const TEXT: &[&str] = &["text"];
    vec![
        Function::int("words", TEXT, text::words, "number of words, as len(text.split()) in Python"),
        Function::int("chars", TEXT, text::chars, "number of Unicode characters, as len(text) in Python"),
        Function::float("alnum_ratio", TEXT, text::alnum_ratio, "share of letters and digits, 0 to 1"),
        Function::float("word_repetition", TEXT, text::word_repetition, "share of words said before, 0 to 1"),
        Function::float("bigram_repetition", TEXT, text::bigram_repetition, "share of word pairs said before, 0 to 1"),
        Function::int("longest_run", TEXT, text::longest_run, "length of the longest run of one character"),
        Function::bool(
            "is_boilerplate",
            TEXT,
            text::is_boilerplate,
            "whether the caption is filler: generic words, a file or camera name, numbers",
        ),
        Function::bool(
            "datacomp_caption_ok",
            TEXT,
            text::datacomp_caption_ok,
            "DataComp's basic filter without the language: more than 2 words and 5 characters",
        ),
        Function::bool(
            "datacomp_image_caption_ok",
            TEXT,
            text::datacomp_image_caption_ok,
            "DataComp's image-based filter without the language: more than 1 token and 5 characters",
        ),
        Function::bool("laion_caption_ok", TEXT, text::laion_caption_ok, "LAION's rule: at least 5 printable characters after stripping"),
        Function::new(
            "clean_text",
            TEXT,
            Kernel::Text(Arc::new(|t| Some(text::clean_text(t)))),
            "one line without control and invisible characters, white space collapsed",
        ),
        Function::string(
            "text_hash",
            TEXT,
            text::text_hash,
            "32 hex digits, the same for captions that differ in case and white space only",
        ),
    ]
}
