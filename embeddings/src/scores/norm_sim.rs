//! NormSim: how near a picture is to the pictures of a target task.

use trommel_shards::vectors::Rows;

use super::ScoreError;
use super::gemm::{add_moment, apply, products};
use super::source::{finite, gather, same_dim, same_len, valid_rows};

/// Rows that are worked on at a time.
const BLOCK: usize = 4096;
/// Target rows that are worked on at a time: 16 MiB of products with the block above.
const TARGET_BLOCK: usize = 1024;

/// NormSim₂ (arXiv 2405.19547; VAS of arXiv 2402.02055): `‖G f‖₂ = sqrt(fᵀ Σ f)` with `Σ = GᵀG` over the target vectors.
///
/// Targets are added in any number of parts; only Σ is kept, `dim²` doubles, summed in double precision. With unit
/// vectors a score lies between 0 and the square root of the number of targets.
#[derive(Debug, Clone)]
pub struct NormSim2 {
    moment: Vec<f64>,
    dim: usize,
    targets: u64,
}

impl NormSim2 {
    /// No targets yet, all of `dim` components.
    pub fn new(dim: usize) -> Self {
        Self { moment: vec![0.0; dim * dim], dim, targets: 0 }
    }

    /// Adds target vectors; null ones are skipped.
    ///
    /// # Errors
    /// [`ScoreError`] for vectors of another length and for one that is not finite; part of the rows may have been
    /// added then.
    pub fn add(&mut self, targets: &Rows<'_>) -> Result<(), ScoreError> {
        same_dim("targets", self.dim, targets.dim())?;
        let mut block = Vec::with_capacity(BLOCK.min(targets.len()) * self.dim);
        for start in (0..targets.len()).step_by(BLOCK) {
            block.clear();
            for row in start..targets.len().min(start + BLOCK) {
                let Some(target) = targets.get(row) else { continue };
                finite("targets", row, target)?;
                block.extend(target.iter().map(|&component| f64::from(component)));
                self.targets += 1;
            }
            add_moment(&block, self.dim, &mut self.moment)?;
        }
        Ok(())
    }

    /// Targets so far.
    pub fn targets(&self) -> u64 {
        self.targets
    }

    /// The score of every vector; `None` for a null one.
    ///
    /// # Errors
    /// [`ScoreError`] when there are no targets, the vectors have another length, or one is not finite.
    pub fn score(&self, vectors: &Rows<'_>) -> Result<Vec<Option<f32>>, ScoreError> {
        same_dim("vectors", self.dim, vectors.dim())?;
        if self.targets == 0 {
            return Err(ScoreError::Empty { what: "targets" });
        }
        let mut scores = vec![None; vectors.len()];
        let (mut f, mut turned) = (Vec::new(), Vec::new());
        for rows in valid_rows(vectors).chunks(BLOCK) {
            f.clear();
            for &row in rows {
                let vector = &vectors.data()[row * self.dim..(row + 1) * self.dim];
                finite("vectors", row, vector)?;
                f.extend(vector.iter().map(|&component| f64::from(component)));
            }
            turned.resize(f.len(), 0.0);
            apply(&f, &self.moment, self.dim, &mut turned[..f.len()])?;
            for (at, &row) in rows.iter().enumerate() {
                let span = at * self.dim..(at + 1) * self.dim;
                let square: f64 = f[span.clone()].iter().zip(&turned[span]).map(|(f, turned)| f * turned).sum();
                // Rounding can leave less than nothing of a vector that no target touches.
                scores[row] = Some(square.max(0.0).sqrt() as f32);
            }
        }
        Ok(scores)
    }
}

/// NormSim∞ (arXiv 2405.19547): `max_j g_j · f`, the cosine with the nearest target for unit vectors.
///
/// Memory beside the vectors: 16 MiB of products and the vectors of a block.
///
/// # Errors
/// [`ScoreError`] when all targets are null or there are none, the lengths differ, or a vector is not finite.
pub fn norm_sim_inf(vectors: &Rows<'_>, targets: &Rows<'_>) -> Result<Vec<Option<f32>>, ScoreError> {
    let mut best = vec![None; vectors.len()];
    norm_sim_inf_into(vectors, targets, &mut best)?;
    if valid_rows(targets).is_empty() {
        return Err(ScoreError::Empty { what: "targets" });
    }
    Ok(best)
}

/// [`norm_sim_inf`] for targets that come in parts: raises `best` where a target of this part is nearer. Start with
/// `None` for every vector; after all parts `None` is left for the null ones.
///
/// # Errors
/// As [`norm_sim_inf`], but a part without targets is none.
pub fn norm_sim_inf_into(vectors: &Rows<'_>, targets: &Rows<'_>, best: &mut [Option<f32>]) -> Result<(), ScoreError> {
    let dim = vectors.dim();
    same_dim("targets", dim, targets.dim())?;
    same_len("scores", vectors.len(), best.len())?;
    let target_rows = valid_rows(targets);
    let (mut f, mut g, mut tile) = (Vec::new(), Vec::new(), Vec::new());
    for rows in valid_rows(vectors).chunks(BLOCK) {
        gather("vectors", vectors, rows, &mut f)?;
        for target_rows in target_rows.chunks(TARGET_BLOCK) {
            gather("targets", targets, target_rows, &mut g)?;
            tile.resize(rows.len() * target_rows.len(), 0.0);
            products(1.0, &f, &g, dim, &mut tile[..rows.len() * target_rows.len()])?;
            for (&row, products) in rows.iter().zip(tile.chunks_exact(target_rows.len())) {
                let nearest = products.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                best[row] = Some(best[row].map_or(nearest, |best| best.max(nearest)));
            }
        }
    }
    Ok(())
}
