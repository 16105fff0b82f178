//! The exact mean without keeping the rows: μ is narrowed by passes over them.

use super::counts::{PatternBits, counted, joined, utilities_of};
use super::fit::M4Fit;
use super::moments::Moments;
use super::problem::M4Error;
use super::status::status;
use super::weights::M4Weights;

/// Parts that one pass cuts the range of μ into.
const BINS: usize = 1 << 14;
/// Passes that narrow μ, at most.
const PASSES: usize = 5;
/// A range of μ this narrow is narrow enough: the mean moves by no more than it.
const NARROW: f64 = 1e-12;
/// Sums are whole multiples of 2⁻⁴⁰, so that they are the same in any order.
const UNIT: f64 = (1u64 << 40) as f64;
/// Rows per partial sum of a pass on several threads; fixed, so that their number changes nothing.
const CHUNK: usize = 1 << 16;

/// How much of `√E[a_j²]` a limit may be over in the streaming form before it counts as broken: the steps leave noise. A thousandth for the rate of
/// half of the rows, a few ten-thousandths for a label.
const STREAM_NOISE: f64 = 2e-3;

/// One pass over the rows, see [`super::M4Stream::finish`].
#[derive(Debug)]
pub struct Pass<'a> {
    weights: &'a M4Weights,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Narrow(Narrow),
    Sum { before: Moments, after: Moments },
}

impl Work {
    fn empty(&self, weights: &M4Weights) -> Self {
        match self {
            Self::Narrow(table) => Self::Narrow(Narrow::new(table.low, table.high, table.cap)),
            Self::Sum { .. } => Self::sums(weights),
        }
    }

    fn sums(weights: &M4Weights) -> Self {
        Self::Sum { before: Moments::new(weights.problem()), after: Moments::new(weights.problem()) }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Narrow(mine), Self::Narrow(theirs)) => mine.merge(theirs),
            (Self::Sum { before, after }, Self::Sum { before: other_before, after: other_after }) => {
                before.merge(other_before);
                after.merge(other_after);
            }
            // Both come from one pass.
            _ => {}
        }
    }
}

impl Pass<'_> {
    /// Takes rows. `utilities` is needed, one per row, where the problem uses them.
    pub fn add_rows<B: PatternBits>(&mut self, rows: &[B], utilities: Option<&[f32]>) -> Result<(), M4Error> {
        self.add_rows_on(rows, utilities, 1)
    }

    /// [`Pass::add_rows`] on so many threads; the result is the same.
    pub fn add_rows_on<B: PatternBits>(&mut self, rows: &[B], utilities: Option<&[f32]>, threads: usize) -> Result<(), M4Error> {
        let utilities = utilities_of(&self.weights.problem().options().utility, rows.len(), utilities)?;
        let weights = self.weights;
        let part = |start: usize, size: usize| {
            let rows = &rows[start..rows.len().min(start + size)];
            (rows, utilities.map(|u| &u[start..][..rows.len()]))
        };
        let exact = matches!(self.work, Work::Narrow(_));
        if exact && (threads < 2 || rows.len() < CHUNK) {
            return take(weights, &mut self.work, rows, utilities);
        }
        // Sums of whole units may be cut anywhere; sums of floats are cut in the same places on any number of threads.
        let size = if exact { rows.len().div_ceil(threads) } else { CHUNK };
        let starts: Vec<usize> = (0..rows.len()).step_by(size).collect();
        for group in starts.chunks(threads.max(1)) {
            let parts = std::thread::scope(|scope| {
                let running: Vec<_> = group
                    .iter()
                    .map(|start| {
                        let (rows, utilities) = part(*start, size);
                        let mut work = self.work.empty(weights);
                        scope.spawn(move || take(weights, &mut work, rows, utilities).map(|()| work).map_err(|error| error.shifted(*start)))
                    })
                    .collect();
                running.into_iter().map(joined).collect::<Vec<_>>()
            });
            for part in parts {
                self.work.merge(&part?);
            }
        }
        Ok(())
    }
}

fn take<B: PatternBits>(weights: &M4Weights, work: &mut Work, rows: &[B], utilities: Option<&[f32]>) -> Result<(), M4Error> {
    let (utility, mask) = (weights.problem().options().utility, weights.problem().mask());
    counted(&utility, mask, rows, utilities, |key, count| {
        match work {
            Work::Narrow(table) => table.add(weights.level(key), count),
            Work::Sum { before, after } => {
                before.add(key.bits, count as f64);
                after.add(key.bits, count as f64 * weights.of(key));
            }
        }
        Ok(())
    })
}

/// Σ max(x − t, 0) at every edge t of a range cut into bins.
#[derive(Clone, Debug)]
struct Excess {
    low: f64,
    width: f64,
    /// Rows per bin and their Σx in units; the last for all beyond the range.
    bins: Vec<(u64, i128)>,
}

impl Excess {
    fn new(low: f64, high: f64) -> Self {
        Self { low, width: (high - low) / BINS as f64, bins: vec![(0, 0); BINS + 1] }
    }

