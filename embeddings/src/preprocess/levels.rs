//! From 8-bit levels to what the model takes: one table of 256 values per channel.

/// How a level becomes a value; the order of operations is the reference's, in `f32`, so that values are bit-equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// transformers' processors on torchvision: mean and deviation are multiplied by `1 / rescale_factor` once.
    Fused,
    /// open_clip: the level is divided by 255 first.
    Divided,
}

/// What is done to levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Levels {
    pub(crate) scale: Scale,
    /// `None`: levels stay 0 to 255 before the normalisation.
    pub(crate) rescale: Option<f64>,
    /// Mean and deviation of each channel; `None`: no normalisation.
    pub(crate) normalize: Option<([f64; 3], [f64; 3])>,
}

/// Value of each level, per channel.
pub(crate) type Table = [[f32; 256]; 3];

impl Levels {
    pub(crate) fn table(&self) -> Box<Table> {
        let mut table = Box::new([[0.0; 256]; 3]);
        for (channel, values) in table.iter_mut().enumerate() {
            for (level, value) in values.iter_mut().enumerate() {
                *value = self.value(channel, level as f32);
            }
        }
        table
    }

    fn value(&self, channel: usize, level: f32) -> f32 {
        let Some((mean, std)) = self.normalize else {
            return match (self.scale, self.rescale) {
                (_, None) => level,
                (Scale::Divided, _) => level / 255.0,
                (Scale::Fused, Some(factor)) => level * factor as f32,
            };
        };
        let (mean, std) = (mean[channel] as f32, std[channel] as f32);
        match (self.scale, self.rescale) {
            (_, None) => (level - mean) / std,
            (Scale::Divided, _) => (level / 255.0 - mean) / std,
            (Scale::Fused, Some(factor)) => {
                let inverse = (1.0 / factor) as f32;
                (level - mean * inverse) / (std * inverse)
            }
        }
    }
}

/// Splits interleaved pixels into the three planes of a `side` x `side` square, with `fill` around them.
///
/// `kept` rows of `width` pixels are placed with `left` columns and `top` rows before them.
pub(crate) fn to_planes(table: &Table, pixels: &[u8], width: usize, side: usize, margin: Margin) -> Vec<f32> {
    let area = side * side;
    let filled = width == side && pixels.len() == area * 3;
    let mut data = if filled {
        vec![0.0; area * 3]
    } else {
        table.iter().flat_map(|values| std::iter::repeat_n(values[usize::from(margin.fill)], area)).collect()
    };
    let (red, rest) = data.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    for (row, pixels) in pixels.chunks_exact(width * 3).enumerate() {
        let at = (margin.top + row) * side + margin.left;
        let places = red[at..at + width].iter_mut().zip(&mut green[at..at + width]).zip(&mut blue[at..at + width]);
        for (pixel, ((red, green), blue)) in pixels.chunks_exact(3).zip(places) {
            *red = table[0][usize::from(pixel[0])];
            *green = table[1][usize::from(pixel[1])];
            *blue = table[2][usize::from(pixel[2])];
        }
    }
    data
}

/// What surrounds a picture that is smaller than the model's square.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margin {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) fill: u8,
}

/// Cuts interleaved pixels into patches, row-major, each (row, column, channel) inside.
///
/// `width` and the number of rows are multiples of `patch`.
pub(crate) fn to_patches(table: &Table, pixels: &[u8], width: usize, patch: usize) -> Vec<f32> {
    let mut data = Vec::with_capacity(pixels.len());
    for band in pixels.chunks_exact(width * patch * 3) {
        for column in 0..width / patch {
            for row in band.chunks_exact(width * 3) {
                // A row of a patch is contiguous in the picture, and in the patch.
                let run = &row[column * patch * 3..(column + 1) * patch * 3];
                for pixel in run.chunks_exact(3) {
                    data.extend_from_slice(&[
                        table[0][usize::from(pixel[0])],
                        table[1][usize::from(pixel[1])],
                        table[2][usize::from(pixel[2])],
                    ]);
                }
            }
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Box<Table> {
        Levels { scale: Scale::Divided, rescale: None, normalize: None }.table()
    }

    #[test]
    fn planes_keep_the_order_of_rows_and_fill_the_margin() {
        let margin = Margin { left: 1, top: 0, fill: 9 };
        let planes = to_planes(&plain(), &[1, 2, 3, 4, 5, 6], 1, 2, margin);
        assert_eq!(planes, [9.0, 1.0, 9.0, 4.0, 9.0, 2.0, 9.0, 5.0, 9.0, 3.0, 9.0, 6.0]);
    }

    #[test]
    fn patches_are_row_major_with_channels_last() {
        // 4 x 2 pixels, patches of 2 x 2: level = 10 * row + column, in all channels plus 100 per channel.
        let pixels: Vec<u8> = (0..2_u8).flat_map(|y| (0..4_u8).flat_map(move |x| (0..3_u8).map(move |c| 10 * y + x + 50 * c))).collect();
        let patches = to_patches(&plain(), &pixels, 4, 2);
        assert_eq!(&patches[..12], &[0., 50., 100., 1., 51., 101., 10., 60., 110., 11., 61., 111.]);
        assert_eq!(patches[12], 2.0);
    }
}
