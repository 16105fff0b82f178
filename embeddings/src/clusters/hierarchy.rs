//! Clusters of clusters: hierarchical k-means with resampling.

use super::assign::{Assignments, assign};
use super::draw::Keys;
use super::kmeans::{Init, KMeansOptions, Sample, train};
use super::matrix::{setting, valid_rows};
use super::members::Members;
use super::parallel::all_cores;
use super::search::NO_CLUSTER;
use crate::scores::{Metric, Rows, ScoreError, VectorSource};

/// One level of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LevelOptions {
    /// Number of clusters.
    pub clusters: usize,
    /// Points of each cluster that stand for it when centroids are found anew, the closest ones; about half of the mean
    /// size of a cluster. 1 or less: no resampling.
    pub representatives: usize,
}

/// Level 1 in two steps, for very many clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Split {
    /// Clusters of the first step.
    pub first: usize,
    /// Parts that each of these is split into (fewer where it has fewer vectors).
    pub parts: usize,
}

/// Settings of [`hierarchy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyOptions {
    /// The levels, the one over the vectors first; each with fewer clusters than the one before.
    pub levels: Vec<LevelOptions>,
    /// How often each level is resampled: 10 in the paper.
    pub resamplings: usize,
    /// The most iterations of each k-means: 50 in the paper.
    pub iterations: usize,
    /// Level 1 is made by splitting, in place of its `clusters`; it must not be resampled then.
    pub split: Option<Split>,
    /// The first centroids of each k-means: k-means++ in the paper.
    pub init: Init,
    /// Seed of all draws.
    pub seed: u64,
    /// Threads. Changes no result.
    pub threads: usize,
}

impl HierarchyOptions {
    /// The paper's settings for levels of your own; k-means++ over at most 2^20 points.
    pub fn new(levels: Vec<LevelOptions>) -> Self {
        let init = Init::PlusPlus { points: 1 << 20 };
        Self { levels, resamplings: 10, iterations: 50, split: None, init, seed: 0, threads: all_cores() }
    }

    /// The recipe for the web pool of 743 million images: 10 million clusters, 500,000, 50,000 and 10,000. Level 1 is
    /// 100,000 clusters, each split in 100, without resampling; then 10, 5 and 3 representatives. Random first
    /// centroids, since k-means++ over so many takes longer than all iterations.
    pub fn web() -> Self {
        let level = |clusters, representatives| LevelOptions { clusters, representatives };
        Self {
            split: Some(Split { first: 100_000, parts: 100 }),
            init: Init::Random,
            ..Self::new(vec![level(10_000_000, 1), level(500_000, 10), level(50_000, 5), level(10_000, 3)])
        }
    }
}

/// One level that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Centroid after centroid, each of `dim` components.
    pub centroids: Vec<f32>,
    /// Components of a vector.
    pub dim: usize,
    /// The parents: for level 1 the cluster of each row of the vectors ([`NO_CLUSTER`] for a null one), above it the
    /// cluster of each cluster of the level below; and the Euclidean distances to their centroids.
    pub assignments: Assignments,
}

impl Level {
    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.centroids.len() / self.dim
    }
}

/// Builds a hierarchy of clusters, by Euclidean distance (arXiv 2405.15613, §3):
///
/// ```text
/// X_0 = vectors
/// for each level l:
///     C = kmeans(X_{l−1}, K_l)
///     resamplings times, if r_l > 1:
///         R = the r_l points of each cluster that are closest to its centroid
///         C = kmeans(R, K_l);  X_{l−1} is assigned to C
///     X_l = C
/// ```
///
/// The density of k-means' centroids goes with `p^(d/(d+2))`, which is flatter than the vectors' density p; repeating it
/// on representatives brings the centroids close to an even spread over all that there is, so that a sample drawn
/// evenly from the clusters is balanced by concept. Ties of "closest" by key, then by row.
///
/// Where level 1 is split, each row stays in the part of its first cluster that is nearest. A cluster that becomes empty
/// keeps its centroid, and that is a point of the next level like the others.
///
/// Memory: as [`super::kmeans`], and all levels. The result depends on no number of threads.
///
/// # Errors
/// [`ScoreError`] when a level has more clusters than it has points, a vector is not finite, or a setting has no
/// meaning.
pub fn hierarchy(vectors: &impl VectorSource, keys: Keys<'_>, options: &HierarchyOptions) -> Result<Vec<Level>, ScoreError> {
    keys.check(vectors.len())?;
    let (dim, mut levels) = (vectors.dim(), Vec::<Level>::with_capacity(options.levels.len()));
    if options.split.is_some() && options.levels.first().is_none_or(|level| level.representatives > 1) {
        return Err(setting("representatives", "above 1", "a level that is made by splitting is not resampled"));
    }
    for (number, level) in options.levels.iter().enumerate() {
        let seed = options.seed.wrapping_add(number as u64);
        let built = match (levels.last(), options.split) {
            (None, Some(split)) => split_level(vectors, keys, split, seed, options)?,
            (None, None) => build(vectors, keys, *level, seed, options)?,
            (Some(below), _) => build(&as_rows(&below.centroids, dim)?, Keys::RowNumbers, *level, seed, options)?,
        };
        levels.push(built);
    }
    Ok(levels)
}

