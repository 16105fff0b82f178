//! JEST's joint selection from a super-batch, over stored vectors.

use super::draw::{Draws, Keys};
use super::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use super::matrix::{Block, Panels, Taken, inner, same_dim, same_len, setting, valid_rows};
use super::parallel::{all_cores, share};
use crate::scores::{Learnability, ScoreError, VectorSource};

/// The vectors of a model for a super-batch, row for row, and the scale and bias of its loss. Unit vectors.
#[derive(Debug)]
pub struct PairVectors<'a, V> {
    /// The images'.
    pub images: &'a V,
    /// The captions'.
    pub texts: &'a V,
    /// The factor t of the inner products: the exponential of the logit scale.
    pub scale: f32,
    /// The bias b; only the sigmoid loss has one.
    pub bias: f32,
}

/// Which loss the two models were trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum JointLoss {
    /// Sigmoid (SigLIP).
    #[default]
    Sigmoid,
    /// Softmax (CLIP).
    Softmax,
}

/// How the first chunk is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FirstChunk {
    /// Evenly.
    #[default]
    Uniform,
    /// In proportion to the score of each pair alone, less the smallest of them.
    Diagonal,
}

/// Settings of [`jest_select`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JestOptions {
    /// Pairs to select: the sub-batch, `super-batch * (1 − filter ratio)`; 32,768 of 163,840 in the paper.
    pub select: usize,
    /// Chunks N that they are drawn in: 16 in the paper. Chunk i ends at `select * i / N` pairs.
    pub chunks: usize,
    /// Which loss.
    pub loss: JointLoss,
    /// Which score of learner and reference.
    pub kind: Learnability,
    /// How the first chunk is drawn.
    pub first: FirstChunk,
    /// Divides the logits by `2 |selected| + 1`, the number of their terms, as one port does: a higher temperature the
    /// more pairs are selected. Of no effect on the softmax loss, whose logit is one term.
    pub mean_of_terms: bool,
    /// Seed of the draws.
    pub seed: u64,
    /// Number of the super-batch, so that each has draws of its own.
    pub step: u64,
    /// Threads. Changes no result.
    pub threads: usize,
}

impl JestOptions {
    /// The paper's settings for `select` pairs: sigmoid loss, learnability, 16 chunks, an even first one.
    pub fn new(select: usize) -> Self {
        Self {
            select,
            chunks: 16,
            loss: JointLoss::Sigmoid,
            kind: Learnability::Learnable,
            first: FirstChunk::Uniform,
            mean_of_terms: false,
            seed: 0,
            step: 0,
            threads: all_cores(),
        }
    }
}

/// Selects pairs of a super-batch jointly (JEST, arXiv 2406.17711, §3 and appendix). With the matrix of losses
///
/// ```text
/// ℓ_ij = −log σ(y_ij (t f_i·g_j + b)), y = 1 on the diagonal and −1 elsewhere;   S = ℓ_learner − ℓ_reference
/// ```
///
/// the first chunk is drawn as [`FirstChunk`] says, and each further one without replacement in proportion to the
/// exponential of
///
/// ```text
/// logit_j = S_jj + Σ_k S_kj + Σ_k S_jk      over the pairs k that are selected already
/// ```
///
/// With the softmax loss, the loss of a candidate among the negatives that are selected takes the place of the sums:
/// `ℓ_j = ½ [log Σ_k exp z_jk − z_jj] + ½ [log Σ_k exp z_kj − z_jj]`, k over the selected and j itself, `z = t f·g`. (What a
/// candidate adds to the losses of the selected is left out: it cannot be kept up as the selection grows without
/// multiplying everything again.)
///
/// Draws are Gumbel's: the pairs with the largest `logit − log(−log U)`, with `U = hash(seed, "jest", step and chunk,
/// key)`; ties by key, then by row. S is never whole in memory: each chunk's rows and columns are added when it has been
/// drawn. Memory beside the vectors: some numbers per pair, the vectors of a chunk and a block per thread.
/// Time: `4 * select * rows * dim` multiplications and as many exponentials as products.
///
/// Returns the selected rows in the order in which they were drawn, chunk after chunk. A pair with a null on any side
/// is not selected.
///
/// # Errors
/// [`ScoreError`] when there are fewer pairs than are to be selected, lengths differ, a vector is not finite, or a
/// setting has no meaning.
pub fn jest_select<L: VectorSource, R: VectorSource>(
    learner: &PairVectors<'_, L>,
    reference: &PairVectors<'_, R>,
    keys: Keys<'_>,
    options: &JestOptions,
) -> Result<Vec<usize>, ScoreError> {
    let rows = valid_pairs(learner, reference)?;
    keys.check(learner.images.len())?;
    if options.select > rows.len() {
        let value = format!("{} of {} pairs", options.select, rows.len());
        return Err(setting("select", value, "no more than there are can be selected"));
    }
    if options.chunks == 0 {
        return Err(setting("chunks", 0, "1 or more are needed"));
    }
    let mut of_learner = Model::new(learner, &rows, options)?;
    let mut of_reference = Model::new(reference, &rows, options)?;
    let alone: Vec<f64> = score(&of_learner.alone(), &of_reference.alone(), options.kind);
    let mut selected: Vec<usize> = Vec::with_capacity(options.select);
    let mut is_selected = vec![false; rows.len()];
    for chunk in 0..options.chunks {
        let wanted = options.select * (chunk + 1) / options.chunks - selected.len();
        let logits: Vec<f64> = match (chunk, options.first) {
            (0, FirstChunk::Uniform) => vec![0.0; rows.len()],
            (0, FirstChunk::Diagonal) => {
                let least = alone.iter().copied().fold(f64::INFINITY, f64::min);
                // The pair of the smallest score has no chance but to fill up.
                alone.iter().map(|alone| (alone - least).max(1e-30).ln()).collect()
            }
            _ => {
                let divisor = if options.mean_of_terms && options.loss == JointLoss::Sigmoid { 2 * selected.len() + 1 } else { 1 };
                let joint = score(&of_learner.joint(), &of_reference.joint(), options.kind);
                joint.into_iter().map(|logit| logit / divisor as f64).collect()
            }
        };
        let draws = Draws::new(options.seed, "jest", options.step.wrapping_mul(1 << 20).wrapping_add(chunk as u64));
        let gumbel = |at: usize| logits[at] - (-draws.unit(keys.of(rows[at])).ln()).ln();
        let mut drawn: Vec<(f64, usize)> = (0..rows.len()).filter(|&at| !is_selected[at]).map(|at| (gumbel(at), at)).collect();
        drawn.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| keys.of(rows[a.1]).cmp(&keys.of(rows[b.1]))).then(a.1.cmp(&b.1)));
        let drawn: Vec<usize> = drawn.into_iter().take(wanted).map(|(_, at)| at).collect();
        drawn.iter().for_each(|&at| is_selected[at] = true);
        if chunk + 1 < options.chunks {
            of_learner.add(&drawn)?;
            of_reference.add(&drawn)?;
        }
        selected.extend(drawn);
    }
    Ok(selected.into_iter().map(|at| rows[at]).collect())
}

