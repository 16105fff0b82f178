//! transformers' `SiglipTokenizer` over `spiece.model`.

use super::clean::{is_space, without_punctuation};
use super::sentencepiece::Unigram;

const SPACE: &str = "\u{2581}";

pub(super) struct SiglipPieces {
    model: Unigram,
    lower: bool,
    /// Tokens that are found in the caption itself, with their ids.
    special: Vec<(String, u32)>,
    unknown: String,
    /// Ids of the unknown token's own text, which is put before each text and taken away again.
    unknown_length: usize,
}

impl SiglipPieces {
    pub(super) fn new(model: Unigram, lower: bool, unknown: String, special: Vec<(String, u32)>) -> Self {
        let unknown_length = model.encode(&unknown, usize::MAX).len();
        Self { model, lower, special, unknown, unknown_length }
    }

    /// Ids of a caption without the end; the rest may be left out once there are more than `enough`.
    pub(super) fn encode(&self, text: &str, enough: usize) -> Vec<u32> {
        let text = format!("{SPACE}{}", text.replace(SPACE, " "));
        let mut ids = Vec::new();
        let (mut rest, mut first) = (text.as_str(), true);
        loop {
            // The leftmost special token, and of those the longest.
            let found = self.special.iter().filter_map(|(token, id)| Some((rest.find(token.as_str())?, token.len(), *id)));
            let found = found.min_by_key(|&(at, length, _)| (at, usize::MAX - length));
            let Some((at, length, id)) = found else {
                let segment = if first { rest } else { rest.trim_start_matches(is_space) };
                self.segment(segment, enough, &mut ids);
                break;
            };
            // Special tokens take the white space on both sides.
            let segment = rest[..at].trim_end_matches(is_space);
            self.segment(if first { segment } else { segment.trim_start_matches(is_space) }, enough, &mut ids);
            if first && self.is_lone_space(&ids) {
                ids.clear();
            }
            ids.push(id);
            (rest, first) = (&rest[at + length..], false);
            if ids.len() > enough {
                break;
            }
        }
        ids
    }

    fn is_lone_space(&self, ids: &[u32]) -> bool {
        matches!(ids, [only] if self.model.id(SPACE) == Some(*only))
    }

    fn segment(&self, text: &str, enough: usize, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        // `str.lower` knows the final sigma, and so does `to_lowercase`.
        let lower = if self.lower { text.to_lowercase() } else { text.to_owned() };
        let plain = without_punctuation(&lower);
        let mut canonical = String::with_capacity(plain.len() + self.unknown.len());
        canonical.push_str(&self.unknown);
        let (mut in_space, body) = (false, plain.trim_matches(is_space));
        for c in body.chars() {
            let space = is_space(c);
            if !space {
                canonical.push(c);
            } else if !in_space {
                canonical.push(' ');
            }
            in_space = space;
        }
        let encoded = self.model.encode(&canonical, enough.saturating_add(self.unknown_length));
        ids.extend(encoded.iter().skip(if encoded.len() >= self.unknown_length { self.unknown_length } else { 0 }));
    }
}
