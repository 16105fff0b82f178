//! M4, multi-modal moment matching: weights under which a dataset meets target rates for sensitive attributes, and under which
//! these attributes do not go with labels.
//!
//! Each row has attributes `s` (bits, may overlap, may all be off), labels `y` (bits: occupations and proxies) and a
//! utility `u ≥ 0`. The weights `q` are the solution of
//!
//! ```text
//! minimise   ½ E[(q − η·u)²] + V·Σ_k max(0, |E[q·(s_k − π_k)]| − ε_R·E[q]) + V·Σ_kr max(0, |E[q·(s_k − π_k)·y_r]| − ε_D·E[q])
//! subject to E[q] = η,  0 ≤ q ≤ Q
//! ```
//!
//! whose dual has one bounded multiplier `v` for each side of each limit and a free one, `μ`, for the mean:
//! `q = clip(η·u − v·a(s, y) − μ, 0, Q)` with the bias vector `a = [d⊗y − ε_D, −d⊗y − ε_D, d − ε_R, −d − ε_R]`, `d = s − π`.
//!
//! ```
//! use trommel_filters::balance::m4::{Attribute, M4Options, M4Problem, PatternCounts, fit};
//!
//! // One attribute, which makes up 60 % of the rows and is to make up half; one label.
//! let options = M4Options { eta: 0.7, ..M4Options::new(vec![Attribute::new("female", 0.5)], vec!["nurse".into()]) };
//! let problem = M4Problem::new(options)?;
//! // Bit 0 is the attribute, bit 1 the label.
//! let rows: Vec<u64> = [(0b11, 120), (0b01, 480), (0b10, 20), (0b00, 380)].iter().flat_map(|(bits, n)| vec![*bits; *n]).collect();
//! let mut counts = PatternCounts::new(&problem);
//! counts.add_rows(&rows, None)?;
//! let fit = fit(&problem, &counts)?;
//! assert!(fit.status.is_feasible());
//! let weights = fit.weights.apply(&rows, None)?;
//! assert!((weights.iter().sum::<f64>() / 1000.0 - 0.7).abs() < 1e-12);
//! assert!((fit.after.mean(0) - 0.5).abs() <= 0.01 + 1e-9);
//! # Ok::<(), trommel_filters::balance::m4::M4Error>(())
//! ```
//!
//! Two ways to the same weights:
//!
//! - [`PatternCounts`] and [`fit`]: one pass counts the distinct patterns, the solver works on the counts. Tables of shards merge;
//!   the result has the same bits for any order, sharding and number of threads. Memory: the patterns.
//! - [`M4Stream`]: one pass of stochastic steps in batches, then [`M4Stream::finish`] over the same rows again. Memory: the
//!   `2m(c + 1) + 1` multipliers. For when the patterns do not fit; depends on the order of the rows.
//!
//! The objective, the dual and the update are a reconstruction of "CLIP the Bias: How Useful is Balancing Data in Multimodal Learning?"
//! (ICLR 2024, arXiv 2403.04547), whose text gives the shape of the multipliers, the two loss terms, the enforcement level and
//! the rate, but not the constants. `docs/m4.md` says what is from where.

mod calibrate;
mod counts;
mod fit;
mod moments;
mod problem;
mod report;
mod solve;
mod status;
mod stream;
mod tilt;
mod utility;
mod weights;

#[cfg(test)]
mod tests;

pub use calibrate::Pass;
pub use counts::{PatternBits, PatternCount, PatternCounts};
pub use fit::{M4Fit, SolverOptions, fit, fit_with};
pub use moments::Moments;
pub use problem::{Attribute, Limit, M4Error, M4Options, M4Problem, gap_limit};
pub use report::{AssociationReport, AttributeReport, M4Report, PatternChange};
pub use status::{Bound, BrokenLimit, Direction, M4Status};
pub use stream::{M4Stream, StreamOptions};
pub use utility::Utility;
pub use weights::M4Weights;
