//! Soft-cap sampling (FLYT, arXiv 2503.08805): rounds of draws without replacement, after which what was drawn loses a little score.

pub use super::race::CapError;

use super::draw::{Draw, RowDraw, open, round_key};
use super::race::{Arrivals, Field};

/// Rounds of the published setting: 128 M draws, 100 000 a round.
const PUBLISHED_ROUNDS: u64 = 1280;

/// How [`soft_cap`] draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftCap {
    /// Draws in all, N.
    pub target: u64,
    /// Draws per round, G, at least 1: rows of one round are distinct.
    pub per_round: u64,
    /// What a row's score loses by a draw, α, at least 0.
    pub alpha: f64,
    /// Threads; the result is the same on any number.
    pub threads: usize,
}

impl SoftCap {
    /// `target` draws with α = 0.15 and the number of rounds of the paper, 1280, on one thread.
    pub fn new(target: u64) -> Self {
        Self { target, per_round: target.div_ceil(PUBLISHED_ROUNDS).max(1), alpha: 0.15, threads: 1 }
    }
}

/// How often each row is drawn, in the order of the rows; the sum is the target.
///
/// ```text
/// while draws are missing:
///     the min(G, missing) rows with the largest score + Gumbel(hash(seed, stage, uid, round)) are drawn
///     the score of each of them falls by α
/// ```
///
/// The raw scores go into the softmax, so their scale matters (the authors' have a standard deviation of 2.5). A round draws at most as many rows as
/// there are.
///
/// How: the order of `score + Gumbel` is the order of the arrival times `T = −ln(U)/exp(score)`, from the first. The last time that
/// counted in a round foretells that of the next, τ; and as `1 − U ≤ −ln U`, only rows with `1 − U ≤ τ·exp(score)` can be among the
/// first. So a round costs a hash, a multiplication and a comparison per row, a logarithm for the few that pass, and a selection among
/// these; nothing is sorted. If too few pass, τ grows and the round is looked at again. The result is that of sorting
/// everything in each round. For hundreds of millions of rows see [`soft_cap_one_by_one`].
///
/// Memory: 20 bytes a row.
pub fn soft_cap(draw: &Draw, scores: &[f32], uids: &[u128], options: &SoftCap) -> Result<Vec<u32>, CapError> {
    check(options.alpha)?;
    if options.per_round == 0 {
        return Err(CapError::OutOfRange { name: "per_round", value: 0.0, range: "at least 1" });
    }
    let mut field = Field::new(draw, scores, uids)?;
    let mut out = vec![0u32; scores.len()];
    if field.alive == 0 && options.target > 0 {
        return Err(CapError::TooFew { wanted: options.target, available: 0 });
    }
    let mut shift = field.best;
    let most = options.per_round.min(field.alive);
    let foretold = |weights: &[f64]| 1.5 * most as f64 / weights.iter().sum::<f64>();
    let mut until = foretold(&field.weights);
    let (mut missing, mut round) = (options.target, 0);
    while missing > 0 {
        let want = most.min(missing) as usize;
        let mut first = arrivals(&field, round, until, options.threads);
        for growth in [2.0, 4.0, 16.0, f64::INFINITY] {
            if first.len() >= want {
                break;
            }
            first = arrivals(&field, round, until * growth, options.threads);
        }
        let (_, last, _) = first.select_nth_unstable_by(want - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // A margin, since the cut moves by chance and grows as weights fall.
        until = last.0 * (1.05 + 4.0 / (want as f64).sqrt());
        let left = |row: usize, draws: u32| f64::from(scores[row]) - options.alpha * f64::from(draws);
        for (_, _, row) in &first[..want] {
            out[*row] = out[*row].saturating_add(1);
            field.weights[*row] = (left(*row, out[*row]) - shift).exp();
        }
        missing -= want as u64;
        round += 1;
        if until > 1e150 {
            // Every weight has become tiny: measure from the best score that is left.
            shift = (0..out.len()).map(|row| left(row, out[row])).fold(f64::NEG_INFINITY, f64::max);
            field.weights.iter_mut().enumerate().for_each(|(row, weight)| *weight = (left(row, out[row]) - shift).exp());
            until = foretold(&field.weights);
        }
    }
    Ok(out)
}

/// The rows that arrive in a round up to `until`: time, uid, index.
fn arrivals(field: &Field<'_>, round: u64, until: f64, threads: usize) -> Vec<(f64, u128, usize)> {
    let key = round_key(round);
    let scan = |from: usize, draws: &[RowDraw], weights: &[f64]| {
        let mut found = Vec::new();
        for (at, (draw, weight)) in draws.iter().zip(weights).enumerate() {
            let bits = draw.bits_in(key);
            // 1 − U from above, by putting the 52 bits into a float between 1 and 2.
            let rest = 2.0 - f64::from_bits(0x3ff0_0000_0000_0000 | bits >> 12);
            // The sum covers the rounding of both sides. With an endless `until` and no weight the product is NaN, and the row passes.
            let passed_over = rest > until * weight * (1.0 + 1e-12) + 1e-15;
            if !passed_over && field.scores[from + at] > f32::NEG_INFINITY {
                let time = -open(bits).ln() / weight;
                if time <= until {
                    found.push((time, field.uids[from + at], from + at));
                }
            }
        }
        found
    };
    if threads < 2 {
        return scan(0, &field.draws, &field.weights);
    }
    let size = field.draws.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let scan = &scan;
        let parts: Vec<_> = field
            .draws
            .chunks(size)
            .zip(field.weights.chunks(size))
            .enumerate()
            .map(|(i, (draws, weights))| scope.spawn(move || scan(i * size, draws, weights)))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Soft-cap sampling with one draw per round (`G` = 1), at the cost of a few passes.
///
/// Each row arrives again and again, its rate falling by `exp(−α)` after each arrival,
/// `T_j = T_{j−1} + Exp(hash(seed, stage, uid, j))·exp(j·α − score)`, and the first `target` arrivals of all rows count: exactly the process of
/// [`soft_cap`] with `per_round` = 1, with other draws. With rounds of a thousandth of the target the two differ little, and
/// this one costs a hash and a logarithm per row and per draw, not per row and round. A larger target gives a superset.
/// A row is drawn at most 700/α times (4666 for 0.15); more is [`CapError::TooFew`].
pub fn soft_cap_one_by_one(
    draw: &Draw,
    scores: &[f32],
    uids: &[u128],
    target: u64,
    alpha: f64,
    threads: usize,
) -> Result<Vec<u32>, CapError> {
    check(alpha)?;
    let field = Field::new(draw, scores, uids)?;
    // A rate of exp(−700) of the first is near the least that a float holds.
    let cap = if alpha > 0.0 { (700.0 / alpha) as u32 } else { u32::MAX };
    Arrivals { target, cap, alpha, threads }.run(&field)
}

fn check(alpha: f64) -> Result<(), CapError> {
    let right = alpha >= 0.0 && alpha.is_finite();
    if right { Ok(()) } else { Err(CapError::OutOfRange { name: "alpha", value: alpha, range: "a finite number of at least 0" }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every round sorted whole, with the keys of the definition.
    fn plain(draw: &Draw, scores: &[f32], uids: &[u128], options: &SoftCap) -> Vec<u32> {
        let mut out = vec![0u32; scores.len()];
        let (mut missing, mut round) = (options.target, 0);
        while missing > 0 {
            let mut keys: Vec<(f64, usize)> = (0..scores.len())
                .map(|i| (f64::from(scores[i]) - options.alpha * f64::from(out[i]) + draw.gumbel(uids[i], round), i))
                .collect();
            keys.sort_by(|a, b| b.0.total_cmp(&a.0));
            let take = options.per_round.min(missing).min(scores.len() as u64);
            keys[..take as usize].iter().for_each(|(_, i)| out[*i] += 1);
            missing -= take;
            round += 1;
        }
        out
    }

    fn column(rows: u32, spread: f32) -> (Vec<f32>, Vec<u128>) {
        let draw = Draw::new(9, "column");
        (0..u128::from(rows)).map(|uid| (draw.gumbel(uid, 0) as f32 * spread, uid * 31)).unzip()
    }

    proptest! {
        #[test]
        fn it_is_the_plain_sort_of_every_round(
            rows in 1u32..300,
            target in 0u64..2000,
            per_round in 1u64..100,
            spread in prop::sample::select(vec![0.0f32, 0.1, 2.5, 30.0]),
            alpha in prop::sample::select(vec![0.0, 0.15, 2.0]),
            threads in 1usize..4,
        ) {
            let (scores, uids) = column(rows, spread);
            let options = SoftCap { target, per_round, alpha, threads };
            let draw = Draw::new(4, "soft");
            let have = soft_cap(&draw, &scores, &uids, &options).unwrap();
            prop_assert_eq!(&have, &plain(&draw, &scores, &uids, &options));
            prop_assert_eq!(have.iter().map(|n| u64::from(*n)).sum::<u64>(), target);
            let (mut turned_scores, mut turned_uids) = (scores, uids);
            turned_scores.reverse();
            turned_uids.reverse();
            let mut turned = soft_cap(&draw, &turned_scores, &turned_uids, &options).unwrap();
            turned.reverse();
            prop_assert_eq!(have, turned);
        }
    }

    #[test]
    fn a_hundred_thousand_rows_are_drawn_as_by_sorting() {
        let (scores, uids) = column(100_000, 2.5);
        let options = SoftCap { target: 20_000, per_round: 1000, threads: 2, ..SoftCap::new(20_000) };
        let draw = Draw::new(4, "soft");
        assert_eq!(soft_cap(&draw, &scores, &uids, &options).unwrap(), plain(&draw, &scores, &uids, &options));
    }

    #[test]
    fn one_row_can_be_drawn_for_ever() {
        let draw = Draw::new(0, "x");
        let options = SoftCap { per_round: 1, ..SoftCap::new(20_000) };
        assert_eq!(soft_cap(&draw, &[3.0, f32::NEG_INFINITY], &[1, 2], &options).unwrap(), [20_000, 0]);
        let pair = soft_cap(&draw, &[0.0, 0.0], &[1, 2], &options).unwrap();
        assert!(pair[0].abs_diff(pair[1]) < 40, "{pair:?}");
    }

    #[test]
    fn rounds_and_single_draws_agree_on_how_often_a_score_comes() {
        let (scores, uids) = column(20_000, 2.5);
        let draw = Draw::new(1, "soft");
        let rounds = soft_cap(&draw, &scores, &uids, &SoftCap::new(60_000)).unwrap();
        let single = soft_cap_one_by_one(&draw, &scores, &uids, 60_000, 0.15, 2).unwrap();
        assert_eq!(single.iter().sum::<u32>(), 60_000);
        // Draws of the rows of each tenth by score.
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        for tenth in order.chunks(2000) {
            let of = |draws: &[u32]| f64::from(tenth.iter().map(|i| draws[*i]).sum::<u32>());
            let (a, b) = (of(&rounds), of(&single));
            assert!((a - b).abs() <= 5.0 * (a + b + 25.0).sqrt(), "{a} and {b}");
        }
        let more = soft_cap_one_by_one(&draw, &scores, &uids, 61_000, 0.15, 1).unwrap();
        assert!(single.iter().zip(&more).all(|(a, b)| a <= b));
    }

    #[test]
    fn settings_and_scores_that_make_no_sense_are_errors() {
        let draw = Draw::new(0, "x");
        let error = |scores: &[f32], options: SoftCap| soft_cap(&draw, scores, &[1], &options).unwrap_err().to_string();
        assert!(error(&[f32::INFINITY], SoftCap::new(1)).starts_with("row 0: the score is inf"));
        assert!(error(&[0.0], SoftCap { alpha: f64::NAN, ..SoftCap::new(1) }).starts_with("`alpha` is NaN"));
        assert!(error(&[0.0], SoftCap { per_round: 0, ..SoftCap::new(1) }).starts_with("`per_round` is 0"));
        assert_eq!(error(&[f32::NEG_INFINITY], SoftCap::new(1)), "1 draws are wanted, but the rows that can be drawn give 0 at most");
        assert_eq!(SoftCap::new(128_000_000).per_round, 100_000);
    }
}
