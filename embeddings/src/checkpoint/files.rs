//! Which files of a folder make a model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::digest::{hex, same_digest, sha256_of};
use crate::error::ModelError;

pub(super) const CONFIG: &str = "config.json";
pub(super) const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
pub(super) const OPEN_CLIP_WEIGHTS: &str = "open_clip_model.safetensors";
const OPEN_CLIP_INDEX: &str = "open_clip_model.safetensors.index.json";
/// An index names every tensor; the largest known have some hundred kilobytes.
const LARGEST_INDEX: u64 = 64 << 20;

/// Whose names the files and tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `config.json` and `model.safetensors`, as transformers writes them.
    Transformers,
    /// `open_clip_config.json` and `open_clip_model.safetensors`.
    OpenClip,
}

/// The files of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// As it was asked for, without the revision.
    pub model: String,
    /// The folder that holds everything: config, weights, tokenizer, preprocessing.
    pub folder: PathBuf,
    /// Commit of the hub's repository. A folder of one's own has none.
    pub revision: Option<String>,
    /// Whose names the files have.
    pub layout: Layout,
    /// `config.json` or `open_clip_config.json`.
    pub config: PathBuf,
    /// One safetensors file, or the shards in the order of their names.
    pub weights: Vec<PathBuf>,
}

impl ModelFiles {
    /// The files of a model in a folder. Where both layouts are there, as in LAION's repositories, transformers' is taken.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] saying what is missing; [`ModelError::Config`] for an index of shards that is damaged,
    /// [`ModelError::Weights`] for one whose shards are not there.
    pub fn in_folder(folder: &Path) -> Result<Self, ModelError> {
        in_folder(&folder.display().to_string(), folder, None)
    }

    /// Digest for provenance: sha256 of the file, or of the lines `name sha256` of all shards.
    ///
    /// # Errors
    /// [`ModelError::Io`].
    pub fn weights_sha256(&self) -> Result<String, ModelError> {
        if let [one] = self.weights.as_slice() {
            return sha256_of(one);
        }
        let mut all = Sha256::new();
        for path in &self.weights {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.update(format!("{name} {}\n", sha256_of(path)?).as_bytes());
        }
        Ok(hex(&all.finalize()))
    }

    /// As [`ModelFiles::weights_sha256`], for weights that must be those that were asked for.
    ///
    /// # Errors
    /// [`ModelError::Digest`] where not; [`ModelError::Io`].
    pub fn expect_weights(&self, expected: &str) -> Result<String, ModelError> {
        let path = self.weights.first().map_or_else(|| self.folder.clone(), Clone::clone);
        let found = self.weights_sha256()?;
        same_digest(path, &found, expected)?;
        Ok(found)
    }
}

/// The files of a model in a folder.
pub(super) fn in_folder(model: &str, folder: &Path, revision: Option<String>) -> Result<ModelFiles, ModelError> {
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let found = |layout, config, weights| ModelFiles {
        model: model.to_owned(),
        folder: folder.to_path_buf(),
        revision: revision.clone(),
        layout,
        config,
        weights,
    };
    // Folders on the hub often have both; the names of transformers go first where their weights are there. timm's
    // repositories hold a `config.json` of their own, which describes the image tower alone and names no type of model.
    let open_clip = there(OPEN_CLIP_CONFIG);
    if let Some(config) = there(CONFIG).filter(|config| open_clip.is_none() || names_its_type(config))
        && let Some(weights) = whole_or_shards(folder, WEIGHTS, INDEX)?
    {
        return Ok(found(Layout::Transformers, config, weights));
    }
    if let Some(config) = open_clip {
        // What transformers' config does not claim can only be open_clip's own.
        let own = whole_or_shards(folder, OPEN_CLIP_WEIGHTS, OPEN_CLIP_INDEX)?;
        let weights = if own.is_some() { own } else { whole_or_shards(folder, WEIGHTS, INDEX)? };
        if let Some(weights) = weights {
            return Ok(found(Layout::OpenClip, config, weights));
        }
    }
    let configs = [CONFIG, OPEN_CLIP_CONFIG].map(there);
    let place = folder.display();
    let message = if configs.iter().all(Option::is_none) {
        format!("`{place}` has neither `{CONFIG}` nor `{OPEN_CLIP_CONFIG}`")
    } else {
        let pickled = ["pytorch_model.bin", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pt"];
        let pickled = pickled.into_iter().find(|name| there(name).is_some());
        let hint = pickled.map_or_else(String::new, |name| format!("; `{name}` runs code when read and is not: save it as safetensors"));
        format!("`{place}` has no weights: looked for `{WEIGHTS}`, `{INDEX}`, `{OPEN_CLIP_WEIGHTS}`{hint}")
    };
    Err(ModelError::NotFound { model: model.to_owned(), message })
}

fn names_its_type(config: &Path) -> bool {
    let value = std::fs::read(config).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    value.is_some_and(|value| value.get("model_type").is_some())
}

/// One file, or the shards that an index names.
fn whole_or_shards(folder: &Path, whole: &str, index: &str) -> Result<Option<Vec<PathBuf>>, ModelError> {
    let (whole, index) = (folder.join(whole), folder.join(index));
    if whole.is_file() {
        return Ok(Some(vec![whole]));
    }
    if !index.is_file() {
        return Ok(None);
    }
    let names = shards(&index)?;
    let missing: Vec<&String> = names.iter().filter(|name| !folder.join(name).is_file()).collect();
    if let Some(first) = missing.first() {
        let message = format!("{} of {} shards are not beside it, the first `{first}`", missing.len(), names.len());
        return Err(ModelError::Weights { path: index, message });
    }
    Ok(Some(names.iter().map(|name| folder.join(name)).collect()))
}

/// Names of the shards in an index, in order, each once.
pub(super) fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let io = |source| ModelError::Io { path: index.to_path_buf(), source };
    let wrong = |message: String| ModelError::Config { path: index.to_path_buf(), message };
    let size = std::fs::metadata(index).map_err(io)?.len();
    if size > LARGEST_INDEX {
        return Err(wrong(format!("{size} bytes are too many for an index")));
    }
    let value: Value = serde_json::from_slice(&std::fs::read(index).map_err(io)?).map_err(|e| wrong(format!("not JSON: {e}")))?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| wrong("`weight_map` is missing".to_owned()))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let plain = |name: &&str| name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
        let name = file.as_str().filter(plain);
        names.insert(name.ok_or_else(|| wrong(format!("`{tensor}` is in {file}, not a file beside the index")))?.to_owned());
    }
    if names.is_empty() {
        return Err(wrong("`weight_map` is empty".to_owned()));
    }
    Ok(names.into_iter().collect())
}
