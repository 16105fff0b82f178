//! The words of the entries, numbered: an open-addressing table that compares whole words without a second memory access.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::NONE;
use super::prefetch::prefetch;

/// Bytes that [`Key::of`] reads at once.
pub(super) const WINDOW: usize = 16;
/// Longest word that is stored in the table itself.
const INLINE: usize = 15;

/// What stands for a word in the table: up to 15 bytes are the word itself with its length in the last byte; longer ones are
/// their hash, and the bytes are compared besides.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    low: u64,
    high: u64,
}

/// The bits of as many bytes, in the two halves of a key.
static MASKS: [(u64, u64); INLINE + 1] = {
    let mut masks = [(0, 0); INLINE + 1];
    let mut len = 0;
    while len <= INLINE {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = (mask as u64, (mask >> 64) as u64);
        len += 1;
    }
    masks
};

impl Key {
    /// The key of `text[start..end]`; `text` goes on for [`WINDOW`] bytes from `start` at least.
    #[inline]
    pub(super) fn of(text: &[u8], start: usize, end: usize) -> Self {
        let len = end - start;
        if len > INLINE {
            return Self::long(&text[start..end]);
        }
        let mut window = [0; WINDOW];
        window.copy_from_slice(&text[start..start + WINDOW]);
        let word = u128::from_le_bytes(window);
        let (low, high) = MASKS[len & INLINE];
        Self { low: word as u64 & low, high: (word >> 64) as u64 & high | (len as u64) << 56 }
    }

    /// The key of a word that stands alone.
    pub(super) fn alone(word: &[u8]) -> Self {
        if word.len() > INLINE {
            return Self::long(word);
        }
        let mut window = [0; WINDOW];
        window[..word.len()].copy_from_slice(word);
        Self::of(&window, 0, word.len())
    }

    #[cold]
    fn long(word: &[u8]) -> Self {
        Self { low: xxh3_64(word), high: u64::MAX }
    }

    /// Whether the key is the word itself, so that equal keys are equal words.
    #[inline]
    pub(super) fn is_inline(self) -> bool {
        self.high != u64::MAX
    }

    /// Whether two keys are equal, in one comparison.
    #[inline]
    pub(super) fn same(self, other: Self) -> bool {
        (self.low ^ other.low) | (self.high ^ other.high) == 0
    }

    #[inline]
    pub(super) fn hash(self) -> u64 {
        fold(self.low ^ 0x9e37_79b9_7f4a_7c15, self.high ^ 0xd1b5_4a32_d192_ed03)
    }
}

/// Both halves of a 128-bit product: each bit of either factor reaches the upper bits of the result.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// What is known of a word.
#[derive(Clone, Copy)]
pub(super) struct Word {
    /// Its number, with [`Word::STARTS`] and [`Word::GOES_ON`].
    number: u32,
    /// The entry that is this one word, or [`NONE`].
    pub(super) entry: u32,
}

impl Word {
    /// An entry of several words starts with it.
    pub(super) const STARTS: u32 = 1 << 31;
    /// An entry has it in second place or later.
    pub(super) const GOES_ON: u32 = 1 << 30;
    /// A word of no entry.
    pub(super) const UNKNOWN: Self = Self { number: 0, entry: NONE };
    /// Numbers are below it.
    pub(super) const LIMIT: usize = 1 << 30;

    #[inline]
    pub(super) fn number(self) -> u32 {
        self.number & !(Self::STARTS | Self::GOES_ON)
    }

    #[inline]
    pub(super) fn is(self, flag: u32) -> bool {
        self.number & flag != 0
    }

    pub(super) fn mark(&mut self, flag: u32) {
        self.number |= flag;
    }
}

/// A cell of the table.
#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    word: Word,
}

/// The key of an empty slot, which no word has: the last byte is a length of at most 15, or all of `high` is ones.
const EMPTY: Key = Key { low: 0, high: 0x80 << 56 };

/// Word → [`Word`].
pub(super) struct Words {
    /// At most two thirds filled, half in the end. Their number is no power of two, so that the table is never larger than it must be: it does not
    /// fit into the cache, and what is not in the cache is what a lookup costs.
    slots: Vec<Slot>,
    len: usize,
    /// The number of each long word and where it is in `long_text`, in the order of the numbers.
    longs: Vec<(u32, Range<usize>)>,
    long_text: Vec<u8>,
}

impl Words {
    pub(super) fn new() -> Self {
        Self { slots: Self::room(8), len: 0, longs: Vec::new(), long_text: Vec::new() }
    }

