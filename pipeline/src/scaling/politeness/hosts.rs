//! How urls lie on hosts.
//!
//! The share of the host of rank *r* is taken to be `(r + q)^-s / Z` for `1 ≤ r ≤ H` (Zipf–Mandelbrot). The defaults are fitted to
//! the four numbers of domains that img2dataset's issues #101 and #43 give for LAION-400M:
//!
//! | urls drawn | domains published | domains of the fit |
//! |---:|---:|---:|
//! | 10,000 | 4,622 | 4,640 |
//! | 100,000 | 30,898 | 30,651 |
//! | 1,000,000 | 186,972 | 187,798 |
//! | all (400 million) | 5 million | 4,999,254 |
//!
//! They say little of the very largest hosts: in the 10,000 rows of LAION that img2dataset's tests use, the largest host has 6.4 %
//! and the ten largest 17 %, where the fit gives 2.3 % and 14 %.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::scaling::error::{PlanError, check};

/// Ranks that are summed one by one; beyond them the sum is an integral, exact to 10⁻¹⁰ of it.
const SUMMED: u64 = 1 << 16;

/// Shares of hosts by rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostDistribution {
    /// Number of hosts *H*, 1 to 2³².
    pub hosts: u64,
    /// Exponent *s*, 0 (all hosts alike) to 5.
    pub exponent: f64,
    /// Shift *q* of the rank, 0 to 10⁹; flattens the head.
    pub shift: f64,
}

impl Default for HostDistribution {
    fn default() -> Self {
        Self { hosts: 5_208_898, exponent: 1.141_404_5, shift: 6.186_996 }
    }
}

impl HostDistribution {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`PlanError::Range`] naming the first bad one.
    pub fn validate(&self) -> Result<(), PlanError> {
        check("hosts", self.hosts as f64, (1..=1 << 32).contains(&self.hosts), "1 to 2^32")?;
        check("exponent", self.exponent, (0.0..=5.0).contains(&self.exponent), "0 to 5")?;
        check("shift", self.shift, (0.0..=1e9).contains(&self.shift), "0 to 10^9")
    }

    /// `(r + q)^-s`, before normalising.
    pub(crate) fn weight(&self, rank: u64) -> f64 {
        (rank as f64 + self.shift).powf(-self.exponent)
    }

    /// Sum of the weights of the ranks from 1 to `rank`.
    ///
    /// Ranks up to 2¹⁶ are added up; the rest is the integral from half a rank before to half a rank after (midpoint rule).
    pub(crate) fn weight_to(&self, rank: u64) -> f64 {
        let rank = rank.min(self.hosts);
        let head: f64 = (1..=rank.min(SUMMED)).rev().map(|r| self.weight(r)).sum();
        if rank <= SUMMED {
            return head;
        }
        let (from, to) = (SUMMED as f64 + 0.5 + self.shift, rank as f64 + 0.5 + self.shift);
        let power = 1.0 - self.exponent;
        // Near s = 1 the difference of powers would cancel.
        let tail = if power.abs() < 1e-9 { (to / from).ln() } else { from.powf(power) * (power * (to / from).ln()).exp_m1() / power };
        head + tail
    }

    /// Share of all urls that lie on the `count` largest hosts, 0 to 1.
    pub fn share_of_largest(&self, count: u64) -> f64 {
        self.weight_to(count) / self.weight_to(self.hosts)
    }

    /// Hosts that `urls` random urls are expected to lie on: `Σ (1 − exp(−n·p))`, in classes of ranks that are a thousandth wide.
    pub fn distinct(&self, urls: f64) -> f64 {
        let total = self.weight_to(self.hosts);
        let mut rank = 1;
        let mut sum = 0.0;
        while rank <= self.hosts {
            let width = (rank / 1000).max(1).min(self.hosts - rank + 1);
            let share = self.weight(rank + width / 2) / total;
            sum += width as f64 * -(-urls * share).exp_m1();
            rank += width;
        }
        sum
    }
}

