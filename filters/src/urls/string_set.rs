//! A set of short strings with a number each, for lists of millions.

/// A slot without an entry.
const FREE: u32 = u32::MAX;

/// Strings one after the other in one block of memory, found by open addressing: the bytes of a string and 12 to 20
/// bytes beside them, where a `HashMap<String, u16>` takes over 60.
#[derive(Debug, Default)]
pub(super) struct StringSet {
    text: Vec<u8>,
    /// Byte after entry `i`, and its number.
    entries: Vec<(u32, u16)>,
    slots: Vec<u32>,
}

impl StringSet {
    /// Adds `key`; one that is there keeps its number. `false` where 4 GiB of text are full.
    pub(super) fn insert(&mut self, key: &[u8], number: u16) -> bool {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let slot = self.slot(key);
        if self.slots[slot] != FREE {
            return true;
        }
        let Ok(end) = u32::try_from(self.text.len() + key.len()) else {
            return false;
        };
        self.slots[slot] = self.entries.len() as u32;
        self.text.extend_from_slice(key);
        self.entries.push((end, number));
        true
    }

    /// The number of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<u16> {
        if self.slots.is_empty() {
            return None;
        }
        match self.slots[self.slot(key)] {
            FREE => None,
            entry => Some(self.entries[entry as usize].1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; (self.slots.len() * 2).max(16)];
        for entry in 0..self.entries.len() {
            let slot = self.slot(self.key(entry));
            self.slots[slot] = entry as u32;
        }
    }

    fn key(&self, entry: usize) -> &[u8] {
        let start = if entry == 0 { 0 } else { self.entries[entry - 1].0 as usize };
        &self.text[start..self.entries[entry].0 as usize]
    }

    /// The slot of `key`, or the free one where it would go; half of the slots are free, so there is one.
    fn slot(&self, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(key) as usize & mask;
        while self.slots[slot] != FREE && self.key(self.slots[slot] as usize) != key {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Multiply and fold over words of eight bytes.
fn hash(key: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = K ^ key.len() as u64;
    for chunk in key.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(h ^ u64::from_le_bytes(word)) * u128::from(K | 1);
        h = (product as u64) ^ ((product >> 64) as u64);
    }
    h ^ (h >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_a_hash_map() {
        let mut set = StringSet::default();
        assert_eq!(set.get(b"x"), None);
        let key = |i: u32| format!("{}.example{}", i.wrapping_mul(2_654_435_761), i % 7);
        for i in 0..20_000 {
            assert!(set.insert(key(i).as_bytes(), (i % 1000) as u16));
        }
        assert!(set.insert(key(5).as_bytes(), 999));
        assert_eq!(set.len(), 20_000);
        for i in 0..20_000 {
            assert_eq!(set.get(key(i).as_bytes()), Some((i % 1000) as u16));
        }
        assert_eq!(set.get(b""), None);
        assert_eq!(set.get(b"0.example"), None);
    }
}
