//! The settings of image work, under img2dataset's names.

use serde::{Deserialize, Serialize};

use super::error::OptionsError;

/// How the target size follows from the original size. The words are img2dataset's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Keep the size.
    No,
    /// Longest side becomes `image_size`, then white is added around until it is square.
    #[default]
    Border,
    /// Smallest side becomes `image_size`.
    KeepRatio,
    /// Longest side becomes `image_size`.
    KeepRatioLargest,
    /// Smallest side becomes `image_size`, then the centre `image_size` x `image_size` is cut out.
    CenterCrop,
}

/// A resampling rule, with OpenCV's meaning: only [`Interpolation::Area`] averages when it makes a
/// picture smaller, the others sample at fixed distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Nearest pixel (INTER_NEAREST).
    Nearest,
    /// Two by two pixels (INTER_LINEAR).
    #[serde(alias = "bilinear")]
    Linear,
    /// Four by four pixels, a = -0.75 (INTER_CUBIC).
    #[serde(alias = "bicubic")]
    Cubic,
    /// Mean over the covered area (INTER_AREA).
    Area,
    /// Eight by eight pixels (INTER_LANCZOS4).
    #[serde(alias = "lanczos4")]
    Lanczos,
}

/// The format that pictures are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodeFormat {
    /// Baseline JPEG, 4:2:0, JFIF, no metadata.
    #[default]
    #[serde(alias = "jpeg")]
    Jpg,
    /// PNG, 8 bits, no metadata.
    Png,
    /// WebP, lossy up to quality 100 as in OpenCV, lossless above it.
    Webp,
}

impl EncodeFormat {
    /// The file name extension without the dot: `jpg`, `png` or `webp`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// Bounds on what a picture may ask for. All are checked on the header, before a pixel is decoded,
/// and all of them are errors when passed: nothing is cut off silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Width x height, in pixels. Default 178 956 970, where Pillow raises its decompression bomb
    /// error (twice the 89 478 485 at which it warns).
    pub max_pixels: u64,
    /// The longer side in pixels. Default 65 535, the most that JPEG can say.
    pub max_side: u32,
    /// Estimated memory of one decode, in bytes. Default 1 GiB: an RGB picture at `max_pixels` is
    /// 0.5 GiB, and a progressive JPEG also holds its coefficients.
    pub max_alloc: u64,
    /// Frames of an animation, or pages. Only the first is decoded; the count bounds the walk over
    /// the others. Default 10 000.
    pub max_frames: u32,
    /// Scans of a progressive JPEG: each costs a walk over all coefficients. Encoders write about
    /// ten. Default 100, as in libvips.
    pub max_scans: u32,
    /// Size of a colour profile after inflation, in bytes; a larger one is ignored and flagged.
    /// Default 4 MiB (CMYK print profiles are 0.5 to 2 MiB).
    pub max_icc: u32,
    /// Size of the EXIF block in bytes; a larger one is ignored. Default 1 MiB (JPEG holds 64 KiB).
    pub max_exif: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 2 * 89_478_485,
            max_side: 65_535,
            max_alloc: 1 << 30,
            max_frames: 10_000,
            max_scans: 100,
            max_icc: 4 << 20,
            max_exif: 1 << 20,
        }
    }
}

