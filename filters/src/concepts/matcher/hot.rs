//! The words that a thread meets again and again, in a table that stays in the processor's second cache.
//!
//! The table of all words is many megabytes, and hashing strews the few thousand words of which most texts consist over all of
//! it. Here they are together. It is filled by what goes by, so that nothing need be known of the words' frequencies.

use super::key::Key;
use super::prefetch::prefetch;
use super::words::Word;

/// Slots of the table: 256 KB. One more step up costs the tables of steps more of that cache than it saves here.
const SLOTS: usize = 1 << 13;

/// A word of one matcher, never across two cache lines.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot {
    key: Key,
    word: Word,
    /// [`Matcher`](super::Matcher)'s mark; 0 in an empty slot.
    matcher: u64,
}

/// Key → [`Word`], for the words that were put there last. Each word has one slot that it may be in.
pub(super) struct Hot {
    slots: Box<[Slot; SLOTS]>,
}

impl Default for Hot {
    fn default() -> Self {
        let slots = vec![Slot { key: Key::default(), word: Word::UNKNOWN, matcher: 0 }; SLOTS];
        Self { slots: slots.try_into().unwrap_or_else(|_| unreachable!("the vector is made of as many slots")) }
    }
}

impl Hot {
    /// Asks for the memory that [`Hot::get`] will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.slots.as_slice(), hash as usize & (SLOTS - 1));
    }

    /// The word in the place of `key`, whose hash is given, and whether it is that of the key. Nothing depends on what was read, so that the waits of
    /// many words overlap.
    #[inline]
    pub(super) fn get(&self, matcher: u64, key: Key, hash: u64) -> (Word, bool) {
        let slot = &self.slots[hash as usize & (SLOTS - 1)];
        (slot.word, slot.key.same(key) & (slot.matcher == matcher))
    }

    /// Keeps what is known of a word. Long words are not kept: their key does not tell them apart.
    #[inline]
    pub(super) fn put(&mut self, matcher: u64, key: Key, hash: u64, word: Word) {
        if key.is_inline() {
            self.slots[hash as usize & (SLOTS - 1)] = Slot { key, word, matcher };
        }
    }
}