fn as_rows(centroids: &[f32], dim: usize) -> Result<Rows<'_>, ScoreError> {
    Rows::new(centroids, dim, None).map_err(|_| ScoreError::Empty { what: "centroids" })
}

fn options_of(clusters: usize, step: u64, seed: u64, options: &HierarchyOptions) -> KMeansOptions {
    let init = match options.init {
        Init::PlusPlus { points } => Init::PlusPlus { points: points.max(clusters) },
        init => init,
    };
    // Steps draw under seeds of their own: the hash of the draws tells neighbouring seeds apart.
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step);
    let (iterations, threads) = (options.iterations, options.threads);
    KMeansOptions { iterations, seed, init, sample: Sample::All, threads, ..KMeansOptions::new(clusters) }
}

/// A level by k-means and resampling.
fn build<V: VectorSource>(
    points: &V,
    keys: Keys<'_>,
    level: LevelOptions,
    seed: u64,
    options: &HierarchyOptions,
) -> Result<Level, ScoreError> {
    if level.clusters == 0 {
        return Err(setting("clusters", 0, "1 or more are possible"));
    }
    let dim = points.dim();
    let mut rows = valid_rows(points);
    let rounds = if level.representatives > 1 { options.resamplings } else { 0 };
    let mut level_built = None;
    for round in 0..=rounds {
        let settings = options_of(level.clusters, round as u64, seed, options);
        let (centroids, _) = train(points, &rows, keys, &settings)?;
        let assignments = assign(points, &as_rows(&centroids, dim)?, Metric::L2, options.threads)?;
        if round < rounds {
            rows = closest(&assignments, keys, level)?;
        }
        level_built = Some(Level { centroids, dim, assignments });
    }
    level_built.ok_or(ScoreError::Empty { what: "levels" })
}

/// The points of each cluster that are closest to its centroid, in the order of the rows.
fn closest(assignments: &Assignments, keys: Keys<'_>, level: LevelOptions) -> Result<Vec<usize>, ScoreError> {
    let mut members = Members::new(&assignments.clusters, level.clusters)?;
    let distance = |row: usize| assignments.distances[row];
    members.sort(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| keys.of(a).cmp(&keys.of(b))).then(a.cmp(&b)));
    let first = |cluster| members.of(cluster).iter().take(level.representatives).copied();
    let mut rows: Vec<usize> = (0..level.clusters).flat_map(first).collect();
    // Empty clusters may leave fewer representatives than clusters are wanted.
    let mut rank = level.representatives;
    while rows.len() < level.clusters {
        let next: Vec<usize> = (0..level.clusters).filter_map(|cluster| members.of(cluster).get(rank).copied()).collect();
        if next.is_empty() {
            break;
        }
        rows.extend(next);
        rank += 1;
    }
    rows.sort_unstable();
    Ok(rows)
}

/// Level 1 in two steps.
fn split_level<V: VectorSource>(
    vectors: &V,
    keys: Keys<'_>,
    split: Split,
    seed: u64,
    options: &HierarchyOptions,
) -> Result<Level, ScoreError> {
    if split.first == 0 || split.parts == 0 {
        return Err(setting("split", format!("{} times {}", split.first, split.parts), "1 or more are possible"));
    }
    let dim = vectors.dim();
    let whole = build(vectors, keys, LevelOptions { clusters: split.first, representatives: 1 }, seed, options)?;
    let members = Members::new(&whole.assignments.clusters, split.first)?;
    let mut centroids = Vec::with_capacity(split.first * split.parts * dim);
    let mut assignments = Assignments { clusters: vec![NO_CLUSTER; vectors.len()], distances: vec![f32::NAN; vectors.len()] };
    for cluster in 0..split.first {
        let rows = members.of(cluster);
        if rows.is_empty() {
            continue;
        }
        let before = (centroids.len() / dim) as u32;
        let settings = options_of(split.parts.min(rows.len()), 1 + cluster as u64, seed, options);
        let (parts, _) = train(vectors, rows, keys, &settings)?;
        let own = assign(&Part { vectors, rows }, &as_rows(&parts, dim)?, Metric::L2, options.threads)?;
        for ((&row, part), distance) in rows.iter().zip(own.clusters).zip(own.distances) {
            (assignments.clusters[row], assignments.distances[row]) = (before + part, distance);
        }
        centroids.extend(parts);
    }
    Ok(Level { centroids, dim, assignments })
}

/// Some rows of a source, all of them vectors.
struct Part<'a, V> {
    vectors: &'a V,
    rows: &'a [usize],
}

impl<V: VectorSource> VectorSource for Part<'_, V> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.vectors.dim()
    }

    fn is_valid(&self, _: usize) -> bool {
        true
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        self.vectors.copy(self.rows[row], out);
    }
}
