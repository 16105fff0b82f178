//! The steps from one word of an entry to the next: an open-addressing table behind a small filter.

use super::NONE;
use super::prefetch::prefetch;
use super::words::fold;

/// Where a step leads.
#[derive(Clone, Copy)]
pub(super) struct Step {
    from: u32,
    word: u32,
    /// The node that is reached, with [`Step::GOES_ON`]; [`NONE`] in an empty slot.
    node: u32,
    /// The entry that ends here, or [`NONE`].
    pub(super) entry: u32,
}

impl Step {
    /// An entry goes on from here.
    const GOES_ON: u32 = 1 << 31;
    /// Nodes are below it.
    pub(super) const LIMIT: usize = (1 << 31) - 1;

    /// The node that is reached, where an entry goes on from it.
    pub(super) fn next(&self) -> Option<u32> {
        (self.node & Self::GOES_ON != 0).then_some(self.node & !Self::GOES_ON)
    }

    pub(super) fn node(&self) -> u32 {
        self.node & !Self::GOES_ON
    }

    pub(super) fn goes_on(&mut self) {
        self.node |= Self::GOES_ON;
    }
}

/// (node, word) → [`Step`].
pub(super) struct Steps {
    /// At most two thirds filled, of any number, as the table of words.
    slots: Vec<Step>,
    len: usize,
    /// Two bits per step in one word of 64. Nearly every pair of words in a text is no step, and this says so from a few hundred
    /// kilobytes that stay in the cache.
    filter: Vec<u64>,
}

const EMPTY: Step = Step { from: 0, word: 0, node: NONE, entry: NONE };

impl Steps {
    pub(super) fn new() -> Self {
        Self { slots: vec![EMPTY; 8], len: 0, filter: vec![0; 1] }
    }

    /// The hash of a step.
    #[inline]
    pub(super) fn hash(from: u32, word: u32) -> u64 {
        let both = u64::from(from) << 32 | u64::from(word);
        fold(both ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15)
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    fn find(&self, hash: u64, from: u32, word: u32) -> usize {
        let mut at = self.home(hash);
        loop {
            let slot = &self.slots[at];
            if slot.node == NONE || (slot.from == from && slot.word == word) {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// The step from `from` over `word`; a new one leads to `node`. Says whether it was new.
    pub(super) fn insert(&mut self, from: u32, word: u32, node: u32) -> (bool, &mut Step) {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            self.resize(self.slots.len() * 2);
        }
        let at = self.find(Self::hash(from, word), from, word);
        let new = self.slots[at].node == NONE;
        if new {
            self.slots[at] = Step { from, word, node, entry: NONE };
            self.len += 1;
        }
        (new, &mut self.slots[at])
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for step in old.into_iter().filter(|step| step.node != NONE) {
            let at = self.find(Self::hash(step.from, step.word), step.from, step.word);
            self.slots[at] = step;
        }
    }

    /// Gives back room and makes the filter; to be called once all steps are in.
    pub(super) fn finish(&mut self) {
        self.resize(self.len + self.len / 2 + 2);
        self.filter = vec![0; self.len / 5 + 1];
        for step in self.slots.iter().filter(|step| step.node != NONE) {
            let hash = Self::hash(step.from, step.word);
            let (at, bits) = (self.filter_word(hash), Self::filter_bits(hash));
            self.filter[at] |= bits;
        }
    }

    #[inline]
    fn filter_word(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.filter.len() as u128) >> 64) as usize
    }

    #[inline]
    fn filter_bits(hash: u64) -> u64 {
        1 << (hash & 63) | 1 << (hash >> 6 & 63)
    }

    /// Whether there may be a step with this hash; about one in sixteen of those that are none passes.
    #[inline]
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let bits = Self::filter_bits(hash);
        self.filter[self.filter_word(hash)] & bits == bits
    }

    /// Asks for the memory that [`Steps::may_have`] will read.
    #[inline]
    pub(super) fn prefetch_filter(&self, hash: u64) {
        prefetch(&self.filter, self.filter_word(hash));
    }

    /// Asks for the memory that [`Steps::get`] will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots, self.home(hash));
    }

    /// The step from `from` over `word`, where there is one.
    pub(super) fn get(&self, from: u32, word: u32) -> Option<&Step> {
        let hash = Self::hash(from, word);
        if !self.may_have(hash) {
            return None;
        }
        let step = &self.slots[self.find(hash, from, word)];
        (step.node != NONE).then_some(step)
    }

    /// Bytes held on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.len() * size_of::<Step>() + self.filter.len() * 8
    }
}
