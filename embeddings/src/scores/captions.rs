//! The best of several captions of a picture.

use trommel_shards::vectors::Rows;

use super::ScoreError;
use super::source::{finite, same_dim, same_len};

/// The caption that was chosen for a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CaptionChoice {
    /// Its place among the captions of the picture, from zero.
    pub index: usize,
    /// Its inner product with the picture: the cosine of unit vectors.
    pub score: f32,
}

/// The best-scoring caption of every picture, the first of equals. The captions of picture `i` are the rows
/// `offsets[i]..offsets[i + 1]`, so `offsets` has one entry more than there are pictures.
///
/// `None` where the picture is null, or has no caption that is not null.
///
/// # Errors
/// [`ScoreError`] when the lengths differ, the offsets do not rise from 0 to the number of captions, or a vector is not
/// finite.
pub fn best_caption(images: &Rows<'_>, captions: &Rows<'_>, offsets: &[usize]) -> Result<Vec<Option<CaptionChoice>>, ScoreError> {
    same_dim("captions", images.dim(), captions.dim())?;
    same_len("caption offsets", images.len() + 1, offsets.len())?;
    same_len("captions", offsets[images.len()], captions.len())?;
    if offsets[0] != 0 || offsets.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(ScoreError::Setting { name: "offsets", value: "out of order".into(), expected: "they must rise from zero" });
    }
    let mut choices = Vec::with_capacity(images.len());
    for (row, image) in images.iter().enumerate() {
        let Some(image) = image else {
            choices.push(None);
            continue;
        };
        finite("images", row, image)?;
        let mut best: Option<(usize, f64)> = None;
        for (index, at) in (offsets[row]..offsets[row + 1]).enumerate() {
            let Some(caption) = captions.get(at) else { continue };
            finite("captions", at, caption)?;
            let score: f64 = image.iter().zip(caption).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            if best.is_none_or(|(_, best)| score > best) {
                best = Some((index, score));
            }
        }
        choices.push(best.map(|(index, score)| CaptionChoice { index, score: score as f32 }));
    }
    Ok(choices)
}
