//! The size at which NaFlex sees a picture: its own aspect ratio, at most so many patches.

/// Scales between which the search runs, and where it stops: `eps / 10`, `100`, `eps` of the reference
/// (transformers `image_processing_siglip2.py`; big_vision `pp/proj/image_text/pp_naflex.py`).
const EPS: f64 = 1e-5;
const LARGEST: f64 = 100.0;

/// Sides in pixels, multiples of `patch`, of the largest scaled copy of a `width` x `height` picture that has at most
/// `patches` patches. Returns `(width, height)`.
///
/// The same halving as the reference's, in `f64` and in the same order of operations, so that ties at patch borders
/// fall on the same side.
pub(crate) fn target_size(width: u32, height: u32, patch: u32, patches: u32) -> (u64, u64) {
    let scaled = |scale: f64, side: u32| {
        let in_patches = (f64::from(side) * scale / f64::from(patch)).ceil();
        (in_patches * f64::from(patch)).max(f64::from(patch))
    };
    let (mut low, mut high) = (EPS / 10.0, LARGEST);
    while high - low >= EPS {
        let scale = f64::midpoint(low, high);
        let rows = scaled(scale, height) / f64::from(patch);
        let columns = scaled(scale, width) / f64::from(patch);
        if rows * columns <= f64::from(patches) {
            low = scale;
        } else {
            high = scale;
        }
    }
    (scaled(low, width) as u64, scaled(low, height) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_equal_the_reference() {
        // From transformers 5.23 `get_image_size_for_max_num_patches(height, width, 16, patches)`.
        for (width, height, patches, expected) in [
            (640, 480, 256, (288, 224)),
            (480, 640, 256, (224, 288)),
            (256, 256, 256, (256, 256)),
            (1, 5000, 256, (16, 4096)),
            (5000, 1, 256, (4096, 16)),
            (1, 1, 256, (112, 112)),
            (1, 1, 1, (16, 16)),
            (1999, 3, 128, (2048, 16)),
            (1024, 683, 1024, (624, 416)),
            (333, 500, 576, (304, 464)),
            (100_000, 3, 256, (4096, 16)),
        ] {
            assert_eq!(target_size(width, height, 16, patches), expected, "{width} x {height}, {patches}");
        }
    }
}
