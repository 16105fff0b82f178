//! Rows of activations, panels of weights, and their product.

use std::ops::Range;

use super::kernels::{Finish, Kernels};
use crate::checkpoint::config::Activation;

/// A cache line of values.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Rows behind the last one, because tiles read up to three more than they are asked for.
const SPARE_ROWS: usize = 4;

/// Terms of a product that are summed in registers at a time. A panel of that length and a block of rows fit the second
/// cache together.
const DEPTH: usize = 768;

/// Rows of a block.
const BLOCK: usize = 192;

/// The distance of rows of this many values: an odd number of cache lines.
///
/// Rows of 1024 values would all begin in the same set of the first cache, and a tile reads twelve rows side by side.
pub(super) fn distance(columns: usize) -> usize {
    (columns.div_ceil(16) | 1) * 16
}

/// A matrix of activations, reused from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    lines: Vec<Line>,
    /// Distance of rows.
    pub(super) ld: usize,
    rows: usize,
    columns: usize,
}

impl Matrix {
    /// Changes the shape. What is inside then is left over, but initialised.
    pub(super) fn shape(&mut self, rows: usize, columns: usize) {
        (self.ld, self.rows, self.columns) = (distance(columns), rows, columns);
        let lines = (rows + SPARE_ROWS) * self.ld / 16;
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; 16]));
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values()[row * self.ld..][..self.columns]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let (ld, columns) = (self.ld, self.columns);
        &mut self.values_mut()[row * ld..][..columns]
    }

    pub(super) fn values(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// Some rows and columns, to be multiplied.
    pub(super) fn view(&self, rows: Range<usize>, columns: Range<usize>) -> View<'_> {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "a view lies within its matrix");
        View { values: &self.values()[rows.start * self.ld + columns.start..], ld: self.ld, rows: rows.len(), columns: columns.len() }
    }

    pub(super) fn all(&self) -> View<'_> {
        self.view(0..self.rows, 0..self.columns)
    }
}

/// Rows to be multiplied. Behind them lie as many values as a tile may read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    values: &'a [f32],
    ld: usize,
    rows: usize,
    columns: usize,
}

/// A matrix `[n, k]` in panels: all of `k` for the first columns of the product, then for the next.
#[derive(Debug, Default)]
pub(super) struct Packed {
    lines: Vec<Line>,
    /// Columns of the product.
    pub(super) n: usize,
    k: usize,
}

impl Packed {
    /// Panels of weights stored as `[n, k]`.
    pub(super) fn of_rows(kernels: &Kernels, weight: &[f32], n: usize, k: usize) -> Self {
        let mut packed = Self::default();
        packed.shape(kernels, n, k);
        let columns = kernels.columns;
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut packed.lines);
        for (row, weights) in weight.chunks_exact(k).enumerate() {
            let panel = &mut values[row / columns * columns * k + row % columns..];
            for (step, &value) in weights.iter().enumerate() {
                panel[step * columns] = value;
            }
        }
        packed
    }

    fn shape(&mut self, kernels: &Kernels, n: usize, k: usize) {
        (self.n, self.k) = (n, k);
        let lines = n.div_ceil(kernels.columns) * kernels.columns * k / 16;
        self.lines.clear();
        self.lines.resize(lines, Line([0.0; 16]));
    }

    /// Panels for the product with the transpose of rows: `out = a rowsᵀ`.
    pub(super) fn pack_transposed(&mut self, kernels: &Kernels, from: View<'_>) {
        self.shape(kernels, from.rows, from.columns);
        let (columns, k) = (kernels.columns, self.k);
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        for (index, panel) in values.chunks_exact_mut(columns * k).enumerate() {
            let first = index * columns;
            let here = columns.min(from.rows - first);
            // Sixteen rows at a time: their lines stay in the first cache while the steps go by.
            for group in (0..here).step_by(16) {
                let rows = 16.min(here - group);
                let source = &from.values[(first + group) * from.ld..];
                for step in 0..k {
                    let out = &mut panel[step * columns + group..][..rows];
                    for (row, out) in out.iter_mut().enumerate() {
                        *out = source[row * from.ld + step];
                    }
                }
            }
        }
    }

    /// Panels for the product with rows as they are: `out = a rows`.
    pub(super) fn pack(&mut self, kernels: &Kernels, from: View<'_>) {
        self.shape(kernels, from.columns, from.rows);
        let (columns, k) = (kernels.columns, self.k);
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        for (index, panel) in values.chunks_exact_mut(columns * k).enumerate() {
            let first = index * columns;
            let here = columns.min(from.columns - first);
            for (step, out) in panel.chunks_exact_mut(columns).enumerate() {
                out[..here].copy_from_slice(&from.values[step * from.ld + first..][..here]);
            }
        }
    }
}

/// Where a product goes, and what happens on the way.
pub(super) struct Target<'a> {
    /// Begins at the first row; column 0 of the product goes to column 0 here.
    pub(super) out: &'a mut [f32],
    pub(super) ld: usize,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Option<Activation>,
    /// Adds to what is there.
    pub(super) add: bool,
}

/// `out = activation(out? + a b + bias)` for some of the columns; these begin at a panel's, or all are computed.
///
/// A row's result depends on that row alone: neither on the number of rows nor on its place among them.
pub(super) fn product(kernels: &Kernels, a: View<'_>, b: &Packed, columns: Range<usize>, target: Target<'_>) {
    assert!(a.columns == b.k && columns.end <= b.n, "the shapes of a product fit");
    assert!(columns.start.is_multiple_of(kernels.columns), "columns begin with a panel");
    if a.rows == 0 || columns.is_empty() {
        return;
    }
    let width = kernels.columns;
    let panels: &[f32] = bytemuck::cast_slice(&b.lines);
    let mut tile = [0.0_f32; 12 * 32];
    // A tile reads up to three rows more than it was asked for.
    assert!((a.rows + 2) * a.ld + a.columns <= a.values.len(), "rows to spare lie behind a view");
    for block in (0..a.rows).step_by(BLOCK) {
        let rows_of_block = BLOCK.min(a.rows - block);
        for start in (0..b.k).step_by(DEPTH) {
            let depth = DEPTH.min(b.k - start);
            let (first, last) = (start == 0, start + depth == b.k);
            for panel in (columns.start..columns.end).step_by(width) {
                let here = width.min(columns.end - panel);
                let weights = &panels[panel * b.k + start * width..][..depth * width];
                let how = Finish {
                    bias: target.bias.filter(|_| last).map(|bias| &bias[panel..panel + here]),
                    activation: target.activation.filter(|_| last),
                    add: target.add || !first,
                };
                for row in (0..rows_of_block).step_by(kernels.rows) {
                    let rows = kernels.rows.min(rows_of_block - row);
                    let values = &a.values[(block + row) * a.ld + start..];
                    let out = &mut target.out[(block + row) * target.ld + panel..];
                    // SAFETY: `kernels` is one of those that the machine has. The rows of `a` and the rows to spare behind
                    // them are asserted above, the panel is a slice of that length, and the tile has room for the largest.
                    unsafe {
                        (kernels.product)(depth, values.as_ptr(), a.ld, weights.as_ptr(), tile.as_mut_ptr(), rows);
                        (kernels.finish)(&tile, width, out, target.ld, rows, here, how);
                    }
                }
            }
        }
    }
}