    fn room(words: usize) -> Vec<Slot> {
        vec![Slot { key: EMPTY, word: Word::UNKNOWN }; words + words / 2 + 2]
    }

    /// What is known of `word`, a new word getting the next number.
    pub(super) fn insert(&mut self, word: &[u8]) -> &mut Word {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            self.resize(self.slots.len() * 4 / 3 + 8);
        }
        let key = Key::alone(word);
        let at = self.find(key, word);
        if self.slots[at].key == EMPTY {
            let number = self.len as u32;
            if !key.is_inline() {
                let from = self.long_text.len();
                self.long_text.extend_from_slice(word);
                // Numbers only grow, so that the list is sorted by them.
                self.longs.push((number, from..self.long_text.len()));
            }
            self.slots[at] = Slot { key, word: Word { number, entry: NONE } };
            self.len += 1;
        }
        &mut self.slots[at].word
    }

    /// Gives back the room that was kept for more words; to be called once all words are in.
    pub(super) fn finish(&mut self) {
        // Words that came first, which are the frequent ones in most lists, get the slots that are looked at first.
        let mut words: Vec<Slot> = self.slots.drain(..).filter(|slot| slot.key != EMPTY).collect();
        words.sort_unstable_by_key(|slot| slot.word.number());
        self.slots = vec![Slot { key: EMPTY, word: Word::UNKNOWN }; self.len * 2 + 2];
        words.into_iter().for_each(|slot| self.place(slot));
    }

    /// Puts a word that is not there into the first empty slot.
    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.key);
        while self.slots[at].key != EMPTY {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        self.slots[at] = slot;
    }

    #[inline]
    fn home(&self, key: Key) -> usize {
        ((u128::from(key.hash()) * self.slots.len() as u128) >> 64) as usize
    }

    /// Asks for the memory that [`Words::get`] will read: the first two slots, which is nearly always all.
    #[inline]
    pub(super) fn prefetch(&self, key: Key) {
        let home = self.home(key);
        prefetch(&self.slots, home);
        prefetch(&self.slots, home + 1);
    }

    /// What is known of `word`, whose key is given.
    #[inline]
    pub(super) fn get(&self, key: Key, word: &[u8]) -> Word {
        // An empty slot holds the unknown word.
        self.slots[self.find(key, word)].word
    }

    /// The slot that has the word, or the empty one where it would be.
    #[inline]
    fn find(&self, key: Key, word: &[u8]) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = &self.slots[at];
            if slot.key == EMPTY || (slot.key == key && (key.is_inline() || self.is_long(slot.word, word))) {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    fn is_long(&self, known: Word, word: &[u8]) -> bool {
        let place = self.longs.binary_search_by_key(&known.number(), |(number, _)| *number);
        place.is_ok_and(|place| self.long_text[self.longs[place].1.clone()] == *word)
    }

    fn resize(&mut self, words: usize) {
        let old = std::mem::replace(&mut self.slots, Self::room(words));
        old.into_iter().filter(|slot| slot.key != EMPTY).for_each(|slot| self.place(slot));
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes held on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.long_text.len() + self.longs.len() * size_of::<(u32, Range<usize>)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(word: &str) -> Key {
        // What follows the word must not matter.
        let text = format!("{word}xxxxxxxxxxxxxxxxxxxxxxxx").into_bytes();
        assert!(Key::of(&text, 0, word.len()) == Key::alone(word.as_bytes()));
        Key::alone(word.as_bytes())
    }

    proptest! {
        #[test]
        fn each_word_keeps_its_number(words in proptest::collection::vec("[a-c\u{0}é]{0,20}", 0..200)) {
            let mut table = Words::new();
            let mut want = HashMap::new();
            for word in &words {
                let next = want.len() as u32;
                let number = *want.entry(word.clone()).or_insert(next);
                prop_assert_eq!(table.insert(word.as_bytes()).number(), number);
            }
            prop_assert_eq!(table.len(), want.len());
            want.iter().for_each(|(word, number)| table.insert(word.as_bytes()).entry = *number);
            table.finish();
            for (word, number) in &want {
                prop_assert_eq!(table.get(key(word), word.as_bytes()).entry, *number);
            }
        }
    }

    #[test]
    fn an_unknown_word_has_no_entry() {
        let mut table = Words::new();
        table.finish();
        for word in ["", "a", "a word of more than fifteen bytes"] {
            let found = table.get(key(word), word.as_bytes());
            assert!(found.entry == NONE && !found.is(Word::STARTS) && !found.is(Word::GOES_ON));
        }
    }
}
