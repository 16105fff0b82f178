//! Multipliers put to work: the weight of any row.

use serde::{Deserialize, Serialize};

use super::counts::{Key, PatternBits, joined, utilities_of};
use super::problem::{M4Error, M4Problem};
use super::tilt::Tilt;

/// Entries of the cache of weights that have been worked out.
const CACHE: usize = 1 << 10;

/// The weight function `q(s, y, u) = clip(η·u − v·a(s, y) − μ, 0, Q)`.
///
/// It serialises as the problem, `v` and `μ`, so that one machine fits and many apply. For the same bits the format must keep
/// floats exactly: TOML does, `serde_json` reads them exactly with its feature `float_roundtrip` only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct M4Weights {
    problem: M4Problem,
    v: Vec<f64>,
    mu: f64,
    tilt: Tilt,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    problem: M4Problem,
    v: Vec<f64>,
    mu: f64,
}

impl TryFrom<Stored> for M4Weights {
    type Error = M4Error;

    fn try_from(stored: Stored) -> Result<Self, M4Error> {
        let wanted = stored.problem.multipliers();
        if stored.v.len() != wanted {
            return Err(M4Error::LimitCount { name: "v", given: stored.v.len(), wanted });
        }
        Ok(Self::new(stored.problem, stored.v, stored.mu))
    }
}

impl From<M4Weights> for Stored {
    fn from(weights: M4Weights) -> Self {
        Self { problem: weights.problem, v: weights.v, mu: weights.mu }
    }
}

impl M4Weights {
    /// `v` has the length that the problem says.
    pub(super) fn new(problem: M4Problem, v: Vec<f64>, mu: f64) -> Self {
        let tilt = Tilt::new(&problem, &v);
        Self { problem, v, mu, tilt }
    }

    /// The problem that the multipliers belong to.
    pub fn problem(&self) -> &M4Problem {
        &self.problem
    }

    /// The multipliers of the limits, 0 to V each: D⁺ (m·c, row-major), D⁻, R⁺ (m), R⁻ (m).
    ///
    /// With a limit of 0 only the difference of the plus and the minus entry is determined.
    pub fn v(&self) -> &[f64] {
        &self.v
    }

    /// The multiplier of the mean.
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// The weight of one row, 0 to Q.
    pub fn weight(&self, bits: u128, utility: f32) -> Result<f64, M4Error> {
        Ok(self.of(Key::of(&self.problem.options().utility, self.problem.mask(), 0, bits, utility)?))
    }

    /// The weights of rows, in their order. `utilities` is needed, one per row, where the problem uses them.
    pub fn apply<B: PatternBits>(&self, rows: &[B], utilities: Option<&[f32]>) -> Result<Vec<f64>, M4Error> {
        self.apply_on(rows, utilities, 1)
    }

    /// [`M4Weights::apply`] on so many threads; the result is the same.
    pub fn apply_on<B: PatternBits>(&self, rows: &[B], utilities: Option<&[f32]>, threads: usize) -> Result<Vec<f64>, M4Error> {
        let utilities = utilities_of(&self.problem.options().utility, rows.len(), utilities)?;
        let mut weights = vec![0.0; rows.len()];
        let size = rows.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = rows
                .chunks(size)
                .zip(weights.chunks_mut(size))
                .enumerate()
                .map(|(i, (part, out))| {
                    let utilities = utilities.map(|u| &u[i * size..][..part.len()]);
                    scope.spawn(move || self.fill(part, utilities, out).map_err(|error| error.shifted(i * size)))
                })
                .collect();
            // The first part that failed is named, whichever thread was faster.
            parts.into_iter().map(joined).collect::<Vec<_>>().into_iter().collect::<Result<(), _>>()
        })?;
        Ok(weights)
    }

    fn fill<B: PatternBits>(&self, rows: &[B], utilities: Option<&[f32]>, out: &mut [f64]) -> Result<(), M4Error> {
        let (utility, mask) = (self.problem.options().utility, self.problem.mask());
        let mut cache = vec![(Key::default(), self.of(Key::default())); CACHE];
        for (row, (pattern, weight)) in rows.iter().zip(out).enumerate() {
            let key = Key::of(&utility, mask, row, pattern.bits(), utilities.map_or(1.0, |u| u[row]))?;
            let entry = &mut cache[key.slot(CACHE)];
            if entry.0 != key {
                *entry = (key, self.of(key));
            }
            *weight = entry.1;
        }
        Ok(())
    }

    /// `η·u − v·a`, before μ and the clip.
    #[inline]
    pub(super) fn level(&self, key: Key) -> f64 {
        let options = self.problem.options();
        options.eta * options.utility.value(key.level) - self.tilt.of(key.bits)
    }

    #[inline]
    pub(super) fn of(&self, key: Key) -> f64 {
        (self.level(key) - self.mu).clamp(0.0, self.problem.options().cap)
    }

    pub(super) fn set_mu(&mut self, mu: f64) {
        self.mu = mu;
    }

    pub(super) fn tilt(&self) -> &Tilt {
        &self.tilt
    }
}
