//! The steps from one word of an entry to the next: a table of buckets behind a small filter.

use super::NONE;
use super::key::fold;
use super::prefetch::prefetch;

/// Where a step leads.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The node that is reached, with [`Step::GOES_ON`].
    node: u32,
    /// The entry that ends here, or [`NONE`].
    pub(super) entry: u32,
}

impl Step {
    /// An entry goes on from here.
    const GOES_ON: u32 = 1 << 31;
    /// Nodes are below it.
    pub(super) const LIMIT: usize = (1 << 31) - 1;

    /// The node that is reached.
    #[inline]
    pub(super) fn node(self) -> u32 {
        self.node & !Self::GOES_ON
    }

    /// Whether an entry goes on from there.
    #[inline]
    pub(super) fn is_on_the_way(self) -> bool {
        self.node & Self::GOES_ON != 0
    }

    pub(super) fn goes_on(&mut self) {
        self.node |= Self::GOES_ON;
    }
}

/// A node above, a word below.
type Pair = u64;

/// What an empty slot has in place of a pair: nodes are smaller.
const EMPTY: Pair = Pair::MAX;

/// Slots of a bucket.
const SLOTS: usize = 4;

/// One cache line, filled from the front.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    pairs: [Pair; SLOTS],
    steps: [Step; SLOTS],
}

impl Bucket {
    const NEW: Self = Self { pairs: [EMPTY; SLOTS], steps: [Step { node: 0, entry: NONE }; SLOTS] };

    fn is_full(&self) -> bool {
        self.pairs[SLOTS - 1] != EMPTY
    }

    /// The slot that has `pair`, or some other one.
    #[inline]
    fn slot(&self, pair: Pair) -> usize {
        let mut slot = 0;
        for other in 1..SLOTS {
            slot = if self.pairs[other] == pair { other } else { slot };
        }
        slot
    }
}

/// (node, word) → [`Step`].
pub(super) struct Steps {
    /// What a full bucket has no room for is in the next ones.
    buckets: Vec<Bucket>,
    len: usize,
    /// Two bits per step in one word of 64. Nearly every pair of words in a text is no step, and this says so from a few hundred
    /// kilobytes that stay in the cache.
    filter: Vec<u64>,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Bucket::NEW; 2], len: 0, filter: vec![0; 1] }
    }

    fn pair(from: u32, word: u32) -> Pair {
        u64::from(from) << 32 | u64::from(word)
    }

    /// The hash of a step.
    #[inline]
    pub(super) fn hash(from: u32, word: u32) -> u64 {
        Self::hash_of(Self::pair(from, word))
    }

    #[inline]
    fn hash_of(pair: Pair) -> u64 {
        fold(pair ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15)
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize
    }

    /// Bucket and slot of `pair`, or of the first empty slot where it would be.
    fn find(&self, hash: u64, pair: Pair) -> (usize, usize) {
        let mut at = self.home(hash);
        loop {
            let bucket = &self.buckets[at];
            if let Some(slot) = bucket.pairs.iter().position(|other| *other == pair || *other == EMPTY) {
                return (at, slot);
            }
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
        }
    }

    /// The step from `from` over `word`; a new one leads to `node`. Says whether it was new.
    pub(super) fn insert(&mut self, from: u32, word: u32, node: u32) -> (bool, &mut Step) {
        if (self.len + 1) * 4 > self.buckets.len() * SLOTS * 3 {
            self.resize(self.buckets.len() * 2);
        }
        let pair = Self::pair(from, word);
        let (at, slot) = self.find(Self::hash_of(pair), pair);
        let bucket = &mut self.buckets[at];
        let new = bucket.pairs[slot] == EMPTY;
        if new {
            bucket.pairs[slot] = pair;
            bucket.steps[slot] = Step { node, entry: NONE };
            self.len += 1;
        }
        (new, &mut bucket.steps[slot])
    }

    fn resize(&mut self, buckets: usize) {
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::NEW; buckets]);
        for (pair, step) in old.iter().flat_map(|bucket| bucket.pairs.into_iter().zip(bucket.steps)).filter(|(pair, _)| *pair != EMPTY) {
            let (at, slot) = self.find(Self::hash_of(pair), pair);
            self.buckets[at].pairs[slot] = pair;
            self.buckets[at].steps[slot] = step;
        }
    }

    /// Gives back room and makes the filter; to be called once all steps are in.
    pub(super) fn finish(&mut self) {
        // Three fifths filled: one bucket in twelve has more than its four.
        self.resize(self.len * 5 / (3 * SLOTS) + 2);
        self.filter = vec![0; self.len / 5 + 1];
        for bucket in &self.buckets {
            for pair in bucket.pairs.iter().filter(|pair| **pair != EMPTY) {
                let hash = Self::hash_of(*pair);
                let (at, bits) = (self.filter_word(hash), Self::filter_bits(hash));
                self.filter[at] |= bits;
            }
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

    /// Asks for the memory that [`Steps::glance`] will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets, self.home(hash));
    }

    /// What the first bucket says of the step from `from` over `word`, whose hash is given: the step, or any other; whether it is
    /// that step; and, where not, whether another bucket may have it.
    #[inline]
    pub(super) fn glance(&self, hash: u64, from: u32, word: u32) -> (Step, bool, bool) {
        let pair = Self::pair(from, word);
        let bucket = &self.buckets[self.home(hash)];
        let slot = bucket.slot(pair);
        let same = bucket.pairs[slot] == pair;
        (bucket.steps[slot], same, !same & bucket.is_full())
    }

    /// The step from `from` over `word`, where there is one.
    pub(super) fn get(&self, from: u32, word: u32) -> Option<Step> {
        let pair = Self::pair(from, word);
        let hash = Self::hash_of(pair);
        if !self.may_have(hash) {
            return None;
        }
        let (at, slot) = self.find(hash, pair);
        (self.buckets[at].pairs[slot] == pair).then(|| self.buckets[at].steps[slot])
    }

    /// Bytes held on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>() + self.filter.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn a_glance_and_a_search_agree(pairs in proptest::collection::vec((0u32..30, 0u32..30), 0..400)) {
            let mut steps = Steps::new();
            let mut want = HashMap::new();
            for (node, pair) in pairs.iter().enumerate() {
                let (new, step) = steps.insert(pair.0, pair.1, node as u32);
                step.entry = node as u32;
                prop_assert_eq!(new, want.insert(*pair, node as u32).is_none());
            }
            steps.finish();
            for (from, word) in (0..30).flat_map(|from| (0..30).map(move |word| (from, word))) {
                let entry = want.get(&(from, word)).copied();
                prop_assert_eq!(steps.get(from, word).map(|step| step.entry), entry);
                let (step, same, elsewhere) = steps.glance(Steps::hash(from, word), from, word);
                prop_assert!(elsewhere || same == entry.is_some());
                prop_assert!(!same || Some(step.entry) == entry);
            }
        }
    }
}