    fn add(&mut self, x: f64, rows: u64) {
        if x >= self.low {
            // The cast saturates, so that what is far beyond lands in the last bin.
            let bin = (((x - self.low) / self.width) as usize).min(BINS);
            self.bins[bin].0 += rows;
            self.bins[bin].1 += (x * UNIT).round() as i128 * i128::from(rows);
        }
    }

    /// At the BINS + 1 edges.
    fn at_edges(&self) -> Vec<f64> {
        let (mut rows, mut sum) = (0u64, 0i128);
        let mut values: Vec<f64> = (0..=BINS)
            .rev()
            .map(|bin| {
                rows += self.bins[bin].0;
                sum += self.bins[bin].1;
                sum as f64 / UNIT - rows as f64 * (self.low + self.width * bin as f64)
            })
            .collect();
        values.reverse();
        values
    }
}

/// The mean weight as a function of μ in [low, high]: Σ max(x − μ, 0) − Σ max(x − μ − Q, 0), over the rows.
#[derive(Clone, Debug)]
struct Narrow {
    low: f64,
    high: f64,
    cap: f64,
    rows: u64,
    floor: Excess,
    ceiling: Excess,
}

impl Narrow {
    fn new(low: f64, high: f64, cap: f64) -> Self {
        Self { low, high, cap, rows: 0, floor: Excess::new(low, high), ceiling: Excess::new(low + cap, high + cap) }
    }

    fn add(&mut self, x: f64, rows: u64) {
        self.rows += rows;
        self.floor.add(x, rows);
        self.ceiling.add(x, rows);
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (mine, theirs) in [(&mut self.floor, &other.floor), (&mut self.ceiling, &other.ceiling)] {
            mine.bins.iter_mut().zip(&theirs.bins).for_each(|(a, b)| {
                a.0 += b.0;
                a.1 += b.1;
            });
        }
    }

    /// The bin in which the mean passes `wanted`, and μ within it as far as a straight line tells.
    fn narrowed(&self, wanted: f64) -> (f64, f64, Found) {
        let rows = self.rows as f64;
        let means: Vec<f64> =
            self.floor.at_edges().iter().zip(self.ceiling.at_edges()).map(|(above, beyond)| (above - beyond) / rows).collect();
        let bin = means.partition_point(|mean| *mean >= wanted).saturating_sub(1).min(BINS - 1);
        let edge = |i: usize| self.low + self.floor.width * i as f64;
        let (below, above) = (means[bin], means[bin + 1]);
        let share = if below > above { ((below - wanted) / (below - above)).clamp(0.0, 1.0) } else { 0.0 };
        // Without a row inside the bin the mean is a straight line over it.
        let straight = self.floor.bins[bin].0 == 0 && self.ceiling.bins[bin].0 == 0;
        let found = Found { mu: edge(bin) + self.floor.width * share, exact: straight };
        (edge(bin), edge(bin + 1), found)
    }
}

struct Found {
    mu: f64,
    exact: bool,
}

/// Finds μ for `weights`, sums up the rows with it, and makes the fit. `wishes` is the range of η·u.
pub(super) fn calibrate<E: From<M4Error>>(
    mut weights: M4Weights,
    wishes: (f64, f64),
    batches: u64,
    mut replay: impl FnMut(&mut Pass<'_>) -> Result<(), E>,
) -> Result<M4Fit, E> {
    let (eta, cap) = (weights.problem().options().eta, weights.problem().options().cap);
    let (tilt_low, tilt_high) = weights.tilt().range();
    // A little room, so that rounding leaves no row outside.
    let (mut low, mut high) = (wishes.0 - tilt_high - cap - 1e-6, wishes.1 - tilt_low + 1e-6);
    for _ in 0..PASSES {
        let mut pass = Pass { weights: &weights, work: Work::Narrow(Narrow::new(low, high, cap)) };
        replay(&mut pass)?;
        let Work::Narrow(table) = pass.work else { break };
        if table.rows == 0 {
            return Err(M4Error::NoRows.into());
        }
        let (from, to, found) = table.narrowed(eta);
        weights.set_mu(found.mu);
        // A bin's edges are rounded: the next range is a little wider.
        let room = (to - from) * 0.01;
        (low, high) = (from - room, to + room);
        if found.exact || high - low <= NARROW {
            break;
        }
    }
    let mut pass = Pass { weights: &weights, work: Work::sums(&weights) };
    replay(&mut pass)?;
    let Work::Sum { before, after } = pass.work else { return Err(M4Error::NoRows.into()) };
    let rows = before.weight();
    let (before, after) = (before.scaled(1.0 / rows), after.scaled(1.0 / rows));
    let status = status(weights.problem(), &before, &after, 0.0, STREAM_NOISE);
    Ok(M4Fit { weights, status, before, after, rows: rows as u64, iterations: batches, residual: None })
}

impl Moments {
    fn scaled(mut self, by: f64) -> Self {
        self.weight *= by;
        for sums in [&mut self.attributes, &mut self.labels, &mut self.pairs] {
            sums.iter_mut().for_each(|sum| *sum *= by);
        }
        self
    }
}
