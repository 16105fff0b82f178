//! The entries found in one text, each once.

/// A set of entry ids that is cleared for each text.
#[derive(Default)]
pub(super) struct Found {
    ids: Vec<u32>,
    /// A bit for each of the low bits of an id that was seen. What has its bit unset is new; nearly all ids of a caption are.
    seen: [u64; 32],
    /// For texts with many matches: the text in which each entry was last seen.
    stamps: Vec<u32>,
    generation: u32,
}

/// Up to so many ids are looked through one by one where the bit is set.
const FEW: usize = 64;

impl Found {
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.seen = [0; 32];
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    #[inline]
    pub(super) fn insert(&mut self, id: u32) {
        if self.ids.len() >= FEW {
            return self.insert_among_many(id);
        }
        let word = &mut self.seen[(id >> 6) as usize & 31];
        let bit = 1 << (id & 63);
        let new = *word & bit == 0;
        *word |= bit;
        if new || !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    fn insert_among_many(&mut self, id: u32) {
        if self.ids.len() == FEW {
            // The first of this text that comes here, or one of several that were there already.
            if self.ids.contains(&id) {
                return;
            }
            self.generation = self.generation.wrapping_add(1);
            if self.generation == 0 {
                self.stamps.fill(0);
                self.generation = 1;
            }
            for at in 0..FEW {
                self.stamp(self.ids[at]);
            }
        }
        if self.stamp(id) {
            self.ids.push(id);
        }
    }

    /// Whether `id` was not yet seen in this text.
    fn stamp(&mut self, id: u32) -> bool {
        let at = id as usize;
        if at >= self.stamps.len() {
            self.stamps.resize((at + 1).next_power_of_two(), 0);
        }
        std::mem::replace(&mut self.stamps[at], self.generation) != self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_id_is_there_once(texts in proptest::collection::vec(proptest::collection::vec(0u32..5000, 0..300), 1..5), modulus in 1u32..5000) {
            let mut found = Found { generation: u32::MAX - 2, ..Found::default() };
            for ids in texts {
                found.clear();
                let ids = ids.iter().map(|id| id % modulus);
                ids.clone().for_each(|id| found.insert(id));
                let mut want = Vec::new();
                ids.for_each(|id| if !want.contains(&id) { want.push(id) });
                prop_assert_eq!(found.ids(), want);
            }
        }
    }
}