/// Everything that decides what becomes of a picture.
///
/// ```
/// # use trommel_shards::image::{ImageOptions, ResizeMode};
/// let options = ImageOptions { image_size: 512, resize_mode: ResizeMode::KeepRatio, ..Default::default() };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// Target side in pixels, 1 to 65 535. Default 256.
    pub image_size: u32,
    /// How the target size is found. Default `border`.
    pub resize_mode: ResizeMode,
    /// Leave smaller pictures alone: not enlarged, not padded, not cropped. Default false.
    pub resize_only_if_bigger: bool,
    /// Rule for enlarging. Default `lanczos`.
    pub upscale_interpolation: Interpolation,
    /// Rule for making smaller. Default `area`.
    pub downscale_interpolation: Interpolation,
    /// JPEG: 1 to 100; WebP: 1 to 100 lossy, 101 lossless; PNG: compression 0 to 9. `None` is 95 for
    /// JPEG and WebP and 6 for PNG (img2dataset's default of 95 raises for PNG).
    pub encode_quality: Option<u8>,
    /// Format to write. Default `jpg`.
    pub encode_format: EncodeFormat,
    /// Keep the original bytes where the picture needs no change: the format is `encode_format`, no
    /// resize, and its pixels mean what they say (upright, no alpha, no CMYK, no 16 bits, no colour
    /// profile that differs from sRGB). It is decoded all the same, so that a damaged one is refused.
    /// Kept bytes keep their metadata, GPS included. Default false.
    pub skip_reencode: bool,
    /// Store all bytes as they are: no decode, no filters, no limits. Sizes are given where the
    /// header tells them. Default false.
    pub disable_all_reencoding: bool,
    /// Refuse when the shorter side is under this, in pixels. Default 0.
    pub min_image_size: u32,
    /// Refuse when width x height is over this, in pixels. `None` is no limit.
    pub max_image_area: Option<f64>,
    /// Refuse when longer / shorter side is over this, a ratio of at least 1. `None` is no limit.
    pub max_aspect_ratio: Option<f64>,
    /// Fill `exif`. Default true.
    pub extract_exif: bool,
    /// Keep tags that place or name people in `exif`: GPS, serial numbers, owner names. Default
    /// false.
    pub keep_location: bool,
    /// Bounds on hostile pictures.
    pub limits: Limits,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            image_size: 256,
            resize_mode: ResizeMode::Border,
            resize_only_if_bigger: false,
            upscale_interpolation: Interpolation::Lanczos,
            downscale_interpolation: Interpolation::Area,
            encode_quality: None,
            encode_format: EncodeFormat::Jpg,
            skip_reencode: false,
            disable_all_reencoding: false,
            min_image_size: 0,
            max_image_area: None,
            max_aspect_ratio: None,
            extract_exif: true,
            keep_location: false,
            limits: Limits::default(),
        }
    }
}

impl ImageOptions {
    /// Checks ranges and combinations.
    ///
    /// # Errors
    /// Names the first option that is out of range.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let bad = |option, problem: String| Err(OptionsError { option, problem });
        if !(1..=65_535).contains(&self.image_size) {
            return bad("image_size", format!("must be 1 to 65535, got {}", self.image_size));
        }
        let (low, high) = self.quality_range();
        if let Some(quality) = self.encode_quality
            && !(low..=high).contains(&quality)
        {
            let what = match self.encode_format {
                EncodeFormat::Png => "for png it is the compression and",
                EncodeFormat::Jpg | EncodeFormat::Webp => "it",
            };
            return bad("encode_quality", format!("{what} must be {low} to {high}, got {quality}"));
        }
        if let Some(area) = self.max_image_area
            && (area.is_nan() || area <= 0.0)
        {
            return bad("max_image_area", format!("must be over 0, got {area}"));
        }
        if let Some(ratio) = self.max_aspect_ratio
            && (ratio.is_nan() || ratio < 1.0)
        {
            return bad("max_aspect_ratio", format!("must be at least 1, got {ratio}"));
        }
        let limits = [
            ("limits.max_pixels", self.limits.max_pixels),
            ("limits.max_side", u64::from(self.limits.max_side)),
            ("limits.max_alloc", self.limits.max_alloc),
            ("limits.max_frames", u64::from(self.limits.max_frames)),
            ("limits.max_scans", u64::from(self.limits.max_scans)),
        ];
        for (option, value) in limits {
            if value == 0 {
                return bad(option, "must be over 0".to_owned());
            }
        }
        Ok(())
    }

    fn quality_range(&self) -> (u8, u8) {
        match self.encode_format {
            EncodeFormat::Jpg => (1, 100),
            EncodeFormat::Png => (0, 9),
            EncodeFormat::Webp => (1, 101),
        }
    }

    /// The quality in force: the one given, or the default of the format.
    pub fn quality(&self) -> u8 {
        self.encode_quality.unwrap_or(match self.encode_format {
            EncodeFormat::Jpg | EncodeFormat::Webp => 95,
            EncodeFormat::Png => 6,
        })
    }
}
