//! Operations of a model's towers, counted from its config.
//!
//! For a stack of *L* blocks over *n* tokens of width *w*, with *m* components between the linear layers of a block:
//! `L · n · (8 w² + 4 w m + 4 n w)` FLOP: queries, keys, values and output; the two linear layers; scores of attention and their
//! use. A multiplication and an addition are two. Norms, activations and the softmax are left out (under 1 %). Beside the blocks
//! stand the patches, `6 p² w` for each, the pooling of SigLIP's towers, and the projection into the common space.

use trommel_embeddings::checkpoint::config::{Grid, ImagePooling, ModelConfig, Projection, TransformerConfig};

/// FLOP of a tower's blocks over `tokens` tokens.
fn blocks(config: &TransformerConfig, tokens: f64) -> f64 {
    let (width, mlp) = (config.width as f64, config.mlp as f64);
    config.layers as f64 * tokens * (8.0 * width * width + 4.0 * width * mlp + 4.0 * tokens * width)
}

/// FLOP for one picture. `patches` is the number of patches at most, for models that keep the aspect ratio.
pub fn picture(config: &ModelConfig, patches: u32) -> f64 {
    let image = &config.image;
    let width = image.transformer.width as f64;
    let patches = match image.grid {
        Grid::Fixed { image: side } => ((side / image.patch) as f64).powi(2),
        Grid::Naflex { .. } => f64::from(patches),
    };
    // The class token stands beside the patches.
    let tokens = patches + if image.pooling == ImagePooling::Class { 1.0 } else { 0.0 };
    let end = match image.pooling {
        ImagePooling::Class => 2.0 * width * config.dim as f64,
        ImagePooling::Mean => 0.0,
        // Keys and values of all tokens for one probe, and an MLP over it.
        ImagePooling::Map => {
            tokens * (4.0 * width * width + 4.0 * width) + 4.0 * width * width + 4.0 * width * image.transformer.mlp as f64
        }
    };
    patches * 6.0 * (image.patch as f64).powi(2) * width + blocks(&image.transformer, tokens) + end
}

/// FLOP for one caption: all tokens of the context are computed, padding included.
pub fn caption(config: &ModelConfig) -> f64 {
    let text = &config.text;
    let projection = match text.projection {
        Projection::None => 0.0,
        Projection::Matrix | Projection::Linear => 2.0 * text.transformer.width as f64 * config.dim as f64,
    };
    blocks(&text.transformer, text.context as f64) + projection
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_large_clip_costs_what_was_worked_out_by_hand() {
        // The shape of ViT-L/14: 24 blocks over 256 patches and a class token, 12 over 77 tokens of a caption.
        let json = r#"{"embed_dim": 768,
            "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 768, "heads": 12, "layers": 12}}"#;
        let config = ModelConfig::parse(Path::new("config.json"), json.as_bytes()).unwrap();
        // 24 · 257 · (8 · 1024² + 4 · 1024 · 4096 + 4 · 257 · 1024), 256 · 6 · 14² · 1024, and 2 · 1024 · 768.
        assert_eq!(picture(&config, 0), 161_715_683_328.0 + 308_281_344.0 + 1_572_864.0);
        // 12 · 77 · (8 · 768² + 4 · 768 · 3072 + 4 · 77 · 768), and 2 · 768 · 768.
        assert_eq!(caption(&config), 13_298_503_680.0 + 1_179_648.0);
    }
}
