//! The streaming form: stochastic steps on the multipliers, in constant memory.

use super::calibrate::{Pass, calibrate};
use super::counts::{Key, PatternBits, utilities_of};
use super::fit::{M4Fit, check_rates};
use super::moments::Moments;
use super::problem::{M4Error, M4Problem};
use super::tilt::Tilt;
use super::weights::M4Weights;

/// How the streaming form steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamOptions {
    /// Rows per step, at least 1. 100 by default.
    pub batch: u32,
    /// First step size τ₀, above 0; batch t steps by τ₀/√t. 0.3 by default.
    pub step: f64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { batch: 100, step: 0.3 }
    }
}

/// A fit that sees each row once.
///
/// After each batch, with means over the batch:
///
/// ```text
/// q  = clip(η·u − v·a − μ, 0, Q)
/// v_j ← clip(v_j + τ₀/√t · E[q·a_j] / max(E[a_j²], 1/(4·batch)), 0, V)      E[a_j²] over all rows so far
/// μ  ← μ + τ₀/√t · (E[q] − η)
/// ```
///
/// The division by `E[a_j²]` makes one pass enough: without it rare labels learn too slowly. Its floor keeps a label that is rarer than
/// one row in a few batches from jumping about. The result uses the mean of the multipliers over the last half to three quarters of
/// the batches, and [`M4Stream::finish`] makes the mean weight right. The result depends on the order of the rows, which should be random:
/// [`super::PatternCounts`] does not have either fault.
#[derive(Clone, Debug)]
pub struct M4Stream {
    problem: M4Problem,
    options: StreamOptions,
    v: Vec<f64>,
    mu: f64,
    tilt: Tilt,
    batches: u64,
    /// Rows of the batch that is being filled.
    filled: u32,
    batch: Moments,
    /// All rows so far, with weight 1.
    seen: Moments,
    /// Sums of (v, μ) over the last whole power of two of batches, and since.
    windows: [(Vec<f64>, u64); 2],
    /// Least and largest η·u.
    utilities: (f64, f64),
    /// Room for the means of a step.
    scratch: (Vec<f64>, Vec<f64>),
}

impl M4Stream {
    /// A stream that has seen nothing, with the default [`StreamOptions`].
    pub fn new(problem: &M4Problem) -> Self {
        // The defaults are in range.
        Self::build(problem, StreamOptions::default())
    }

    /// A stream that has seen nothing.
    pub fn with_options(problem: &M4Problem, options: StreamOptions) -> Result<Self, M4Error> {
        let wrong = |name: &str, value: f64, range| Err(M4Error::OutOfRange { name: name.into(), value, range });
        if options.batch == 0 {
            return wrong("batch", 0.0, "at least 1");
        }
        if !(options.step > 0.0 && options.step.is_finite()) {
            return wrong("step", options.step, "a finite number above 0");
        }
        Ok(Self::build(problem, options))
    }

    fn build(problem: &M4Problem, options: StreamOptions) -> Self {
        let n = problem.multipliers();
        let v = vec![0.0; n];
        Self {
            tilt: Tilt::new(problem, &v),
            v,
            mu: 0.0,
            batches: 0,
            filled: 0,
            batch: Moments::new(problem),
            seen: Moments::new(problem),
            windows: [(vec![0.0; n + 1], 0), (vec![0.0; n + 1], 0)],
            utilities: (f64::INFINITY, f64::NEG_INFINITY),
            scratch: (vec![0.0; n], vec![0.0; n]),
            problem: problem.clone(),
            options,
        }
    }

    /// Learns from rows, in their order. `utilities` is needed, one per row, where the problem uses them.
    ///
    /// How the rows are cut into calls changes nothing.
    pub fn add_rows<B: PatternBits>(&mut self, rows: &[B], utilities: Option<&[f32]>) -> Result<(), M4Error> {
        let (eta, cap, utility) = (self.problem.options().eta, self.problem.options().cap, self.problem.options().utility);
        let utilities = utilities_of(&utility, rows.len(), utilities)?;
        let mask = self.problem.mask();
        for (row, pattern) in rows.iter().enumerate() {
            let key = Key::of(&utility, mask, row, pattern.bits(), utilities.map_or(1.0, |u| u[row]))?;
            let wish = eta * utility.value(key.level);
            self.utilities = (self.utilities.0.min(wish), self.utilities.1.max(wish));
            self.batch.add(key.bits, (wish - self.tilt.of(key.bits) - self.mu).clamp(0.0, cap));
            self.seen.add(key.bits, 1.0);
            self.filled += 1;
            if self.filled == self.options.batch {
                self.step();
            }
        }
        Ok(())
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.seen.weight() as u64
    }

    fn step(&mut self) {
        self.batches += 1;
        let step = self.options.step / (self.batches as f64).sqrt();
        let (squares, means) = (&mut self.scratch.0, &mut self.scratch.1);
        self.seen.squares(&self.problem, squares);
        self.batch.bias(&self.problem, means);
        let rows = self.seen.weight();
        let filled = f64::from(self.filled);
        let floor = 0.25 / f64::from(self.options.batch);
        for ((v, mean), square) in self.v.iter_mut().zip(means).zip(squares) {
            *v = (*v + step * (*mean / filled) / (*square / rows).max(floor)).clamp(0.0, self.problem.options().enforcement);
        }
        self.mu += step * (self.batch.weight() / filled - self.problem.options().eta);
        self.tilt.set(&self.problem, &self.v);
        self.batch.clear();
        self.filled = 0;

        if self.batches.is_power_of_two() {
            self.windows.swap(0, 1);
            self.windows[1].0.fill(0.0);
            self.windows[1].1 = 0;
        }
        let (sums, count) = &mut self.windows[1];
        sums.iter_mut().zip(self.v.iter().chain([&self.mu])).for_each(|(sum, value)| *sum += value);
        *count += 1;
    }

    /// The averaged multipliers as weights, before the mean is made right.
    ///
    /// A last batch that is less than half full is left out, if there were others.
    pub fn average(&self) -> M4Weights {
        let mut last = self.clone();
        if last.filled > 0 && (last.batches == 0 || last.filled >= last.options.batch.div_ceil(2)) {
            last.step();
        }
        let count = (last.windows[0].1 + last.windows[1].1).max(1) as f64;
        let mut mean: Vec<f64> = last.windows[0].0.iter().zip(&last.windows[1].0).map(|(a, b)| (a + b) / count).collect();
        let mu = mean.pop().unwrap_or(0.0);
        M4Weights::new(last.problem, mean, mu)
    }

    /// Makes the mean weight of the rows η, by bisection on μ, and says what the weights do.
    ///
    /// `replay` hands the same rows to the [`Pass`], in any order, each time that it is called: two to six times, once per narrowing of μ and
    /// once for the sums. Memory is constant. The mean is η to about 1e-11.
    ///
    /// # Errors
    /// What `replay` returns; no rows; a constant attribute.
    pub fn finish<E: From<M4Error>>(&self, replay: impl FnMut(&mut Pass<'_>) -> Result<(), E>) -> Result<M4Fit, E> {
        check_rates(&self.problem, &self.seen)?;
        calibrate(self.average(), self.utilities, self.batches, replay)
    }
}
