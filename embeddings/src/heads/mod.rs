//! Small networks over embeddings: aesthetic, NSFW, watermark, zero-shot.
//!
//! A [`Head`] is a chain of linear layers from a file, with an optional normalisation in front, that turns an embedding into
//! one score. It knows the published heads by their shape (see [`Head::load`]) and takes any other of that form when a
//! small JSON beside the file says what the tensors cannot. A [`ZeroShot`] score needs no file, only prompts.
//!
//! Heads see embeddings of **length 1**, as the pool gives them; the published ones were trained on such.
//!
//! A row is computed by itself, in an order that does not depend on the rows beside it: scores are the same bits in any
//! batch.

mod config;
mod layers;
mod load;
#[cfg(test)]
mod tests;
mod zero_shot;

use std::path::Path;

use crate::error::ModelError;

pub use config::{Activation, Activations, HeadConfig, Output};
pub use zero_shot::{ZeroShot, ZeroShotScore};

use layers::{Linear, Scale};

/// A network over embeddings, loaded.
///
/// ```
/// # use std::collections::HashMap;
/// # use safetensors::tensor::{Dtype, TensorView};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("aesthetic.safetensors");
/// # let (weight, bias) = ([0.5_f32, -1.0, 0.0, 2.0], [1.0_f32]);
/// # let tensors = HashMap::from([
/// #     ("weight", TensorView::new(Dtype::F32, vec![1, 4], bytemuck::cast_slice(&weight))?),
/// #     ("bias", TensorView::new(Dtype::F32, vec![1], bytemuck::cast_slice(&bias))?),
/// # ]);
/// # safetensors::serialize_to_file(tensors, None, &path)?;
/// use trommel_embeddings::heads::Head;
///
/// let head = Head::load(&path, 4)?; // weight [[0.5, -1, 0, 2]], bias [1]
/// assert_eq!(head.score(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], 2, 4)?, [1.5, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    input: Option<Scale>,
    layers: Vec<Linear>,
    output: Output,
    class: usize,
}

impl Head {
    /// Reads a head for embeddings of `dim` components from `.safetensors`, or from a PyTorch file (`.pth`, `.pt`, `.bin`,
    /// `.ckpt`: the zip form that `torch.save` writes since 1.6; nothing in it is executed).
    ///
    /// Layers are the two-dimensional tensors `*.weight`, in the order of the numbers in their names, each with its
    /// optional `*.bias`; their dimensions must chain. One normalisation may stand in front: `*.running_mean` and
    /// `*.running_var` (BatchNorm) or `*.mean` and `*.variance` (Keras). What the tensors cannot say is in a JSON of the
    /// same name (`nsfw.json` beside `nsfw.safetensors`), see [`HeadConfig`]. These need none:
    ///
    /// | head | layers | what lies between |
    /// |---|---|---|
    /// | [LAION aesthetic v1](https://github.com/LAION-AI/aesthetic-predictor), and any single layer | d → 1 | nothing |
    /// | [LAION aesthetic v2](https://github.com/christophschuhmann/improved-aesthetic-predictor) | d → 1024 → 128 → 64 → 16 → 1 | nothing (dropout only) |
    /// | [H14 NSFW detector](https://github.com/LAION-AI/CLIP-based-NSFW-Detector) | d → 1024 → 2048 → 1024 → 256 → 128 → 16 → 1 | ReLU, but none before the last layer |
    /// | [CLIP NSFW detector](https://github.com/LAION-AI/CLIP-based-NSFW-Detector) for L/14, as DataComp uses it | normalised d → 64 → 512 → 256 → 1 | ReLU, then a sigmoid |
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Config`] for the JSON, and for a chain whose activation is not known;
    /// [`ModelError::Weights`] for what is missing, too much, not finite or does not chain, with the tensor's name;
    /// [`ModelError::Input`] when the head takes embeddings of another size, naming both.
    pub fn load(path: &Path, dim: usize) -> Result<Self, ModelError> {
        let head = load::load(path)?;
        if head.dim() != dim {
            let message = format!("head `{}` takes embeddings of {} components, the model gives {dim}", path.display(), head.dim());
            return Err(ModelError::Input(message));
        }
        Ok(head)
    }

    /// Components of the embeddings that it takes.
    pub fn dim(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    /// One score per row of `rows * dim` values. A row with a NaN or infinite component has the score NaN.
    ///
    /// # Errors
    /// [`ModelError::Input`] when `dim` is not the head's, or there are not `rows * dim` values.
    pub fn score(&self, embeddings: &[f32], rows: usize, dim: usize) -> Result<Vec<f32>, ModelError> {
        if dim != self.dim() {
            return Err(ModelError::Input(format!("the head takes embeddings of {} components, got {dim}", self.dim())));
        }
        if rows.checked_mul(dim) != Some(embeddings.len()) {
            return Err(ModelError::Input(format!("{} values are not {rows} embeddings of {dim} components", embeddings.len())));
        }
        let mut scores = Vec::with_capacity(rows);
        // Blocks keep the activations in the cache while a layer's weights pass by once.
        for block in embeddings.chunks(dim * layers::BLOCK) {
            scores.extend(self.block(block, dim));
        }
        Ok(scores)
    }

    fn block(&self, embeddings: &[f32], dim: usize) -> Vec<f32> {
        let mut values = embeddings.to_vec();
        if let Some(scale) = &self.input {
            values.chunks_mut(dim).for_each(|row| scale.apply(row));
        }
        for layer in &self.layers {
            values = layer.apply(&values);
        }
        let classes = self.layers.last().map_or(1, |layer| layer.outputs);
        let scores = values.chunks(classes).map(|logits| self.output.apply(logits, self.class));
        // ReLU would turn NaN into a number that looks like a score.
        let rows = embeddings.chunks(dim).map(|row| row.iter().all(|component| component.is_finite()));
        scores.zip(rows).map(|(score, finite)| if finite { score } else { f32::NAN }).collect()
    }
}
