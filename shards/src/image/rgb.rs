//! Finished pictures as RGB, for whoever looks at them: a model, a hash.

use super::planes::Canvas;
use super::raster::Raster;

/// Upright sRGB pixels, 8 bits, rows from the top, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbPicture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue, pixel after pixel: `width * height * 3` bytes.
    pub data: Vec<u8>,
}

impl From<Raster> for RgbPicture {
    fn from(raster: Raster) -> Self {
        let data = if raster.channels == 1 { raster.data.iter().flat_map(|&level| [level; 3]).collect() } else { raster.data };
        Self { width: raster.width, height: raster.height, data }
    }
}

impl From<&Raster> for RgbPicture {
    fn from(raster: &Raster) -> Self {
        Self::from(raster.clone())
    }
}

/// JFIF's conversion (ITU-T T.871, 7), in 16-bit fixed point.
fn to_rgb(y: u8, cb: i32, cr: i32) -> [u8; 3] {
    let (y, cb, cr) = ((i32::from(y) << 16) + (1 << 15), cb - 128, cr - 128);
    let clip = |value: i32| (value >> 16).clamp(0, 255) as u8;
    [clip(y + 91_881 * cr), clip(y - 22_554 * cb - 46_802 * cr), clip(y + 116_130 * cb)]
}

impl From<&Canvas> for RgbPicture {
    /// Colour between its samples is mixed as libjpeg's decoder mixes it: three parts of the nearer sample, one of the farther.
    fn from(canvas: &Canvas) -> Self {
        let (width, height) = (canvas.width as usize, canvas.height as usize);
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        let stride = columns * 2;
        let (luma, chroma) = canvas.data.split_at(stride * rows * 2);
        let (blue, red) = chroma.split_at(columns * rows);
        let mut data = Vec::with_capacity(width * height * 3);
        let mut mixed = [vec![0_i32; columns], vec![0_i32; columns]];
        for y in 0..height {
            let near = y / 2;
            let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(rows - 1) };
            for (mixed, plane) in mixed.iter_mut().zip([blue, red]) {
                for (x, value) in mixed.iter_mut().enumerate() {
                    *value = 3 * i32::from(plane[near * columns + x]) + i32::from(plane[far * columns + x]);
                }
            }
            for x in 0..width {
                let near = x / 2;
                let far = if x % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(columns - 1) };
                let at = |mixed: &[i32]| (3 * mixed[near] + mixed[far] + 8) >> 4;
                data.extend(to_rgb(luma[y * stride + x], at(&mixed[0]), at(&mixed[1])));
            }
        }
        Self { width: canvas.width, height: canvas.height, data }
    }
}
