//! `open_clip_config.json`: the object `model_cfg`, which is what open_clip's `CLIP` and `CustomTextCLIP` are built from.
//!
//! <https://github.com/mlfoundations/open_clip/blob/main/src/open_clip/model.py>

use super::fields::Fields;
use super::{
    Activation, Architecture, Grid, ImageConfig, ImagePooling, ModelConfig, Projection, TensorNames, TextConfig, TextPooling,
    TransformerConfig, timm,
};
use crate::error::ModelError;

/// Keys of `model_cfg` that are read, or that concern training and tokenizing only.
const MODEL_KEYS: &[&str] = &[
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_bias",
    "init_logit_scale",
    "nonscalar_logit_scale",
    "output_dict",
    "cast_dtype",
];
const IMAGE_KEYS: &[&str] = &[
    "layers",
    "width",
    "head_width",
    "mlp_ratio",
    "patch_size",
    "image_size",
    "patch_dropout",
    "output_tokens",
    "act_kwargs",
    "norm_kwargs",
    "pool_type",
    "timm_model_name",
    "timm_model_pretrained",
    "timm_pool",
    "timm_proj",
    "timm_proj_bias",
    "timm_drop",
    "timm_drop_path",
    "attn_pooler_queries",
    "attn_pooler_heads",
    "pos_embed_type",
    "block_type",
];
const TEXT_KEYS: &[&str] = &[
    "context_length",
    "vocab_size",
    "hf_tokenizer_name",
    "tokenizer_mode",
    "tokenizer_kwargs",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
    "pad_id",
    "eos_id",
    "no_causal_mask",
    "pool_type",
    "proj_bias",
    "proj_type",
    "output_tokens",
    "act_kwargs",
    "norm_kwargs",
    "bos_id",
    "text_mask",
    "hf_model_pretrained",
    "hf_proj_type",
    "hf_pooler_type",
    "block_type",
];

/// Refuses what is not understood, unless it is switched off.
fn only(fields: &Fields<'_>, known: &[&str]) -> Result<(), ModelError> {
    for key in fields.keys().filter(|key| !known.contains(key)) {
        if !fields.flag(key, false).is_ok_and(|on| !on) {
            return Err(fields.error(&format!("`{}` is not supported", fields.place(key))));
        }
    }
    Ok(())
}

/// Refuses any value but one.
fn must_be(fields: &Fields<'_>, key: &str, only: &str) -> Result<(), ModelError> {
    match fields.word(key)? {
        None => Ok(()),
        Some(word) if word == only => Ok(()),
        Some(word) => Err(fields.error(&format!("`{}` is `{word}`; only `{only}` is supported", fields.place(key)))),
    }
}

pub(super) fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let (image, text) = (fields.section("vision_cfg")?, fields.section("text_cfg")?);
    if let Some(name) = text.word("hf_model_name")? {
        return Err(fields.unknown(&format!("open_clip with the text tower `{name}`")));
    }
    only(fields, MODEL_KEYS)?;
    only(&image, IMAGE_KEYS)?;
    only(&text, TEXT_KEYS)?;
    let dim = fields.required_size("embed_dim")?;
    let quick = fields.flag("quick_gelu", false)?;
    let custom = fields.flag("custom_text", false)?;
    let (image, timm) = match image.word("timm_model_name")? {
        Some(name) => (timm_tower(&image, name)?, true),
        None => (own_tower(&image, quick)?, false),
    };
    let layout = match (timm, custom) {
        (true, true) => TensorNames::OpenClipTimm,
        (false, true) => TensorNames::OpenClipCustomText,
        (false, false) => TensorNames::OpenClip,
        (true, false) => return Err(fields.error("a timm image tower without `custom_text` is not supported")),
    };
    let logit_bias = fields.has("init_logit_bias");
    Ok(ModelConfig {
        architecture: if timm { Architecture::Siglip } else { Architecture::Clip },
        layout,
        dim,
        image,
        text: text_tower(&text, quick)?,
        logit_bias,
    })
}

/// `act_kwargs` belongs to `nn.GELU`, whose only argument chooses the approximation.
fn activation(fields: &Fields<'_>, quick: bool) -> Result<Activation, ModelError> {
    if fields.has("act_kwargs") {
        let arguments = fields.section("act_kwargs")?;
        only(&arguments, &["approximate"])?;
        return match (arguments.word("approximate")?, quick) {
            (None, true) => Ok(Activation::QuickGelu),
            (None | Some("none"), false) => Ok(Activation::Gelu),
            (Some("tanh"), false) => Ok(Activation::GeluTanh),
            (Some(other), _) => {
                Err(arguments
                    .error(&format!("`{}` is `{other}`, which is no approximation of the activation", arguments.place("approximate"))))
            }
        };
    }
    Ok(if quick { Activation::QuickGelu } else { Activation::Gelu })
}

