//! The parameters of a model, whatever holds them: candle's tensors, or panels for the CPU's own kernels.
//!
//! What can be worked out once is worked out while reading: queries, keys and values become one linear layer, the scale of
//! the attention goes into the queries, the class token takes its position, and the probe of a pooling head is multiplied
//! into the keys.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::names::{self, MapAttention, Qkv, Side};
use crate::checkpoint::config::{Architecture, Grid, ImagePooling, ModelConfig, Projection, TransformerConfig};
use crate::checkpoint::weights::Weights;
use crate::error::ModelError;

/// What a way to compute makes of parameters.
pub(super) trait Store {
    type Linear;
    type Norm;
    type Table;

    /// `y = x Wᵀ + b`; the weight is `[out, input]`.
    fn linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, out: usize, input: usize) -> Result<Self::Linear, ModelError>;
    /// A layer norm.
    fn norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> Result<Self::Norm, ModelError>;
    /// Rows that are looked up or added.
    fn table(&self, values: Vec<f32>, columns: usize) -> Result<Self::Table, ModelError>;
}

pub(super) struct Block<S: Store> {
    pub(super) norm1: S::Norm,
    /// Queries (scaled), keys, values: `[3 width, width]`.
    pub(super) qkv: S::Linear,
    pub(super) out: S::Linear,
    pub(super) norm2: S::Norm,
    pub(super) up: S::Linear,
    pub(super) down: S::Linear,
}

pub(super) struct ImageTower<S: Store> {
    /// Input: a patch as channel, row, column for fixed grids; as row, column, channel for NaFlex.
    pub(super) patch: S::Linear,
    /// The class token, its position already added.
    pub(super) class: Option<S::Table>,
    pub(super) position: Positions<S>,
    pub(super) before: Option<S::Norm>,
    pub(super) blocks: Vec<Block<S>>,
    pub(super) after: S::Norm,
    pub(super) head: ImageHead<S>,
}

pub(super) enum Positions<S: Store> {
    /// One row per patch.
    Fixed(S::Table),
    /// A square of rows, resized for every picture: `positions * positions * width` values.
    Resized(Vec<f32>),
}

pub(super) enum ImageHead<S: Store> {
    /// Projection of the class token.
    Class(S::Linear),
    Mean,
    Map(Box<MapHead<S>>),
}

/// Attention of one fixed query. Its product with the keys' matrix is constant, so that a head's scores are `x · u` and its
/// value is `V (Σ p x) + b`: neither keys nor values of all patches are needed. The keys' bias adds the same to all scores
/// of a head and falls out of the softmax.
pub(super) struct MapHead<S: Store> {
    /// `[heads, width]`, no bias.
    pub(super) scores: S::Linear,
    /// `[width, width]`.
    pub(super) value: S::Linear,
    pub(super) out: S::Linear,
    pub(super) norm: S::Norm,
    pub(super) up: S::Linear,
    pub(super) down: S::Linear,
}

pub(super) struct TextTower<S: Store> {
    pub(super) token: S::Table,
    pub(super) position: S::Table,
    pub(super) blocks: Vec<Block<S>>,
    pub(super) after: S::Norm,
    pub(super) projection: Option<S::Linear>,
}

/// All of a model.
pub(super) struct Parameters<S: Store> {
    pub(super) image: ImageTower<S>,
    pub(super) text: TextTower<S>,
    /// As stored: the logarithm of the scale.
    pub(super) logit_scale: f32,
    pub(super) logit_bias: Option<f32>,
    /// Values read.
    pub(super) count: u64,
}

impl<S: Store> Parameters<S> {
    pub(super) fn read(config: &ModelConfig, weights: &Weights, store: &S) -> Result<Self, ModelError> {
        let reader = Reader { config, weights, store, seen: RefCell::default() };
        let parameters = Self {
            image: reader.image()?,
            text: reader.text()?,
            logit_scale: reader.scalar("logit_scale")?,
            // open_clip fine-tunes may carry a bias that their config does not speak of.
            logit_bias: if config.logit_bias || weights.has("logit_bias") { Some(reader.scalar("logit_bias")?) } else { None },
            count: 0,
        };
        let count = reader.finish()?;
        Ok(Self { count, ..parameters })
    }
}

struct Reader<'a, S> {
    config: &'a ModelConfig,
    weights: &'a Weights,
    store: &'a S,
    /// Names read so far.
    seen: RefCell<BTreeSet<String>>,
}

