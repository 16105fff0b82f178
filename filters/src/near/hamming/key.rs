//! Keys: some bits of a code, packed into a number.

/// The bits that one table looks at, and how many of them may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key<const W: usize> {
    /// The bits, by word.
    pub(super) masks: [u64; W],
    /// How many bits that is: at most 30.
    pub(super) bits: u32,
    /// Codes meet in this table if their keys differ in at most this many bits.
    pub(super) radius: u32,
}

impl<const W: usize> Key<W> {
    pub(super) fn new(positions: impl IntoIterator<Item = usize>, radius: u32) -> Self {
        let mut masks = [0_u64; W];
        for at in positions {
            masks[at / 64] |= 1 << (at % 64);
        }
        Self { masks, bits: masks.iter().map(|mask| mask.count_ones()).sum(), radius }
    }

    /// The key of one code.
    pub(super) fn of(&self, code: &[u64; W]) -> u32 {
        let mut key = 0_u64;
        for (word, mask) in code.iter().zip(&self.masks) {
            key = (key << mask.count_ones()) | extract(*word, *mask);
        }
        key as u32
    }

    /// Whether two codes meet in this table.
    pub(super) fn meet(&self, a: &[u64; W], b: &[u64; W]) -> bool {
        let apart: u32 = (0..W).map(|w| ((a[w] ^ b[w]) & self.masks[w]).count_ones()).sum();
        apart <= self.radius
    }

    /// The keys of a run of codes, into `keys`.
    pub(super) fn of_all(&self, codes: &[[u64; W]], keys: &mut Vec<u32>) {
        keys.clear();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("bmi2") {
            // SAFETY: the CPU has the feature.
            unsafe { self.of_all_bmi2(codes, keys) };
            return;
        }
        keys.extend(codes.iter().map(|code| self.of(code)));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi2")]
    fn of_all_bmi2(&self, codes: &[[u64; W]], keys: &mut Vec<u32>) {
        let widths = self.masks.map(u64::count_ones);
        // A plain loop: a closure would not be inlined into code without the feature.
        keys.reserve(codes.len());
        for code in codes {
            let mut key = 0_u64;
            for w in 0..W {
                key = (key << widths[w]) | std::arch::x86_64::_pext_u64(code[w], self.masks[w]);
            }
            keys.push(key as u32);
        }
    }
}

/// The bits of `word` under `mask`, packed to the low end (what BMI2 calls pext).
fn extract(word: u64, mask: u64) -> u64 {
    let (mut packed, mut mask, mut at) = (0, mask, 0);
    while mask != 0 {
        packed |= ((word >> mask.trailing_zeros()) & 1) << at;
        mask &= mask - 1;
        at += 1;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::random::mix;

    #[test]
    fn keys_of_a_run_are_the_keys_of_its_codes() {
        let codes: Vec<[u64; 4]> = (0..100).map(|i| std::array::from_fn(|w| mix(w as u64, i))).collect();
        let key = Key::<4>::new([0, 3, 63, 64, 100, 129, 191, 192, 255], 1);
        let mut keys = Vec::new();
        key.of_all(&codes, &mut keys);
        assert_eq!(keys, codes.iter().map(|code| key.of(code)).collect::<Vec<_>>());
        assert_eq!(key.bits, 9);
        for (a, b) in codes.iter().zip(&codes[1..]) {
            assert_eq!(key.meet(a, b), (key.of(a) ^ key.of(b)).count_ones() <= 1);
        }
    }
}
