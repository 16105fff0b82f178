//! Rows of vectors at hand, and panels of vectors to multiply them with.

use super::kernel::{Kernel, SPARE_ROWS};
use crate::scores::{ScoreError, VectorSource};

/// A cache line of values.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// How vectors are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// As they are.
    AsStored,
    /// Brought to length 1; a zero vector stays zero.
    Unit,
}

/// The distance of rows of `dim` values: an odd number of cache lines, so that the rows of a tile do not fall into the
/// same sets of the first cache.
fn distance(dim: usize) -> usize {
    (dim.div_ceil(16) | 1) * 16
}

/// Some rows in memory, with the spare rows behind them that tiles may read.
#[derive(Debug)]
pub(crate) struct Block {
    lines: Vec<Line>,
    undirected: Vec<bool>,
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) ld: usize,
}

impl Block {
    /// Room for `capacity` rows.
    pub(crate) fn new(capacity: usize, dim: usize) -> Self {
        let ld = distance(dim);
        Self { lines: vec![Line([0.0; 16]); (capacity + SPARE_ROWS) * ld / 16], undirected: Vec::new(), rows: 0, dim, ld }
    }

    /// Makes room for `capacity` rows.
    pub(crate) fn reserve(&mut self, capacity: usize) {
        let lines = (capacity + SPARE_ROWS) * self.ld / 16;
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; 16]));
        }
    }

    /// Rows that fit the second cache together, a multiple of every tile's rows.
    pub(crate) fn capacity(dim: usize) -> usize {
        const BYTES: usize = 512 << 10;
        (BYTES / (4 * distance(dim)) / 12 * 12).clamp(12, 192)
    }

    pub(crate) fn values(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values()[row * self.ld..][..self.dim]
    }

    /// Whether a row that was to be brought to length 1 has no direction.
    pub(crate) fn undirected(&self, row: usize) -> bool {
        self.undirected[row]
    }

    /// Takes rows that are in memory, as they are, in place of what was there.
    pub(crate) fn fill<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [f32]>) {
        self.reserve(rows.len());
        (self.rows, self.undirected) = (rows.len(), Vec::new());
        let (ld, dim) = (self.ld, self.dim);
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        for (row, out) in rows.zip(values.chunks_exact_mut(ld)) {
            out[..dim].copy_from_slice(row);
        }
    }

    /// The memory of all rows, each at a distance of `ld` values.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// Reads rows in place of what was there.
    ///
    /// # Errors
    /// [`ScoreError::NotFinite`] for a row that is NaN or infinite, or whose squares are.
    pub(crate) fn read(
        &mut self,
        what: &'static str,
        source: &impl VectorSource,
        rows: impl ExactSizeIterator<Item = usize>,
        taken: Taken,
    ) -> Result<(), ScoreError> {
        let (ld, dim) = (self.ld, self.dim);
        self.rows = rows.len();
        self.undirected.clear();
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        for (row, out) in rows.zip(values.chunks_exact_mut(ld)) {
            let out = &mut out[..dim];
            source.copy(row, out);
            // The sum of squares is finite only when every component is.
            let square = inner(out, out);
            if !square.is_finite() {
                return Err(ScoreError::NotFinite { what, row });
            }
            self.undirected.push(taken == Taken::Unit && square == 0.0);
            if taken == Taken::Unit && square > 0.0 {
                let length = square.sqrt();
                out.iter_mut().for_each(|component| *component = (f64::from(*component) / length) as f32);
            }
        }
        Ok(())
    }
}

/// Vectors in panels: a value of each of the first vectors, then the next value of each; then the same for the next
/// vectors.
#[derive(Debug)]
pub(crate) struct Panels {
    lines: Vec<Line>,
    pub(crate) count: usize,
    dim: usize,
    columns: usize,
}

impl Panels {
    pub(crate) fn new(kernel: &Kernel) -> Self {
        Self { lines: Vec::new(), count: 0, dim: 0, columns: kernel.columns }
    }

    /// Packs vectors in place of what was there; `vectors` gives each as a slice of `dim` values.
    pub(crate) fn pack<'a>(&mut self, dim: usize, vectors: impl ExactSizeIterator<Item = &'a [f32]>) {
        (self.dim, self.count) = (dim, vectors.len());
        let (columns, length) = (self.columns, self.columns * dim);
        self.lines.resize(self.count.div_ceil(columns) * length / 16, Line([0.0; 16]));
        let tail = self.count % columns;
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        if tail > 0 {
            let start = values.len() - length;
            values[start..].fill(0.0);
        }
        for (at, vector) in vectors.enumerate() {
            let panel = &mut values[at / columns * length + at % columns..];
            for (step, &value) in vector[..dim].iter().enumerate() {
                panel[step * columns] = value;
            }
        }
    }

    /// The panels in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        let values: &[f32] = bytemuck::cast_slice(&self.lines);
        values.chunks_exact((self.columns * self.dim).max(1))
    }
}

/// `a · b`, sixteen sums in single precision that are added in double: the same on every machine.
pub(crate) fn inner(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| a * b)
}

/// `‖a − b‖²`, as [`inner`].
pub(crate) fn square_distance(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    let mut lanes = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(term(a, b))).sum();
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest
}

/// The rows that are vectors.
pub(crate) fn valid_rows(source: &impl VectorSource) -> Vec<usize> {
    (0..source.len()).filter(|&row| source.is_valid(row)).collect()
}

pub(crate) fn same_dim(what: &'static str, expected: usize, found: usize) -> Result<(), ScoreError> {
    if expected == found { Ok(()) } else { Err(ScoreError::Dimensions { what, expected, found }) }
}

pub(crate) fn same_len(what: &'static str, expected: usize, found: usize) -> Result<(), ScoreError> {
    if expected == found { Ok(()) } else { Err(ScoreError::Lengths { what, expected, found }) }
}

pub(crate) fn setting(name: &'static str, value: impl ToString, expected: &'static str) -> ScoreError {
    ScoreError::Setting { name, value: value.to_string(), expected }
}
