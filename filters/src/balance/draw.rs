//! Random draws that are hashes: the same row gets the same draw in any order, on any shard, on any number of threads.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The odd constant of SplitMix64, the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Stafford's variant 13 of Murmur3's).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The draws of one stage of one job.
///
/// Definition, fixed for good (a test pins its values), with `xxh3` the 64-bit XXH3 with a seed and `mix` the finaliser of
/// SplitMix64:
///
/// ```text
/// key        = xxh3(stage in UTF-8, seed)
/// row        = xxh3(uid in bytes, key)                 # a u128 uid in its 16 bytes, big end first, as uid_bytes gives it
/// bits(k)    = mix(row xor mix((k + 1) · 0x9e3779b97f4a7c15))
/// uniform(k) = (bits(k) >> 11) / 2^53                   # [0, 1)
/// open(k)    = ((bits(k) >> 12) + 1/2) / 2^52           # (0, 1)
/// ```
///
/// Nothing here is secret or safe against somebody who picks uids to be drawn; a uid that is itself a BLAKE3 hash cannot be picked freely.
///
/// ```
/// use trommel_filters::balance::Draw;
///
/// let draw = Draw::new(0, "sample");
/// let kept = (0..1000u128).filter(|uid| draw.keep(0.1, *uid)).count();
/// assert!((70..130).contains(&kept));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    key: u64,
}

impl Draw {
    /// The draws of the stage `stage` in a job with this seed.
    pub fn new(seed: u64, stage: &str) -> Self {
        Self { key: xxh3_64_with_seed(stage.as_bytes(), seed) }
    }

    /// The draws of the row `uid`.
    pub fn row(&self, uid: u128) -> RowDraw {
        self.row_bytes(&uid.to_be_bytes())
    }

    /// The draws of a row whose uid is any string of bytes; for the 16 bytes of a 128-bit uid the same as [`Draw::row`].
    pub fn row_bytes(&self, uid: &[u8]) -> RowDraw {
        RowDraw(xxh3_64_with_seed(uid, self.key))
    }

    /// The `k`-th draw of `uid`, uniform in [0, 1).
    pub fn uniform(&self, uid: u128, k: u64) -> f64 {
        self.row(uid).uniform(k)
    }

    /// The `k`-th draw of `uid` from the standard Gumbel distribution, see [`RowDraw::gumbel`].
    pub fn gumbel(&self, uid: u128, k: u64) -> f64 {
        self.row(uid).gumbel(k)
    }

    /// Whether `uid` is kept at this rate: a larger rate keeps a superset.
    pub fn keep(&self, rate: f64, uid: u128) -> bool {
        self.row(uid).uniform(0) < rate
    }

    /// How often `uid` is written at this weight, see [`RowDraw::copies`].
    pub fn copies(&self, weight: f64, uid: u128) -> u32 {
        self.row(uid).copies(weight)
    }
}

/// The draws of one row in one stage; see [`Draw`] for the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowDraw(u64);

impl RowDraw {
    /// 64 bits, draw number `k`.
    pub fn bits(self, k: u64) -> u64 {
        self.bits_in(round_key(k))
    }

    /// [`RowDraw::bits`] with the part that all rows of a round share already made.
    pub(crate) fn bits_in(self, round: u64) -> u64 {
        mix(self.0 ^ round)
    }

