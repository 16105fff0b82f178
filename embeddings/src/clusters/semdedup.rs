//! SemDeDup: near-duplicates within clusters.

use parking_lot::Mutex;

use super::assign::Assignments;
use super::draw::{Draws, Keys};
use super::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use super::matrix::{Block, Panels, Taken, same_len};
use super::members::Members;
use super::parallel::{all_cores, share};
use crate::scores::{ScoreError, VectorSource};

/// Columns of the matrix of a cluster that one thread works on at a time.
const COLUMNS: usize = 1024;

/// Which of near-duplicates comes first, and so stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeepFirst {
    /// The one farthest from the centroid: SemDeDup's `keep_hard`.
    #[default]
    Hard,
    /// The one nearest to the centroid.
    Easy,
    /// One drawn by `hash(seed, "semdedup", 0, key)`.
    Random,
}

/// When a row is a duplicate at a tolerance ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DuplicateRule {
    /// `M > 1 − ε`: the code of the paper.
    #[default]
    Above,
    /// `M ≥ 1 − ε`: NeMo Curator.
    AtLeast,
}

/// Settings of [`semdedup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SemDedupOptions {
    /// Which of near-duplicates stays.
    pub keep: KeepFirst,
    /// Seed of [`KeepFirst::Random`].
    pub seed: u64,
    /// Threads. Changes no result.
    pub threads: usize,
}

impl Default for SemDedupOptions {
    fn default() -> Self {
        Self { keep: KeepFirst::Hard, seed: 0, threads: all_cores() }
    }
}

/// SemDeDup's similarity of every row (arXiv 2303.09540): within each cluster, sorted as [`KeepFirst`] says (ties by
/// key, then by row),
///
/// ```text
/// M_j = max(0, max over i before j of cos(x_i, x_j))
/// ```
///
/// Whether the row before was itself dropped is of no matter, so one pass serves every tolerance: see [`duplicates`].
/// The first row of a cluster has 0, and nothing is below it, because the zeros of the triangle count as in the
/// original. `None` for a row without a cluster.
///
/// Vectors are brought to length 1 when they are read. Duplicates in different clusters are missed by design; where
/// `second` names a second cluster for each row (the other half of [`super::assign_two`]), rows are compared in both and
/// the larger M counts. The order is by the distance to the *nearest* centroid in both, so that of two rows the same is
/// first wherever they meet.
///
/// Memory beside the vectors: 24 bytes per row and, per thread, 1024 vectors and a block, however large a cluster is. A
/// cluster of n rows takes `n² dim / 2` multiplications and, where vectors are not in memory, is read n / 2048 times.
///
/// # Errors
/// [`ScoreError`] when lengths differ or a vector is not finite.
pub fn semdedup(
    vectors: &impl VectorSource,
    assignments: &Assignments,
    second: Option<&Assignments>,
    keys: Keys<'_>,
    options: &SemDedupOptions,
) -> Result<Vec<Option<f32>>, ScoreError> {
    let (dim, rows) = (vectors.dim(), vectors.len());
    keys.check(rows)?;
    let mut columns = Vec::new();
    for assignments in std::iter::once(assignments).chain(second) {
        same_len("clusters", rows, assignments.clusters.len())?;
        same_len("distances", rows, assignments.distances.len())?;
        columns.push(assignments.clusters.as_slice());
    }
    let clusters = assignments.cluster_count().max(second.map_or(0, Assignments::cluster_count));
    let mut members = Members::of_several(&columns, clusters)?;
    let draws = Draws::new(options.seed, "semdedup", 0);
    let distance = |row: usize| assignments.distances[row];
    members.sort(|a, b| {
        let order = match options.keep {
            KeepFirst::Hard => distance(b).total_cmp(&distance(a)),
            KeepFirst::Easy => distance(a).total_cmp(&distance(b)),
            KeepFirst::Random => draws.bits(keys.of(a)).cmp(&draws.bits(keys.of(b))),
        };
        order.then_with(|| keys.of(a).cmp(&keys.of(b))).then(a.cmp(&b))
    });
    let similarities = Mutex::new(vec![None; rows]);
    let kernel = Kernel::detect();
    // The last columns of a cluster have the most rows before them; they come first, so that no thread ends alone with
    // the largest.
    let parts = (0..members.count()).flat_map(|cluster| {
        let members = members.of(cluster);
        (0..members.len()).step_by(COLUMNS).rev().map(move |start| (members, start))
    });
    let state = || Worker::new(kernel, dim);
    share(options.threads.max(1), parts, state, |worker, (members, start)| {
        let found = worker.columns(vectors, members, start)?;
        let mut similarities = similarities.lock();
        for (&row, &similarity) in members[start..].iter().zip(found) {
            let before: &mut Option<f32> = &mut similarities[row];
            *before = Some(before.map_or(similarity, |before| before.max(similarity)));
        }
        Ok(())
    })?;
    Ok(similarities.into_inner())
}