fn valid_pairs<L: VectorSource, R: VectorSource>(
    learner: &PairVectors<'_, L>,
    reference: &PairVectors<'_, R>,
) -> Result<Vec<usize>, ScoreError> {
    let count = learner.images.len();
    same_len("captions", count, learner.texts.len())?;
    same_len("images of the reference", count, reference.images.len())?;
    same_len("captions of the reference", count, reference.texts.len())?;
    same_dim("captions", learner.images.dim(), learner.texts.dim())?;
    same_dim("captions of the reference", reference.images.dim(), reference.texts.dim())?;
    for (name, value) in [("scale", learner.scale), ("bias", learner.bias), ("scale", reference.scale), ("bias", reference.bias)] {
        if !value.is_finite() {
            return Err(setting(name, value, "a finite number is needed"));
        }
    }
    let others = |row: &usize| learner.texts.is_valid(*row) && reference.images.is_valid(*row) && reference.texts.is_valid(*row);
    Ok(valid_rows(learner.images).into_iter().filter(others).collect())
}

fn score(learner: &[f64], reference: &[f64], kind: Learnability) -> Vec<f64> {
    let of = |(&learner, &reference): (&f64, &f64)| match kind {
        Learnability::Learnable => learner - reference,
        Learnability::EasyReference => -reference,
        Learnability::HardLearner => learner,
    };
    learner.iter().zip(reference).map(of).collect()
}

/// A sum of exponentials against the largest.
#[derive(Debug, Clone, Copy)]
struct LogSum {
    max: f64,
    sum: f64,
}

impl LogSum {
    fn add(&mut self, value: f64) {
        if value > self.max {
            self.sum *= (self.max - value).exp();
            self.max = value;
        }
        self.sum += (value - self.max).exp();
    }

    fn log(self) -> f64 {
        self.max + self.sum.ln()
    }
}

/// One of the models: what each pair has summed up against the selected ones.
struct Model<'a, V> {
    vectors: &'a PairVectors<'a, V>,
    rows: &'a [usize],
    /// The logit of each pair.
    own: Vec<f64>,
    /// Losses of the pair with the selected ones, in both directions.
    sums: Vec<f64>,
    /// Over the selected and the pair itself: of the image, of the caption.
    log_sums: Vec<[LogSum; 2]>,
    loss: JointLoss,
    threads: usize,
}

