//! Rows of vectors in memory: what readers give and writers take.

use half::f16;

use super::VectorFileError;

/// Longest vector that is taken, in components: no model comes near, and a lying header must not choose an allocation.
pub const MAX_DIM: usize = 65_536;

/// Bytes of one block that a reader gives at most; a block has at least one row.
const MAX_BLOCK_BYTES: usize = 64 << 20;

/// How components lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE 754 half: 11 bits of significand. Halves the files; a cosine of unit vectors moves by less than 1e-3.
    F16,
    /// IEEE 754 single.
    F32,
    /// IEEE 754 double. Read, not written; components are rounded to single on the way in.
    F64,
}

impl Precision {
    /// Bytes of a component.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The name that numpy and field metadata use: `float16`, `float32`, `float64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Decodes little-endian components onto the end of `out`.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F16 => out.extend(bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32())),
            Self::F32 => out.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four))),
            Self::F64 => out.extend(bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight) as f32)),
        }
    }
}

/// Rows of vectors of one length, borrowed. What every writer takes.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    data: &'a [f32],
    dim: usize,
    valid: Option<&'a [bool]>,
}

impl<'a> Rows<'a> {
    /// `data` holds vector after vector, each of `dim` components; `valid` says which rows are vectors and which are
    /// null (`None`: all are vectors).
    ///
    /// # Errors
    /// The sentence that says what does not fit: a `dim` of zero, a length that is no multiple of it, or another number
    /// of flags than rows.
    pub fn new(data: &'a [f32], dim: usize, valid: Option<&'a [bool]>) -> Result<Self, RowsError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(RowsError::Shape { components: data.len(), dim });
        }
        match valid {
            Some(valid) if valid.len() != data.len() / dim => Err(RowsError::Flags { rows: data.len() / dim, flags: valid.len() }),
            _ => Ok(Self { data, dim, valid }),
        }
    }

    /// Number of rows, null ones included.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Components of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All components, row after row; those of a null row mean nothing.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// Whether a row is a vector.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.is_none_or(|valid| valid[row])
    }

    /// A vector, or `None` for a null row and for a row that does not exist.
    pub fn get(&self, row: usize) -> Option<&'a [f32]> {
        let vector = self.data.get(row * self.dim..(row + 1) * self.dim)?;
        self.is_valid(row).then_some(vector)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [f32]>> + '_ {
        self.data.chunks_exact(self.dim).enumerate().map(|(row, vector)| self.is_valid(row).then_some(vector))
    }
}

/// Slices that are no rows of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The components do not make whole vectors.
    #[error("{components} components are no vectors of {dim}")]
    Shape {
        /// Components given.
        components: usize,
        /// Components of a vector.
        dim: usize,
    },
    /// There are more or fewer flags than rows.
    #[error("{flags} flags for {rows} rows")]
    Flags {
        /// Rows given.
        rows: usize,
        /// Flags given.
        flags: usize,
    },
}

/// Some rows of a file, in file order. What every reader gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorBlock {
    /// Number of the first row in the file or folder.
    pub start: u64,
    /// The join keys, where the file has them; one per row. A null uid is an empty string.
    pub uids: Option<Vec<String>>,
    /// The sample keys (in clip-retrieval's folders the image paths), where the file has them; one per row.
    pub keys: Option<Vec<String>>,
    /// Number of rows.
    pub rows: usize,
    /// Components of a vector; zero only when every vector of the file is null.
    pub dim: usize,
    /// `rows * dim` components, row after row; NaN in null rows, so that one used by mistake is seen.
    pub data: Vec<f32>,
    /// Which rows are vectors; `None` when all are.
    pub valid: Option<Vec<bool>>,
}

impl VectorBlock {
    /// The rows, for writers and scores.
    ///
    /// # Errors
    /// [`RowsError`] when the public fields were brought out of step, or every vector of the file is null.
    pub fn rows(&self) -> Result<Rows<'_>, RowsError> {
        Rows::new(&self.data, self.dim, self.valid.as_deref())
    }

    /// Marks the rows that hold nothing but NaN as null: formats without nulls store them so.
    pub(crate) fn null_from_nan(&mut self) {
        if self.dim == 0 {
            return;
        }
        // A look at one component settles almost every row.
        let valid: Vec<bool> = self.data.chunks_exact(self.dim).map(|row| !row.iter().all(|component| component.is_nan())).collect();
        if valid.contains(&false) {
            self.valid = Some(valid);
        }
    }
}

/// Rows of a block of `dim` components when `wanted` were asked for.
pub(crate) fn block_rows(wanted: usize, dim: usize) -> usize {
    wanted.min(MAX_BLOCK_BYTES / (4 * dim.max(1))).max(1)
}

/// Appends rows as little-endian bytes; null rows become NaN. `first` is the number of the first row in the file.
pub(crate) fn encode(file: &str, precision: Precision, rows: Rows<'_>, first: u64, out: &mut Vec<u8>) -> Result<(), VectorFileError> {
    out.reserve(rows.data().len() * precision.bytes());
    for (row, vector) in rows.iter().enumerate() {
        let row = first + row as u64;
        match vector {
            Some(vector) => {
                check(file, precision, vector, row)?;
                vector.iter().for_each(|&component| push(precision, component, out));
            }
            None => (0..rows.dim()).for_each(|_| push(precision, f32::NAN, out)),
        }
    }
    Ok(())
}

/// Refuses components that would be read back as something else.
pub(crate) fn check(file: &str, precision: Precision, vector: &[f32], row: u64) -> Result<(), VectorFileError> {
    let bad = |&component: &f32| match precision {
        Precision::F16 => !f16::from_f32(component).is_finite(),
        Precision::F32 | Precision::F64 => !component.is_finite(),
    };
    match vector.iter().position(bad) {
        Some(at) => {
            Err(VectorFileError::rows(file, format!("row {row}: component {at} is {}, no finite {}", vector[at], precision.name())))
        }
        None => Ok(()),
    }
}

fn push(precision: Precision, component: f32, out: &mut Vec<u8>) {
    match precision {
        Precision::F16 => out.extend_from_slice(&f16::from_f32(component).to_le_bytes()),
        Precision::F32 => out.extend_from_slice(&component.to_le_bytes()),
        Precision::F64 => out.extend_from_slice(&f64::from(component).to_le_bytes()),
    }
}