/// Which rows go at a tolerance: those whose M is above (or at least) `1 − epsilon`. A row without M stays.
///
/// Typical tolerances are 0.05 to 0.1 for CLIP's B/16.
///
/// # Errors
/// [`ScoreError::Setting`] for an epsilon that is not between 0 and 1.
pub fn duplicates(similarities: &[Option<f32>], epsilon: f64, rule: DuplicateRule) -> Result<Vec<bool>, ScoreError> {
    if !(0.0..=1.0).contains(&epsilon) {
        return Err(super::matrix::setting("epsilon", epsilon, "a number from 0 to 1 is needed"));
    }
    let limit = 1.0 - epsilon;
    let goes = |similarity: f32| match rule {
        DuplicateRule::Above => f64::from(similarity) > limit,
        DuplicateRule::AtLeast => f64::from(similarity) >= limit,
    };
    Ok(similarities.iter().map(|similarity| similarity.is_some_and(goes)).collect())
}

/// What a thread keeps from part to part.
struct Worker {
    kernel: &'static Kernel,
    panels: Panels,
    columns: Block,
    rows: Block,
    most: Vec<f32>,
}

impl Worker {
    fn new(kernel: &'static Kernel, dim: usize) -> Self {
        let rows = Block::new(Block::capacity(dim), dim);
        Self { kernel, panels: Panels::new(kernel), columns: Block::new(0, dim), rows, most: Vec::new() }
    }

    /// M of the columns of a cluster from `start` on, [`COLUMNS`] at most.
    fn columns(&mut self, source: &impl VectorSource, members: &[usize], start: usize) -> Result<&[f32], ScoreError> {
        let dim = source.dim();
        let end = members.len().min(start + COLUMNS);
        let wanted = end - start;
        self.columns.reserve(wanted);
        self.columns.read("vectors", source, members[start..end].iter().copied(), Taken::Unit)?;
        self.panels.pack(dim, (0..wanted).map(|at| self.columns.row(at)));
        self.most.clear();
        self.most.resize(wanted.next_multiple_of(self.kernel.columns), 0.0);
        let capacity = Block::capacity(dim);
        for first in (0..start).step_by(capacity) {
            let rows = &members[first..start.min(first + capacity)];
            self.rows.read("vectors", source, rows.iter().copied(), Taken::Unit)?;
            raise(self.kernel, &self.rows, 0, self.rows.rows, &self.panels, None, &mut self.most);
        }
        // Last the part where rows and columns are the same.
        for first in (0..wanted).step_by(capacity) {
            let rows = capacity.min(wanted - first);
            raise(self.kernel, &self.columns, first, rows, &self.panels, Some(first), &mut self.most);
        }
        Ok(&self.most[..wanted])
    }
}

/// Raises the largest product of each column to what some rows of a block give. `place` is the column that the first of
/// these rows is, where rows count only for the columns after them.
fn raise(kernel: &Kernel, block: &Block, first: usize, count: usize, panels: &Panels, place: Option<usize>, most: &mut [f32]) {
    let mut tile = [0.0; MAX_ROWS * MAX_COLUMNS];
    for (number, (panel, most)) in panels.iter().zip(most.chunks_exact_mut(kernel.columns)).enumerate() {
        let column = number * kernel.columns;
        for row in (0..count).step_by(kernel.rows) {
            if place.is_some_and(|place| place + row >= column + kernel.columns - 1) {
                break;
            }
            let rows = kernel.rows.min(count - row);
            kernel.product(block.dim, &block.values()[(first + row) * block.ld..], block.ld, panel, &mut tile, rows);
            for (at, products) in tile.chunks_exact(kernel.columns).take(rows).enumerate() {
                let from = place.map_or(0, |place| (place + row + at + 1).saturating_sub(column)).min(kernel.columns);
                for (most, &product) in most[from..].iter_mut().zip(&products[from..]) {
                    *most = if product > *most { product } else { *most };
                }
            }
        }
    }
}
