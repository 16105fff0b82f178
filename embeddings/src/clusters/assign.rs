//! Which cluster each vector belongs to.

use super::kernel::Kernel;
use super::matrix::{Taken, inner, same_dim, square_distance};
use super::search::{By, Found, NO_CLUSTER, Searcher, search};
use crate::scores::{Metric, Nearest, Rows, ScoreError, VectorSource};

/// The cluster of every row, in two columns that can be stored as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assignments {
    /// The cluster of each row, from zero; [`NO_CLUSTER`] for a row that has none.
    pub clusters: Vec<u32>,
    /// The distance to the cluster's centroid in the metric that was asked for; NaN for a row without a cluster.
    pub distances: Vec<f32>,
}

impl Assignments {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// The cluster of a row; `None` for a row that has none or does not exist.
    pub fn get(&self, row: usize) -> Option<Nearest> {
        let cluster = *self.clusters.get(row).filter(|&&cluster| cluster != NO_CLUSTER)?;
        Some(Nearest { index: cluster as usize, distance: *self.distances.get(row)? })
    }

    /// One more than the largest cluster that a row has.
    pub fn cluster_count(&self) -> usize {
        self.clusters.iter().filter(|&&cluster| cluster != NO_CLUSTER).max().map_or(0, |&cluster| cluster as usize + 1)
    }

    /// Rows per cluster, of `clusters` clusters.
    pub fn sizes(&self, clusters: usize) -> Vec<u64> {
        let mut sizes = vec![0; clusters];
        for &cluster in self.clusters.iter().filter(|&&cluster| cluster != NO_CLUSTER) {
            sizes[cluster as usize] += 1;
        }
        sizes
    }

    fn column<const N: usize>(found: &[[Found; N]], at: usize) -> Self {
        Self {
            clusters: found.iter().map(|found| found[at].cluster).collect(),
            distances: found.iter().map(|found| found[at].distance).collect(),
        }
    }
}

/// Assigns every vector to the nearest centroid, of equally near ones the first. Null vectors, and by cosine zero ones,
/// have no cluster; null centroids, and by cosine zero ones, get no vectors.
///
/// As [`crate::scores::nearest`], but on all `threads`, from vectors that need not be in memory, and with a result that
/// depends for each row on that row alone. The choice is made in single precision, so of two centroids that differ by
/// less than about 1e-6 of the vectors' lengths either may win.
///
/// # Errors
/// [`ScoreError`] when no centroid is left, the lengths differ, or a vector is not finite.
pub fn assign(vectors: &impl VectorSource, centroids: &Rows<'_>, metric: Metric, threads: usize) -> Result<Assignments, ScoreError> {
    Ok(Assignments::column(&assigned::<1>(vectors, centroids, metric, threads)?, 0))
}

/// Assigns every vector to the two nearest centroids: the nearest, and the second nearest. As [`assign`].
///
/// # Errors
/// As [`assign`].
pub fn assign_two(
    vectors: &impl VectorSource,
    centroids: &Rows<'_>,
    metric: Metric,
    threads: usize,
) -> Result<[Assignments; 2], ScoreError> {
    let found = assigned::<2>(vectors, centroids, metric, threads)?;
    Ok([Assignments::column(&found, 0), Assignments::column(&found, 1)])
}

fn assigned<const N: usize>(
    vectors: &impl VectorSource,
    centroids: &Rows<'_>,
    metric: Metric,
    threads: usize,
) -> Result<Vec<[Found; N]>, ScoreError> {
    let (usable, data) = usable("centroids", centroids, metric)?;
    same_dim("centroids", vectors.dim(), centroids.dim())?;
    let mut searcher = Searcher::new(Kernel::detect());
    let (by, taken) = match metric {
        Metric::Cosine => (By::Product, Taken::Unit),
        Metric::L2 => (By::Distance, Taken::AsStored),
    };
    searcher.fill(&data, centroids.dim(), by, |at| usable[at]);
    search(vectors, &data, &searcher, taken, threads, |vector, centroid| match metric {
        Metric::Cosine => 1.0 - inner(vector, centroid),
        Metric::L2 => square_distance(vector, centroid).sqrt(),
    })
}

/// The centroids that can be nearest, and all of them as they are compared: by cosine of length 1.
fn usable(what: &'static str, centroids: &Rows<'_>, metric: Metric) -> Result<(Vec<bool>, Vec<f32>), ScoreError> {
    let mut data = centroids.data().to_vec();
    let mut usable = vec![false; centroids.len()];
    for (row, centroid) in data.chunks_exact_mut(centroids.dim()).enumerate() {
        if !centroids.is_valid(row) {
            centroid.fill(0.0);
            continue;
        }
        let square = inner(centroid, centroid);
        if !square.is_finite() {
            return Err(ScoreError::NotFinite { what, row });
        }
        usable[row] = metric == Metric::L2 || square > 0.0;
        if metric == Metric::Cosine && square > 0.0 {
            centroid.iter_mut().for_each(|component| *component = (f64::from(*component) / square.sqrt()) as f32);
        }
    }
    if !usable.contains(&true) {
        return Err(ScoreError::Empty { what });
    }
    Ok((usable, data))
}
