//! `config.json` as transformers writes it. Files hold only what differs from the defaults of the class, so that the
//! defaults of `CLIPConfig`, `SiglipConfig` and `Siglip2Config` are repeated here.
//!
//! <https://github.com/huggingface/transformers/tree/main/src/transformers/models>

use serde_json::Value;

use super::fields::Fields;
use super::{
    Activation, Architecture, Grid, ImageConfig, ImagePooling, ModelConfig, Projection, TensorNames, TextConfig, TextPooling,
    TransformerConfig,
};
use crate::error::ModelError;

/// Defaults of a tower's config class.
struct Defaults {
    width: usize,
    mlp: usize,
    heads: usize,
    activation: Activation,
    eps: f64,
}

const CLIP_TEXT: Defaults = Defaults { width: 512, mlp: 2048, heads: 8, activation: Activation::QuickGelu, eps: 1e-5 };
const CLIP_IMAGE: Defaults = Defaults { width: 768, mlp: 3072, heads: 12, activation: Activation::QuickGelu, eps: 1e-5 };
const SIGLIP: Defaults = Defaults { width: 768, mlp: 3072, heads: 12, activation: Activation::GeluTanh, eps: 1e-6 };

pub(super) fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let Some(kind) = fields.word("model_type")? else {
        let named = fields.keys().any(|key| key == "architectures");
        return Err(if named {
            fields.unknown("a config with `architectures` and without `model_type`")
        } else {
            fields.error("neither `model_type` (transformers) nor `model_cfg` (open_clip) is there")
        });
    };
    match kind {
        "clip" => clip(fields),
        "siglip" => siglip(fields, Architecture::Siglip),
        "siglip2" => siglip(fields, Architecture::Siglip2Naflex),
        other => Err(fields.unknown(other)),
    }
}

fn transformer(fields: &Fields<'_>, defaults: &Defaults) -> Result<TransformerConfig, ModelError> {
    Ok(TransformerConfig {
        width: fields.size("hidden_size", defaults.width)?,
        layers: fields.size("num_hidden_layers", 12)?,
        heads: fields.size("num_attention_heads", defaults.heads)?,
        mlp: fields.size("intermediate_size", defaults.mlp)?,
        activation: fields.activation("hidden_act", defaults.activation)?,
        eps: fields.number("layer_norm_eps", defaults.eps)?,
    })
}

/// A tower's section. What the old key `<tower>_config_dict` says wins over `<tower>_config`, as it does upstream.
fn tower<'a>(fields: &Fields<'a>, name: &str, empty: &'a Fields<'a>) -> Result<Fields<'a>, ModelError> {
    let old = format!("{name}_config_dict");
    if fields.has(&old) {
        return fields.section(&old);
    }
    let key = format!("{name}_config");
    if fields.has(&key) { fields.section(&key) } else { Ok(empty.clone()) }
}

fn colours(image: &Fields<'_>) -> Result<(), ModelError> {
    match image.size("num_channels", 3)? {
        3 => Ok(()),
        other => Err(image.error(&format!("`{}` is {other}, expected 3", image.place("num_channels")))),
    }
}

fn clip(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let nothing = Value::Object(serde_json::Map::new());
    let empty = fields.empty(&nothing)?;
    let (text, image) = (tower(fields, "text", &empty)?, tower(fields, "vision", &empty)?);
    colours(&image)?;
    let end = text.id("eos_token_id", Some(49407))?;
    Ok(ModelConfig {
        architecture: Architecture::Clip,
        layout: TensorNames::HuggingFace,
        dim: fields.size("projection_dim", 512)?,
        image: ImageConfig {
            transformer: transformer(&image, &CLIP_IMAGE)?,
            patch: image.side("patch_size", 32)?,
            grid: Grid::Fixed { image: image.side("image_size", 224)? },
            pooling: ImagePooling::Class,
        },
        text: TextConfig {
            transformer: transformer(&text, &CLIP_TEXT)?,
            context: text.size("max_position_embeddings", 77)?,
            vocabulary: text.size("vocab_size", 49408)?,
            causal: true,
            // Configs from before transformers 4.31 say 2, wrongly; the model then takes the largest id.
            pooling: match end {
                None | Some(2) => TextPooling::LargestId,
                Some(id) => TextPooling::FirstOf(id),
            },
            projection: Projection::Matrix,
            pad: text.id("pad_token_id", Some(1))?,
            end: end.filter(|&id| id != 2),
        },
        logit_bias: false,
    })
}

fn siglip(fields: &Fields<'_>, architecture: Architecture) -> Result<ModelConfig, ModelError> {
    let nothing = Value::Object(serde_json::Map::new());
    let empty = fields.empty(&nothing)?;
    let (text, image) = (tower(fields, "text", &empty)?, tower(fields, "vision", &empty)?);
    colours(&image)?;
    if !image.flag("vision_use_head", true)? {
        return Err(image.error(&format!("`{}` is false: without its head the tower gives no embedding", image.place("vision_use_head"))));
    }
    let transformer_of_text = transformer(&text, &SIGLIP)?;
    let grid = match architecture {
        Architecture::Siglip2Naflex => {
            let patches = image.size("num_patches", 256)?;
            let positions = patches.isqrt();
            if positions * positions != patches {
                return Err(image.error(&format!("`{}` is {patches}, expected a square number", image.place("num_patches"))));
            }
            Grid::Naflex { positions }
        }
        _ => Grid::Fixed { image: image.side("image_size", 224)? },
    };
    Ok(ModelConfig {
        architecture,
        layout: TensorNames::HuggingFace,
        dim: text.size("projection_size", transformer_of_text.width)?,
        image: ImageConfig {
            transformer: transformer(&image, &SIGLIP)?,
            patch: image.side("patch_size", 16)?,
            grid,
            pooling: ImagePooling::Map,
        },
        text: TextConfig {
            transformer: transformer_of_text,
            context: text.size("max_position_embeddings", 64)?,
            vocabulary: text.size("vocab_size", 32000)?,
            causal: false,
            pooling: TextPooling::Last,
            projection: Projection::Linear,
            pad: text.id("pad_token_id", Some(1))?,
            end: text.id("eos_token_id", None)?,
        },
        logit_bias: true,
    })
}
