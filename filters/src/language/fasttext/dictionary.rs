//! Words, labels and the rows of the input matrix that a text stands for (fastText's `dictionary.cc`).

use std::collections::HashMap;

use super::bytes::Cursor;
use super::{LABEL_PREFIX, Malformed, Settings};

/// The token that a line ends with; `predict` adds it to every text.
const END_OF_LINE: &[u8] = b"</s>";
/// Entry type of a label in the file; a word has 0.
const LABEL: u8 = 1;
/// A slot without a word.
const FREE: u32 = u32::MAX;

/// The dictionary of a model.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// All words one after the other; word `i` ends at `ends[i]`.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Open addressing by [`hash`]; its length is a power of two.
    slots: Vec<u32>,
    labels: Vec<Box<str>>,
    label_counts: Vec<i64>,
    /// Which hashed rows are left, and where, in a pruned model.
    pruned: Option<HashMap<u32, u32>>,
}

impl Dictionary {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let size = cursor.count32()?;
        let words = cursor.count32()?;
        let labels = cursor.count32()?;
        cursor.i64()?; // tokens seen in training
        let pruned_size = cursor.i64()?;
        if words.checked_add(labels) != Some(size) {
            return Err(cursor.error("a dictionary whose words and labels do not add up"));
        }
        let mut this =
            Self { text: Vec::new(), ends: Vec::new(), slots: Vec::new(), labels: Vec::new(), label_counts: Vec::new(), pruned: None };
        for i in 0..size {
            let entry = cursor.until_nul()?;
            let count = cursor.i64()?;
            let is_label = cursor.take(1)?[0] == LABEL;
            if is_label != (i >= words) {
                return Err(cursor.error("a label among the words, or a word among the labels"));
            }
            if is_label {
                let label = String::from_utf8_lossy(entry);
                this.labels.push(label.strip_prefix(LABEL_PREFIX).unwrap_or(&label).into());
                this.label_counts.push(count);
            } else {
                this.text.extend_from_slice(entry);
                this.ends.push(this.text.len());
            }
        }
        if pruned_size >= 0 {
            let mut map = HashMap::new();
            for _ in 0..pruned_size {
                let from = cursor.count32()? as u32;
                map.insert(from, cursor.count32()? as u32);
            }
            this.pruned = Some(map);
        }
        this.index();
        Ok(this)
    }

    fn index(&mut self) {
        self.slots = vec![FREE; (self.ends.len() * 2).next_power_of_two().max(2)];
        for i in 0..self.ends.len() {
            let slot = self.slot(self.word(i), hash(self.word(i)));
            self.slots[slot] = i as u32;
        }
    }

    fn word(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }

    /// The slot of `word`, or the free one where it would go. Half of the slots are free, so one is found.
    fn slot(&self, word: &[u8], hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != FREE && self.word(self.slots[slot] as usize) != word {
            slot = (slot + 1) & mask;
        }
        slot
    }

    pub(super) fn labels(&self) -> &[Box<str>] {
        &self.labels
    }

    pub(super) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    pub(super) fn is_pruned(&self) -> bool {
        self.pruned.is_some()
    }

    /// Rows that the input matrix must have for every row number that [`for_each_row`](Self::for_each_row) gives.
    pub(super) fn rows_needed(&self, settings: &Settings) -> usize {
        let hashed = match &self.pruned {
            Some(map) => map.values().map(|&row| row as usize + 1).max().unwrap_or(0),
            None if settings.max_chars > 0 || settings.word_ngrams > 1 => settings.bucket as usize,
            None => 0,
        };
        self.ends.len() + hashed
    }

    /// Calls `row` for every row of the input matrix that `text` stands for, in fastText's order, so that the sum of
    /// the rows is the same to the last bit. `token` and `word_hashes` are overwritten.
    pub(super) fn for_each_row(
        &self,
        text: &str,
        settings: &Settings,
        token: &mut Vec<u8>,
        word_hashes: &mut Vec<i32>,
        mut row: impl FnMut(usize),
    ) {
        word_hashes.clear();
        let tokens = text.as_bytes().split(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0));
        for word in tokens.filter(|w| !w.is_empty()).chain([END_OF_LINE]) {
            let h = hash(word);
            let known = self.slots[self.slot(word, h)];
            // Labels in the text are not features; unknown ones are skipped as well.
            if known == FREE && word.starts_with(LABEL_PREFIX.as_bytes()) {
                continue;
            }
            if known != FREE {
                row(known as usize);
            }
            if settings.max_chars > 0 && word != END_OF_LINE {
                token.clear();
                token.push(b'<');
                token.extend_from_slice(word);
                token.push(b'>');
                self.for_each_subword(token, settings, &mut row);
            }
            word_hashes.push(h as i32);
            if word == END_OF_LINE {
                break;
            }
        }
        for (i, &first) in word_hashes.iter().enumerate() {
            // fastText widens the signed hashes.
            let mut h = first as i64 as u64;
            for &next in word_hashes[i + 1..].iter().take(settings.word_ngrams - 1) {
                h = h.wrapping_mul(116_049_371).wrapping_add(next as i64 as u64);
                self.hashed_row(h, settings, &mut row);
            }
        }
    }

    fn for_each_subword(&self, token: &[u8], settings: &Settings, row: &mut impl FnMut(usize)) {
        let continues = |i: usize| token.get(i).is_some_and(|b| b & 0xC0 == 0x80);
        for start in 0..token.len() {
            if continues(start) {
                continue;
            }
            let mut end = start;
            let mut h = FNV_OFFSET;
            for chars in 1..=settings.max_chars {
                if end == token.len() {
                    break;
                }
                h = hash_step(h, token[end]);
                end += 1;
                while continues(end) {
                    h = hash_step(h, token[end]);
                    end += 1;
                }
                let lone_bracket = chars == 1 && (start == 0 || end == token.len());
                if chars >= settings.min_chars && !lone_bracket {
                    self.hashed_row(u64::from(h), settings, row);
                }
            }
        }
    }

    fn hashed_row(&self, h: u64, settings: &Settings, row: &mut impl FnMut(usize)) {
        if settings.bucket == 0 {
            return;
        }
        let id = (h % u64::from(settings.bucket)) as u32;
        let id = match &self.pruned {
            Some(map) => match map.get(&id) {
                Some(&id) => id,
                None => return,
            },
            None => id,
        };
        row(self.ends.len() + id as usize);
    }
}

const FNV_OFFSET: u32 = 2_166_136_261;

/// FNV-1a as fastText has it: the byte is widened with its sign.
fn hash_step(h: u32, byte: u8) -> u32 {
    (h ^ (byte as i8 as u32)).wrapping_mul(16_777_619)
}

fn hash(word: &[u8]) -> u32 {
    word.iter().fold(FNV_OFFSET, |h, &b| hash_step(h, b))
}
