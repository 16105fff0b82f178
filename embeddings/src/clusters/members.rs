//! The rows of each cluster.

use super::search::NO_CLUSTER;
use crate::scores::ScoreError;

/// The rows of each cluster, one cluster after the other.
pub(super) struct Members {
    rows: Vec<usize>,
    /// Where the rows of each cluster begin, and after them the end.
    starts: Vec<usize>,
}

impl Members {
    /// Sorts rows into `count` clusters, in the order of the rows.
    pub(super) fn new(clusters: &[u32], count: usize) -> Result<Self, ScoreError> {
        Self::of_several(&[clusters], count)
    }

    /// Rows that may be in several clusters: a column for each.
    pub(super) fn of_several(columns: &[&[u32]], count: usize) -> Result<Self, ScoreError> {
        let mut starts = vec![0_usize; count + 1];
        let own = |columns: &[&[u32]]| columns.iter().map(|column| column.len()).max().unwrap_or_default();
        for row in 0..own(columns) {
            for &cluster in columns.iter().filter_map(|column| column.get(row)).filter(|&&cluster| cluster != NO_CLUSTER) {
                let Some(size) = starts.get_mut(cluster as usize + 1).filter(|_| (cluster as usize) < count) else {
                    let value = format!("{cluster} in row {row}");
                    return Err(ScoreError::Setting { name: "cluster", value, expected: "it must be below the number of clusters" });
                };
                *size += 1;
            }
        }
        for cluster in 0..count {
            starts[cluster + 1] += starts[cluster];
        }
        let (mut next, mut rows) = (starts.clone(), vec![0; starts[count]]);
        for row in 0..own(columns) {
            for &cluster in columns.iter().filter_map(|column| column.get(row)).filter(|&&cluster| cluster != NO_CLUSTER) {
                rows[next[cluster as usize]] = row;
                next[cluster as usize] += 1;
            }
        }
        Ok(Self { rows, starts })
    }

    /// Number of clusters, empty ones included.
    pub(super) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn of(&self, cluster: usize) -> &[usize] {
        &self.rows[self.starts[cluster]..self.starts[cluster + 1]]
    }

    /// Sorts the rows within each cluster.
    pub(super) fn sort(&mut self, compare: impl Fn(usize, usize) -> std::cmp::Ordering) {
        for cluster in 0..self.count() {
            self.rows[self.starts[cluster]..self.starts[cluster + 1]].sort_by(|&a, &b| compare(a, b));
        }
    }
}
