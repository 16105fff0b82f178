//! The nearest centroids of many vectors.

use super::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use super::matrix::{Block, Panels, Taken, inner};
use super::parallel::share;
use crate::scores::{ScoreError, VectorSource};

/// Stands for a row without a cluster: its vector is null, or has no direction where only directions are compared.
pub const NO_CLUSTER: u32 = u32::MAX;

/// What the nearest centroid is nearest by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The largest `x·c - ‖c‖²/2`: the smallest Euclidean distance.
    Distance,
    /// The largest `x·c`.
    Product,
}

/// Centroids made ready to be searched.
pub(super) struct Searcher {
    kernel: &'static Kernel,
    panels: Panels,
    /// Added to the products; minus infinity for what is no centroid.
    offsets: Vec<f32>,
}

/// What a thread needs beside a block.
pub(super) struct Scratch {
    tile: [f32; MAX_ROWS * MAX_COLUMNS],
    values: Vec<f32>,
    panels: Vec<u32>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { tile: [0.0; MAX_ROWS * MAX_COLUMNS], values: Vec::new(), panels: Vec::new() }
    }
}

impl Searcher {
    pub(super) fn new(kernel: &'static Kernel) -> Self {
        Self { kernel, panels: Panels::new(kernel), offsets: Vec::new() }
    }

    /// Takes `centroids`, vector after vector of `dim` values; those that `counts` denies are never found.
    pub(super) fn fill(&mut self, centroids: &[f32], dim: usize, by: By, counts: impl Fn(usize) -> bool) {
        let columns = self.kernel.columns;
        self.panels.pack(dim, centroids.chunks_exact(dim));
        self.offsets.clear();
        self.offsets.extend(centroids.chunks_exact(dim).enumerate().map(|(at, centroid)| match by {
            _ if !counts(at) => f32::NEG_INFINITY,
            By::Distance => (-inner(centroid, centroid) / 2.0) as f32,
            By::Product => 0.0,
        }));
        self.offsets.resize(self.offsets.len().next_multiple_of(columns), f32::NEG_INFINITY);
    }

    /// The `N` (1 or 2) nearest centroids of each row of a block, of equally near ones the first; [`NO_CLUSTER`] where
    /// there are fewer, and for a row without direction.
    pub(super) fn find<const N: usize>(&self, block: &Block, scratch: &mut Scratch, out: &mut [[u32; N]]) {
        let (kernel, columns) = (self.kernel, self.kernel.columns);
        let width = N * columns;
        let Scratch { tile, values, panels } = scratch;
        values.clear();
        values.resize(block.rows * width, f32::NEG_INFINITY);
        panels.clear();
        panels.resize(block.rows * width, 0);
        for (number, (panel, offsets)) in self.panels.iter().zip(self.offsets.chunks_exact(columns)).enumerate() {
            for row in (0..block.rows).step_by(kernel.rows) {
                let rows = kernel.rows.min(block.rows - row);
                kernel.product(block.dim, &block.values()[row * block.ld..], block.ld, panel, tile, rows);
                let (span, tile) = (row * width..(row + rows) * width, &tile[..rows * columns]);
                let (values, panels) = (&mut values[span.clone()], &mut panels[span]);
                match N {
                    1 => kernel.rank(tile, offsets, number as u32, values, panels),
                    _ => kernel.rank_two(tile, offsets, number as u32, values, panels),
                }
            }
        }
        for (row, out) in out.iter_mut().enumerate() {
            *out = [NO_CLUSTER; N];
            if block.undirected(row) {
                continue;
            }
            let mut best = [f32::NEG_INFINITY; N];
            let lanes = values[row * width..].iter().zip(&panels[row * width..]).take(width);
            for (lane, (&value, &panel)) in lanes.enumerate() {
                let mut found = (value, panel * columns as u32 + (lane % columns) as u32);
                for (best, out) in best.iter_mut().zip(out.iter_mut()) {
                    if found.0 > *best || (found.0 == *best && found.0 > f32::NEG_INFINITY && found.1 < *out) {
                        found = (std::mem::replace(best, found.0), std::mem::replace(out, found.1));
                    }
                }
            }
        }
    }
}

/// A centroid that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) cluster: u32,
    pub(super) distance: f32,
}

/// Searches for every row of a source. `distance` is computed between the vector, as taken, and the centroid.
///
/// Memory beside the result and the centroids: a block of rows per thread, whatever the number of rows.
pub(super) fn search<const N: usize>(
    source: &impl VectorSource,
    centroids: &[f32],
    searcher: &Searcher,
    taken: Taken,
    threads: usize,
    distance: impl Fn(&[f32], &[f32]) -> f64 + Sync,
) -> Result<Vec<[Found; N]>, ScoreError> {
    let dim = source.dim();
    let capacity = Block::capacity(dim);
    let mut all = vec![[Found { cluster: NO_CLUSTER, distance: f32::NAN }; N]; source.len()];
    let state = || (Block::new(capacity, dim), Scratch::new(), Vec::new(), Vec::new());
    share(threads, all.chunks_mut(capacity).enumerate(), state, |(block, scratch, rows, nearest), (number, out)| {
        rows.clear();
        rows.extend((number * capacity..number * capacity + out.len()).filter(|&row| source.is_valid(row)));
        block.read("vectors", source, rows.iter().copied(), taken)?;
        nearest.clear();
        nearest.resize(rows.len(), [NO_CLUSTER; N]);
        searcher.find(block, scratch, nearest);
        for (at, (&row, nearest)) in rows.iter().zip(nearest.iter()).enumerate() {
            for (found, &cluster) in out[row - number * capacity].iter_mut().zip(nearest) {
                if cluster != NO_CLUSTER {
                    let distance = distance(block.row(at), &centroids[cluster as usize * dim..][..dim]);
                    *found = Found { cluster, distance: distance as f32 };
                }
            }
        }
        Ok(())
    })?;
    Ok(all)
}
