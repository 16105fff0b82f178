//! A CLIP of two small transformers, in the names and the layout of `transformers`' `CLIPModel`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};

use super::chance::Chance;
use super::ops;

/// One tower: token width, layers, heads, width of the MLP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tower {
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) mlp: usize,
}

pub(crate) const VISION: Tower = Tower { width: 128, layers: 3, heads: 4, mlp: 320 };
pub(crate) const TEXT: Tower = Tower { width: 96, layers: 2, heads: 3, mlp: 288 };
/// Side of the picture in pixels.
pub(crate) const SIDE: usize = 64;
/// Side of a patch in pixels.
pub(crate) const PATCH: usize = 16;
pub(crate) const PATCHES: usize = (SIDE / PATCH) * (SIDE / PATCH);
/// Numbers of one patch: channel, row, column.
pub(crate) const PATCH_LEN: usize = 3 * PATCH * PATCH;
/// Tokens of a caption, the marks of its start and end included.
pub(crate) const CONTEXT: usize = 48;
/// Width of the space that pictures and captions share.
pub(crate) const SHARED: usize = 64;

/// A batch of captions: ids of `[captions, tokens]`, and where each ends.
pub(crate) struct Captions {
    pub(crate) ids: Vec<u32>,
    pub(crate) tokens: usize,
    pub(crate) ends: Vec<usize>,
}

impl Captions {
    /// Lays captions side by side, as wide as the longest. What stands behind an end cannot be seen from before it.
    pub(crate) fn new<'a>(captions: impl IntoIterator<Item = &'a [u32]> + Clone) -> Self {
        let tokens = captions.clone().into_iter().map(<[u32]>::len).max().unwrap_or(1);
        let (mut ids, mut ends) = (Vec::new(), Vec::new());
        for caption in captions {
            ids.extend(caption);
            ids.resize(ids.len() + tokens - caption.len(), 0);
            ends.push(caption.len().saturating_sub(1));
        }
        Self { ids, tokens, ends }
    }
}

/// The weights by name.
pub(crate) struct Model {
    pub(crate) weights: BTreeMap<String, Var>,
}

/// How a weight starts.
enum Start {
    Zero,
    One,
    Normal(f64),
}

fn shapes(vocabulary: usize) -> Vec<(String, Vec<usize>, Start)> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize], start| all.push((name, shape.to_vec(), start));
    let norm = |add: &mut dyn FnMut(String, &[usize], Start), name: String, width: usize| {
        add(format!("{name}.weight"), &[width], Start::One);
        add(format!("{name}.bias"), &[width], Start::Zero);
    };
    for (tower, kind) in [(VISION, "vision_model"), (TEXT, "text_model")] {
        let width = tower.width;
        // The deviations are those of CLIP's own start (Radford et al. 2021, `CLIP.initialize_parameters`).
        let out = (width as f64).powf(-0.5) * (2.0 * tower.layers as f64).powf(-0.5);
        for layer in 0..tower.layers {
            let at = format!("{kind}.encoder.layers.{layer}");
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                let spread = if part == "out_proj" { out } else { (width as f64).powf(-0.5) };
                add(format!("{at}.self_attn.{part}.weight"), &[width, width], Start::Normal(spread));
                add(format!("{at}.self_attn.{part}.bias"), &[width], Start::Zero);
            }
            norm(&mut add, format!("{at}.layer_norm1"), width);
            norm(&mut add, format!("{at}.layer_norm2"), width);
            add(format!("{at}.mlp.fc1.weight"), &[tower.mlp, width], Start::Normal((2.0 * width as f64).powf(-0.5)));
            add(format!("{at}.mlp.fc1.bias"), &[tower.mlp], Start::Zero);
            add(format!("{at}.mlp.fc2.weight"), &[width, tower.mlp], Start::Normal(out));
            add(format!("{at}.mlp.fc2.bias"), &[width], Start::Zero);
        }
    }
    let (vision, text) = (VISION.width, TEXT.width);
    add("vision_model.embeddings.class_embedding".into(), &[vision], Start::Normal((vision as f64).powf(-0.5)));
    add("vision_model.embeddings.patch_embedding.weight".into(), &[vision, 3, PATCH, PATCH], Start::Normal((PATCH_LEN as f64).powf(-0.5)));
    add("vision_model.embeddings.position_embedding.weight".into(), &[PATCHES + 1, vision], Start::Normal((vision as f64).powf(-0.5)));
    // The missing "e" is in the name that `transformers` gave it.
    norm(&mut add, "vision_model.pre_layrnorm".into(), vision);
    norm(&mut add, "vision_model.post_layernorm".into(), vision);
    add("visual_projection.weight".into(), &[SHARED, vision], Start::Normal((vision as f64).powf(-0.5)));
    add("text_model.embeddings.token_embedding.weight".into(), &[vocabulary, text], Start::Normal(0.02));
    add("text_model.embeddings.position_embedding.weight".into(), &[CONTEXT, text], Start::Normal(0.01));
    norm(&mut add, "text_model.final_layer_norm".into(), text);
    add("text_projection.weight".into(), &[SHARED, text], Start::Normal((text as f64).powf(-0.5)));
    add("logit_scale".into(), &[], Start::Zero);
    all
}

