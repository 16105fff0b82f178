//! Pruning by prototypes: what is hard, and what is easy.

use super::assign::Assignments;
use super::draw::Keys;
use super::matrix::setting;
use super::members::Members;
use crate::scores::ScoreError;

/// Which end of the difficulty is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeepEnd {
    /// The rows farthest from their centroid: right where data is plenty.
    #[default]
    Hardest,
    /// The rows nearest to their centroid: right where data is scarce.
    Easiest,
}

/// Settings of [`prototypes`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrototypeOptions {
    /// The share of the rows with a cluster that is kept, 0 to 1; `floor(fraction * rows)` rows.
    pub fraction: f64,
    /// Which end is kept.
    pub end: KeepEnd,
    /// Each cluster keeps at least this share of what clusters keep on average, or all that it has: 0.5 in the paper, 0
    /// for no balance; 0 to 1.
    pub floor: f64,
}

impl PrototypeOptions {
    /// Keeps the hardest `fraction` with the paper's floor of one half.
    pub fn new(fraction: f64) -> Self {
        Self { fraction, end: KeepEnd::Hardest, floor: 0.5 }
    }
}

/// Which rows self-supervised prototypes keep (arXiv 2206.14486). The difficulty of a row is its distance to the nearest
/// centroid, from [`super::assign`] by cosine.
///
/// With `n` rows to keep and `c` clusters that are not empty, each cluster first keeps its `ceil(floor * n / c)` hardest
/// (or easiest) rows; the rest of the `n` are the hardest (or easiest) of what is left. Where the first step alone would
/// pass `n`, by rounding, the clusters' shares are rounded down. Ties by key, then by row. A row without a cluster is
/// not kept. Clusters serve as classes, so there should be about as many as the data has.
///
/// # Errors
/// [`ScoreError`] for shares that are not between 0 and 1, or keys that do not fit.
pub fn prototypes(assignments: &Assignments, keys: Keys<'_>, options: &PrototypeOptions) -> Result<Vec<bool>, ScoreError> {
    for (name, value) in [("fraction", options.fraction), ("floor", options.floor)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(setting(name, value, "a number from 0 to 1 is needed"));
        }
    }
    keys.check(assignments.len())?;
    let order = by_difficulty(assignments, keys, options.end);
    let mut members = Members::new(&assignments.clusters, assignments.cluster_count())?;
    members.sort(&order);
    let sizes: Vec<usize> = (0..members.count()).map(|cluster| members.of(cluster).len()).collect();
    let (rows, filled) = (sizes.iter().sum::<usize>(), sizes.iter().filter(|size| **size > 0).count());
    let wanted = (rows as f64 * options.fraction) as usize;
    let average = options.floor * wanted as f64 / filled.max(1) as f64;
    let mut least = average.ceil() as usize;
    if sizes.iter().map(|&size| size.min(least)).sum::<usize>() > wanted {
        least = average as usize;
    }
    let mut keep = vec![false; assignments.len()];
    let mut others = Vec::new();
    for (cluster, &size) in sizes.iter().enumerate() {
        let (first, rest) = members.of(cluster).split_at(least.min(size));
        first.iter().for_each(|&row| keep[row] = true);
        others.extend_from_slice(rest);
    }
    let left = wanted - (rows - others.len());
    others.sort_unstable_by(|&a, &b| order(a, b));
    others[..left].iter().for_each(|&row| keep[row] = true);
    Ok(keep)
}

/// The order in which rows are kept.
pub(super) fn by_difficulty<'a>(
    assignments: &'a Assignments,
    keys: Keys<'a>,
    end: KeepEnd,
) -> impl Fn(usize, usize) -> std::cmp::Ordering + 'a {
    move |a, b| {
        let order = assignments.distances[a].total_cmp(&assignments.distances[b]);
        let order = if end == KeepEnd::Hardest { order.reverse() } else { order };
        order.then_with(|| keys.of(a).cmp(&keys.of(b))).then(a.cmp(&b))
    }
}
