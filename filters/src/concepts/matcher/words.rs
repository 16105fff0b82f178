//! The words of the entries, numbered: a table of buckets that compares whole words, mostly with one memory access.

use std::ops::Range;

use super::NONE;
use super::key::Key;
use super::prefetch::prefetch;

/// What is known of a word: its number, with [`Word::STARTS`] and [`Word::GOES_ON`].
#[derive(Clone, Copy)]
pub(super) struct Word(u32);

impl Word {
    /// An entry of several words starts with it.
    pub(super) const STARTS: u32 = 1 << 31;
    /// An entry has it in second place or later.
    pub(super) const GOES_ON: u32 = 1 << 30;
    /// Numbers are below it.
    pub(super) const LIMIT: usize = (1 << 30) - 1;
    /// A word of no entry.
    pub(super) const UNKNOWN: Self = Self(Self::LIMIT as u32);

    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0 & !(Self::STARTS | Self::GOES_ON)
    }

    /// The entry that is this one word, or [`NONE`]. Such words are numbered as their entries, which are `entries`; others are
    /// above.
    #[inline]
    pub(super) fn entry(self, entries: u32) -> u32 {
        if self.number() < entries { self.number() } else { NONE }
    }

    #[inline]
    pub(super) fn is(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn mark(&mut self, flag: u32) {
        self.0 |= flag;
    }
}

/// Slots of a bucket.
const SLOTS: usize = 3;

/// One cache line, filled from the front.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    keys: [Key; SLOTS],
    words: [Word; SLOTS],
    /// A bit for each word that belongs here but is in one of the next buckets: bit 0 to 31 by the lowest bits of its hash. A
    /// word that is nowhere is mostly told by it, also where the bucket is full.
    spilled: u32,
}

impl Bucket {
    const NEW: Self = Self { keys: [Key::EMPTY; SLOTS], words: [Word::UNKNOWN; SLOTS], spilled: 0 };

    #[inline]
    fn spill_bit(hash: u64) -> u32 {
        1 << (hash & 31)
    }
}

/// Word → [`Word`].
pub(super) struct Words {
    /// Two thirds filled in the end. Their number is no power of two, so that the table is never larger than it must be: it does
    /// not fit into the cache, and what is not in the cache is what a lookup costs.
    buckets: Vec<Bucket>,
    len: usize,
    /// The number of each long word and where it is in `long_text`, in the order of the numbers.
    longs: Vec<(u32, Range<usize>)>,
    long_text: Vec<u8>,
}

