//! From counts to weights.

use serde::Serialize;

use super::counts::{Key, PatternCounts};
use super::moments::Moments;
use super::problem::{M4Error, M4Problem};
use super::solve::{Dual, Line};
use super::status::{M4Status, status};
use super::tilt::Tilt;
use super::weights::M4Weights;

/// How far the histogram solver goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverOptions {
    /// Largest entry of the projected gradient, each divided by `√E[a_j²]`, at which it stops. 1e-10 by default.
    pub tolerance: f64,
    /// Iterations after which it gives up with [`M4Error::NotConverged`]. 200 000 by default.
    pub max_iterations: u64,
    /// Threads for tables of many patterns; the result has the same bits on any number. 1 by default.
    pub threads: usize,
}

impl Default for SolverOptions {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 200_000, threads: 1 }
    }
}

/// Weights, and what they do.
#[derive(Clone, Debug, Serialize)]
pub struct M4Fit {
    /// The weight function.
    pub weights: M4Weights,
    /// Whether the limits are met.
    #[serde(flatten)]
    pub status: M4Status,
    /// Sums over the rows as they are; weight 1 in all.
    pub before: Moments,
    /// Sums over the rows with their weights; weight η in all.
    pub after: Moments,
    /// Rows that were fitted.
    pub rows: u64,
    /// Iterations of the solver, or batches of the streaming form.
    pub iterations: u64,
    /// Largest scaled entry of the projected gradient that is left; none for the streaming form, which does not know it.
    pub residual: Option<f64>,
}

/// Solves the problem over counted patterns, with the default [`SolverOptions`].
pub fn fit(problem: &M4Problem, counts: &PatternCounts) -> Result<M4Fit, M4Error> {
    fit_with(problem, counts, &SolverOptions::default())
}

/// Solves the problem over counted patterns.
///
/// The mean weight is exactly η up to rounding: after the solver μ is found again by bisection. Errors: no rows, a constant attribute,
/// counts of another problem, no convergence. Limits that cannot be met are no error but [`M4Status::Infeasible`].
pub fn fit_with(problem: &M4Problem, counts: &PatternCounts, solver: &SolverOptions) -> Result<M4Fit, M4Error> {
    counts.belongs_to(problem)?;
    let options = problem.options();
    let rows = counts.rows() as f64;
    let lines: Vec<Line> = counts
        .sorted()
        .into_iter()
        .map(|line| Line { bits: line.bits, utility: options.eta * options.utility.value(line.level), part: line.count as f64 / rows })
        .collect();
    let mut exact = Moments::new(problem);
    counts.sorted().iter().for_each(|line| exact.add(line.bits, line.count as f64));
    check_rates(problem, &exact)?;

    let dual = Dual { problem, lines: &lines, threads: solver.threads };
    let before = dual.before();
    let solution = dual.maximise(&before, solver.tolerance, solver.max_iterations);
    // NaN, from utilities near the end of f32's range, has not converged either.
    if solution.residual.is_nan() || solution.residual > solver.tolerance {
        return Err(M4Error::NotConverged { iterations: solution.iterations, residual: solution.residual, tolerance: solver.tolerance });
    }
    let tilt = Tilt::new(problem, &solution.v);
    let mu = dual.exact_mean(&tilt);
    let after = dual.at(&tilt, mu);
    let status = status(problem, &before, &after, slack(options.eta, solver.tolerance), 0.0);
    let weights = M4Weights::new(problem.clone(), solution.v, mu);
    Ok(M4Fit { weights, status, before, after, rows: counts.rows(), iterations: solution.iterations, residual: Some(solution.residual) })
}

/// What a limit may be over: the residual is scaled by at most 1, moves once more with the exact mean, and is relative to η.
fn slack(eta: f64, tolerance: f64) -> f64 {
    tolerance * 100.0 / eta
}

/// No rows, or an attribute that all or none of them have, cannot be balanced.
pub(super) fn check_rates(problem: &M4Problem, counted: &Moments) -> Result<(), M4Error> {
    let rows = counted.weight();
    if rows == 0.0 {
        return Err(M4Error::NoRows);
    }
    for (attribute, with) in problem.options().attributes.iter().zip(&counted.attributes) {
        if *with == 0.0 || *with == rows {
            return Err(M4Error::ConstantAttribute { name: attribute.name.clone(), with: *with as u64, rows: rows as u64 });
        }
    }
    Ok(())
}

impl M4Fit {
    /// The table of weights: each pattern with its count and its weight, sorted by pattern.
    pub fn table(&self, counts: &PatternCounts) -> Result<Vec<(super::PatternCount, f64)>, M4Error> {
        counts.belongs_to(self.weights.problem())?;
        Ok(counts.sorted().into_iter().map(|line| (line, self.weights.of(Key { bits: line.bits, level: line.level }))).collect())
    }
}
