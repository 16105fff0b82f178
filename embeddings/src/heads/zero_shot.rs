//! Scores from two lists of prompts, without training.

use serde::Deserialize;

use crate::error::ModelError;
use crate::heads::config::sigmoid;
use crate::vector::{dot, normalize};

/// How close an image is to some prompts, and not to others.
///
/// Each list becomes one vector: the mean of its prompts' embeddings (each scaled to length 1), scaled to length 1 again, as
/// CLIP's prompt ensembles are made ([Radford et al. 2021](https://arxiv.org/abs/2103.00020), 3.1.4).
///
/// ```
/// use trommel_embeddings::heads::{ZeroShot, ZeroShotScore};
///
/// let photo = vec![vec![1.0_f32, 0.0], vec![0.8, 0.6]];
/// let drawing = vec![vec![0.0_f32, 1.0]];
/// let score = ZeroShot::new(&photo, &drawing, ZeroShotScore::Softmax { scale: 100.0 })?;
/// assert!(score.score(&[1.0, 0.0, 0.0, 1.0], 2, 2)?[0] > 0.99);
/// # Ok::<(), trommel_embeddings::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ZeroShot {
    positive: Vec<f32>,
    negative: Vec<f32>,
    score: ZeroShotScore,
}

/// What the two cosines become.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroShotScore {
    /// The probability of the positive list, 0 to 1: softmax over both cosines times the model's logit scale.
    Softmax {
        /// The model's logit scale, about 100 for CLIP.
        scale: f32,
    },
    /// Cosine with the positive list less cosine with the negative list, -2 to 2. Comparable across logit scales.
    Difference,
}

impl ZeroShot {
    /// From the embeddings of the prompts: both lists at least one, all of one length.
    ///
    /// # Errors
    /// [`ModelError::Input`] for an empty list, embeddings of different size, zero or not finite, prompts whose mean is
    /// zero, and a scale that is not positive.
    pub fn new(positive: &[Vec<f32>], negative: &[Vec<f32>], score: ZeroShotScore) -> Result<Self, ModelError> {
        if let ZeroShotScore::Softmax { scale } = score
            && !(scale.is_finite() && scale > 0.0)
        {
            return Err(ModelError::Input(format!("a logit scale of {scale} gives no probabilities")));
        }
        let (positive, negative) = (mean(positive, "positive")?, mean(negative, "negative")?);
        if positive.len() != negative.len() {
            let message = format!("positive prompts have {} components, negative ones {}", positive.len(), negative.len());
            return Err(ModelError::Input(message));
        }
        Ok(Self { positive, negative, score })
    }

    /// Components of the embeddings that it takes.
    pub fn dim(&self) -> usize {
        self.positive.len()
    }

    /// One score per row of `rows * dim` values, embeddings of length 1. A row that is not finite has the score NaN.
    ///
    /// # Errors
    /// [`ModelError::Input`] when `dim` is not that of the prompts, or there are not `rows * dim` values.
    pub fn score(&self, embeddings: &[f32], rows: usize, dim: usize) -> Result<Vec<f32>, ModelError> {
        if dim != self.dim() {
            return Err(ModelError::Input(format!("the prompts have {} components, the embeddings {dim}", self.dim())));
        }
        if rows.checked_mul(dim) != Some(embeddings.len()) {
            return Err(ModelError::Input(format!("{} values are not {rows} embeddings of {dim} components", embeddings.len())));
        }
        let cosine = |a: &[f32], b: &[f32]| dot(a, b).map_err(|error| ModelError::Input(error.to_string()));
        let score = |row: &[f32]| {
            let difference = cosine(row, &self.positive)? - cosine(row, &self.negative)?;
            Ok(match self.score {
                // Softmax over two logits is the sigmoid of their difference.
                ZeroShotScore::Softmax { scale } => sigmoid(scale * difference),
                ZeroShotScore::Difference => difference,
            })
        };
        embeddings.chunks(dim).map(score).collect()
    }
}

/// The direction of a list of prompts.
fn mean(prompts: &[Vec<f32>], which: &str) -> Result<Vec<f32>, ModelError> {
    let dim = prompts.first().map_or(0, Vec::len);
    let mut sum = vec![0.0_f64; dim];
    for (at, prompt) in prompts.iter().enumerate() {
        let wrong = |message: String| ModelError::Input(format!("{which} prompt {at}: {message}"));
        if prompt.len() != dim {
            return Err(wrong(format!("{} components, the first one has {dim}", prompt.len())));
        }
        let mut prompt = prompt.clone();
        normalize(&mut prompt).map_err(|error| wrong(error.to_string()))?;
        sum.iter_mut().zip(&prompt).for_each(|(sum, component)| *sum += f64::from(*component));
    }
    if prompts.is_empty() {
        return Err(ModelError::Input(format!("a zero-shot score needs at least one {which} prompt")));
    }
    // The length is scaled away, so the sum is as good as the mean.
    let mut mean: Vec<f32> = sum.iter().map(|component| *component as f32).collect();
    normalize(&mut mean).map_err(|_| ModelError::Input(format!("the {which} prompts cancel each other out")))?;
    Ok(mean)
}
