//! Retrieval of rows that resemble a query set, as DINOv2 made LVD-142M.

use std::ops::ControlFlow;

use super::error::setting;
use super::{NeighbourError, NeighbourOptions, NeighbourReport, Vectors, neighbours};
use crate::clusters::draw::Draws;
use crate::clusters::{Keys, NO_CLUSTER};

/// A row that was retrieved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retrieved {
    /// The row of the pool.
    pub row: u32,
    /// Queries that retrieved it.
    pub times: u32,
    /// The one that is most similar to it, of equally similar ones the first.
    pub query: u32,
    /// Their cosine.
    pub similarity: f32,
}

/// Sample-based retrieval (DINOv2, arXiv 2304.07193, appendix A): the union of the `k` nearest rows of every query, in
/// the order of the rows. DINOv2 takes `k` 4 for ImageNet-22k and Google Landmarks v2, 32 for ImageNet-1k; a larger `k`
/// retrieves the same rows more often ([`Retrieved::times`]).
///
/// # Errors
/// As [`neighbours`].
pub fn retrieve_by_sample(
    queries: &Vectors<'_>,
    pool: &Vectors<'_>,
    options: &NeighbourOptions,
) -> Result<(Vec<Retrieved>, NeighbourReport), NeighbourError> {
    let mut found: Vec<Retrieved> = Vec::new();
    let mut settled = 0;
    let report = neighbours(queries, Some(pool), options, |edges| {
        found.extend(edges.iter().map(|edge| Retrieved { row: edge.neighbour, times: 1, query: edge.row, similarity: edge.similarity }));
        // What was found twice is joined before it takes memory.
        if found.len() > 2 * settled + (1 << 20) {
            union(&mut found);
            settled = found.len();
        }
        ControlFlow::Continue(())
    })?;
    union(&mut found);
    Ok((found, report))
}

fn union(found: &mut Vec<Retrieved>) {
    let better = |a: &Retrieved, b: &Retrieved| b.similarity.total_cmp(&a.similarity).then(a.query.cmp(&b.query));
    found.sort_unstable_by(|a, b| a.row.cmp(&b.row).then_with(|| better(a, b)));
    found.dedup_by(|next, first| {
        let same = next.row == first.row;
        first.times += if same { next.times } else { 0 };
        same
    });
}

/// Settings of [`retrieve_by_clusters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterRetrieval {
    /// A cluster gives rows when it holds more queries than this.
    pub more_than: usize,
    /// Rows that a cluster gives at most.
    pub per_cluster: usize,
    /// Rows of one query set at most.
    pub cap: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for ClusterRetrieval {
    /// DINOv2's: more than 3 queries, 10 000 rows of each cluster, 1 000 000 in all; seed 0.
    fn default() -> Self {
        Self { more_than: 3, per_cluster: 10_000, cap: 1_000_000, seed: 0 }
    }
}

/// What [`retrieve_by_clusters`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterRetrieved {
    /// Rows of the pool, in order.
    pub rows: Vec<u32>,
    /// Clusters that gave rows.
    pub clusters: usize,
    /// Rows that they gave before the cap.
    pub before_cap: usize,
}

/// Cluster-based retrieval for small query sets (DINOv2, arXiv 2304.07193, appendix A): every cluster of the pool that
/// holds enough queries gives some of its rows. `pool` and `queries` are the clusters of the rows
/// ([`assign`](crate::clusters::assign) to one set of centroids; DINOv2 has 100 000 of the pool), [`NO_CLUSTER`] for a row
/// without one. Rows are drawn by the hash of seed and key, so the draw follows the row wherever it stands; the cap keeps
/// the rows of the smallest draws.
///
/// # Errors
/// [`NeighbourError::Lengths`] when there are not as many keys as rows, [`NeighbourError::TooManyRows`],
/// [`NeighbourError::Setting`] for a number of rows of zero.
pub fn retrieve_by_clusters(
    pool: &[u32],
    keys: Keys<'_>,
    queries: &[u32],
    options: &ClusterRetrieval,
) -> Result<ClusterRetrieved, NeighbourError> {
    if pool.len() >= u32::MAX as usize {
        return Err(NeighbourError::TooManyRows(pool.len()));
    }
    keys.check(pool.len()).map_err(|_| NeighbourError::Lengths {
        what: "keys",
        expected: pool.len(),
        found: if let Keys::Given(keys) = keys { keys.len() } else { pool.len() },
    })?;
    if options.per_cluster == 0 || options.cap == 0 {
        return Err(setting("rows", 0, "1 or more are needed"));
    }
    let last = queries.iter().filter(|&&cluster| cluster != NO_CLUSTER).max().map_or(0, |&cluster| cluster as usize + 1);
    let mut held = vec![0_usize; last];
    queries.iter().filter(|&&cluster| cluster != NO_CLUSTER).for_each(|&cluster| held[cluster as usize] += 1);
    let draws = Draws::new(options.seed, "retrieve_by_clusters", 0);
    // Cluster, draw, row: sorted, a cluster's rows lie together in the order of their draws.
    let mut drawn: Vec<(u32, u64, u32)> = Vec::new();
    for (row, &cluster) in pool.iter().enumerate() {
        if held.get(cluster as usize).is_some_and(|&queries| queries > options.more_than) {
            drawn.push((cluster, draws.bits(keys.of(row)), row as u32));
        }
    }
    drawn.sort_unstable();
    let (mut run, mut clusters) = ((u32::MAX, 0), 0);
    drawn.retain(|&(cluster, ..)| {
        if cluster != run.0 {
            run = (cluster, 0);
            clusters += 1;
        }
        run.1 += 1;
        run.1 <= options.per_cluster
    });
    let before_cap = drawn.len();
    if before_cap > options.cap {
        drawn.select_nth_unstable_by_key(options.cap - 1, |&(_, draw, row)| (draw, row));
        drawn.truncate(options.cap);
    }
    let mut rows: Vec<u32> = drawn.into_iter().map(|(.., row)| row).collect();
    rows.sort_unstable();
    Ok(ClusterRetrieved { rows, clusters, before_cap })
}