    /// Uniform in [0, 1), draw number `k`.
    pub fn uniform(self, k: u64) -> f64 {
        (self.bits(k) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in (0, 1), both ends left out, draw number `k`.
    pub fn open(self, k: u64) -> f64 {
        open(self.bits(k))
    }

    /// Exponential with mean 1, above 0 and finite: `-ln(open(k))`.
    pub fn exponential(self, k: u64) -> f64 {
        -self.open(k).ln()
    }

    /// Standard Gumbel, finite: `-ln(-ln(open(k)))`. The `G` rows with the largest `score + gumbel` are a draw of `G` rows
    /// without replacement, proportional to `exp(score)`.
    pub fn gumbel(self, k: u64) -> f64 {
        -self.exponential(k).ln()
    }

    /// `floor(weight)` copies, and one more with probability `weight - floor(weight)` (draw number 0).
    ///
    /// A larger weight never gives fewer copies. A weight that is negative or not a number gives 0.
    pub fn copies(self, weight: f64) -> u32 {
        if weight.is_nan() || weight <= 0.0 {
            return 0;
        }
        let whole = weight.floor();
        let more = u32::from(self.uniform(0) < weight - whole);
        // The cast saturates.
        (whole as u32).saturating_add(more)
    }
}

/// What [`RowDraw::bits_in`] needs to know of draw number `k`.
pub(crate) fn round_key(k: u64) -> u64 {
    mix(k.wrapping_add(1).wrapping_mul(GOLDEN))
}

/// 64 bits as a number in (0, 1).
pub(crate) fn open(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_draws_never_change() {
        // Made from the definition with the Python package xxhash 3.
        let draw = Draw::new(7, "balance");
        let uid = 0x2d3a_dedf_f11b_61f1_4c88_6e35_afa0_3673;
        assert_eq!(draw.row(uid).bits(0), GOLDEN_BITS[0]);
        assert_eq!(draw.row(uid).bits(1), GOLDEN_BITS[1]);
        assert_eq!(draw.row_bytes(b"row-1").bits(0), GOLDEN_BITS[2]);
        assert_eq!(Draw::new(0, "").row(0).bits(u64::MAX), GOLDEN_BITS[3]);
        assert_eq!(draw.uniform(uid, 0), GOLDEN_BITS[0] as f64 / 2f64.powi(64) - (GOLDEN_BITS[0] % 2048) as f64 / 2f64.powi(64));
    }

    const GOLDEN_BITS: [u64; 4] = [0x14a6_824c_0f7e_0489, 0x80a2_89ca_92db_2402, 0x62c2_2c48_db4a_27b0, 0x285d_9f41_0ebc_44f7];

    #[test]
    fn the_mixer_is_splitmix64() {
        // Golden value: the first output of SplitMix64 with seed 0, from the reference implementation's own tests.
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_uid_of_16_bytes_is_the_same_as_a_number_and_as_bytes() {
        let draw = Draw::new(1, "a");
        let bytes = crate::uid_bytes("http://a.example/1.jpg", "a dog");
        assert_eq!(draw.row(u128::from_be_bytes(bytes)), draw.row_bytes(&bytes));
    }

    #[test]
    fn draws_are_uniform_and_seeds_stages_and_numbers_are_independent() {
        let rows = 200_000u32;
        let draws = [Draw::new(0, "a"), Draw::new(1, "a"), Draw::new(0, "b")];
        let of = |which: usize, k: u64, uid: u32| draws[which].uniform(u128::from(uid), k) - 0.5;
        let streams = [(0, 0), (0, 1), (1, 0), (2, 0)];
        for (i, (draw, k)) in streams.iter().enumerate() {
            let mean = (0..rows).map(|uid| of(*draw, *k, uid)).sum::<f64>() / f64::from(rows);
            // The standard error is 0.289 / sqrt(200,000) = 0.00065.
            assert!(mean.abs() < 0.0026, "{i}: {mean}");
            for (other, l) in &streams[i + 1..] {
                let product = (0..rows).map(|uid| of(*draw, *k, uid) * of(*other, *l, uid)).sum::<f64>() / f64::from(rows);
                assert!(product.abs() < 0.0008, "{i}: {product}");
            }
        }
    }

    #[test]
    fn the_gumbel_mean_is_eulers_constant() {
        let draw = Draw::new(3, "gumbel");
        let mean = (0..100_000u128).map(|uid| draw.gumbel(uid, 0)).sum::<f64>() / 100_000.0;
        assert!((mean - 0.577_215_66).abs() < 0.015, "{mean}");
    }

    #[test]
    fn weights_that_are_no_numbers_give_no_copy() {
        let draw = Draw::new(0, "copies");
        assert_eq!(draw.copies(f64::NAN, 1), 0);
        assert_eq!(draw.copies(-1.0, 1), 0);
        assert_eq!(draw.copies(3.0, 1), 3);
        assert_eq!(draw.copies(f64::INFINITY, 1), u32::MAX);
    }

    proptest! {
        #[test]
        fn a_larger_weight_never_gives_fewer_copies(uid: u128, a in 0.0..5.0f64, b in 0.0..5.0f64) {
            let draw = Draw::new(0, "copies");
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(draw.copies(low, uid) <= draw.copies(high, uid));
            prop_assert!(!draw.keep(low, uid) || draw.keep(high, uid));
            prop_assert!(f64::from(draw.copies(low, uid)) >= low.floor());
            prop_assert!(f64::from(draw.copies(low, uid)) <= low.ceil());
        }
    }
}
