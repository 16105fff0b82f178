//! To which size a picture is scaled and what is cut out of it: the rounding of each reference, exactly.

use crate::error::ModelError;

/// How a picture is brought to the model's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Not at all.
    Keep,
    /// The shorter side becomes this long, the other follows, truncated: `int(size * long / short)` (transformers
    /// `get_resize_output_image_size`, torchvision `Resize(int)`).
    Shortest(u32),
    /// Both sides become this long, whatever the aspect ratio.
    Squash(u32),
    /// The longer side becomes this long, the other is rounded half to even (open_clip `ResizeKeepRatio(longest=1)`).
    Longest(u32),
}

/// How half a pixel is rounded in a centre crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// `int((length - crop) / 2)`: transformers.
    Down,
    /// `int(round((length - crop) / 2))`, half to even: torchvision 1 and open_clip.
    Even,
}

/// A square cut out of the middle; what the picture lacks is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crop {
    pub(crate) side: u32,
    pub(crate) half: Half,
    /// Level of all three channels outside the picture.
    pub(crate) fill: u8,
}

/// One axis of a picture on its way to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Pixels of the picture.
    pub(crate) source: u32,
    /// Pixels of the whole picture after scaling.
    pub(crate) scaled: u32,
    /// First scaled pixel that is kept.
    pub(crate) offset: u32,
    /// Scaled pixels that are kept.
    pub(crate) kept: u32,
    /// Filled pixels before them.
    pub(crate) before: u32,
}

impl Axis {
    fn new(source: u32, scaled: u32, crop: Option<Crop>) -> Self {
        let whole = Self { source, scaled, offset: 0, kept: scaled, before: 0 };
        match crop {
            None => whole,
            Some(Crop { side, .. }) if scaled <= side => Self { before: (side - scaled) / 2, ..whole },
            Some(Crop { side, half, .. }) => {
                let twice = scaled - side;
                let up = half == Half::Even && twice % 4 == 3;
                Self { offset: twice / 2 + u32::from(up), kept: side, ..whole }
            }
        }
    }

    /// Start and length in the picture of what is kept.
    ///
    /// The resampler takes this box and still reads beyond it, so that a crop of the scaled picture and a scaled crop
    /// are the same pixels. That bounds the memory for a 1 x 5000 picture, whose scaled copy would have a gigabyte.
    pub(crate) fn source_span(&self) -> (f64, f64) {
        if self.kept == self.scaled {
            return (0.0, f64::from(self.source));
        }
        let scale = f64::from(self.source) / f64::from(self.scaled);
        let start = f64::from(self.offset) * scale;
        (start, (f64::from(self.kept) * scale).min(f64::from(self.source) - start))
    }
}

/// Both axes (horizontal, vertical) for a picture of `width` x `height`.
pub(crate) fn axes(resize: Resize, crop: Option<Crop>, width: u32, height: u32) -> Result<(Axis, Axis), ModelError> {
    let (scaled_width, scaled_height) = match resize {
        Resize::Keep => (u64::from(width), u64::from(height)),
        Resize::Squash(side) => (u64::from(side), u64::from(side)),
        Resize::Shortest(side) => {
            // `int(size * long / short)` divides in double precision; both products are exact there.
            let long = |long: u32, short: u32| (u64::from(side) as f64 * f64::from(long) / f64::from(short)) as u64;
            if width <= height { (u64::from(side), long(height, width)) } else { (long(width, height), u64::from(side)) }
        }
        Resize::Longest(side) => {
            let ratio = (f64::from(height) / f64::from(side)).max(f64::from(width) / f64::from(side));
            // The reference stops at a side that rounds to nothing; one pixel is the picture that it means.
            let round = |length: u32| (f64::from(length) / ratio).round_ties_even().max(1.0) as u64;
            (round(width), round(height))
        }
    };
    let fit = |scaled: u64| {
        u32::try_from(scaled)
            .map_err(|_| ModelError::Input(format!("a picture of {width} x {height} pixels becomes {scaled} pixels long when scaled")))
    };
    Ok((Axis::new(width, fit(scaled_width)?, crop), Axis::new(height, fit(scaled_height)?, crop)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn crop(side: u32, half: Half) -> Option<Crop> {
        Some(Crop { side, half, fill: 0 })
    }

    #[test]
    fn the_longer_side_is_truncated_not_rounded() {
        // int(224 * 500 / 333) = int(336.33), int(224 * 640 / 427) = int(335.74).
        let (x, y) = axes(Resize::Shortest(224), None, 333, 500).unwrap();
        assert_eq!((x.scaled, y.scaled), (224, 336));
        let (x, y) = axes(Resize::Shortest(224), None, 640, 427).unwrap();
        assert_eq!((x.scaled, y.scaled), (335, 224));
    }

    #[test]
    fn odd_margins_are_rounded_as_each_reference_does() {
        // (335 - 224) / 2 = 55.5 and (339 - 224) / 2 = 57.5.
        let offset = |scaled, half| axes(Resize::Keep, crop(224, half), scaled, 224).unwrap().0.offset;
        assert_eq!((offset(335, Half::Down), offset(335, Half::Even)), (55, 56));
        assert_eq!((offset(337, Half::Down), offset(337, Half::Even)), (56, 56));
        assert_eq!((offset(339, Half::Down), offset(339, Half::Even)), (57, 58));
    }

    #[test]
    fn a_small_picture_is_filled_on_both_sides() {
        let (x, y) = axes(Resize::Keep, crop(8, Half::Down), 5, 9).unwrap();
        assert_eq!((x.before, x.kept, x.offset), (1, 5, 0));
        assert_eq!((y.before, y.kept, y.offset), (0, 8, 0));
    }

    #[test]
    fn extreme_pictures_have_a_bounded_middle() {
        let (x, y) = axes(Resize::Shortest(224), crop(224, Half::Down), 1, 5000).unwrap();
        assert_eq!((x.scaled, x.kept, y.scaled, y.kept), (224, 224, 1_120_000, 224));
        let (start, length) = y.source_span();
        assert!((start - 2499.5).abs() < 1e-9 && (length - 1.0).abs() < 1e-9);
        assert!(axes(Resize::Shortest(1024), None, 1, u32::MAX).is_err());
        assert_eq!(axes(Resize::Longest(32), None, 5000, 1).unwrap().1.scaled, 1);
    }
}
