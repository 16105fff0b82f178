//! The towers in candle's operations, on any device and in any float type. What runs on graphics cards, and what the CPU's
//! own kernels are held against.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::ops;

use super::inputs;
use super::parameters::{Block, ImageHead, MapHead, Parameters, Positions, Store};
use super::positions::PositionCache;
use super::{DualEncoder, Logits};
use crate::checkpoint::config::{Activation, Grid, ModelConfig, TransformerConfig};
use crate::error::ModelError;
use crate::prepared::{Prepared, Tokens};

type Result<T> = std::result::Result<T, candle_core::Error>;

/// Holds parameters as tensors.
pub(super) struct PlainStore {
    pub(super) device: Device,
    pub(super) dtype: DType,
}

pub(super) struct Linear {
    /// `[out, in]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl PlainStore {
    fn tensor(&self, values: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?.to_device(&self.device)
    }
}

impl Store for PlainStore {
    type Linear = Linear;
    type Norm = Norm;
    type Table = Tensor;

    fn linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, out: usize, input: usize) -> std::result::Result<Linear, ModelError> {
        Ok(Linear { weight: self.tensor(weight, &[out, input])?, bias: bias.map(|bias| self.tensor(bias, &[out])).transpose()? })
    }

    fn norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> std::result::Result<Norm, ModelError> {
        let width = weight.len();
        Ok(Norm { weight: self.tensor(weight, &[width])?, bias: self.tensor(bias, &[width])?, eps: eps as f32 })
    }

    fn table(&self, values: Vec<f32>, columns: usize) -> std::result::Result<Tensor, ModelError> {
        let rows = values.len() / columns;
        Ok(self.tensor(values, &[rows, columns])?)
    }
}

/// What replicas share.
pub(super) struct PlainModel {
    pub(super) config: ModelConfig,
    pub(super) parameters: Parameters<PlainStore>,
    pub(super) store: PlainStore,
    pub(super) positions: PositionCache,
    pub(super) logits: Logits,
}

/// A replica.
pub(super) struct PlainEncoder {
    model: Arc<PlainModel>,
}

impl PlainEncoder {
    pub(super) fn new(model: Arc<PlainModel>) -> Self {
        Self { model }
    }
}

impl Linear {
    /// `[…, in]` to `[…, out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let width = shape.pop().unwrap_or(0);
        let (out, rows) = (self.weight.dim(0)?, x.elem_count() / width.max(1));
        let y = x.reshape((rows, width))?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        shape.push(out);
        y.reshape(shape)
    }
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(&x.contiguous()?, &self.weight, &self.bias, self.eps)
    }
}

fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::QuickGelu => x * ops::sigmoid(&(x * 1.702)?)?,
    }
}

/// `x` is `[batch, tokens, width]`; `mask` is added to scores of `[batch, heads, tokens, tokens]`.
fn blocks(x: Tensor, blocks: &[Block<PlainStore>], config: &TransformerConfig, mask: Option<&Tensor>) -> Result<Tensor> {
    let (batch, tokens, width) = x.dims3()?;
    let (heads, size) = (config.heads, width / config.heads);
    let mut x = x;
    for block in blocks {
        let wide = block.qkv.forward(&block.norm1.forward(&x)?)?.reshape((batch, tokens, 3, heads, size))?;
        let part = |index: usize| wide.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let scores = part(0)?.matmul(&part(1)?.t()?)?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let attended = ops::softmax_last_dim(&scores)?.matmul(&part(2)?)?;
        let attended = attended.transpose(1, 2)?.reshape((batch, tokens, width))?;
        x = (x + block.out.forward(&attended)?)?;
        let inner = activate(&block.up.forward(&block.norm2.forward(&x)?)?, config.activation)?;
        x = (x + block.down.forward(&inner)?)?;
    }
    Ok(x)
}

impl PlainModel {
    /// Zero where seen, the lowest number of the type where not: `-inf` would make NaN of a row that sees nothing.
    fn mask(&self, hidden: impl Iterator<Item = bool>, shape: &[usize]) -> Result<Tensor> {
        let lowest = match self.store.dtype {
            DType::F16 => -65504.0,
            _ => -3.3e38,
        };
        self.store.tensor(hidden.map(|hidden| if hidden { lowest } else { 0.0 }).collect(), shape)
    }

