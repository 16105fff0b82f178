//! The towers: CLIP, SigLIP, SigLIP 2.
//!
//! [`Model::from_folder`] reads a checkpoint, and [`Model::replica`] gives encoders that share its weights: one per worker.
//! On the CPU they compute in `f32` with kernels of their own; on graphics cards, and in 16 bits, with candle's operations.
//!
//! Upstream code: CLIP <https://github.com/openai/CLIP> (arXiv 2103.00020), OpenCLIP
//! <https://github.com/mlfoundations/open_clip>, SigLIP and SigLIP 2 <https://github.com/google-research/big_vision>
//! (arXiv 2303.15343, 2502.14786), all four in <https://github.com/huggingface/transformers>.

pub(crate) mod cpu;
mod inputs;
mod load;
mod names;
mod parameters;
mod plain;
mod positions;

pub use load::{ComputePath, LoadOptions, Model, ModelInfo, load};

use serde::Serialize;

use std::any::Any;
use std::sync::Arc;

use crate::error::ModelError;
use crate::prepared::{Prepared, Tokens};

/// One replica of a model on one device. What the pool's workers hold.
pub trait DualEncoder: Send {
    /// Components of an embedding.
    fn dim(&self) -> usize;

    /// Temperature and bias of the model's own probabilities.
    fn logits(&self) -> Logits;

    /// One embedding per picture, in order, as the model's projection gives it: not yet of length 1.
    ///
    /// All pictures of a batch are of one kind; patches may differ in number and are padded and masked inside.
    ///
    /// # Errors
    /// [`ModelError::Input`] when a picture does not fit the model, [`ModelError::OutOfMemory`] when a smaller batch may
    /// succeed, [`ModelError::Compute`] otherwise. NaN in an output is no error here: whoever normalises it finds it.
    fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError>;

    /// One embedding per caption, as [`DualEncoder::encode_images`].
    ///
    /// # Errors
    /// As there.
    fn encode_texts(&mut self, batch: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError>;

    /// What lays out a batch on another thread while this replica computes the one before it. None where that is not
    /// worth it, as on the CPU.
    fn stager(&self) -> Option<Arc<dyn Stager>> {
        None
    }

    /// Encodes what the stager of this replica laid out: the same result as from the rows themselves.
    ///
    /// # Errors
    /// As [`DualEncoder::encode_images`].
    fn encode_staged(&mut self, staged: Staged) -> Result<Vec<Vec<f32>>, ModelError> {
        drop(staged);
        Err(ModelError::Input("this model lays nothing out in advance".to_owned()))
    }
}

/// A batch as a model's [`Stager`] laid it out: its tensors, on the device.
pub type Staged = Box<dyn Any + Send>;

/// Lays out batches and moves them to the device, beside the computation.
///
/// It may outlive its replica for a moment, so it holds no weights.
pub trait Stager: Send + Sync {
    /// The batch as [`DualEncoder::encode_staged`] takes it.
    ///
    /// # Errors
    /// Any; the batch is then encoded from its rows, which reports it.
    fn stage_images(&self, batch: &[&Prepared]) -> Result<Staged, ModelError>;

    /// As [`Stager::stage_images`].
    ///
    /// # Errors
    /// As there.
    fn stage_texts(&self, batch: &[&Tokens]) -> Result<Staged, ModelError>;
}

/// How a model turns a cosine into a logit: `scale * cosine + bias`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Logits {
    /// `exp` of the stored logit scale.
    pub scale: f32,
    /// Zero for CLIP.
    pub bias: f32,
    /// The model was trained with a sigmoid over pairs, so that one pair has a probability of its own.
    pub sigmoid: bool,
}
