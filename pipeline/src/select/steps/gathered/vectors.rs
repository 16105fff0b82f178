//! Stored vectors of gathered rows.

use half::f16;
use serde_json::{Value, json};
use trommel_embeddings::neighbours::{NeighbourReport, Search};
use trommel_embeddings::scores::VectorSource;

use super::{Gathered, Payload};
use crate::select::error::Result;
use crate::select::scan::Judging;
use crate::select::vectors::VectorsOfRows;

/// Vectors in half precision.
pub(in crate::select) struct VectorPayload(pub(in crate::select) VectorsOfRows);

impl Payload for VectorPayload {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn each(&self, rows: &Judging<'_>, living: &[usize], see: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<u64> {
        let (data, valid) = self.0.of(rows)?;
        let dim = self.0.dim;
        let mut without = 0;
        let mut bytes = Vec::with_capacity(dim * 2);
        for &row in living {
            if !valid[row] {
                without += 1;
                continue;
            }
            bytes.clear();
            bytes.extend(data[row * dim..(row + 1) * dim].iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
            see(row, &bytes)?;
        }
        Ok(without)
    }
}

/// The vectors of gathered rows.
pub(in crate::select) struct GatheredVectors<'a> {
    pub(in crate::select) rows: &'a Gathered,
    pub(in crate::select) dim: usize,
}

impl VectorSource for GatheredVectors<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn is_valid(&self, _: usize) -> bool {
        true
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        for (to, &two) in out.iter_mut().zip(self.rows.payload(row).as_chunks().0) {
            *to = f16::from_le_bytes(two).to_f32();
        }
    }
}

impl GatheredVectors<'_> {
    /// The cosine of two rows, as a similarity from 0 to 1.
    pub(in crate::select) fn similarity(&self, a: usize, b: usize) -> Option<f32> {
        let mut vectors = [vec![0.0; self.dim], vec![0.0; self.dim]];
        self.copy(a, &mut vectors[0]);
        self.copy(b, &mut vectors[1]);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let lengths = (dot(&vectors[0], &vectors[0]) * dot(&vectors[1], &vectors[1])).sqrt();
        (lengths > 0.0).then(|| dot(&vectors[0], &vectors[1]) / lengths)
    }
}

/// How a search went, for the report.
pub(in crate::select) fn searched(report: &NeighbourReport) -> Value {
    let how = match report.search {
        Search::Lists { lists, probes } => json!({ "lists": lists, "probes": probes }),
        _ => json!("exact"),
    };
    json!({
        "search": how,
        "pairs": report.edges,
        "recall": report.recall,
        "recall_rows": report.recall_rows,
        "rows_with_k_neighbours": report.full,
        "zero_vectors": report.queries.zero,
        "not_finite": report.queries.not_finite,
        "not_of_length_one": report.queries.unnormalised,
    })
}
