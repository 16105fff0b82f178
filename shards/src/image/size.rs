//! Target sizes, exactly as img2dataset computes them.

use super::options::{ImageOptions, Interpolation, ResizeMode};

/// What is to be done with an upright picture of a given size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Size after resampling, `None` when the picture keeps its size.
    pub(crate) resize: Option<Resample>,
    /// What follows the resampling.
    pub(crate) finish: Finish,
}

/// A resampling step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resample {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) interpolation: Interpolation,
}

/// The step after resampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing.
    None,
    /// White around the picture up to a square with this side.
    Pad(u32),
    /// The centre square with this side.
    Crop(u32),
}

/// Finds the target of an upright `width` x `height` picture (both at least 1).
pub(crate) fn plan(width: u32, height: u32, options: &ImageOptions) -> Plan {
    let target = options.image_size;
    let (governing, finish) = match options.resize_mode {
        ResizeMode::No => return Plan { resize: None, finish: Finish::None },
        ResizeMode::KeepRatio => (width.min(height), Finish::None),
        ResizeMode::CenterCrop => (width.min(height), Finish::Crop(target)),
        ResizeMode::KeepRatioLargest => (width.max(height), Finish::None),
        ResizeMode::Border => (width.max(height), Finish::Pad(target)),
    };
    let smaller = governing > target;
    if options.resize_only_if_bigger && !smaller {
        return Plan { resize: None, finish: Finish::None };
    }
    let interpolation = if smaller { options.downscale_interpolation } else { options.upscale_interpolation };
    let scale = f64::from(target) / f64::from(governing);
    let resample = Resample { width: side(width, scale), height: side(height, scale), interpolation };
    let same = resample.width == width && resample.height == height;
    Plan { resize: (!same).then_some(resample), finish }
}

/// Nearest whole number, exact halves to even, at least 1 (albumentations 1.4.24, which img2dataset
/// calls). Saturates far above any size that can be encoded.
fn side(original: u32, scale: f64) -> u32 {
    let exact = (f64::from(original) * scale).round_ties_even();
    exact.clamp(1.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(width: u32, height: u32, mode: ResizeMode) -> (u32, u32) {
        let options = ImageOptions { resize_mode: mode, ..ImageOptions::default() };
        match plan(width, height, &options).resize {
            Some(resample) => (resample.width, resample.height),
            None => (width, height),
        }
    }

    /// Golden values: img2dataset 1.47.0 with albumentations 1.4.24.
    #[test]
    fn sizes_are_those_of_img2dataset() {
        use ResizeMode::{KeepRatio, KeepRatioLargest};
        assert_eq!(target(123, 456, KeepRatioLargest), (69, 256));
        assert_eq!(target(524, 316, KeepRatio), (425, 256));
        assert_eq!(target(416, 264, KeepRatio), (403, 256));
        assert_eq!(target(511, 1023, KeepRatio), (256, 513));
        assert_eq!(target(101, 333, KeepRatio), (256, 844));
        assert_eq!(target(257, 255, KeepRatio), (258, 256));
        assert_eq!(target(3, 1000, KeepRatioLargest), (1, 256));
    }

    #[test]
    fn a_tiny_side_never_becomes_zero() {
        assert_eq!(target(1, 65_535, ResizeMode::Border), (1, 256));
    }

    #[test]
    fn only_if_bigger_leaves_small_pictures_alone_without_pad_or_crop() {
        for mode in [ResizeMode::Border, ResizeMode::CenterCrop, ResizeMode::KeepRatio] {
            let options = ImageOptions { resize_mode: mode, resize_only_if_bigger: true, ..ImageOptions::default() };
            assert_eq!(plan(200, 100, &options), Plan { resize: None, finish: Finish::None });
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_padded_but_not_resampled() {
        let made = plan(256, 100, &ImageOptions::default());
        assert_eq!(made, Plan { resize: None, finish: Finish::Pad(256) });
    }
}
