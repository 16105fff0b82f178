//! Draws by hash: nothing depends on what was drawn before.

/// A 64-bit hash of two numbers: SplitMix64's finaliser (Steele, Lea, Flood 2014) over their mixture.
pub(crate) fn mix(seed: u64, k: u64) -> u64 {
    let mut z = seed ^ k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers `0..n` in an order that the seed decides: sorted by their hash.
pub(crate) fn order(seed: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|at| (mix(seed, *at as u64), *at));
    order
}