impl Model {
    /// A model before training.
    pub(crate) fn new(vocabulary: usize, seed: u64) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for (number, (name, shape, start)) in shapes(vocabulary).into_iter().enumerate() {
            let count = shape.iter().product();
            let mut chance = Chance::new(seed, number as u64);
            let numbers: Vec<f32> = match start {
                Start::Zero => vec![0.0; count],
                Start::One => vec![1.0; count],
                Start::Normal(spread) => (0..count).map(|_| (chance.normal() * spread) as f32).collect(),
            };
            let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu)?;
            weights.insert(name, Var::from_tensor(&tensor)?);
        }
        let model = Self { weights };
        // 1 / 0.07, where CLIP starts.
        model.var("logit_scale")?.set(&Tensor::new((1.0f32 / 0.07).ln(), &Device::Cpu)?)?;
        Ok(model)
    }

    /// The weights of a `model.safetensors`, in any precision.
    pub(crate) fn load(path: &std::path::Path, vocabulary: usize) -> Result<Self> {
        let mut stored = candle_core::safetensors::load(path, &Device::Cpu)?;
        let mut weights = BTreeMap::new();
        for (name, shape, _) in shapes(vocabulary) {
            let tensor = stored.remove(&name).with_context(|| format!("{}: no tensor `{name}`", path.display()))?;
            anyhow::ensure!(tensor.dims() == shape, "{}: `{name}` is {:?}, expected {shape:?}", path.display(), tensor.dims());
            weights.insert(name, Var::from_tensor(&tensor.to_dtype(candle_core::DType::F32)?)?);
        }
        Ok(Self { weights })
    }

    /// How many numbers there are to learn.
    pub(crate) fn parameters(&self) -> usize {
        self.weights.values().map(|var| var.elem_count()).sum()
    }

    pub(crate) fn var(&self, name: &str) -> Result<&Var> {
        self.weights.get(name).with_context(|| format!("no weight `{name}`"))
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        Ok(ops::layer_norm(x, self.var(&format!("{name}.weight"))?, self.var(&format!("{name}.bias"))?)?)
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        Ok(ops::linear(x, self.var(&format!("{name}.weight"))?, self.var(&format!("{name}.bias"))?)?)
    }

    /// The layers of one tower over `x` of `[batch · tokens, width]`.
    fn encode(&self, mut x: Tensor, kind: &str, tower: Tower, tokens: usize, causal: bool) -> Result<Tensor> {
        let batch = x.dim(0)? / tokens;
        let each = tower.width / tower.heads;
        for layer in 0..tower.layers {
            let at = format!("{kind}.encoder.layers.{layer}");
            let normed = self.norm(&x, &format!("{at}.layer_norm1"))?;
            let heads = |part: &str| -> Result<Tensor> {
                let all = self.linear(&normed, &format!("{at}.self_attn.{part}"))?;
                Ok(all.reshape((batch, tokens, tower.heads, each))?.transpose(1, 2)?.contiguous()?)
            };
            let (q, k, v) = (heads("q_proj")?, heads("k_proj")?, heads("v_proj")?);
            let weights = ops::attention_weights(&q.matmul(&k.t()?)?, (each as f32).powf(-0.5), causal)?;
            let seen = weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((batch * tokens, tower.width))?;
            x = (x + self.linear(&seen, &format!("{at}.self_attn.out_proj"))?)?;
            let normed = self.norm(&x, &format!("{at}.layer_norm2"))?;
            let hidden = ops::quick_gelu(&self.linear(&normed, &format!("{at}.mlp.fc1"))?)?;
            x = (x + self.linear(&hidden, &format!("{at}.mlp.fc2"))?)?;
        }
        Ok(x)
    }

    /// Pictures as patches, `[pictures · PATCHES, PATCH_LEN]`, to vectors of `[pictures, SHARED]`, not yet of length 1.
    pub(crate) fn pictures(&self, patches: &Tensor) -> Result<Tensor> {
        let count = patches.dim(0)? / PATCHES;
        let width = VISION.width;
        let filters = self.var("vision_model.embeddings.patch_embedding.weight")?.reshape((width, PATCH_LEN))?;
        let seen = patches.matmul(&filters.t()?)?.reshape((count, PATCHES, width))?;
        let class = self.var("vision_model.embeddings.class_embedding")?.reshape((1, 1, width))?.repeat((count, 1, 1))?;
        let positions = self.var("vision_model.embeddings.position_embedding.weight")?;
        let x = Tensor::cat(&[&class, &seen], 1)?.broadcast_add(positions)?.reshape((count * (PATCHES + 1), width))?;
        let x = self.norm(&x, "vision_model.pre_layrnorm")?;
        let x = self.encode(x, "vision_model", VISION, PATCHES + 1, false)?;
        let first: Vec<u32> = (0..count).map(|n| (n * (PATCHES + 1)) as u32).collect();
        let x = x.index_select(&Tensor::new(first, &Device::Cpu)?, 0)?;
        let x = self.norm(&x, "vision_model.post_layernorm")?;
        Ok(x.matmul(&self.var("visual_projection.weight")?.t()?)?)
    }

    /// Captions to vectors of `[captions, SHARED]`, not yet of length 1.
    pub(crate) fn captions(&self, captions: &Captions) -> Result<Tensor> {
        let (count, tokens) = (captions.ends.len(), captions.tokens);
        let ids = Tensor::new(captions.ids.as_slice(), &Device::Cpu)?;
        let x = self.var("text_model.embeddings.token_embedding.weight")?.index_select(&ids, 0)?;
        let positions = self.var("text_model.embeddings.position_embedding.weight")?.narrow(0, 0, tokens)?;
        let x = x.reshape((count, tokens, TEXT.width))?.broadcast_add(&positions)?.reshape((count * tokens, TEXT.width))?;
        let x = self.encode(x, "text_model", TEXT, tokens, true)?;
        let ends: Vec<u32> = captions.ends.iter().enumerate().map(|(n, end)| (n * tokens + end) as u32).collect();
        let x = x.index_select(&Tensor::new(ends, &Device::Cpu)?, 0)?;
        let x = self.norm(&x, "text_model.final_layer_norm")?;
        Ok(x.matmul(&self.var("text_projection.weight")?.t()?)?)
    }
}

/// Rows of length 1.
pub(crate) fn unit_rows(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(1)?.sqrt()?)
}
