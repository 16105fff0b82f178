//! Which files of a folder make a model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ModelError;

/// The files that a model is loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json` or `open_clip_config.json`.
    pub config: PathBuf,
    /// The safetensors files, in order.
    pub weights: Vec<PathBuf>,
}

impl ModelFiles {
    /// Finds the files in a folder. Where both layouts are there, as in LAION's repositories, Hugging Face's is taken.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] saying what is missing; [`ModelError::Weights`] for an index that does not fit its folder.
    pub fn in_folder(folder: &Path) -> Result<Self, ModelError> {
        let missing = |message: String| ModelError::NotFound { model: folder.display().to_string(), message };
        let hub = folder.join("config.json");
        let open = folder.join("open_clip_config.json");
        // timm's repositories hold a `config.json` of their own, which describes the image tower alone.
        let hub_is_whole = hub.is_file() && (!open.is_file() || says_model_type(&hub));
        if hub_is_whole && let Some(weights) = first_of(folder, &["model.safetensors"])? {
            return Ok(Self { config: hub, weights });
        }
        if open.is_file()
            && let Some(weights) = first_of(folder, &["open_clip_model.safetensors", "model.safetensors"])?
        {
            return Ok(Self { config: open, weights });
        }
        if !hub.is_file() && !open.is_file() {
            return Err(missing("the folder has neither `config.json` nor `open_clip_config.json`".to_owned()));
        }
        let pickled = ["pytorch_model.bin", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pt"]
            .into_iter()
            .find(|name| folder.join(name).is_file());
        Err(missing(match pickled {
            Some(name) => format!("`{name}` is a pickle, which is not read; convert the weights to safetensors"),
            None => "the folder has no `model.safetensors`, `model.safetensors.index.json` or \
                     `open_clip_model.safetensors`"
                .to_owned(),
        }))
    }
}

fn says_model_type(config: &Path) -> bool {
    std::fs::read(config)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .is_some_and(|value| value.get("model_type").is_some())
}

/// The first of the names that is there, as one file or as an index of several.
fn first_of(folder: &Path, names: &[&str]) -> Result<Option<Vec<PathBuf>>, ModelError> {
    for name in names {
        let whole = folder.join(name);
        if whole.is_file() {
            return Ok(Some(vec![whole]));
        }
        let index = folder.join(format!("{name}.index.json"));
        if index.is_file() {
            return Ok(Some(shards(folder, &index)?));
        }
    }
    Ok(None)
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let wrong = |message: String| ModelError::Weights { path: index.to_owned(), message };
    let text = std::fs::read(index).map_err(|source| ModelError::Io { path: index.to_owned(), source })?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| wrong("`weight_map` is missing".to_owned()))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        // A name with a folder in it could lead anywhere.
        let name = file
            .as_str()
            .filter(|name| !name.is_empty() && !name.contains(['/', '\\']) && *name != "..")
            .ok_or_else(|| wrong(format!("`weight_map.{tensor}` is {file}, expected a file name")))?;
        names.insert(name);
    }
    names
        .into_iter()
        .map(|name| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(wrong(format!("`{name}`, which it lists, is not there"))) }
        })
        .collect()
}
