//! Finds the model of a score stage: its files, what its values depend on, its heads.

use std::path::Path;

use trommel_embeddings::checkpoint::sha256_of;
use trommel_embeddings::heads::Head;
use trommel_embeddings::{EmbedderOptions, ModelError, describe};

use super::document::{Placed, StageSettings};
use super::error::RecipeError;
use super::settings::ScoreSettings;
use crate::scorers::{HeadSpec, Prompts, ScoreModel};

/// The model of a stage. Its weights are hashed here, so that a plan names exactly what it will run.
pub(super) async fn find(stage: &Placed<StageSettings>, settings: &ScoreSettings, datacomp: bool) -> Result<ScoreModel, RecipeError> {
    if settings.model.trim().is_empty() {
        return Err(RecipeError::new(&stage.place, "`score` needs `model`: a folder or a hub id"));
    }
    let place = |key: &str| stage.key(key);
    let mut heads = Vec::new();
    for head in &settings.heads {
        let (name, path) = head.split_once('=').ok_or_else(|| RecipeError::new(place("heads"), format!("`{head}` is not COLUMN=FILE")))?;
        let sha256 = sha256_of(Path::new(path)).map_err(|e| RecipeError::new(place("heads"), e.to_string()))?;
        heads.push(HeadSpec { name: name.trim().to_owned(), path: path.to_owned(), sha256 });
    }
    let prompts = match (&settings.prompts, settings.positive.is_empty(), settings.negative.is_empty()) {
        (None, true, true) => None,
        (Some(name), false, false) => {
            Some(Prompts { name: name.clone(), positive: settings.positive.clone(), negative: settings.negative.clone() })
        }
        _ => {
            let message = "a score from prompts needs all three: `prompts` (its column), `positive` and `negative`";
            return Err(RecipeError::new(place("prompts"), message));
        }
    };
    if settings.batch_size == Some(0) {
        return Err(RecipeError::new(place("batch_size"), "a batch has at least one row"));
    }
    let wrong = |key: &'static str| move |error: ModelError| RecipeError::new(place(key), error.to_string());
    let options = EmbedderOptions {
        revision: settings.revision.clone(),
        sha256: settings.sha256.clone(),
        device: settings.device.parse().map_err(wrong("device"))?,
        precision: settings.precision.as_deref().map(str::parse).transpose().map_err(wrong("precision"))?,
        batch: settings.batch_size,
        threads: 1,
        max_num_patches: settings.max_num_patches,
    };
    let named = settings.model.clone();
    let card = tokio::task::spawn_blocking(move || describe(&named, &options)).await;
    let card = card.map_err(|e| RecipeError::new(place("model"), e.to_string()))?.map_err(wrong("model"))?;
    for head in &heads {
        Head::load(Path::new(&head.path), card.dim).map_err(wrong("heads"))?;
    }
    let name = match &settings.name {
        Some(name) => name.clone(),
        // DataComp knows two models; their size tells them apart.
        None if datacomp => match card.dim {
            512 => "clip_b32_similarity_score".to_owned(),
            768 => "clip_l14_similarity_score".to_owned(),
            dim => {
                let message = format!(
                    "DataComp's metadata has scores of CLIP B/32 (512 components) and L/14 (768); this model has {dim}: give `name`, one of \
                     `clip_b32_similarity_score` and `clip_l14_similarity_score`"
                );
                return Err(RecipeError::new(place("model"), message));
            }
        },
        None => column_of(&settings.model),
    };
    let (batch, max_num_patches, device) = (settings.batch_size, settings.max_num_patches, settings.device.clone());
    Ok(ScoreModel { name, card, batch, max_num_patches, device, heads, prompts })
}

/// A column's name for a model: the last part of its id, lower case, other characters as underscores.
fn column_of(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
    last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_named_for_its_model() {
        assert_eq!(column_of("google/siglip2-base-patch16-256"), "siglip2_base_patch16_256");
        assert_eq!(column_of("models/ViT-B.32/"), "vit_b_32");
    }
}