    fn images(&self, batch: &[&Prepared]) -> Result<Tensor> {
        let (tower, config) = (&self.parameters.image, &self.config.image);
        let (patch, width) = (config.patch, config.transformer.width);
        let inputs = 3 * patch * patch;
        let lengths: Vec<usize> = batch
            .iter()
            .map(|picture| match (picture, config.grid) {
                (Prepared::Patches { rows, columns, .. }, _) => rows * columns,
                (Prepared::Fixed { side, .. }, _) => (side / patch).pow(2),
            })
            .collect();
        let tokens = lengths.iter().copied().max().unwrap_or(0);
        let mut values = vec![0.0_f32; batch.len() * tokens * inputs];
        for (index, (picture, &length)) in batch.iter().zip(&lengths).enumerate() {
            for place in 0..length {
                let out = &mut values[(index * tokens + place) * inputs..][..inputs];
                inputs::patch(picture, patch, place, out);
            }
        }
        let patches = self.store.tensor(values, &[batch.len(), tokens, inputs])?;
        let mut x = tower.patch.forward(&patches)?;
        x = match &tower.position {
            Positions::Fixed(position) => x.broadcast_add(position)?,
            Positions::Resized(learned) => {
                let mut values = vec![0.0_f32; batch.len() * tokens * width];
                for (index, picture) in batch.iter().enumerate() {
                    if let Prepared::Patches { rows, columns, .. } = picture {
                        let grid = self.positions.get(learned, width, *rows, *columns);
                        values[index * tokens * width..][..grid.len()].copy_from_slice(&grid);
                    }
                }
                (x + self.store.tensor(values, &[batch.len(), tokens, width])?)?
            }
        };
        if let Some(class) = &tower.class {
            let class = class.reshape((1, 1, width))?.broadcast_as((batch.len(), 1, width))?;
            x = Tensor::cat(&[&class.contiguous()?, &x], 1)?;
        }
        if let Some(before) = &tower.before {
            x = before.forward(&x)?;
        }
        let mask = if matches!(config.grid, Grid::Naflex { .. }) && lengths.iter().any(|&length| length < tokens) {
            let hidden = lengths.iter().flat_map(|&length| (0..tokens).map(move |token| token >= length));
            Some(self.mask(hidden, &[batch.len(), 1, 1, tokens])?)
        } else {
            None
        };
        x = blocks(x, &tower.blocks, &config.transformer, mask.as_ref())?;
        match &tower.head {
            ImageHead::Class(projection) => projection.forward(&tower.after.forward(&x.narrow(1, 0, 1)?.squeeze(1)?)?),
            ImageHead::Mean => tower.after.forward(&x)?.mean(1),
            ImageHead::Map(head) => map(head, &config.transformer, &tower.after.forward(&x)?, mask.as_ref()),
        }
    }

    fn texts(&self, captions: &[inputs::Caption<'_>]) -> Result<Tensor> {
        let (tower, config) = (&self.parameters.text, &self.config.text);
        let (batch, width) = (captions.len(), config.transformer.width);
        let tokens = captions.iter().map(|caption| caption.ids.len()).max().unwrap_or(0);
        // What stands behind a shorter caption is hidden by the causal mask; without one all are of one length.
        let mut ids = vec![0_u32; batch * tokens];
        for (ids, caption) in ids.chunks_exact_mut(tokens.max(1)).zip(captions) {
            ids[..caption.ids.len()].copy_from_slice(caption.ids);
        }
        let ids = Tensor::from_vec(ids, batch * tokens, &self.store.device)?;
        let x = tower.token.index_select(&ids, 0)?.reshape((batch, tokens, width))?;
        let x = x.broadcast_add(&tower.position.narrow(0, 0, tokens)?)?;
        let mask = if config.causal {
            let hidden = (0..tokens).flat_map(|row| (0..tokens).map(move |column| column > row));
            Some(self.mask(hidden, &[1, 1, tokens, tokens])?)
        } else {
            None
        };
        let x = blocks(x, &tower.blocks, &config.transformer, mask.as_ref())?;
        let pooled = captions.iter().enumerate().map(|(row, caption)| (row * tokens + caption.pooled) as u32).collect();
        let pooled = Tensor::from_vec(pooled, batch, &self.store.device)?;
        let x = tower.after.forward(&x.reshape((batch * tokens, width))?.index_select(&pooled, 0)?)?;
        match &tower.projection {
            Some(projection) => projection.forward(&x),
            None => Ok(x),
        }
    }

    fn rows(&self, embeddings: &Tensor) -> Result<Vec<Vec<f32>>> {
        embeddings.to_dtype(DType::F32)?.to_vec2()
    }

    /// Tells a device without memory from other failures.
    fn failed(&self, error: candle_core::Error, batch: usize) -> ModelError {
        let text = error.to_string().to_ascii_lowercase();
        if text.contains("out_of_memory") || text.contains("out of memory") {
            return ModelError::OutOfMemory { device: format!("{:?}", self.store.device.location()), batch };
        }
        ModelError::Compute(error)
    }
}

/// See [`MapHead`].
fn map(head: &MapHead<PlainStore>, config: &TransformerConfig, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (batch, tokens, width) = x.dims3()?;
    let (heads, size) = (config.heads, width / config.heads);
    let scores = head.scores.forward(x)?.transpose(1, 2)?.contiguous()?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(&mask.reshape((batch, 1, tokens))?)?,
        None => scores,
    };
    let summed = ops::softmax_last_dim(&scores)?.matmul(x)?;
    // Of the row of head h only the columns of head h count.
    let values = head.value.forward(&summed)?.reshape((batch, heads * heads, size))?;
    let own = Tensor::from_iter((0..heads as u32).map(|head| head * heads as u32 + head), x.device())?;
    let attended = head.out.forward(&values.index_select(&own, 1)?.reshape((batch, width))?)?;
    let inner = activate(&head.up.forward(&head.norm.forward(&attended)?)?, config.activation)?;
    attended + head.down.forward(&inner)?
}

impl DualEncoder for PlainEncoder {
    fn dim(&self) -> usize {
        self.model.config.dim
    }

    fn logits(&self) -> Logits {
        self.model.logits
    }

    fn encode_images(&mut self, batch: &[&Prepared]) -> std::result::Result<Vec<Vec<f32>>, ModelError> {
        inputs::check_images(&self.model.config, batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.model.images(batch).and_then(|embeddings| self.model.rows(&embeddings));
        rows.map_err(|error| self.model.failed(error, batch.len()))
    }

    fn encode_texts(&mut self, batch: &[&Tokens]) -> std::result::Result<Vec<Vec<f32>>, ModelError> {
        let captions = inputs::captions(&self.model.config.text, batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.model.texts(&captions).and_then(|embeddings| self.model.rows(&embeddings));
        rows.map_err(|error| self.model.failed(error, batch.len()))
    }
}
