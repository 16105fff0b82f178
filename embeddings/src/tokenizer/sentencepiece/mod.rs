//! SentencePiece's unigram model, id for id: its normaliser, its search and its arithmetic in single precision.
//!
//! The crate `tokenizers` has a unigram model too, but adds scores in double precision and normalises by grapheme: runs
//! of one letter (`aaaaa`), whose segmentations differ only by rounding, and letters with several marks come out
//! differently there.

mod normalizer;
mod proto;

use std::path::Path;

use crate::error::ModelError;
use normalizer::{Normalizer, SPACE};
use proto::{Kind, Proto};

/// What an unknown character costs more than the worst piece (`kUnkPenalty` of `unigram_model.cc`).
const UNKNOWN_PENALTY: f32 = 10.0;

/// A loaded model.
#[derive(Debug, Clone)]
pub(super) struct Unigram {
    normalizer: Normalizer,
    /// Pieces that text can become, sorted by their bytes: (bytes, id, score).
    sorted: Vec<(Box<[u8]>, u32, f64)>,
    /// Where the pieces of each first byte begin in `sorted`.
    starts: Vec<usize>,
    unknown: u32,
    unknown_score: f32,
    /// Ids of `<0x00>` to `<0xFF>`, when unknown characters become bytes.
    bytes: Option<Box<[u32; 256]>>,
    pieces: Vec<String>,
    /// No piece has a space behind something else, so that words are found one by one.
    words_apart: bool,
}

/// The best way that is known to get to a position.
#[derive(Clone, Copy)]
struct Node {
    id: u32,
    score: f32,
    start: usize,
}

const UNREACHED: usize = usize::MAX;

