//! Density-based pruning: how many rows each cluster keeps.

use super::assign::Assignments;
use super::draw::Keys;
use super::matrix::{inner, setting};
use super::members::Members;
use super::prototypes::{KeepEnd, by_difficulty};
use crate::scores::{Rows, ScoreError};

/// Other centroids that a cluster's distance to its neighbours is the mean over.
const NEIGHBOURS: usize = 20;

/// Settings of [`density`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DensityOptions {
    /// Rows to keep in all.
    pub keep: u64,
    /// The softmax's temperature τ, above 0: 0.5 in the code, 0.1 in the paper.
    pub temperature: f64,
    /// Each of the K clusters with rows keeps at least `floor(keep / K * balance)` rows, or one where this is 0; at most
    /// its size less one is asked of it. 0 to 1.
    pub balance: f64,
}

impl DensityOptions {
    /// Keeps `keep` rows at the code's temperature, one half.
    pub fn new(keep: u64) -> Self {
        Self { keep, temperature: 0.5, balance: 0.0 }
    }
}

/// What [`density`] decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// Which rows are kept.
    pub keep: Vec<bool>,
    /// How many rows each cluster keeps; they add up to the number that was asked for.
    pub counts: Vec<u64>,
    /// The complexity `C = d_inter * d_intra` of each cluster; NaN for an empty one.
    pub complexity: Vec<f64>,
}

/// Density-based pruning (arXiv 2401.04578) of rows that were deduplicated before.
///
/// ```text
/// d_inter_j = mean of 1 − cos(c_j, c_l) over the 20 nearest other centroids l
/// d_intra_j = mean of the distances of the cluster's rows (1 − cos, from `assign` by cosine)
/// P         = softmax(d_inter d_intra / τ)
/// x         = the nearest to N P with Σ x = N and lo ≤ x ≤ size: x_j = clip(N P_j − λ, lo_j, size_j)
/// lo_j      = min(least, size_j − 1), least = floor(balance N / K), or 1 where balance is 0
/// ```
///
/// λ is found by bisection, which takes the place of the code's quadratic program and has the same solution. `x` is
/// rounded down, and the rows that are missing to N go to the largest remainders, ties to the smaller cluster. Each
/// cluster keeps its `x_j` hardest rows, those farthest from the centroid; ties by key, then by row. Only clusters with
/// rows take part, as themselves and as neighbours.
///
/// Time: products of all pairs of centroids.
///
/// # Errors
/// [`ScoreError`] when more rows are asked for than there are, or fewer than all lower bounds take (the message names
/// the bound); for a temperature that is not positive; and for centroids that do not fit.
pub fn density(assignments: &Assignments, centroids: &Rows<'_>, keys: Keys<'_>, options: &DensityOptions) -> Result<Density, ScoreError> {
    if !(options.temperature > 0.0 && options.temperature.is_finite()) {
        return Err(setting("temperature", options.temperature, "a positive number is needed"));
    }
    if !(0.0..=1.0).contains(&options.balance) {
        return Err(setting("balance", options.balance, "a number from 0 to 1 is needed"));
    }
    keys.check(assignments.len())?;
    let mut members = Members::new(&assignments.clusters, centroids.len())?;
    members.sort(by_difficulty(assignments, keys, KeepEnd::Hardest));
    let filled: Vec<usize> = (0..members.count()).filter(|&cluster| !members.of(cluster).is_empty()).collect();
    let neighbours = distances_to_neighbours(centroids, &filled)?;
    let mut complexity = vec![f64::NAN; members.count()];
    for (&cluster, between) in filled.iter().zip(neighbours) {
        let rows = members.of(cluster);
        let within = rows.iter().map(|&row| f64::from(assignments.distances[row])).sum::<f64>() / rows.len() as f64;
        complexity[cluster] = between * within;
        if !complexity[cluster].is_finite() {
            return Err(ScoreError::NotFinite { what: "distances", row: rows[0] });
        }
    }
    let sizes: Vec<u64> = filled.iter().map(|&cluster| members.of(cluster).len() as u64).collect();
    let filled_complexity: Vec<f64> = filled.iter().map(|&cluster| complexity[cluster]).collect();
    let shares = allocate(&filled_complexity, &sizes, options)?;
    let (mut counts, mut keep) = (vec![0; members.count()], vec![false; assignments.len()]);
    for (&cluster, share) in filled.iter().zip(shares) {
        counts[cluster] = share;
        members.of(cluster)[..share as usize].iter().for_each(|&row| keep[row] = true);
    }
    Ok(Density { keep, counts, complexity })
}

