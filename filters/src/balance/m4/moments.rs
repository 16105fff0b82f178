//! Weighted sums of attributes, labels and pairs: all that limits, gradients and reports need.

use serde::{Deserialize, Serialize};

use super::problem::M4Problem;
use super::tilt::{high_bits, low_bits, ones};

/// Sums over weighted rows: the weight, and the weight of the rows that have each attribute, each label, each pair of both.
///
/// Sums of copies (whole numbers) are exact; sums of fractional weights depend on the order in their last bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub(super) weight: f64,
    pub(super) attributes: Vec<f64>,
    pub(super) labels: Vec<f64>,
    /// One row of m per label.
    pub(super) pairs: Vec<f64>,
}

impl Moments {
    /// No rows yet.
    pub fn new(problem: &M4Problem) -> Self {
        let (m, c) = (problem.attributes(), problem.labels());
        Self { weight: 0.0, attributes: vec![0.0; m], labels: vec![0.0; c], pairs: vec![0.0; m * c] }
    }

    /// Adds a row's pattern with a weight: 1 for what is there, q or a number of copies for what is kept.
    ///
    /// Bits beyond the labels must not be set.
    #[inline]
    pub fn add(&mut self, bits: u128, weight: f64) {
        let m = self.attributes.len();
        self.weight += weight;
        ones(bits & low_bits(m), |k| self.attributes[k] += weight);
        ones(high_bits(bits, m), |r| {
            self.labels[r] += weight;
            let row = &mut self.pairs[r * m..][..m];
            ones(bits & low_bits(m), |k| row[k] += weight);
        });
    }

    /// Adds the sums of other rows of the same problem.
    pub fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        for (mine, theirs) in
            [(&mut self.attributes, &other.attributes), (&mut self.labels, &other.labels), (&mut self.pairs, &other.pairs)]
        {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
    }

    pub(super) fn clear(&mut self) {
        self.weight = 0.0;
        for sums in [&mut self.attributes, &mut self.labels, &mut self.pairs] {
            sums.fill(0.0);
        }
    }

    /// Sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// `E_q[s_k]`, 0 to 1; NaN without rows.
    pub fn mean(&self, attribute: usize) -> f64 {
        self.attributes[attribute] / self.weight
    }

    /// `E_q[y_r]`, 0 to 1; NaN without rows.
    pub fn label_mean(&self, label: usize) -> f64 {
        self.labels[label] / self.weight
    }

    /// `E_q[(s_k − target)·y_r]`, the moment that `epsilon_d` limits.
    pub fn moment(&self, attribute: usize, label: usize, target: f64) -> f64 {
        (self.pair(attribute, label) - target * self.labels[label]) / self.weight
    }

    /// `E_q[y_r | s_k = 1] − E_q[y_r | s_k = 0]`; none if one of the two groups has no weight.
    pub fn gap(&self, attribute: usize, label: usize) -> Option<f64> {
        let (with, without) = (self.attributes[attribute], self.weight - self.attributes[attribute]);
        // Sums of the same weights in another order differ by rounding: a group of that size is empty.
        let least = self.weight * 1e-12;
        if with <= least || without <= least {
            return None;
        }
        let pair = self.pair(attribute, label);
        Some(pair / with - (self.labels[label] - pair) / without)
    }

    /// Representation bias: `max_k |π_k − E_q[s_k]|`.
    pub fn representation_bias(&self, problem: &M4Problem) -> f64 {
        (0..problem.attributes()).map(|k| (self.mean(k) - problem.target(k)).abs()).fold(0.0, f64::max)
    }

    /// Association bias: `max_kr |E_q[y_r | s_k = 1] − E_q[y_r | s_k = 0]|` over the gaps that exist.
    pub fn association_bias(&self) -> f64 {
        let (m, c) = (self.attributes.len(), self.labels.len());
        (0..m).flat_map(|k| (0..c).filter_map(move |r| self.gap(k, r))).map(f64::abs).fold(0.0, f64::max)
    }

    fn pair(&self, k: usize, r: usize) -> f64 {
        self.pairs[r * self.attributes.len() + k]
    }

    /// Σ q·a in the order of the multipliers: D⁺ (m·c, row-major), D⁻, R⁺ (m), R⁻.
    pub(super) fn bias(&self, problem: &M4Problem, out: &mut [f64]) {
        let (m, c) = (problem.attributes(), problem.labels());
        let (plus, rest) = out.split_at_mut(m * c);
        let (minus, rest) = rest.split_at_mut(m * c);
        let (rate_plus, rate_minus) = rest.split_at_mut(m);
        for k in 0..m {
            let target = problem.target(k);
            let rate = self.attributes[k] - target * self.weight;
            let limit = problem.epsilon_r[k] * self.weight;
            (rate_plus[k], rate_minus[k]) = (rate - limit, -rate - limit);
            for r in 0..c {
                let at = k * c + r;
                let moment = self.pair(k, r) - target * self.labels[r];
                let limit = problem.epsilon_d[at] * self.weight;
                (plus[at], minus[at]) = (moment - limit, -moment - limit);
            }
        }
    }

    /// Σ w·a_j² in the same order: what the steps are scaled by.
    pub(super) fn squares(&self, problem: &M4Problem, out: &mut [f64]) {
        let (m, c) = (problem.attributes(), problem.labels());
        let (plus, rest) = out.split_at_mut(m * c);
        let (minus, rest) = rest.split_at_mut(m * c);
        let (rate_plus, rate_minus) = rest.split_at_mut(m);
        // (x ∓ ε)² summed, from the sums of x² and x.
        let both = |square: f64, sum: f64, epsilon: f64| {
            let rest = epsilon * epsilon * self.weight;
            (square - 2.0 * epsilon * sum + rest, square + 2.0 * epsilon * sum + rest)
        };
        for k in 0..m {
            let target = problem.target(k);
            // (s − π)² = s·(1 − 2π) + π² for a bit s.
            let square = |with: f64, all: f64| with * (1.0 - 2.0 * target) + target * target * all;
            let sum = self.attributes[k] - target * self.weight;
            (rate_plus[k], rate_minus[k]) = both(square(self.attributes[k], self.weight), sum, problem.epsilon_r[k]);
            for r in 0..c {
                let at = k * c + r;
                let sum = self.pair(k, r) - target * self.labels[r];
                (plus[at], minus[at]) = both(square(self.pair(k, r), self.labels[r]), sum, problem.epsilon_d[at]);
            }
        }
    }
}
