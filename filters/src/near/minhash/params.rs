//! The permutations: what numpy's legacy generator draws, so that signatures equal datatrove's.

/// The modulus of the permutations, a Mersenne prime.
pub(super) const PRIME: u64 = (1 << 61) - 1;

/// MT19937 (Matsumoto and Nishimura 1998), seeded as `numpy.random.RandomState(seed)` is.
struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, at: 624 }
    }

    fn next_u32(&mut self) -> u32 {
        if self.at == 624 {
            for i in 0..624 {
                let word = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let twist = if word & 1 == 0 { 0 } else { 0x9908_b0df };
                self.state[i] = self.state[(i + 397) % 624] ^ (word >> 1) ^ twist;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// `randint(low, high, dtype=uint64)`: numpy masks 64 bits, high word first, and rejects what is too large. `high - low` is above 2^32.
    fn below(&mut self, low: u64, high: u64) -> u64 {
        let most = high - 1 - low;
        let mask = u64::MAX >> most.leading_zeros();
        loop {
            let word = (u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())) & mask;
            if word <= most {
                return low + word;
            }
        }
    }
}

/// `a` from `[1, PRIME)` and `b` from `[0, PRIME)` for each permutation: first all `a`, then all `b`, as datatrove draws them.
pub(super) fn permutations(seed: u32, count: usize) -> (Vec<u64>, Vec<u64>) {
    let mut twister = Twister::new(seed);
    let a = (0..count).map(|_| twister.below(1, PRIME)).collect();
    let b = (0..count).map(|_| twister.below(0, PRIME)).collect();
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_are_those_that_numpy_draws() {
        // numpy.random.RandomState(1).randint(1, 2**61 - 1, dtype=uint64, size=(1, 112)), then the same from 0.
        let (a, b) = permutations(1, 112);
        assert_eq!(a[..3], [775_169_054_918_279_404, 1_758_426_461_858_698_313, 2_109_959_069_025_162]);
        assert_eq!(a[111], 223_865_076_026_037_746);
        assert_eq!(b[..2], [1_062_448_801_025_099_917, 1_324_811_268_927_594_100]);
        assert_eq!(b[111], 1_097_409_548_522_419_201);
    }
}
