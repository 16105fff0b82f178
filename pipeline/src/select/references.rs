//! Reference sets and query sets: small next to the metadata, held in memory.

use half::f16;
use trommel_embeddings::scores::VectorSource;
use trommel_shards::vectors::open_vectors;

use super::error::{Result, SelectError};
use super::vectors::BLOCK_ROWS;

/// Vectors of files, in half precision.
pub(in crate::select) struct ReferenceVectors {
    data: Vec<f16>,
    valid: Vec<bool>,
    dim: usize,
    /// Model that the files name; empty where they name none.
    pub(super) model: String,
    files: Vec<(String, usize)>,
}

impl ReferenceVectors {
    /// Reads all files: the vectors of `key` where a file has several, the only ones otherwise.
    pub(super) fn open(stage: &str, files: &[String], key: &str) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let mut all = Self { data: Vec::new(), valid: Vec::new(), dim: 0, model: String::new(), files: Vec::new() };
        for file in files {
            let mut reader = match open_vectors(file, Some(key), BLOCK_ROWS) {
                Ok(reader) => reader,
                Err(_) => open_vectors(file, None, BLOCK_ROWS).map_err(|e| fail(&e))?,
            };
            if all.dim != 0 && all.dim != reader.dim() {
                return Err(fail(&format!("`{file}` has vectors of {} components, those before have {}", reader.dim(), all.dim)));
            }
            all.dim = reader.dim();
            let model = reader.provenance().map_or("", |made| made.model.as_str()).to_owned();
            if !all.model.is_empty() && !model.is_empty() && all.model != model {
                return Err(fail(&format!("`{file}` has vectors of model `{model}`, those before are of `{}`", all.model)));
            }
            if !model.is_empty() {
                all.model = model;
            }
            all.files.push((file.clone(), all.valid.len()));
            while let Some(block) = reader.next_block().map_err(|e| fail(&e))? {
                let rows = block.rows().map_err(|e| fail(&e))?;
                all.valid.extend((0..rows.len()).map(|row| rows.is_valid(row)));
                all.data.extend(rows.data().iter().map(|&value| f16::from_f32(value)));
            }
        }
        match all.valid.is_empty() {
            true => Err(fail(&format!("no vector is in {}", files.join(", ")))),
            false => Ok(all),
        }
    }

    /// What a reference is called: its file and its row there.
    pub(super) fn name(&self, row: usize) -> String {
        let at = self.files.partition_point(|(_, first)| *first <= row).saturating_sub(1);
        match self.files.get(at) {
            Some((file, first)) => format!("{file}#{}", row - first),
            None => format!("#{row}"),
        }
    }
}

impl VectorSource for ReferenceVectors {
    fn len(&self) -> usize {
        self.valid.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn is_valid(&self, row: usize) -> bool {
        self.valid[row]
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        let from = &self.data[row * self.dim..(row + 1) * self.dim];
        out.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
    }
}
