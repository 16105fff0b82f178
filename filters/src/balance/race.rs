//! Sampling by arrival times: what the two caps share.
//!
//! A row of weight `w = exp(score)` arrives after a time that is exponential with rate `w`. The first `G` rows to arrive are a draw of `G` without
//! replacement proportional to `w`; the order is that of `score + Gumbel`, from the top. If rows come again and again at their rate, the
//! first `N` arrivals are `N` draws with replacement.

use super::draw::{Draw, RowDraw};

/// What can be wrong with a column of scores to sample from.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CapError {
    /// Scores and uids differ in number.
    #[error("{scores} scores and {uids} uids")]
    Lengths {
        /// Scores given.
        scores: usize,
        /// Uids given.
        uids: usize,
    },
    /// A score is not a number, or endless upwards. Minus infinity is taken: such a row is never drawn.
    #[error("row {row}: the score is {score}, it must be a finite number or minus infinity")]
    BadScore {
        /// Index in the slice that was given.
        row: usize,
        /// What was given.
        score: f32,
    },
    /// A setting is out of its range.
    #[error("`{name}` is {value}: it must be {range}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
    /// There are not so many draws to be had.
    #[error("{wanted} draws are wanted, but the rows that can be drawn give {available} at most")]
    TooFew {
        /// Draws wanted.
        wanted: u64,
        /// Rows that can be drawn, times the cap.
        available: u64,
    },
}

/// A column of scores, ready to be drawn from.
pub(super) struct Field<'a> {
    pub(super) scores: &'a [f32],
    pub(super) uids: &'a [u128],
    /// Beside the weights, and apart from the rest, as every round reads all of these two.
    pub(super) draws: Vec<RowDraw>,
    /// exp(score − best): 1 at most, 0 for rows that cannot be drawn.
    pub(super) weights: Vec<f64>,
    /// The largest score, which all weights are relative to.
    pub(super) best: f64,
    /// Rows that can be drawn.
    pub(super) alive: u64,
}

impl<'a> Field<'a> {
    pub(super) fn new(draw: &Draw, scores: &'a [f32], uids: &'a [u128]) -> Result<Self, CapError> {
        if scores.len() != uids.len() {
            return Err(CapError::Lengths { scores: scores.len(), uids: uids.len() });
        }
        if let Some((row, score)) = scores.iter().enumerate().find(|(_, score)| score.is_nan() || **score == f32::INFINITY) {
            return Err(CapError::BadScore { row, score: *score });
        }
        let best = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let alive = scores.iter().filter(|score| **score > f32::NEG_INFINITY).count() as u64;
        // Without a row that can be drawn the difference is no number.
        let weight = |score: &f32| if alive > 0 { (f64::from(*score) - best).exp() } else { 0.0 };
        let weights = scores.iter().map(weight).collect();
        Ok(Self { scores, uids, draws: uids.iter().map(|uid| draw.row(*uid)).collect(), weights, best, alive })
    }
}

/// Repeated arrivals: the first `target` of all rows together, of a row at most `cap`; after each one its rate falls by `exp(−alpha)`.
pub(super) struct Arrivals {
    pub(super) target: u64,
    pub(super) cap: u32,
    pub(super) alpha: f64,
    pub(super) threads: usize,
}

/// Arrivals that may be held and sorted at once.
const HELD: u64 = 1 << 22;

impl Arrivals {
    /// Draws of each of `len` rows.
    pub(super) fn run(&self, field: &Field<'_>) -> Result<Vec<u32>, CapError> {
        let mut out = vec![0; field.scores.len()];
        let available = field.alive.saturating_mul(u64::from(self.cap));
        if self.target > available {
            return Err(CapError::TooFew { wanted: self.target, available });
        }
        if self.target == 0 {
            return Ok(out);
        }
        // A time by which enough have arrived.
        let rate: f64 = field.weights.iter().sum();
        let (mut early, mut few) = (0.0, 0);
        let mut late = self.target as f64 / rate;
        let mut many = self.count(field, late);
        while many < self.target {
            (early, few) = (late, many);
            // Up to f64::MAX; a row that would come later than that counts as coming then.
            late = (late * 4.0).min(f64::MAX);
            many = if late == f64::MAX { available } else { self.count(field, late) };
        }
        // Narrower, until what is between can be held. Halving ends where the times are neighbours.
        while many - few > HELD {
            let middle = early + (late - early) / 2.0;
            if middle <= early || middle >= late {
                break;
            }
            let count = self.count(field, middle);
            if count < self.target { (early, few) = (middle, count) } else { (late, many) = (middle, count) }
        }
        let mut between = Vec::with_capacity((many - few) as usize);
        for (row, draws) in out.iter_mut().enumerate() {
            self.each(field, row, late, |time| {
                if time <= early {
                    *draws += 1;
                } else {
                    between.push((time, field.uids[row], row));
                }
            });
        }
        let more = (self.target - few) as usize;
        between.select_nth_unstable_by(more - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        between[..more].iter().for_each(|(_, _, row)| out[*row] += 1);
        Ok(out)
    }

    /// Calls `arrival` with the times of the arrivals of one row up to `until`, at most the cap.
    #[inline]
    fn each(&self, field: &Field<'_>, row: usize, until: f64, mut arrival: impl FnMut(f64)) {
        let (draw, weight) = (field.draws[row], field.weights[row]);
        if field.scores[row] == f32::NEG_INFINITY {
            return;
        }
        // As 1 − U ≤ −ln U, most rows are passed over without a logarithm; the sum covers the rounding.
        if 1.0 - draw.open(0) > until * weight * (1.0 + 1e-12) + 1e-15 {
            return;
        }
        let mut time = 0.0;
        for k in 0..self.cap {
            let slower = if self.alpha == 0.0 { 1.0 } else { (-self.alpha * f64::from(k)).exp() };
            time = (time + draw.exponential(u64::from(k)) / (weight * slower)).min(f64::MAX);
            if time > until {
                return;
            }
            arrival(time);
        }
    }

    /// Arrivals up to `until`.
    fn count(&self, field: &Field<'_>, until: f64) -> u64 {
        let rows = field.scores.len();
        let size = rows.div_ceil(self.threads.max(1)).max(1);
        let count = |start: usize| {
            let mut arrivals = 0;
            (start..rows.min(start + size)).for_each(|row| self.each(field, row, until, |_| arrivals += 1));
            arrivals
        };
        std::thread::scope(|scope| {
            let count = &count;
            let parts: Vec<_> = (0..rows).step_by(size).map(|start| scope.spawn(move || count(start))).collect();
            parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
        })
    }
}
