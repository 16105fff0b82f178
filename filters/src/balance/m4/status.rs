//! Whether the limits are met, and which are not.

use std::fmt;

use serde::Serialize;

use super::moments::Moments;
use super::problem::M4Problem;

/// Whether the weights meet every limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum M4Status {
    /// Every limit is met, within the tolerance.
    Feasible,
    /// Some limits are broken; the weights are the best compromise at the enforcement level V.
    Infeasible {
        /// The limits that are broken, rates first.
        broken: Vec<BrokenLimit>,
    },
}

impl M4Status {
    /// Whether every limit is met.
    pub fn is_feasible(&self) -> bool {
        *self == Self::Feasible
    }
}

/// Where the kept rows would have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// They have too little of it.
    Raise,
    /// They have too much of it.
    Lower,
}

/// A limit that the weights break.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokenLimit {
    /// The attribute.
    pub attribute: String,
    /// The label, where it is an association; none where it is the rate.
    pub label: Option<String>,
    /// Where the value would have to go.
    pub direction: Direction,
    /// `E_q[s_k] − π_k`, or `E_q[(s_k − π_k)·y_r]`, of the kept rows.
    pub value: f64,
    /// The limit on its size, ε.
    pub limit: f64,
    /// |value| − limit, above 0.
    pub residual: f64,
    /// The bound that no weights can pass, if that is why. None: the limits stand against each other, or the enforcement
    /// level is too low for them.
    pub bound: Option<Bound>,
}

/// Why a rate cannot be reached: a group would have to weigh more than all its rows at the cap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Part of all rows that the group would have to weigh: η·(π − ε), or η·(1 − π − ε) for the rows without the attribute.
    pub needs: f64,
    /// What it weighs at most: `Q·E[s]`, or `Q·(1 − E[s])`.
    pub available: f64,
}

impl fmt::Display for BrokenLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attribute, value, limit, .. } = self;
        match (&self.label, self.bound) {
            (Some(label), _) => write!(f, "`{attribute}` with `{label}`: the moment is {value:+.2e}, its limit {limit:.2e}"),
            (None, None) => write!(f, "`{attribute}`: the rate is off by {value:+.4}, its limit is {limit:.4}"),
            (None, Some(Bound { needs, available })) => {
                let group = match self.direction {
                    Direction::Raise => "rows with it",
                    Direction::Lower => "rows without it",
                };
                write!(
                    f,
                    "`{attribute}`: the rate is off by {value:+.4}: {group} would have to weigh {needs:.4} and weigh at most {available:.4}"
                )
            }
        }
    }
}

/// Compares what is kept with the limits, with this much slack: so much for all (rounding), and so much of each limit's `√E[a_j²]` (noise of
/// steps that are divided by it).
pub(super) fn status(problem: &M4Problem, before: &Moments, after: &Moments, slack: f64, noise: f64) -> M4Status {
    let options = problem.options();
    let (m, c) = (problem.attributes(), problem.labels());
    let mut squares = vec![0.0; problem.multipliers()];
    before.squares(problem, &mut squares);
    let mut broken = Vec::new();
    let mut check = |k: usize, label: Option<usize>, value: f64, limit: f64| {
        let square = squares[label.map_or(2 * m * c + k, |r| k * c + r)];
        if value.abs() <= limit + slack + noise * square.max(0.0).sqrt() {
            return;
        }
        let direction = if value < 0.0 { Direction::Raise } else { Direction::Lower };
        let bound = label.is_none().then(|| bound(problem, before, k, direction)).filter(|bound| bound.needs > bound.available);
        broken.push(BrokenLimit {
            attribute: options.attributes[k].name.clone(),
            label: label.map(|r| options.labels[r].clone()),
            direction,
            value,
            limit,
            residual: value.abs() - limit,
            bound,
        });
    };
    for k in 0..problem.attributes() {
        check(k, None, after.mean(k) - problem.target(k), problem.epsilon_r[k]);
    }
    for k in 0..problem.attributes() {
        for r in 0..problem.labels() {
            let limit = problem.epsilon_d[k * problem.labels() + r];
            check(k, Some(r), after.moment(k, r, problem.target(k)), limit);
        }
    }
    if broken.is_empty() { M4Status::Feasible } else { M4Status::Infeasible { broken } }
}

fn bound(problem: &M4Problem, before: &Moments, k: usize, direction: Direction) -> Bound {
    let options = problem.options();
    let (target, rate) = match direction {
        Direction::Raise => (problem.target(k), before.mean(k)),
        Direction::Lower => (1.0 - problem.target(k), 1.0 - before.mean(k)),
    };
    Bound { needs: options.eta * (target - problem.epsilon_r[k]), available: options.cap * rate }
}