impl Words {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Bucket::NEW; 4], len: 0, longs: Vec::new(), long_text: Vec::new() }
    }

    /// What is known of `word`, a new word getting `number`, which is above those of all before. Says whether it was new.
    pub(super) fn insert(&mut self, word: &[u8], number: u32) -> (bool, &mut Word) {
        if (self.len + 1) * 4 > self.buckets.len() * SLOTS * 3 {
            self.resize(self.buckets.len() * 2);
        }
        let key = Key::alone(word);
        let place = self.find(key, word);
        let (at, slot) = match place {
            Some(place) => place,
            None => {
                if !key.is_inline() {
                    let from = self.long_text.len();
                    self.long_text.extend_from_slice(word);
                    // Numbers only grow, so that the list is sorted by them.
                    self.longs.push((number, from..self.long_text.len()));
                }
                self.len += 1;
                self.put(key, Word(number))
            }
        };
        (place.is_none(), &mut self.buckets[at].words[slot])
    }

    /// Gives back the room that was kept for more words; to be called once all words are in.
    pub(super) fn finish(&mut self) {
        self.resize(self.len / 2 + 2);
    }

    fn resize(&mut self, buckets: usize) {
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::NEW; buckets]);
        let mut words: Vec<(Key, Word)> = old.iter().flat_map(|bucket| bucket.keys.into_iter().zip(bucket.words)).collect();
        words.retain(|(key, _)| !key.same(Key::EMPTY));
        // Words that came first, which are the frequent ones in most lists, get the slots that are looked at first.
        words.sort_unstable_by_key(|(_, word)| word.number());
        for (key, word) in words {
            self.put(key, word);
        }
    }

    /// Puts a word that is not there into the first empty slot; says where.
    fn put(&mut self, key: Key, word: Word) -> (usize, usize) {
        let home = self.home(key.hash());
        let mut at = home;
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(slot) = bucket.keys.iter().position(|key| key.same(Key::EMPTY)) {
                bucket.keys[slot] = key;
                bucket.words[slot] = word;
                if at != home {
                    self.buckets[home].spilled |= Bucket::spill_bit(key.hash());
                }
                return (at, slot);
            }
            at = self.behind(at);
        }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize
    }

    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }

    /// Asks for the memory that [`Words::glance`] will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets, self.home(hash));
    }

    /// What the first bucket says of a word, whose key and hash are given, and whether that is certain. Nothing depends on what was read, so that the waits of
    /// many words overlap.
    #[inline]
    pub(super) fn glance(&self, key: Key, hash: u64) -> (Word, bool) {
        let bucket = &self.buckets[self.home(hash)];
        let mut word = Word::UNKNOWN;
        for slot in 0..SLOTS {
            word = if bucket.keys[slot].same(key) { bucket.words[slot] } else { word };
        }
        let unknown = word.number() == Word::UNKNOWN.number();
        (word, key.is_inline() & (!unknown | (bucket.spilled & Bucket::spill_bit(hash) == 0)))
    }

    /// What is known of `word`, whose key is given.
    #[cold]
    pub(super) fn get(&self, key: Key, word: &[u8]) -> Word {
        self.find(key, word).map_or(Word::UNKNOWN, |(at, slot)| self.buckets[at].words[slot])
    }

    /// Bucket and slot of the word.
    fn find(&self, key: Key, word: &[u8]) -> Option<(usize, usize)> {
        let mut at = self.home(key.hash());
        loop {
            let bucket = &self.buckets[at];
            for slot in 0..SLOTS {
                if bucket.keys[slot].same(Key::EMPTY) {
                    return None;
                }
                if bucket.keys[slot].same(key) && (key.is_inline() || self.is_long(bucket.words[slot], word)) {
                    return Some((at, slot));
                }
            }
            at = self.behind(at);
        }
    }

    fn is_long(&self, known: Word, word: &[u8]) -> bool {
        let place = self.longs.binary_search_by_key(&known.number(), |(number, _)| *number);
        place.is_ok_and(|place| self.long_text[self.longs[place].1.clone()] == *word)
    }

    /// Bytes held on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>() + self.long_text.len() + self.longs.len() * size_of::<(u32, Range<usize>)>()
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
        fn each_word_keeps_its_number(words in proptest::collection::vec("[a-c\u{0}é]{0,20}", 0..200), others in proptest::collection::vec("[a-c]{0,20}", 0..200)) {
            let mut table = Words::new();
            let mut want = HashMap::new();
            for word in &words {
                let next = want.len() as u32;
                let number = *want.entry(word.clone()).or_insert(next);
                let (new, found) = table.insert(word.as_bytes(), next);
                prop_assert_eq!((new, found.number()), (number == next, number));
            }
            table.finish();
            for word in words.iter().chain(&others) {
                let number = want.get(word).copied().unwrap_or(Word::UNKNOWN.number());
                prop_assert_eq!(table.get(key(word), word.as_bytes()).number(), number);
                let (found, certain) = table.glance(key(word), key(word).hash());
                prop_assert!(!certain || found.number() == number);
            }
        }
    }

    #[test]
    fn an_unknown_word_has_no_entry() {
        let mut table = Words::new();
        table.finish();
        for word in ["", "a", "a word of more than fifteen bytes"] {
            let found = table.get(key(word), word.as_bytes());
            assert!(found.entry(u32::MAX >> 2) == NONE && !found.is(Word::STARTS) && !found.is(Word::GOES_ON));
        }
    }
}
