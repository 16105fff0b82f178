//! What a checkpoint's config says, resolved to one type whatever its layout.
//!
//! Two layouts are read: Hugging Face's `config.json` (CLIP, SigLIP, SigLIP 2) and open_clip's `open_clip_config.json`
//! (its own transformers, and timm's SigLIP image towers). Keys that would change the computation and that are not
//! understood are errors, never ignored.

mod fields;
mod hugging_face;
mod open_clip;
#[cfg(test)]
mod tests;
mod timm;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use fields::Fields;

/// What is understood, for messages.
const KNOWN: &str = "clip, siglip, siglip2 (config.json) and CLIP or timm SigLIP towers (open_clip_config.json)";

/// A config, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Which model it is.
    pub architecture: Architecture,
    /// How the weights name their tensors.
    pub layout: TensorNames,
    /// Components of an embedding.
    pub dim: usize,
    /// The image tower.
    pub image: ImageConfig,
    /// The text tower.
    pub text: TextConfig,
    /// The weights hold a bias of the logits (trained with a sigmoid).
    pub logit_bias: bool,
}

/// The family of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// CLIP and OpenCLIP: Radford et al., arXiv 2103.00020.
    Clip,
    /// SigLIP, and SigLIP 2 at a fixed resolution: Zhai et al., arXiv 2303.15343; Tschannen et al., arXiv 2502.14786.
    Siglip,
    /// SigLIP 2 at the picture's own aspect ratio: arXiv 2502.14786, section 2.4.2.
    Siglip2Naflex,
}

impl Architecture {
    /// The name in messages and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Siglip => "siglip",
            Self::Siglip2Naflex => "siglip2_naflex",
        }
    }
}

/// How tensors are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorNames {
    /// `vision_model.encoder.layers.0.self_attn.q_proj.weight`.
    HuggingFace,
    /// `visual.transformer.resblocks.0.attn.in_proj_weight` and `transformer.resblocks.…`.
    OpenClip,
    /// As `OpenClip` with the text tower below `text.`.
    OpenClipCustomText,
    /// `visual.trunk.blocks.0.attn.qkv.weight` and `text.transformer.resblocks.…`.
    OpenClipTimm,
}

/// The activation between the two linear layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * Φ(x)`, with the error function.
    Gelu,
    /// `x * sigmoid(1.702 x)`, of OpenAI's CLIP and of DFN's.
    QuickGelu,
    /// The approximation of `Gelu` by a hyperbolic tangent.
    GeluTanh,
}

/// A stack of pre-norm transformer blocks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TransformerConfig {
    /// Components of a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Components between the two linear layers of a block.
    pub mlp: usize,
    /// What stands between them.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub eps: f64,
}

/// Pictures that a tower takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grid {
    /// Squares of `image` pixels.
    Fixed {
        /// Pixels of a side. What is left of a division by the patch is not looked at.
        image: usize,
    },
    /// Any number of rows and columns of patches.
    Naflex {
        /// Rows, and columns, of the learned position embeddings, which are resized to the picture's.
        positions: usize,
    },
}

/// How an image tower ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagePooling {
    /// The class token, normalised and projected.
    Class,
    /// The mean over the patches after the layer norm (timm's `gap` models).
    Mean,
    /// Attention of a learned probe over the patches, then an MLP (`MAP`).
    Map,
}

/// An image tower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Its blocks.
    pub transformer: TransformerConfig,
    /// Pixels of a patch's side.
    pub patch: usize,
    /// What it takes.
    pub grid: Grid,
    /// How it ends.
    pub pooling: ImagePooling,
}

/// Which token of a caption stands for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPooling {
    /// The first of the largest ids: the end-of-text token of CLIP's vocabulary.
    LargestId,
    /// The first that has this id.
    FirstOf(u32),
    /// The first of all.
    First,
    /// The last of the context, padding or not.
    Last,
}

