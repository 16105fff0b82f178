//! Seeded draws that do not depend on the order in which they are made.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A small stream of numbers that belongs to one thing: `(seed, label, n)`.
///
/// The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014),
/// started from an XXH3 hash, so two things never share a stream.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, label: &str, n: u64) -> Self {
        let start = xxh3_64_with_seed(label.as_bytes(), seed);
        Self(xxh3_64_with_seed(&n.to_le_bytes(), start))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0. The bias of at most `n / 2^64` does not matter here.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[self.below(N as u64) as usize]
    }

    /// An entry drawn by its weight. The last entry takes what rounding leaves over.
    pub(crate) fn weighted<T: Copy, const N: usize>(&mut self, from: &[(T, f64); N]) -> T {
        let total: f64 = from.iter().map(|(_, weight)| weight).sum();
        let mut left = self.unit() * total;
        for (value, weight) in from {
            left -= weight;
            if left < 0.0 {
                return *value;
            }
        }
        from[N - 1].0
    }
}

/// Marks a share of the numbers `0, 1, 2, ..` evenly but not regularly: the numbers are cut into blocks of `1 / share`,
/// and exactly one number of each block is marked. Returns the number of the block if `n` is the marked one.
///
/// The blocks let a caller walk through a list of kinds, so that a small web has one of each before it has two of any.
pub(crate) fn stratum(seed: u64, label: &str, share: f64, n: u64) -> Option<u64> {
    // In millionths and whole numbers, so that a number never falls between two blocks by rounding.
    const WHOLE: u128 = 1_000_000;
    let share = (share.clamp(0.0, 1.0) * WHOLE as f64).round() as u128;
    if share == 0 {
        return None;
    }
    let block = u128::from(n) * share / WHOLE;
    let start = (block * WHOLE).div_ceil(share) as u64;
    let end = ((block + 1) * WHOLE).div_ceil(share) as u64;
    let block = block as u64;
    let length = end.saturating_sub(start).max(1);
    let marked = start + Draw::new(seed, label, block).below(length);
    (marked == n).then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stratum_marks_its_share_whatever_the_share() {
        for share in [0.01, 0.1, 0.25, 0.33, 0.7, 1.0] {
            let marked = (0..10_000).filter(|n| stratum(7, "test", share, *n).is_some()).count() as f64;
            assert!((marked - 10_000.0 * share).abs() <= 2.0, "{share}: {marked}");
        }
        assert_eq!(stratum(7, "test", 0.0, 3), None);
    }

    #[test]
    fn blocks_come_one_after_the_other() {
        let blocks: Vec<u64> = (0..5_000).filter_map(|n| stratum(1, "test", 0.13, n)).collect();
        assert_eq!(blocks, (0..blocks.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn draws_differ_by_seed_label_and_number_and_nothing_else() {
        let first = |seed, label, n| Draw::new(seed, label, n).next();
        assert_eq!(first(1, "a", 2), first(1, "a", 2));
        assert_ne!(first(1, "a", 2), first(2, "a", 2));
        assert_ne!(first(1, "a", 2), first(1, "b", 2));
        assert_ne!(first(1, "a", 2), first(1, "a", 3));
    }
}
