//! The entries found in one text, each once.

use super::NONE;

/// A set of entry ids that is cleared for each text.
pub(super) struct Found {
    /// The ids so far are the first `len`; there is always room for one more.
    ids: Vec<u32>,
    len: usize,
    /// An open-addressing table: a generation above, an id below. What is of another generation is empty.
    seen: Vec<u64>,
    /// The slots in use, a power of two, less one. Few at the start of each text, so that they stay in the first cache.
    mask: usize,
    generation: u32,
}

/// Slots at the start of a text.
const FEW: usize = 512;

impl Default for Found {
    fn default() -> Self {
        Self { ids: vec![0; FEW / 2 + 1], len: 0, seen: vec![0; FEW], mask: FEW - 1, generation: 1 }
    }
}

impl Found {
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.mask = FEW - 1;
        self.next_generation();
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.seen.fill(0);
            self.generation = 1;
        }
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.len]
    }

    #[inline]
    fn home(&self, id: u32) -> usize {
        (id.wrapping_mul(0x9e37_79b1) >> 12) as usize & self.mask
    }

    /// Puts `id` there, unless it is there already or is [`NONE`].
    pub(super) fn insert(&mut self, id: u32) {
        self.extend([id]);
    }

    /// [`Found::insert`] for each of `ids`. Whether one is new is not branched on: it is a toss-up.
    #[inline]
    pub(super) fn extend(&mut self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            let tag = u64::from(self.generation) << 32 | u64::from(id);
            let home = self.home(id);
            let old = self.seen[home];
            if (old >> 32 == tag >> 32) & (old != tag) {
                self.insert_beside(id, tag, home);
                continue;
            }
            self.seen[home] = tag;
            self.ids[self.len] = id;
            self.len += usize::from((old != tag) & (id != NONE));
            if self.len * 2 > self.mask {
                self.grow();
            }
        }
    }

    /// Where another id has the slot `home`.
    #[cold]
    fn insert_beside(&mut self, id: u32, tag: u64, home: usize) {
        let mut at = (home + 1) & self.mask;
        while self.seen[at] >> 32 == tag >> 32 {
            if self.seen[at] == tag {
                return;
            }
            at = (at + 1) & self.mask;
        }
        if id == NONE {
            return;
        }
        self.seen[at] = tag;
        self.ids[self.len] = id;
        self.len += 1;
        if self.len * 2 > self.mask {
            self.grow();
        }
    }

    /// Twice the slots, and room for as many ids as may come until the next time.
    #[cold]
    fn grow(&mut self) {
        let slots = (self.mask + 1) * 2;
        self.mask = slots - 1;
        if self.seen.len() < slots {
            self.seen.resize(slots, 0);
            self.ids.resize(slots / 2 + 1, 0);
        }
        self.next_generation();
        for at in 0..self.len {
            let id = self.ids[at];
            let mut slot = self.home(id);
            while self.seen[slot] >> 32 == u64::from(self.generation) {
                slot = (slot + 1) & self.mask;
            }
            self.seen[slot] = u64::from(self.generation) << 32 | u64::from(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_id_is_there_once(
            texts in proptest::collection::vec(proptest::collection::vec(0u32..5000, 0..2000), 1..5),
            modulus in 1u32..5000,
            factor in prop::sample::select(&[1u32, 4096, 1 << 17]),
        ) {
            let mut found = Found { generation: u32::MAX - 2, ..Found::default() };
            for ids in texts {
                found.clear();
                let ids = ids.iter().map(|id| (id % modulus).wrapping_mul(factor));
                ids.clone().for_each(|id| {
                    found.insert(id);
                    found.insert(NONE);
                });
                let mut want = Vec::new();
                ids.for_each(|id| if !want.contains(&id) { want.push(id) });
                prop_assert_eq!(found.ids(), want);
            }
        }
    }
}
