//! The part v·a of a weight, as a sparse linear function of the bits.

use super::problem::M4Problem;

/// `v·a(s, y)` written out over the bits that are set: a constant, one term per attribute, per label, and per pair.
///
/// With D = v⁺ − v⁻ of the associations and R of the rates, and d = s − π:
/// `v·a = Σ D_kr·(s_k − π_k)·y_r + Σ R_k·(s_k − π_k) − Σ ε·(v⁺ + v⁻)`. A row costs as many additions as it has pairs of
/// an attribute and a label, however many labels there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tilt {
    constant: f64,
    attributes: Vec<f64>,
    labels: Vec<f64>,
    /// One row of m per label.
    pairs: Vec<f64>,
}

impl Tilt {
    pub(super) fn new(problem: &M4Problem, v: &[f64]) -> Self {
        let (m, c) = (problem.attributes(), problem.labels());
        let mut tilt = Self { constant: 0.0, attributes: vec![0.0; m], labels: vec![0.0; c], pairs: vec![0.0; m * c] };
        tilt.set(problem, v);
        tilt
    }

    /// Takes other multipliers: D⁺ (m·c, row-major), D⁻, R⁺ (m), R⁻.
    pub(super) fn set(&mut self, problem: &M4Problem, v: &[f64]) {
        let (m, c) = (problem.attributes(), problem.labels());
        let (plus, rest) = v.split_at(m * c);
        let (minus, rest) = rest.split_at(m * c);
        let (rate_plus, rate_minus) = rest.split_at(m);
        self.constant = 0.0;
        self.labels.fill(0.0);
        for k in 0..m {
            let target = problem.target(k);
            let rate = rate_plus[k] - rate_minus[k];
            self.attributes[k] = rate;
            self.constant -= rate * target + problem.epsilon_r[k] * (rate_plus[k] + rate_minus[k]);
            for r in 0..c {
                let at = k * c + r;
                let pair = plus[at] - minus[at];
                self.pairs[r * m + k] = pair;
                self.labels[r] -= pair * target;
                self.constant -= problem.epsilon_d[at] * (plus[at] + minus[at]);
            }
        }
    }

    /// `v·a` of a pattern.
    #[inline]
    pub(super) fn of(&self, bits: u128) -> f64 {
        let m = self.attributes.len();
        let mut sum = self.constant;
        ones(bits & low_bits(m), |k| sum += self.attributes[k]);
        ones(high_bits(bits, m), |r| {
            sum += self.labels[r];
            let row = &self.pairs[r * m..][..m];
            ones(bits & low_bits(m), |k| sum += row[k]);
        });
        sum
    }

    /// Numbers that no `v·a` is below or above.
    pub(super) fn range(&self) -> (f64, f64) {
        let terms = || self.attributes.iter().chain(&self.labels).chain(&self.pairs);
        let low = terms().fold(self.constant, |sum, term| sum + term.min(0.0));
        let high = terms().fold(self.constant, |sum, term| sum + term.max(0.0));
        (low, high)
    }
}

/// The lowest `m` bits, 1 to 128.
#[inline]
pub(super) fn low_bits(m: usize) -> u128 {
    u128::MAX >> (128 - m)
}

/// The bits from `m` on.
#[inline]
pub(super) fn high_bits(bits: u128, m: usize) -> u128 {
    if m < 128 { bits >> m } else { 0 }
}

/// Calls `each` for every bit that is set, from the lowest up.
#[inline]
pub(super) fn ones(bits: u128, mut each: impl FnMut(usize)) {
    let mut low = bits as u64;
    while low != 0 {
        each(low.trailing_zeros() as usize);
        low &= low - 1;
    }
    let mut high = (bits >> 64) as u64;
    while high != 0 {
        each(64 + high.trailing_zeros() as usize);
        high &= high - 1;
    }
}