impl<S: Store> Reader<'_, S> {
    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let values = self.weights.floats(name, shape)?;
        self.seen.borrow_mut().insert(name.to_owned());
        Ok(values)
    }

    /// A tensor that some checkpoints store with leading dimensions of 1.
    fn loose(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let stored = self.weights.shape(name).unwrap_or(shape);
        let core = |shape: &[usize]| shape.iter().copied().skip_while(|&size| size == 1).collect::<Vec<_>>();
        if core(stored) == core(shape) { self.floats(name, stored) } else { self.floats(name, shape) }
    }

    fn scalar(&self, name: &str) -> Result<f32, ModelError> {
        Ok(self.loose(name, &[])?[0])
    }

    fn norm(&self, stem: &str, width: usize, eps: f64) -> Result<S::Norm, ModelError> {
        let weight = self.floats(&format!("{stem}.weight"), &[width])?;
        self.store.norm(weight, self.floats(&format!("{stem}.bias"), &[width])?, eps)
    }

    fn linear(&self, stem: &str, out: usize, input: usize) -> Result<S::Linear, ModelError> {
        let weight = self.floats(&format!("{stem}.weight"), &[out, input])?;
        self.store.linear(weight, Some(self.floats(&format!("{stem}.bias"), &[out])?), out, input)
    }

    /// A bare matrix, `[out, input]`, or the other way round in the file.
    fn matrix(&self, name: &str, transposed: bool, out: usize, input: usize) -> Result<S::Linear, ModelError> {
        let weight = if transposed { transpose(&self.floats(name, &[input, out])?, input, out) } else { self.floats(name, &[out, input])? };
        self.store.linear(weight, None, out, input)
    }

    fn blocks(&self, side: Side, config: &TransformerConfig) -> Result<Vec<Block<S>>, ModelError> {
        (0..config.layers).map(|index| self.block(side, config, index)).collect()
    }

    fn block(&self, side: Side, config: &TransformerConfig, index: usize) -> Result<Block<S>, ModelError> {
        let names = names::block(self.config.layout, side, index);
        let width = config.width;
        let (mut weight, mut bias) = match &names.qkv {
            Qkv::Fused(weight, bias) => (self.floats(weight, &[3 * width, width])?, self.floats(bias, &[3 * width])?),
            Qkv::Split(stems) => {
                let (mut weight, mut bias) = (Vec::with_capacity(3 * width * width), Vec::with_capacity(3 * width));
                for stem in stems {
                    weight.extend(self.floats(&format!("{stem}.weight"), &[width, width])?);
                    bias.extend(self.floats(&format!("{stem}.bias"), &[width])?);
                }
                (weight, bias)
            }
        };
        let scale = attention_scale(width / config.heads);
        for value in weight[..width * width].iter_mut().chain(&mut bias[..width]) {
            *value *= scale;
        }
        Ok(Block {
            norm1: self.norm(&names.norm1, width, config.eps)?,
            qkv: self.store.linear(weight, Some(bias), 3 * width, width)?,
            out: self.linear(&names.out, width, width)?,
            norm2: self.norm(&names.norm2, width, config.eps)?,
            up: self.linear(&names.up, config.mlp, width)?,
            down: self.linear(&names.down, width, config.mlp)?,
        })
    }

    fn image(&self) -> Result<ImageTower<S>, ModelError> {
        let (config, names) = (&self.config.image, names::image(self.config.layout));
        let transformer = &config.transformer;
        let (width, patch) = (transformer.width, config.patch);
        let inputs = 3 * patch * patch;
        let weight_name = format!("{}.weight", names.patch);
        let weight = match config.grid {
            Grid::Fixed { .. } => self.floats(&weight_name, &[width, 3, patch, patch])?,
            Grid::Naflex { .. } => self.floats(&weight_name, &[width, inputs])?,
        };
        // CLIP's patches have no bias, SigLIP's have.
        let has_class = config.pooling == ImagePooling::Class;
        let bias = if has_class { None } else { Some(self.floats(&format!("{}.bias", names.patch), &[width])?) };
        let patch_layer = self.store.linear(weight, bias, width, inputs)?;
        let (class, position) = match config.grid {
            Grid::Naflex { positions } => (None, Positions::Resized(self.floats(names.position, &[positions * positions, width])?)),
            Grid::Fixed { image } => {
                let side = image / patch;
                let mut rows = self.loose(names.position, &[side * side + usize::from(has_class), width])?;
                let class = if has_class {
                    let patches = rows.split_off(width);
                    let mut class = self.floats(names.class, &[width])?;
                    class.iter_mut().zip(&rows).for_each(|(value, position)| *value += position);
                    rows = patches;
                    Some(self.store.table(class, width)?)
                } else {
                    None
                };
                (class, Positions::Fixed(self.store.table(rows, width)?))
            }
        };
        // open_clip's `no_ln_pre` is refused with the config, so that every class-token tower has this norm.
        let before = if has_class { Some(self.norm(names.before, width, transformer.eps)?) } else { None };
        let blocks = self.blocks(Side::Image, transformer)?;
        let after = self.norm(names.after, width, transformer.eps)?;
        let head = match config.pooling {
            ImagePooling::Class => {
                ImageHead::Class(self.matrix(names.projection, names.projection_is_transposed, self.config.dim, width)?)
            }
            ImagePooling::Mean => ImageHead::Mean,
            ImagePooling::Map => ImageHead::Map(Box::new(self.map(transformer)?)),
        };
        Ok(ImageTower { patch: patch_layer, class, position, before, blocks, after, head })
    }

    fn map(&self, config: &TransformerConfig) -> Result<MapHead<S>, ModelError> {
        let names = names::map(self.config.layout);
        let (width, heads) = (config.width, config.heads);
        let probe = self.loose(names.probe, &[1, 1, width])?;
        let (query, query_bias, key_value, key_value_bias) = match names.attention {
            MapAttention::Fused(weight, bias) => {
                let mut weight = self.floats(weight, &[3 * width, width])?;
                let mut bias = self.floats(bias, &[3 * width])?;
                let (rest, rest_bias) = (weight.split_off(width * width), bias.split_off(width));
                (weight, bias, rest, rest_bias)
            }
            MapAttention::Split(query, key_value) => (
                self.floats(&format!("{query}.weight"), &[width, width])?,
                self.floats(&format!("{query}.bias"), &[width])?,
                self.floats(&format!("{key_value}.weight"), &[2 * width, width])?,
                self.floats(&format!("{key_value}.bias"), &[2 * width])?,
            ),
        };
        let (key, value) = key_value.split_at(width * width);
        let scores = probe_scores(&probe, &query, &query_bias, key, heads);
        Ok(MapHead {
            scores: self.store.linear(scores, None, heads, width)?,
            value: self.store.linear(value.to_vec(), Some(key_value_bias[width..].to_vec()), width, width)?,
            out: self.linear(names.out, width, width)?,
            norm: self.norm(names.norm, width, config.eps)?,
            up: self.linear(names.up, config.mlp, width)?,
            down: self.linear(names.down, width, config.mlp)?,
        })
    }

    fn text(&self) -> Result<TextTower<S>, ModelError> {
        let config = &self.config.text;
        let names = names::text(self.config.layout, self.config.architecture != Architecture::Clip);
        let (width, dim) = (config.transformer.width, self.config.dim);
        Ok(TextTower {
            token: self.store.table(self.floats(&names.token, &[config.vocabulary, width])?, width)?,
            position: self.store.table(self.floats(&names.position, &[config.context, width])?, width)?,
            blocks: self.blocks(Side::Text, &config.transformer)?,
            after: self.norm(&names.after, width, config.transformer.eps)?,
            projection: match config.projection {
                Projection::None => None,
                Projection::Matrix => Some(self.matrix(&names.matrix.0, names.matrix.1, dim, width)?),
                Projection::Linear => Some(self.linear(&names.linear, dim, width)?),
            },
        })
    }

    /// Refuses weights that hold more than the config speaks of: the config would be another model's.
    fn finish(self) -> Result<u64, ModelError> {
        let seen = self.seen.into_inner();
        let left: Vec<&str> = self.weights.names().filter(|name| !seen.contains(*name) && !names::is_buffer(name)).collect();
        if let Some(first) = left.first() {
            let more = left.len();
            return Err(self
                .weights
                .error(0, format!("tensor `{first}` ({more} in all) is nothing that the config speaks of; is it another model's?")));
        }
        let size = |name: &String| self.weights.shape(name).unwrap_or_default().iter().product::<usize>() as u64;
        Ok(seen.iter().map(size).sum())
    }
}

/// `1 / sqrt(d)`.
fn attention_scale(head: usize) -> f32 {
    (1.0 / (head as f64).sqrt()) as f32
}

/// `u[h] = K_hᵀ (Q_h probe + b_h) / sqrt(d)`, in f64 since it happens once.
fn probe_scores(probe: &[f32], query: &[f32], bias: &[f32], key: &[f32], heads: usize) -> Vec<f32> {
    let width = probe.len();
    let head = width / heads;
    let scale = 1.0 / (head as f64).sqrt();
    let mut scores = vec![0.0_f64; heads * width];
    for row in 0..width {
        let weights = &query[row * width..][..width];
        let dot: f64 = weights.iter().zip(probe).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let component = (dot + f64::from(bias[row])) * scale;
        let into = &mut scores[row / head * width..][..width];
        for (sum, &weight) in into.iter_mut().zip(&key[row * width..][..width]) {
            *sum += component * f64::from(weight);
        }
    }
    scores.into_iter().map(|sum| sum as f32).collect()
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
