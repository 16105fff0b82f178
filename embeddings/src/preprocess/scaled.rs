//! The two halves of preprocessing apart: scaling, where the picture is, and normalising, where the model is.
//!
//! Between them a picture is bytes, a quarter of what the model takes: a fetcher that decodes a picture scales it for the
//! model then and there, and nothing is decoded twice.

use super::geometry::{self, Axis};
use super::levels::{self, Margin};
use super::{Inputs, Preprocessor, naflex, resample};
use crate::error::ModelError;
use crate::prepared::{Picture, Prepared};

/// Bytes before the pixels: width, height, columns and rows of margin before them, as little-endian `u32`.
const HEADER: usize = 16;

impl Preprocessor {
    /// Scales and crops one picture to the pixels that the model will see, 8 bits each, with a header of 16 bytes.
    ///
    /// # Errors
    /// As [`Preprocessor::prepare`].
    pub fn scale(&self, picture: Picture<'_>) -> Result<Vec<u8>, ModelError> {
        check(&picture)?;
        let (x, y, filter) = self.target(&picture)?;
        resample::scaled(picture, x, y, filter, |pixels| {
            let mut bytes = Vec::with_capacity(HEADER + pixels.len());
            for number in [x.kept, y.kept, x.before, y.before] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(pixels);
            bytes
        })
    }

    /// Normalises what [`Preprocessor::scale`] gave: together they are [`Preprocessor::prepare`], to the bit.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the bytes were scaled for another model.
    pub fn normalise(&self, scaled: &[u8]) -> Result<Prepared, ModelError> {
        let foreign = || ModelError::Input("a picture was scaled for another model".to_owned());
        let (header, pixels) = scaled.split_at_checked(HEADER).ok_or_else(foreign)?;
        let mut numbers = header.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize);
        let mut next = || numbers.next().unwrap_or(0);
        let (width, height, left, top) = (next(), next(), next(), next());
        if width == 0 || width.checked_mul(height).and_then(|area| area.checked_mul(3)) != Some(pixels.len()) {
            return Err(foreign());
        }
        match self.inputs {
            Inputs::Square { crop, .. } => {
                let side = self.side().unwrap_or(width);
                if left + width > side || top + height > side {
                    return Err(foreign());
                }
                let margin = Margin { left, top, fill: crop.map_or(0, |crop| crop.fill) };
                Ok(Prepared::Fixed { side, data: levels::to_planes(&self.table, pixels, width, side, margin) })
            }
            Inputs::Patches { patch, patches, .. } => {
                let (patch, patches) = (patch as usize, patches as usize);
                let (rows, columns) = (height / patch, width / patch);
                if height % patch != 0 || width % patch != 0 || rows * columns > patches {
                    return Err(foreign());
                }
                Ok(Prepared::Patches { rows, columns, data: levels::to_patches(&self.table, pixels, width, patch) })
            }
        }
    }

    /// What is kept of a picture, and how it is scaled.
    fn target(&self, picture: &Picture<'_>) -> Result<(Axis, Axis, resample::Filter), ModelError> {
        let (width, height) = (picture.width, picture.height);
        match self.inputs {
            Inputs::Square { resize, crop, filter, .. } => {
                let (x, y) = geometry::axes(resize, crop, width, height)?;
                Ok((x, y, filter))
            }
            Inputs::Patches { patch, patches, filter, .. } => {
                let (wide, high) = naflex::target_size(width, height, patch, patches);
                let count = (wide / u64::from(patch)).saturating_mul(high / u64::from(patch));
                if count > u64::from(patches) {
                    let message = format!("a picture of {width} x {height} pixels does not fit into {patches} patches");
                    return Err(ModelError::Input(message));
                }
                let axis = |source, scaled: u64| Axis { source, scaled: scaled as u32, offset: 0, kept: scaled as u32, before: 0 };
                Ok((axis(width, wide), axis(height, high), filter))
            }
        }
    }
}

fn check(picture: &Picture<'_>) -> Result<(), ModelError> {
    let Picture { width, height, data } = *picture;
    let expected = u64::from(width).checked_mul(u64::from(height)).and_then(|area| area.checked_mul(3));
    if width == 0 || height == 0 || expected != Some(data.len() as u64) {
        return Err(ModelError::Input(format!("a picture of {width} x {height} pixels has {} bytes", data.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Defaults;
    use super::*;

    #[test]
    fn the_two_halves_are_the_whole() {
        let models = [
            Defaults::Clip { side: 32 },
            Defaults::Siglip { side: 24 },
            Defaults::Siglip2 { side: 16 },
            Defaults::NaFlex { patch: 8, patches: 20 },
        ];
        for (width, height) in [(50_u32, 31_u32), (31, 90), (7, 5), (32, 32), (1, 300)] {
            let data: Vec<u8> = (0..width * height * 3).map(|at| (at * 7 % 251) as u8).collect();
            let picture = Picture { width, height, data: &data };
            for model in models {
                let preprocessor = Preprocessor::new(model).unwrap();
                let whole = preprocessor.prepare(picture).unwrap();
                assert_eq!(preprocessor.normalise(&preprocessor.scale(picture).unwrap()).unwrap(), whole, "{model:?} {width} {height}");
            }
        }
    }

    #[test]
    fn pixels_for_another_model_are_refused() {
        let data = vec![9; 40 * 40 * 3];
        let small = Preprocessor::new(Defaults::Clip { side: 16 }).unwrap();
        let large = Preprocessor::new(Defaults::Clip { side: 32 }).unwrap();
        let scaled = large.scale(Picture { width: 40, height: 40, data: &data }).unwrap();
        assert!(small.normalise(&scaled).is_err());
        assert!(small.normalise(&scaled[..10]).is_err());
    }
}
