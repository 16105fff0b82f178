//! Where the vectors lie while they are scored.

use half::f16;
use trommel_shards::vectors::{Rows, RowsError};

use super::ScoreError;

/// Vectors that can be fetched by row, in any order: memory, or a mapped file.
pub trait VectorSource: Sync {
    /// Number of rows, null ones included.
    fn len(&self) -> usize;

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components of a vector.
    fn dim(&self) -> usize;

    /// Whether a row is a vector and not null. `row < len()`.
    fn is_valid(&self, row: usize) -> bool;

    /// Copies one vector. `row < len()`, `out.len() == dim()`.
    fn copy(&self, row: usize, out: &mut [f32]);
}

impl VectorSource for Rows<'_> {
    fn len(&self) -> usize {
        Rows::len(self)
    }

    fn dim(&self) -> usize {
        Rows::dim(self)
    }

    fn is_valid(&self, row: usize) -> bool {
        Rows::is_valid(self, row)
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        let dim = Rows::dim(self);
        out.copy_from_slice(&self.data()[row * dim..(row + 1) * dim]);
    }
}

/// Vectors in half precision, the body of a mapped npy for one. A row whose first component is NaN is null: npy stores
/// nulls so.
#[derive(Debug, Clone, Copy)]
pub struct HalfRows<'a> {
    data: &'a [f16],
    dim: usize,
}

impl<'a> HalfRows<'a> {
    /// `data` holds vector after vector, each of `dim` components.
    ///
    /// # Errors
    /// [`RowsError::Shape`] when they do not make whole vectors.
    pub fn new(data: &'a [f16], dim: usize) -> Result<Self, RowsError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(RowsError::Shape { components: data.len(), dim });
        }
        Ok(Self { data, dim })
    }
}

impl VectorSource for HalfRows<'_> {
    fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn is_valid(&self, row: usize) -> bool {
        !self.data[row * self.dim].is_nan()
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        let from = &self.data[row * self.dim..(row + 1) * self.dim];
        out.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
    }
}

/// Copies rows one after the other and refuses what is not finite.
pub(crate) fn gather(what: &'static str, source: &impl VectorSource, rows: &[usize], out: &mut Vec<f32>) -> Result<(), ScoreError> {
    let dim = source.dim();
    out.resize(rows.len() * dim, 0.0);
    for (&row, vector) in rows.iter().zip(out.chunks_exact_mut(dim)) {
        source.copy(row, vector);
        finite(what, row, vector)?;
    }
    Ok(())
}

pub(crate) fn finite(what: &'static str, row: usize, vector: &[f32]) -> Result<(), ScoreError> {
    if vector.iter().all(|component| component.is_finite()) { Ok(()) } else { Err(ScoreError::NotFinite { what, row }) }
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