impl Unigram {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let proto = Proto::read(path)?;
        Self::new(proto).map_err(|message| ModelError::Config { path: path.to_path_buf(), message: message.to_owned() })
    }

    fn new(proto: Proto) -> Result<Self, &'static str> {
        if proto.model_type != 1 {
            return Err("not a unigram model; for others `tokenizer.json` is needed");
        }
        let normalizer = Normalizer::new(&proto)?;
        let normal = || proto.pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        let (least, most) = (normal().fold(f32::MAX, f32::min), normal().fold(f32::MIN, f32::max));
        let mut sorted = Vec::with_capacity(proto.pieces.len());
        let mut unknown = None;
        let mut bytes = Box::new([u32::MAX; 256]);
        for (id, piece) in (0_u32..).zip(&proto.pieces) {
            match piece.kind {
                Kind::Normal => sorted.push((Box::from(piece.text.as_bytes()), id, f64::from(piece.score))),
                Kind::UserDefined => {
                    // Always taken: the bonus of `unigram_model.cc`, in double precision as there.
                    let bonus = f64::from(piece.text.len() as f32 * most) - 0.1;
                    sorted.push((Box::from(piece.text.as_bytes()), id, bonus));
                }
                Kind::Unknown => unknown = Some(id),
                Kind::Byte => {
                    let hex = piece.text.strip_prefix("<0x").and_then(|text| text.strip_suffix('>'));
                    let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or("a byte piece that names no byte")?;
                    bytes[usize::from(byte)] = id;
                }
                Kind::Control | Kind::Unused => {}
            }
        }
        sorted.retain(|(text, _, _): &(Box<[u8]>, u32, f64)| !text.is_empty());
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("a piece is there twice");
        }
        if proto.byte_fallback && bytes.contains(&u32::MAX) {
            return Err("`byte_fallback` without pieces for all bytes");
        }
        let starts = (0..=256).map(|first| sorted.partition_point(|(text, _, _)| usize::from(text[0]) < first)).collect();
        let has_space = sorted.binary_search_by(|(text, _, _)| (**text).cmp(SPACE.as_bytes())).is_ok();
        let inner = |text: &str| text.trim_start_matches(SPACE).contains(SPACE);
        let words_apart = has_space && !proto.pieces.iter().any(|piece| inner(&piece.text));
        Ok(Self {
            normalizer,
            sorted,
            starts,
            unknown: unknown.ok_or("no piece for the unknown")?,
            unknown_score: least - UNKNOWN_PENALTY,
            bytes: proto.byte_fallback.then_some(bytes),
            pieces: proto.pieces.into_iter().map(|piece| piece.text).collect(),
            words_apart,
        })
    }

    /// Pieces of the vocabulary, with those that text never becomes.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Id of a piece of any kind, by its text.
    pub(super) fn id(&self, piece: &str) -> Option<u32> {
        self.pieces.iter().position(|text| text == piece).and_then(|at| u32::try_from(at).ok())
    }

    /// Ids of a text. With `enough`, the ids may stop after so many, at the end of a word.
    pub(super) fn encode(&self, text: &str, enough: usize) -> Vec<u32> {
        let normalized = self.normalizer.normalize(text);
        let text = if self.words_apart { first_words(&normalized, enough) } else { &normalized };
        let text = text.as_bytes();
        let mut best = vec![Node { id: 0, score: 0.0, start: UNREACHED }; text.len() + 1];
        let mut at = 0;
        while at < text.len() {
            let here = best[at].score;
            let length = char_length(text[at]).min(text.len() - at);
            let mut single = false;
            self.prefixes(&text[at..], |end, id, score| {
                single |= end == length;
                offer(&mut best[at + end], id, score + f64::from(here), at);
            });
            if !single {
                offer(&mut best[at + length], self.unknown, f64::from(self.unknown_score + here), at);
            }
            at += length;
        }
        self.walk_back(text, &best)
    }

    /// Every piece that `text` starts with: its length, id and score, shortest first.
    fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32, f64)) {
        let first = usize::from(text[0]);
        let mut range = &self.sorted[self.starts[first]..self.starts[first + 1]];
        for depth in 1..=text.len() {
            // All in `range` share `depth` bytes with the text; the one that ends here is the first.
            match range.first() {
                None => return,
                Some((piece, id, score)) if piece.len() == depth => {
                    found(depth, *id, *score);
                    range = &range[1..];
                }
                Some(_) => {}
            }
            let Some(&next) = text.get(depth) else { return };
            let low = range.partition_point(|(piece, _, _)| piece[depth] < next);
            let high = low + range[low..].partition_point(|(piece, _, _)| piece[depth] == next);
            range = &range[low..high];
        }
    }

    fn walk_back(&self, text: &[u8], best: &[Node]) -> Vec<u32> {
        let (mut ids, mut end) = (Vec::new(), text.len());
        let mut unknown_before = false;
        while end > 0 {
            let node = best[end];
            // Every position that is asked for was reached from its start.
            let start = if node.start == UNREACHED { 0 } else { node.start };
            let unknown = node.id == self.unknown;
            match (&self.bytes, unknown) {
                (Some(bytes), true) => ids.extend(text[start..end].iter().rev().map(|&byte| bytes[usize::from(byte)])),
                // Neighbours that are unknown are one token.
                (None, true) if unknown_before => {}
                _ => ids.push(node.id),
            }
            unknown_before = unknown;
            end = start;
        }
        ids.reverse();
        ids
    }
}

/// Takes a way if it is better. Compared in double precision and kept in single, as the reference does by the types of
/// its variables; it decides between segmentations that are equal but for rounding.
fn offer(node: &mut Node, id: u32, score: f64, start: usize) {
    if node.start == UNREACHED || score > f64::from(node.score) {
        *node = Node { id, score: score as f32, start };
    }
}

fn char_length(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// The start of a normalised text that has more than `enough` words, or all of it. Each word is at least one token.
fn first_words(text: &str, enough: usize) -> &str {
    let mut words = 0;
    let mut in_space = true;
    for (at, c) in text.char_indices() {
        let space = SPACE.starts_with(c);
        if space && !in_space {
            words += 1;
            if words > enough {
                return &text[..at];
            }
        }
        in_space = space;
    }
    text
}
