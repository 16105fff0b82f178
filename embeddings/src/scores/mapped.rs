//! Stored vectors in any order without holding them: npy files mapped into memory.

use std::fs::File;

use half::f16;
use memmap2::{Advice, Mmap};
use trommel_shards::storage::StorageError;
use trommel_shards::vectors::{NpyLayout, Precision, VectorFileError, npy_layout};

use super::VectorSource;

/// The rows of some npy files, one file after the other. The system reads what is asked for and forgets it when it needs
/// the memory, so vectors may be many times larger than the machine's. A row whose first component is NaN is null.
///
/// The files must not be changed while they are mapped; files that were moved into place whole, as
/// [`Storage`](trommel_shards::storage::Storage) does, never are.
pub struct MappedVectors {
    files: Vec<Mapped>,
    rows: usize,
    dim: usize,
}

struct Mapped {
    map: Mmap,
    layout: NpyLayout,
    /// Number of the first row.
    start: usize,
}

impl MappedVectors {
    /// Maps local files.
    ///
    /// # Errors
    /// [`VectorFileError`] names the first file that cannot be read, is no array of vectors, or has vectors of another
    /// length than the files before it.
    pub fn open<P: AsRef<str>>(paths: &[P]) -> Result<Self, VectorFileError> {
        let (mut files, mut rows, mut dim) = (Vec::with_capacity(paths.len()), 0, None);
        for path in paths.iter().map(AsRef::as_ref) {
            let io = |source| VectorFileError::from(StorageError::Io { place: path.to_owned(), source });
            let wrong = |message: String| VectorFileError::Content { file: path.to_owned(), message };
            let layout = npy_layout(path)?;
            let expected = *dim.get_or_insert(layout.dim);
            if layout.dim != expected {
                return Err(wrong(format!("vectors of {} components among vectors of {expected}", layout.dim)));
            }
            let file = File::open(path).map_err(io)?;
            // SAFETY: a mapping is undefined only when the file changes under it, which the type's contract rules out.
            let map = unsafe { Mmap::map(&file) }.map_err(io)?;
            let body = layout.rows as usize * layout.dim * layout.precision.bytes();
            if map.len() as u64 != layout.offset + body as u64 {
                return Err(wrong("changed while it was opened".into()));
            }
            // Batches are random rows: what lies beside one is of no use. Advice is no more than that.
            let _ = map.advise(Advice::Random);
            files.push(Mapped { map, layout, start: rows });
            rows += layout.rows as usize;
        }
        Ok(Self { files, rows, dim: dim.unwrap_or(1) })
    }

    fn row(&self, row: usize) -> (Precision, &[u8]) {
        let file = &self.files[self.files.partition_point(|file| file.start <= row) - 1];
        let length = self.dim * file.layout.precision.bytes();
        let start = file.layout.offset as usize + (row - file.start) * length;
        (file.layout.precision, &file.map[start..start + length])
    }
}

impl VectorSource for MappedVectors {
    fn len(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn is_valid(&self, row: usize) -> bool {
        let mut first = [0.0];
        let (precision, bytes) = self.row(row);
        decode(precision, &bytes[..precision.bytes()], &mut first);
        !first[0].is_nan()
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        let (precision, bytes) = self.row(row);
        decode(precision, bytes, out);
    }
}

fn decode(precision: Precision, bytes: &[u8], out: &mut [f32]) {
    match precision {
        Precision::F16 => bytes.as_chunks().0.iter().zip(out).for_each(|(&two, to)| *to = f16::from_le_bytes(two).to_f32()),
        Precision::F32 => bytes.as_chunks().0.iter().zip(out).for_each(|(&four, to)| *to = f32::from_le_bytes(four)),
        Precision::F64 => bytes.as_chunks().0.iter().zip(out).for_each(|(&eight, to)| *to = f64::from_le_bytes(eight) as f32),
    }
}