/// A projection at the end of a text tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// None: the width is the embedding's.
    None,
    /// A matrix.
    Matrix,
    /// A matrix and a bias.
    Linear,
}

/// A text tower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Its blocks.
    pub transformer: TransformerConfig,
    /// Tokens of a caption, padding included.
    pub context: usize,
    /// Tokens that have an embedding.
    pub vocabulary: usize,
    /// A token sees only those before it.
    pub causal: bool,
    /// Which token stands for all.
    pub pooling: TextPooling,
    /// How the tower ends.
    pub projection: Projection,
    /// The id that fills up a short caption, where the config names one. The tokenizer decides; this is for reports.
    pub pad: Option<u32>,
    /// The id of the end of a text, where the config names one.
    pub end: Option<u32>,
}

impl ModelConfig {
    /// Reads `config.json` or `open_clip_config.json`; what is inside decides which it is.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Config`] naming the key, [`ModelError::UnknownArchitecture`].
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// As [`ModelConfig::read`], of bytes that are already there; `path` is for messages.
    ///
    /// # Errors
    /// As there.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ModelError> {
        let value: serde_json::Value = serde_json::from_slice(text)
            .map_err(|error| ModelError::Config { path: path.to_owned(), message: format!("not JSON: {error}") })?;
        let fields = Fields::root(path, &value)?;
        let config = if fields.has("model_cfg") {
            open_clip::read(&fields.section("model_cfg")?)?
        } else if fields.has("embed_dim") && fields.has("vision_cfg") {
            // The files of open_clip's own `model_configs` folder.
            open_clip::read(&fields)?
        } else {
            hugging_face::read(&fields)?
        };
        config.check(&fields)?;
        // transformers writes CLIP's ids as defaults into SigLIP's configs, whose vocabulary is smaller.
        let known = |id: &u32| (*id as usize) < config.text.vocabulary;
        let (pad, end) = (config.text.pad.filter(known), config.text.end.filter(known));
        Ok(Self { text: TextConfig { pad, end, ..config.text }, ..config })
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), ModelError> {
        for (tower, config) in [("image", &self.image.transformer), ("text", &self.text.transformer)] {
            let sizes = [config.width, config.layers, config.heads, config.mlp];
            if sizes.contains(&0) || sizes.iter().any(|&size| size > 1 << 20) {
                return Err(fields.error(&format!("the {tower} tower has a size of zero or beyond reason: {sizes:?}")));
            }
            if config.width % config.heads != 0 {
                return Err(
                    fields.error(&format!("the {tower} tower's width {} is not a multiple of its {} heads", config.width, config.heads))
                );
            }
            if !(config.eps > 0.0 && config.eps < 1.0) {
                return Err(fields.error(&format!("the {tower} tower's layer norm epsilon is {}", config.eps)));
            }
        }
        let tokens = match self.image.grid {
            Grid::Fixed { image } => image.checked_div(self.image.patch).unwrap_or(0),
            Grid::Naflex { positions } => positions,
        };
        if tokens == 0 || tokens > 4096 || self.image.patch > 4096 {
            return Err(fields.error(&format!("a patch of {} does not fit {:?}", self.image.patch, self.image.grid)));
        }
        if self.dim == 0 || self.text.context == 0 || self.text.context > 1 << 16 || self.text.vocabulary == 0 {
            return Err(fields.error("`embed_dim`, the context or the vocabulary is zero or beyond reason"));
        }
        if self.image.pooling != ImagePooling::Class && self.image.transformer.width != self.dim {
            return Err(fields.error(&format!(
                "the image tower's width {} is not the embedding's {}, and there is no projection",
                self.image.transformer.width, self.dim
            )));
        }
        if self.text.projection == Projection::None && self.text.transformer.width != self.dim {
            return Err(fields.error(&format!(
                "the text tower's width {} is not the embedding's {}, and there is no projection",
                self.text.transformer.width, self.dim
            )));
        }
        Ok(())
    }
}