impl<'a, V: VectorSource> Model<'a, V> {
    fn new(vectors: &'a PairVectors<'a, V>, rows: &'a [usize], options: &JestOptions) -> Result<Self, ScoreError> {
        let dim = vectors.images.dim();
        let capacity = Block::capacity(dim);
        let bias = if options.loss == JointLoss::Sigmoid { vectors.bias } else { 0.0 };
        let mut own = vec![0.0_f64; rows.len()];
        let state = || (Block::new(capacity, dim), Block::new(capacity, dim));
        share(options.threads, rows.chunks(capacity).zip(own.chunks_mut(capacity)), state, |(images, texts), (rows, own)| {
            images.read("images", vectors.images, rows.iter().copied(), Taken::AsStored)?;
            texts.read("captions", vectors.texts, rows.iter().copied(), Taken::AsStored)?;
            for (at, own) in own.iter_mut().enumerate() {
                *own = f64::from(vectors.scale) * inner(images.row(at), texts.row(at)) + f64::from(bias);
            }
            Ok(())
        })?;
        let log_sums = match options.loss {
            JointLoss::Sigmoid => Vec::new(),
            JointLoss::Softmax => own.iter().map(|&own| [LogSum { max: own, sum: 1.0 }; 2]).collect(),
        };
        let (loss, threads) = (options.loss, options.threads);
        Ok(Self { vectors, rows, sums: vec![0.0; own.len()], own, log_sums, loss, threads })
    }

    /// The loss of each pair alone.
    fn alone(&self) -> Vec<f64> {
        match self.loss {
            JointLoss::Sigmoid => self.own.iter().map(|&own| softplus(-own)).collect(),
            // Without negatives the softmax loss is nothing.
            JointLoss::Softmax => vec![0.0; self.own.len()],
        }
    }

    /// The loss of each pair with the selected ones.
    fn joint(&self) -> Vec<f64> {
        match self.loss {
            JointLoss::Sigmoid => self.own.iter().zip(&self.sums).map(|(&own, sum)| softplus(-own) + sum).collect(),
            JointLoss::Softmax => {
                let of = |(own, [image, text]): (&f64, &[LogSum; 2])| (image.log() + text.log()) / 2.0 - own;
                self.own.iter().zip(&self.log_sums).map(of).collect()
            }
        }
    }

    /// Adds pairs that were selected, by their place in `rows`.
    fn add(&mut self, drawn: &[usize]) -> Result<(), ScoreError> {
        // Each image with the captions that are new, and each caption with the images that are new.
        self.add_side(drawn, 0)?;
        self.add_side(drawn, 1)
    }

    fn add_side(&mut self, drawn: &[usize], side: usize) -> Result<(), ScoreError> {
        /// Pairs that are multiplied with all others at a time.
        const COLUMNS: usize = 1024;
        let (kernel, dim) = (Kernel::detect(), self.vectors.images.dim());
        let PairVectors { images, texts, scale, bias } = *self.vectors;
        let (what, from, against) = if side == 0 { ("images", images, texts) } else { ("captions", texts, images) };
        let capacity = Block::capacity(dim);
        let (scale, bias) = (f64::from(scale), f64::from(if self.loss == JointLoss::Sigmoid { bias } else { 0.0 }));
        let mut columns = Block::new(COLUMNS.min(drawn.len()), dim);
        let mut panels = Panels::new(kernel);
        for drawn in drawn.chunks(COLUMNS) {
            columns.read("vectors", against, drawn.iter().map(|&at| self.rows[at]), Taken::AsStored)?;
            panels.pack(dim, (0..drawn.len()).map(|at| columns.row(at)));
            let (loss, panels) = (self.loss, &panels);
            // One of the two columns of state is empty.
            let sums = self.sums.chunks_mut(capacity);
            let mut log_sums = self.log_sums.chunks_mut(capacity);
            let parts = self.rows.chunks(capacity).zip(sums).map(|(rows, sums)| (rows, sums, log_sums.next().unwrap_or_default()));
            let state = || (Block::new(capacity, dim), [0.0; MAX_ROWS * MAX_COLUMNS]);
            share(self.threads, parts.enumerate(), state, |(block, tile), (number, (rows, sums, log_sums))| {
                block.read(what, from, rows.iter().copied(), Taken::AsStored)?;
                for (panel_number, panel) in panels.iter().enumerate() {
                    let here = &drawn[panel_number * kernel.columns..drawn.len().min((panel_number + 1) * kernel.columns)];
                    for first in (0..rows.len()).step_by(kernel.rows) {
                        let count = kernel.rows.min(rows.len() - first);
                        kernel.product(dim, &block.values()[first * block.ld..], block.ld, panel, tile, count);
                        for (at, products) in (first..first + count).zip(tile.chunks_exact(kernel.columns)) {
                            // A pair that is selected is never a candidate again; with itself it would count twice.
                            let others = products.iter().zip(here).filter(|(_, other)| **other != number * capacity + at);
                            let logits = others.map(|(&product, _)| scale * f64::from(product) + bias);
                            match loss {
                                JointLoss::Sigmoid => sums[at] += logits.map(softplus).sum::<f64>(),
                                JointLoss::Softmax => logits.for_each(|logit| log_sums[at][side].add(logit)),
                            }
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// `log(1 + exp(x))` without overflow: the loss `−log σ(−x)` of a negative with the logit x.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