/// A fixed draw in `[0, 1)` for one host and one purpose.
pub(crate) fn draw(seed: u64, host: u64, purpose: u8) -> f64 {
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&host.to_le_bytes());
    bytes[8] = purpose;
    // 53 bits fill a double's mantissa.
    (xxh3_64_with_seed(&bytes, seed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A Poisson draw with this mean for a uniform `u`: by inversion up to 64, beyond by the normal approximation with half a
/// correction of its skew, rounded.
pub(crate) fn poisson(mean: f64, u: f64) -> u64 {
    if mean <= 64.0 {
        let (mut term, mut count) = ((-mean).exp(), 0_u32);
        let mut sum = term;
        // The bound only guards against rounding: 64 + 40 standard deviations.
        while u >= sum && count < 400 {
            count += 1;
            term *= mean / f64::from(count);
            sum += term;
        }
        return u64::from(count);
    }
    let z = normal_quantile(u.clamp(1e-15, 1.0 - 1e-15));
    (mean + z * mean.sqrt() + (z * z - 1.0) / 6.0).round().max(0.0) as u64
}

/// The standard normal quantile by the formula 26.2.23 of Abramowitz and Stegun; its error is below 4.5·10⁻⁴.
fn normal_quantile(u: f64) -> f64 {
    let tail = u.min(1.0 - u);
    let t = (-2.0 * tail.ln()).sqrt();
    let z = t - (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    if u < 0.5 { -z } else { z }
}

/// A fixed order of `0..len`, without holding it: a Feistel network over the next power of four, walked past what is outside.
#[derive(Debug, Clone)]
pub(crate) struct Shuffled {
    len: u64,
    half: u32,
    seed: u64,
    next: u64,
}

impl Shuffled {
    pub(crate) fn new(len: u64, seed: u64) -> Self {
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        Self { len, half: bits.div_ceil(2).max(1), seed, next: 0 }
    }

    fn permute(&self, value: u64) -> u64 {
        let mask = (1_u64 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for round in 0..4_u64 {
            // The finaliser of SplitMix64: enough to mix, and much cheaper than a hash of bytes.
            let mut mixed = right.wrapping_add(self.seed).wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (left, right) = (right, (left ^ (mixed >> 31)) & mask);
        }
        (left << self.half) | right
    }
}

impl Iterator for Shuffled {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let end = 1_u64 << (2 * self.half);
        while self.next < end {
            let value = self.permute(self.next);
            self.next += 1;
            if value < self.len {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_give_the_published_numbers_of_domains() {
        // img2dataset issues #101 and #43, LAION-400M.
        let hosts = HostDistribution::default();
        for (urls, published) in [(1e4, 4622.0), (1e5, 30_898.0), (1e6, 186_972.0), (4e8, 5e6)] {
            let distinct = hosts.distinct(urls);
            assert!((distinct / published - 1.0).abs() < 0.01, "{urls}: {distinct} against {published}");
        }
    }

    #[test]
    fn sums_of_weights_agree_with_adding_up() {
        for (exponent, shift) in [(1.14, 6.2), (1.0, 0.0), (0.5, 3.0), (0.0, 0.0), (2.5, 1.0)] {
            let hosts = HostDistribution { hosts: 300_000, exponent, shift };
            let added: f64 = (1..=300_000).rev().map(|r| hosts.weight(r)).sum();
            let ours = hosts.weight_to(300_000);
            assert!((ours / added - 1.0).abs() < 1e-9, "s {exponent}: {ours} against {added}");
        }
    }

    #[test]
    fn equal_hosts_have_equal_shares() {
        let hosts = HostDistribution { hosts: 1000, exponent: 0.0, shift: 0.0 };
        assert!((hosts.share_of_largest(10) - 0.01).abs() < 1e-12);
        assert!((hosts.distinct(1e9) - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn an_order_holds_every_number_once_and_depends_on_the_seed() {
        for len in [1, 2, 3, 17, 1000] {
            let mut all: Vec<u64> = Shuffled::new(len, 7).collect();
            let order = all.clone();
            all.sort_unstable();
            assert_eq!(all, (0..len).collect::<Vec<_>>());
            if len == 1000 {
                assert_ne!(order, Shuffled::new(len, 8).collect::<Vec<_>>());
                assert_eq!(order, Shuffled::new(len, 7).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn poisson_draws_have_their_mean_and_variance() {
        for mean in [0.2, 3.0, 40.0, 200.0, 1e6] {
            let draws: Vec<f64> = (0..20_000).map(|i| poisson(mean, draw(1, i, 0)) as f64).collect();
            let average = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / 20_000.0;
            assert!((average - mean).abs() < 5.0 * (mean / 20_000.0).sqrt(), "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.06, "{mean}: {variance}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        for (hosts, name) in [
            (HostDistribution { hosts: 0, ..HostDistribution::default() }, "hosts"),
            (HostDistribution { exponent: -1.0, ..HostDistribution::default() }, "exponent"),
            (HostDistribution { shift: f64::NAN, ..HostDistribution::default() }, "shift"),
        ] {
            assert!(hosts.validate().unwrap_err().to_string().contains(name));
        }
    }
}
