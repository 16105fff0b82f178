//! Learnability: what the learner does not know yet and the reference does (JEST, arXiv 2406.17711).

use trommel_shards::vectors::Rows;

use super::ScoreError;
use super::log_sum_exp::log_sum_exp;
use super::source::{gather, same_dim, same_len, valid_rows};

/// Which of JEST's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Learnability {
    /// `loss_learner - loss_reference`.
    #[default]
    Learnable,
    /// `-loss_reference`: what a good model finds easy.
    EasyReference,
    /// `loss_learner`: what the learner finds hard.
    HardLearner,
}

/// The per-example score from two columns of losses, higher is better; `None` where a loss that is needed is null.
///
/// # Errors
/// [`ScoreError`] when the columns differ in length or a loss is NaN or infinite.
pub fn learnability(learner: &[Option<f32>], reference: &[Option<f32>], kind: Learnability) -> Result<Vec<Option<f32>>, ScoreError> {
    same_len("reference losses", learner.len(), reference.len())?;
    for (what, losses) in [("learner losses", learner), ("reference losses", reference)] {
        if let Some(row) = losses.iter().position(|loss| loss.is_some_and(|loss| !loss.is_finite())) {
            return Err(ScoreError::NotFinite { what, row });
        }
    }
    let score = |(&learner, &reference): (&Option<f32>, &Option<f32>)| match kind {
        Learnability::Learnable => Some(learner? - reference?),
        Learnability::EasyReference => reference.map(|loss| -loss),
        Learnability::HardLearner => learner,
    };
    Ok(learner.iter().zip(reference).map(score).collect())
}

/// The sigmoid loss of each pair alone, `-log σ(scale * f_i·g_i + bias)`: the diagonal of JEST's matrix, independent of
/// any batch. Unit vectors; `None` where either side is null.
///
/// # Errors
/// [`ScoreError`] when the parts differ in length or a vector is not finite.
pub fn sigmoid_losses(images: &Rows<'_>, texts: &Rows<'_>, scale: f32, bias: f32) -> Result<Vec<Option<f32>>, ScoreError> {
    let pairs = Pairs::new(images, texts)?;
    Ok(pairs.scatter(pairs.own(scale, bias).map(softplus_negative)))
}

/// The sigmoid loss of each image against all captions of the batch, `Σ_j -log σ(y_ij (scale * f_i·g_j + bias))` with
/// `y_ij` = 1 on the diagonal and -1 elsewhere (SigLIP, arXiv 2303.15343). The mean over the images is the loss of the
/// batch. The batch is all rows given; those with a null on either side are left out and score `None`.
///
/// # Errors
/// As [`sigmoid_losses`].
pub fn sigmoid_batch_losses(images: &Rows<'_>, texts: &Rows<'_>, scale: f32, bias: f32) -> Result<Vec<Option<f32>>, ScoreError> {
    const BLOCK: usize = 256;
    let pairs = Pairs::new(images, texts)?;
    let (dim, count) = (pairs.dim, pairs.rows.len());
    let own: Vec<f64> = pairs.own(scale, bias).collect();
    let mut losses = Vec::with_capacity(count);
    let mut tile = vec![0.0; BLOCK.min(count) * count];
    for images in pairs.images.chunks(BLOCK * dim) {
        let tile = &mut tile[..images.len() / dim * count];
        super::gemm::products(scale, images, &pairs.texts, dim, tile)?;
        for logits in tile.chunks_exact(count) {
            let at = losses.len();
            let others = logits.iter().enumerate().filter(|(other, _)| *other != at);
            let others: f64 = others.map(|(_, &logit)| softplus_negative(-(f64::from(logit) + f64::from(bias)))).sum();
            losses.push(softplus_negative(own[at]) + others);
        }
    }
    Ok(pairs.scatter(losses))
}

/// The softmax loss of each pair in the batch, the mean of both directions:
/// `½ [log Σ_j exp z_ij - z_ii] + ½ [log Σ_j exp z_ji - z_ii]` with `z = scale * f·g` (CLIP, arXiv 2103.00020). The mean
/// over the pairs is the loss of the batch. The batch is all rows given; those with a null on either side are left out
/// and score `None`.
///
/// # Errors
/// As [`sigmoid_losses`].
pub fn softmax_losses(images: &Rows<'_>, texts: &Rows<'_>, scale: f32) -> Result<Vec<Option<f32>>, ScoreError> {
    let pairs = Pairs::new(images, texts)?;
    let (of_images, of_texts) = log_sum_exp(scale, &pairs.images, &pairs.texts, pairs.dim, 1)?;
    let own = pairs.own(scale, 0.0);
    Ok(pairs.scatter(own.zip(of_images.iter().zip(&of_texts)).map(|(own, (image, text))| (image + text) / 2.0 - own)))
}

/// `-log σ(x) = log(1 + exp(-x))` without overflow.
fn softplus_negative(x: f64) -> f64 {
    (-x).max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The pairs without a null on either side.
struct Pairs {
    rows: Vec<usize>,
    images: Vec<f32>,
    texts: Vec<f32>,
    dim: usize,
    total: usize,
}

impl Pairs {
    fn new(images: &Rows<'_>, texts: &Rows<'_>) -> Result<Self, ScoreError> {
        same_dim("captions", images.dim(), texts.dim())?;
        same_len("captions", images.len(), texts.len())?;
        let rows: Vec<usize> = valid_rows(images).into_iter().filter(|&row| texts.is_valid(row)).collect();
        let (mut f, mut g) = (Vec::new(), Vec::new());
        gather("images", images, &rows, &mut f)?;
        gather("captions", texts, &rows, &mut g)?;
        Ok(Self { rows, images: f, texts: g, dim: images.dim(), total: images.len() })
    }

    /// The logit of each pair.
    fn own(&self, scale: f32, bias: f32) -> impl Iterator<Item = f64> + '_ {
        self.images.chunks_exact(self.dim).zip(self.texts.chunks_exact(self.dim)).map(move |(image, text)| {
            let product: f64 = image.iter().zip(text).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            f64::from(scale) * product + f64::from(bias)
        })
    }

    fn scatter(&self, values: impl IntoIterator<Item = f64>) -> Vec<Option<f32>> {
        let mut scores = vec![None; self.total];
        for (&row, value) in self.rows.iter().zip(values) {
            scores[row] = Some(value as f32);
        }
        scores
    }
}
