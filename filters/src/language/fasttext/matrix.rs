//! The input and output matrices, as floats or as codes.

use super::Malformed;
use super::bytes::Cursor;
use super::product_quantizer::ProductQuantizer;

/// A matrix of which rows are added up or multiplied with a vector.
#[derive(Debug)]
pub(super) enum Matrix {
    Dense { rows: usize, columns: usize, values: Vec<f32> },
    Quantised { rows: usize, codes: Vec<u8>, book: ProductQuantizer, norms: Option<Norms> },
}

/// The lengths of the rows, coded apart (`-qnorm`).
#[derive(Debug)]
pub(super) struct Norms {
    codes: Vec<u8>,
    book: ProductQuantizer,
}

impl Matrix {
    pub(super) fn read(cursor: &mut Cursor<'_>, quantised: bool) -> Result<Self, Malformed> {
        if quantised { Self::read_quantised(cursor) } else { Self::read_dense(cursor) }
    }

    fn read_dense(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let rows = cursor.count64()?;
        let columns = cursor.count64()?;
        let values = cursor.f32s(rows.saturating_mul(columns))?;
        Ok(Self::Dense { rows, columns, values })
    }

    fn read_quantised(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let with_norms = cursor.flag()?;
        let rows = cursor.count64()?;
        let columns = cursor.count64()?;
        let code_bytes = cursor.count32()?;
        let codes = cursor.take(code_bytes)?.to_vec();
        let book = ProductQuantizer::read(cursor)?;
        if book.dim() != columns || rows.checked_mul(book.code_len()) != Some(codes.len()) {
            return Err(cursor.error("codes that do not fit their matrix"));
        }
        let norms = if with_norms {
            let codes = cursor.take(rows)?.to_vec();
            let book = ProductQuantizer::read(cursor)?;
            if book.dim() != 1 {
                return Err(cursor.error("row lengths of more than one dimension"));
            }
            Some(Norms { codes, book })
        } else {
            None
        };
        Ok(Self::Quantised { rows, codes, book, norms })
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Dense { rows, .. } | Self::Quantised { rows, .. } => *rows,
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Dense { columns, .. } => *columns,
            Self::Quantised { book, .. } => book.dim(),
        }
    }

    /// Adds row `row` to `out`.
    pub(super) fn add_row(&self, row: usize, out: &mut [f32]) {
        match self {
            Self::Dense { columns, values, .. } => {
                let values = &values[row * columns..(row + 1) * columns];
                out.iter_mut().zip(values).for_each(|(x, v)| *x += v);
            }
            Self::Quantised { codes, book, norms, .. } => {
                let len = book.code_len();
                book.add(&codes[row * len..(row + 1) * len], norm(norms, row), out);
            }
        }
    }

    /// Inner product of `x` with row `row`.
    pub(super) fn dot_row(&self, row: usize, x: &[f32]) -> f32 {
        match self {
            Self::Dense { columns, values, .. } => {
                let values = &values[row * columns..(row + 1) * columns];
                values.iter().zip(x).map(|(v, x)| v * x).sum()
            }
            Self::Quantised { codes, book, norms, .. } => {
                let len = book.code_len();
                book.dot(&codes[row * len..(row + 1) * len], x) * norm(norms, row)
            }
        }
    }
}

fn norm(norms: &Option<Norms>, row: usize) -> f32 {
    norms.as_ref().map_or(1.0, |norms| norms.book.centroid(0, norms.codes[row])[0])
}