fn epsilon(fields: &Fields<'_>) -> Result<f64, ModelError> {
    if !fields.has("norm_kwargs") {
        return Ok(1e-5);
    }
    let arguments = fields.section("norm_kwargs")?;
    only(&arguments, &["eps"])?;
    arguments.number("eps", 1e-5)
}

fn transformer(fields: &Fields<'_>, width: usize, heads: usize, quick: bool) -> Result<TransformerConfig, ModelError> {
    must_be(fields, "block_type", "default")?;
    let ratio = fields.number("mlp_ratio", 4.0)?;
    Ok(TransformerConfig {
        width,
        layers: fields.size("layers", 12)?,
        heads,
        // Truncated, as `int(width * mlp_ratio)` is.
        mlp: (width as f64 * ratio) as usize,
        activation: activation(fields, quick)?,
        eps: epsilon(fields)?,
    })
}

fn own_tower(fields: &Fields<'_>, quick: bool) -> Result<ImageConfig, ModelError> {
    must_be(fields, "pool_type", "tok")?;
    // The tensor is stored in both cases, so that "sin_cos_2d" needs nothing of its own.
    if let Some(kind) = fields.word("pos_embed_type")?
        && !["learnable", "sin_cos_2d"].contains(&kind)
    {
        return Err(fields.error(&format!("`{}` is `{kind}`, which is unknown", fields.place("pos_embed_type"))));
    }
    let width = fields.size("width", 768)?;
    let head = fields.size("head_width", 64)?;
    if head == 0 {
        return Err(fields.error(&format!("`{}` is 0", fields.place("head_width"))));
    }
    Ok(ImageConfig {
        transformer: transformer(fields, width, width / head, quick)?,
        patch: fields.side("patch_size", 16)?,
        grid: Grid::Fixed { image: fields.side("image_size", 224)? },
        pooling: ImagePooling::Class,
    })
}

fn timm_tower(fields: &Fields<'_>, name: &str) -> Result<ImageConfig, ModelError> {
    let Some(tower) = timm::siglip(name) else {
        // MobileCLIP's towers among them: `fastvit_mci*` and `vit_base_mci_224`.
        let family = if name.contains("mci") { "MobileCLIP: " } else { "" };
        return Err(fields.unknown(&format!("{family}open_clip with the timm image tower `{name}`")));
    };
    let wanted = if tower.pooling == ImagePooling::Map { "map" } else { "avg" };
    must_be(fields, "timm_pool", wanted)?;
    must_be(fields, "timm_proj", "none")?;
    if fields.word("timm_proj")?.is_none() || fields.word("timm_pool")?.is_none() {
        return Err(fields.error(&format!(
            "`{}` and `{}` must be given for `{name}`",
            fields.place("timm_pool"),
            fields.place("timm_proj")
        )));
    }
    let image = fields.side("image_size", tower.image)?;
    if image != tower.image {
        return Err(fields.error(&format!("`{}` is {image}, but `{name}` takes {}", fields.place("image_size"), tower.image)));
    }
    Ok(ImageConfig { transformer: tower.transformer, patch: tower.patch, grid: Grid::Fixed { image }, pooling: tower.pooling })
}

fn text_tower(fields: &Fields<'_>, quick: bool) -> Result<TextConfig, ModelError> {
    let pooling = match fields.word("pool_type")? {
        None | Some("argmax") => TextPooling::LargestId,
        Some("first") => TextPooling::First,
        Some("last") => TextPooling::Last,
        Some("eos") => TextPooling::FirstOf(fields.id("eos_id", Some(2))?.unwrap_or(2)),
        Some(other) => {
            return Err(fields.error(&format!("`{}` is the unknown pooling `{other}`", fields.place("pool_type"))));
        }
    };
    let projection = match fields.word("proj_type")? {
        Some("none") => Projection::None,
        None | Some("linear") if fields.flag("proj_bias", false)? => Projection::Linear,
        None | Some("linear") => Projection::Matrix,
        Some(other) => {
            return Err(fields.error(&format!("`{}` is the unknown projection `{other}`", fields.place("proj_type"))));
        }
    };
    let width = fields.size("width", 512)?;
    Ok(TextConfig {
        transformer: transformer(fields, width, fields.size("heads", 8)?, quick)?,
        context: fields.size("context_length", 77)?,
        vocabulary: fields.size("vocab_size", 49408)?,
        causal: !fields.flag("no_causal_mask", false)?,
        pooling,
        projection,
        pad: fields.id("pad_id", None)?,
        end: fields.id("eos_id", None)?,
    })
}
