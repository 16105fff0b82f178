//! Hard-cap sampling (FLYT, arXiv 2503.08805): draws with replacement, proportional to `exp(score)`, of each row at most so many.

pub use super::race::CapError;

use super::draw::Draw;
use super::race::{Arrivals, Field};

/// How [`hard_cap`] draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardCap {
    /// Draws in all.
    pub target: u64,
    /// Draws of one row, at most; at least 1.
    pub cap: u32,
    /// Threads; the result is the same on any number.
    pub threads: usize,
}

impl HardCap {
    /// `target` draws, at most 15 of a row as in the paper, on one thread.
    pub fn new(target: u64) -> Self {
        Self { target, cap: 15, threads: 1 }
    }
}

/// How often each row is drawn, in the order of the rows; the sum is the target.
///
/// The raw scores go into the softmax, so their scale matters. The authors draw batches with replacement and throw away what is over the
/// cap; the draws that are left are those of a process that goes on with the rows that are not full yet. Here each row arrives again
/// and again at its rate, `T_j = T_{j−1} + Exp(hash(seed, stage, uid, j))·exp(−score)`, up to `cap` times, and the first `target`
/// arrivals of all rows count: the same distribution, without batches, in any order. A larger target gives a superset.
///
/// Time: a few passes with a hash and a logarithm for each row and each draw. Memory: 20 bytes a row, and 48 for each of at most
/// four million draws.
pub fn hard_cap(draw: &Draw, scores: &[f32], uids: &[u128], options: &HardCap) -> Result<Vec<u32>, CapError> {
    if options.cap == 0 {
        return Err(CapError::OutOfRange { name: "cap", value: 0.0, range: "at least 1" });
    }
    let field = Field::new(draw, scores, uids)?;
    Arrivals { target: options.target, cap: options.cap, alpha: 0.0, threads: options.threads }.run(&field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All arrivals of all rows, sorted.
    fn plain(draw: &Draw, scores: &[f32], uids: &[u128], options: &HardCap) -> Vec<u32> {
        let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut all = Vec::new();
        for (i, (score, uid)) in scores.iter().zip(uids).enumerate() {
            let weight = (f64::from(*score) - f64::from(best)).exp();
            let mut time = 0.0;
            for k in 0..options.cap {
                time += draw.row(*uid).exponential(u64::from(k)) / weight;
                all.push((time, *uid, i));
            }
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut out = vec![0; scores.len()];
        all[..options.target as usize].iter().for_each(|(_, _, i)| out[*i] += 1);
        out
    }

    fn column(rows: u32) -> (Vec<f32>, Vec<u128>) {
        let draw = Draw::new(9, "column");
        (0..u128::from(rows)).map(|uid| (draw.gumbel(uid, 0) as f32 * 2.5, uid * 31)).unzip()
    }

    proptest! {
        #[test]
        fn it_is_the_plain_sort_of_all_arrivals(rows in 1u32..200, part in 0.0..1.0f64, cap in 1u32..20, threads in 1usize..4) {
            let (scores, uids) = column(rows);
            let target = (f64::from(rows * cap) * part) as u64;
            let options = HardCap { target, cap, threads };
            let draw = Draw::new(3, "hard");
            let have = hard_cap(&draw, &scores, &uids, &options).unwrap();
            prop_assert_eq!(&have, &plain(&draw, &scores, &uids, &options));
            prop_assert_eq!(have.iter().map(|n| u64::from(*n)).sum::<u64>(), target);
            prop_assert!(have.iter().all(|n| *n <= cap));
            let more = hard_cap(&draw, &scores, &uids, &HardCap { target: target + u64::from(target < u64::from(rows * cap)), ..options }).unwrap();
            prop_assert!(have.iter().zip(&more).all(|(a, b)| a <= b));
        }
    }

    #[test]
    fn draws_follow_the_softmax_until_the_cap() {
        // Two kinds of rows, e² apart, far below the cap: 10 000 draws split 88 to 12.
        let scores: Vec<f32> = (0..2000).map(|i| if i % 2 == 0 { 2.0 } else { 0.0 }).collect();
        let uids: Vec<u128> = (0..2000).collect();
        let draws = hard_cap(&Draw::new(0, "x"), &scores, &uids, &HardCap { cap: 1000, ..HardCap::new(10_000) }).unwrap();
        let good: u32 = draws.iter().step_by(2).sum();
        let share = 2f64.exp() / (2f64.exp() + 1.0);
        assert!((f64::from(good) / 10_000.0 - share).abs() < 0.015, "{good}");
        let capped = hard_cap(&Draw::new(0, "x"), &scores, &uids, &HardCap { cap: 6, ..HardCap::new(10_000) }).unwrap();
        assert!(capped.iter().step_by(2).sum::<u32>() < good);
    }

    #[test]
    fn rows_that_cannot_be_drawn_and_targets_that_cannot_be_met_are_told() {
        let draw = Draw::new(0, "x");
        let options = HardCap { cap: 2, ..HardCap::new(4) };
        assert_eq!(hard_cap(&draw, &[0.0, f32::NEG_INFINITY, -300.0], &[1, 2, 3], &options).unwrap(), [2, 0, 2]);
        let error = hard_cap(&draw, &[0.0, f32::NEG_INFINITY], &[1, 2], &options).unwrap_err();
        assert_eq!(error.to_string(), "4 draws are wanted, but the rows that can be drawn give 2 at most");
        assert!(hard_cap(&draw, &[f32::NAN], &[1], &options).unwrap_err().to_string().starts_with("row 0: the score is NaN"));
        assert_eq!(hard_cap(&draw, &[1.0], &[], &options).unwrap_err(), CapError::Lengths { scores: 1, uids: 0 });
        assert!(hard_cap(&draw, &[], &[], &HardCap::new(0)).unwrap().is_empty());
    }
}
