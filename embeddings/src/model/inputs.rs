//! Inputs checked against the config, once, before anything is computed.

use crate::checkpoint::config::{Grid, ModelConfig, TextConfig, TextPooling};
use crate::error::ModelError;
use crate::prepared::{Prepared, Tokens};

/// Patches of one picture beyond which its attention would not fit any memory.
const MOST_PATCHES: usize = 1 << 14;

/// Every picture is of the model's kind, and holds as many values as it says.
pub(super) fn check_images(config: &ModelConfig, batch: &[&Prepared]) -> Result<(), ModelError> {
    let patch = config.image.patch;
    for picture in batch {
        let (fits, values, found) = match (picture, config.image.grid) {
            (Prepared::Fixed { side, data }, Grid::Fixed { image }) => {
                (*side == image && data.len() == 3 * side * side, data.len(), format!("a square of {side}"))
            }
            (Prepared::Patches { rows, columns, data }, Grid::Naflex { .. }) => {
                let patches = rows.saturating_mul(*columns);
                let fits = (1..=MOST_PATCHES).contains(&patches) && data.len() == patches * 3 * patch * patch;
                (fits, data.len(), format!("{rows} by {columns} patches"))
            }
            (Prepared::Fixed { side, data }, _) => (false, data.len(), format!("a square of {side}")),
            (Prepared::Patches { rows, columns, data }, _) => (false, data.len(), format!("{rows} by {columns} patches")),
        };
        if !fits {
            let wanted = match config.image.grid {
                Grid::Fixed { image } => format!("a square of {image}"),
                Grid::Naflex { .. } => format!("patches of {patch} by {patch}, at most {MOST_PATCHES}"),
            };
            return Err(ModelError::Input(format!(
                "a prepared picture is {found} with {values} values; the model takes {wanted}, 3 values a pixel"
            )));
        }
    }
    Ok(())
}

/// Writes a patch of a checked picture: channel, row, column of a square; as it is of patches.
pub(super) fn patch(picture: &Prepared, patch: usize, index: usize, out: &mut [f32]) {
    match picture {
        Prepared::Patches { data, .. } => out.copy_from_slice(&data[index * out.len()..][..out.len()]),
        Prepared::Fixed { side, data } => {
            let (top, left) = (index / (side / patch) * patch, index % (side / patch) * patch);
            for (line, out) in out.chunks_exact_mut(patch).enumerate() {
                let (channel, row) = (line / patch, line % patch);
                out.copy_from_slice(&data[(channel * side + top + row) * side + left..][..patch]);
            }
        }
    }
}

/// A caption as the tower needs it.
pub(super) struct Caption<'a> {
    /// With a causal mask only the ids up to the pooled one: nothing behind them can change it.
    pub(super) ids: &'a [u32],
    /// Which of the ids is pooled.
    pub(super) pooled: usize,
}

/// Every caption is as long as the context and within the vocabulary, and has the token that is pooled.
pub(super) fn captions<'a>(config: &TextConfig, batch: &[&'a Tokens]) -> Result<Vec<Caption<'a>>, ModelError> {
    batch.iter().map(|tokens| caption(config, &tokens.ids)).collect()
}

fn caption<'a>(config: &TextConfig, ids: &'a [u32]) -> Result<Caption<'a>, ModelError> {
    if ids.len() != config.context {
        return Err(ModelError::Input(format!("a caption has {} tokens, but the model's context is {}", ids.len(), config.context)));
    }
    if let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocabulary) {
        return Err(ModelError::Input(format!(
            "token id {id} is outside of the model's vocabulary of {}: the tokenizer does not fit the model",
            config.vocabulary
        )));
    }
    let pooled = match config.pooling {
        TextPooling::First => 0,
        TextPooling::Last => ids.len() - 1,
        TextPooling::LargestId => {
            let largest = ids.iter().max();
            ids.iter().position(|id| Some(id) == largest).unwrap_or(0)
        }
        TextPooling::FirstOf(end) => ids.iter().position(|&id| id == end).ok_or_else(|| {
            ModelError::Input(format!(
                "a caption lacks the end-of-text token {end} that the model pools: the tokenizer does not fit the model"
            ))
        })?,
    };
    Ok(Caption { ids: if config.causal { &ids[..=pooled] } else { ids }, pooled })
}
