//! Rules on captions: counts, published caption rules, cleaning, repetition, boilerplate, hashing.

mod boilerplate;
mod caption_rules;
mod clean;
mod count;
mod hash;
mod repetition;

pub use boilerplate::is_boilerplate;
pub use caption_rules::{datacomp_caption_ok, datacomp_image_caption_ok, laion_caption_ok};
pub use clean::{clean_bytes, clean_text};
pub(crate) use count::split_words;
pub use count::{alnum_ratio, chars, words};
pub use hash::{text_hash, text_hash_bytes};
pub use repetition::{bigram_repetition, longest_run, word_repetition};
