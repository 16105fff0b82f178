//! open_clip's `SimpleTokenizer`: OpenAI's byte pairs with other special tokens and its own cleaning.

use regex::Regex;
use tokenizers::{Model, Tokenizer};

use super::clean::Clean;

/// The pattern of `SimpleTokenizer`, which ignores case.
const PATTERN: &str = r"(?i)<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

pub(super) struct SimpleTokenizer {
    words: Tokenizer,
    pattern: Regex,
    clean: Clean,
    /// Letter of each byte in the vocabulary.
    letters: Box<[char; 256]>,
    start: u32,
    end: u32,
}

impl SimpleTokenizer {
    pub(super) fn new(words: Tokenizer, clean: Clean, start: u32, end: u32) -> Result<Self, String> {
        let pattern = Regex::new(PATTERN).map_err(|error| error.to_string())?;
        Ok(Self { words, pattern, clean, letters: letters(), start, end })
    }

    /// Ids of a caption without start and end; the rest is left out once there are more than `enough`.
    pub(super) fn encode(&self, text: &str, enough: usize) -> Result<Vec<u32>, String> {
        let text = self.clean.apply(text);
        let mut ids = Vec::new();
        for word in self.pattern.find_iter(&text) {
            match word.as_str() {
                "<start_of_text>" => ids.push(self.start),
                "<end_of_text>" => ids.push(self.end),
                word => {
                    let letters: String = word.bytes().map(|byte| self.letters[usize::from(byte)]).collect();
                    let tokens = self.words.get_model().tokenize(&letters).map_err(|error| error.to_string())?;
                    ids.extend(tokens.iter().map(|token| token.id));
                }
            }
            if ids.len() > enough {
                break;
            }
        }
        Ok(ids)
    }
}

/// `bytes_to_unicode` of GPT-2: printable bytes are themselves, the others follow from U+0100.
fn letters() -> Box<[char; 256]> {
    let mut letters = Box::new(['\0'; 256]);
    let mut next = '\u{100}';
    for byte in 0..=u8::MAX {
        letters[usize::from(byte)] = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                let letter = next;
                next = char::from_u32(u32::from(next) + 1).unwrap_or(next);
                letter
            }
        };
    }
    letters
}
