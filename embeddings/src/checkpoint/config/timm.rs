//! The SigLIP image towers of timm by name. open_clip's configs name them and say nothing more of them.
//!
//! <https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/vision_transformer.py>

use super::{Activation, ImagePooling, TransformerConfig};

/// What a name stands for.
pub(super) struct Tower {
    pub(super) transformer: TransformerConfig,
    pub(super) patch: usize,
    pub(super) image: usize,
    pub(super) pooling: ImagePooling,
}

/// Parses `vit_<size>_patch<n>_siglip_[gap_]<image>`; `None` for any other name.
pub(super) fn siglip(name: &str) -> Option<Tower> {
    // A tag after a dot names the pretrained weights, not the architecture.
    let name = name.split('.').next()?;
    let (size, rest) = name.strip_prefix("vit_")?.split_once("_patch")?;
    let (patch, rest) = rest.split_once("_siglip_")?;
    let (pooling, image) = match rest.strip_prefix("gap_") {
        Some(image) => (ImagePooling::Mean, image),
        None => (ImagePooling::Map, rest),
    };
    let (patch, image) = (patch.parse().ok()?, image.parse().ok()?);
    // timm writes the MLP as a ratio and truncates: 1152 * 3.7362 gives 4304.
    let (width, layers, heads, mlp) = match size {
        "base" => (768, 12, 12, 3072),
        "large" => (1024, 24, 16, 4096),
        "so400m" => (1152, 27, 16, 4304),
        "giantopt" => (1536, 40, 16, 6144),
        _ => return None,
    };
    // The towers that came with SigLIP 2 have the approximate activation; the older names keep the exact one.
    let approximate = matches!((size, patch, image), ("base", 32, _) | ("large", 16, 512) | ("so400m", 16, _) | ("giantopt", _, _));
    let activation = if approximate { Activation::GeluTanh } else { Activation::Gelu };
    Some(Tower { transformer: TransformerConfig { width, layers, heads, mlp, activation, eps: 1e-6 }, patch, image, pooling })
}
