//! The files of a model's folder, in the layout of the Hugging Face hub.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::bpe::{END, PAD, START, Words};
use super::model::{CONTEXT, Model, PATCH, SHARED, SIDE, TEXT, Tower, VISION};
use super::ops::NORM_EPS;

pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";

fn tower(tower: Tower, model_type: &str) -> Value {
    json!({
        "model_type": model_type,
        "hidden_size": tower.width,
        "intermediate_size": tower.mlp,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": NORM_EPS,
        "attention_dropout": 0.0,
        "projection_dim": SHARED,
    })
}

fn with(mut value: Value, more: Value) -> Value {
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, serde_json::to_string_pretty(value)? + "\n").with_context(|| path.display().to_string())
}

/// Writes the tokenizer's two files.
pub(crate) fn write_tokenizer(folder: &Path, tokenizer: &Value) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(TOKENIZER), tokenizer.to_string() + "\n")?;
    write_json(
        &folder.join("tokenizer_config.json"),
        &json!({
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": START,
            "eos_token": END,
            "unk_token": END,
            "pad_token": PAD,
            "do_lower_case": true,
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": false,
        }),
    )
}

/// Writes weights, config and the processor's config. The weights are rounded to half precision.
pub(crate) fn write_model(folder: &Path, model: &Model, words: &Words) -> Result<()> {
    let id = |token: &str| words.id(token).with_context(|| format!("no token `{token}`"));
    let ids = json!({
        "vocab_size": words.len(),
        "max_position_embeddings": CONTEXT,
        "bos_token_id": id(START)?,
        "eos_token_id": id(END)?,
        "pad_token_id": id(PAD)?,
    });
    let shape = json!({"image_size": SIDE, "patch_size": PATCH, "num_channels": 3});
    write_json(
        &folder.join("config.json"),
        &json!({
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": SHARED,
            "logit_scale_init_value": 2.6592,
            // What to compute in. The file is in half precision to be small.
            "torch_dtype": "float32",
            "text_config": with(tower(TEXT, "clip_text_model"), ids),
            "vision_config": with(tower(VISION, "clip_vision_model"), shape),
        }),
    )?;
    write_json(
        &folder.join("preprocessor_config.json"),
        &json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": true,
            "do_resize": true,
            "size": {"height": SIDE, "width": SIDE},
            "resample": 3,
            "do_center_crop": false,
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        }),
    )?;
    let halves: HashMap<&str, Tensor> = model
        .weights
        .iter()
        .map(|(name, var)| Ok((name.as_str(), var.to_device(&Device::Cpu)?.to_dtype(DType::F16)?)))
        .collect::<Result<_>>()?;
    candle_core::safetensors::save(&halves, folder.join(WEIGHTS))?;
    Ok(())
}

/// Reads a folder back.
pub(crate) fn read(folder: &Path) -> Result<(Model, Words)> {
    let words = Words::load(&folder.join(TOKENIZER))?;
    let model = Model::load(&folder.join(WEIGHTS), words.len())?;
    Ok((model, words))
}