/// The mean of `1 − cos` to the nearest other centroids, of those that have rows.
fn distances_to_neighbours(centroids: &Rows<'_>, filled: &[usize]) -> Result<Vec<f64>, ScoreError> {
    let dim = centroids.dim();
    let mut units = Vec::with_capacity(filled.len() * dim);
    for &row in filled {
        let centroid = centroids.get(row).ok_or(ScoreError::NotFinite { what: "centroids", row })?;
        let length = inner(centroid, centroid).sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(ScoreError::NotFinite { what: "directions of the centroids", row });
        }
        units.extend(centroid.iter().map(|&value| (f64::from(value) / length) as f32));
    }
    let mut means = Vec::with_capacity(filled.len());
    let mut others = Vec::with_capacity(filled.len());
    for (at, centroid) in units.chunks_exact(dim).enumerate() {
        others.clear();
        let all = units.chunks_exact(dim).enumerate().filter(|(other, _)| *other != at);
        others.extend(all.map(|(_, other)| 1.0 - inner(centroid, other)));
        let nearest = others.len().min(NEIGHBOURS);
        if nearest < others.len() {
            others.select_nth_unstable_by(nearest - 1, f64::total_cmp);
        }
        others[..nearest].sort_unstable_by(f64::total_cmp);
        means.push(others[..nearest].iter().sum::<f64>() / nearest.max(1) as f64);
    }
    Ok(means)
}

/// How many rows each cluster keeps, all with rows; they add up to what is wanted.
pub(super) fn allocate(complexity: &[f64], sizes: &[u64], options: &DensityOptions) -> Result<Vec<u64>, ScoreError> {
    let wanted = options.keep;
    let least = if options.balance > 0.0 { (wanted as f64 / sizes.len().max(1) as f64 * options.balance) as u64 } else { 1 };
    let low: Vec<u64> = sizes.iter().map(|&size| least.min(size - 1)).collect();
    let (lowest, highest) = (low.iter().sum::<u64>(), sizes.iter().sum::<u64>());
    if !(lowest..=highest).contains(&wanted) {
        let value = format!("{wanted}, but the clusters keep {lowest} rows at least and {highest} at most");
        return Err(setting("keep", value, "a number between them is needed"));
    }
    let largest = complexity.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = complexity.iter().map(|value| ((value - largest) / options.temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    let targets: Vec<f64> = weights.iter().map(|weight| wanted as f64 * weight / total).collect();
    let at = |lambda: f64, cluster: usize| (targets[cluster] - lambda).clamp(low[cluster] as f64, sizes[cluster] as f64);
    let sum = |lambda: f64| (0..sizes.len()).map(|cluster| at(lambda, cluster)).sum::<f64>();
    // At the ends every cluster is at its upper, at its lower bound.
    let (mut left, mut right) = (-(highest as f64), wanted as f64);
    for _ in 0..200 {
        let middle = left + (right - left) / 2.0;
        if sum(middle) > wanted as f64 { left = middle } else { right = middle }
    }
    let exact: Vec<f64> = (0..sizes.len()).map(|cluster| at(right, cluster)).collect();
    let mut counts: Vec<u64> = exact.iter().map(|exact| exact.floor() as u64).collect();
    let mut order: Vec<usize> = (0..sizes.len()).filter(|&cluster| counts[cluster] < sizes[cluster]).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())).then(a.cmp(&b)));
    let missing = wanted - counts.iter().sum::<u64>().min(wanted);
    // Rounding down loses less than one row per cluster, so that there are enough to take them.
    order.iter().take(missing as usize).for_each(|&cluster| counts[cluster] += 1);
    Ok(counts)
}
