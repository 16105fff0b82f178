//! What a picture says about itself before a pixel is decoded.
//!
//! Everything here reads headers only, in time proportional to the number of chunks, and trusts no
//! length. Text chunks and XMP packets are never looked at.

mod gif;
pub(crate) mod ico;
pub(crate) mod jpeg;
pub(crate) mod png;
mod sniff;
mod tiff;
mod webp;

use std::ops::Range;

pub use sniff::{ImageFormat, sniff};

use super::error::ImageError;
use super::options::Limits;
use super::orientation::Orientation;

/// The header of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageInfo {
    /// The format by its magic bytes.
    pub format: ImageFormat,
    /// Stored width in pixels, at least 1.
    pub width: u32,
    /// Stored height in pixels, at least 1.
    pub height: u32,
    /// How the stored pixels lie.
    pub orientation: Orientation,
    /// Colour channels as stored: 1 gray, 3 RGB or YCbCr, 4 CMYK or YCCK; a palette counts as 3.
    pub colour_channels: u8,
    /// Bits of one sample as stored.
    pub bits: u8,
    /// Whether the file can hold transparent pixels (an alpha channel or a transparent colour).
    pub has_alpha: bool,
    /// Frames of an animation or pages of a TIFF: 1 for a still picture.
    pub frames: u32,
    /// Whether a colour profile is attached.
    pub has_icc: bool,
    /// Memory that a full decode takes, in bytes, estimated from above.
    pub decoded_bytes: u64,
    pub(crate) exif: Option<Range<usize>>,
    pub(crate) icc: IccSource,
    pub(crate) jpeg: Option<jpeg::JpegHeader>,
}

/// Where the colour profile lies in the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum IccSource {
    #[default]
    None,
    /// Plain bytes, possibly in several pieces.
    Plain(Vec<Range<usize>>),
    /// A zlib stream (PNG).
    Deflated(Range<usize>),
    /// Pieces that do not fit together.
    Broken,
}

impl ImageInfo {
    /// Width and height of the upright picture in pixels: what goes into `original_width` and
    /// `original_height`.
    pub fn upright_size(&self) -> (u32, u32) {
        self.orientation.upright(self.width, self.height)
    }

    /// Whether there is more than one frame and the format is one of animations.
    pub fn animated(&self) -> bool {
        self.frames > 1 && self.format != ImageFormat::Tiff
    }

    pub(crate) fn new(format: ImageFormat, width: u32, height: u32) -> Self {
        Self {
            format,
            width,
            height,
            orientation: Orientation::UPRIGHT,
            colour_channels: 3,
            bits: 8,
            has_alpha: false,
            frames: 1,
            has_icc: false,
            decoded_bytes: 0,
            exif: None,
            icc: IccSource::None,
            jpeg: None,
        }
    }

    fn finished(mut self, bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        if self.width == 0 || self.height == 0 {
            return Err(ImageError::decode("zero width or height"));
        }
        self.exif = self.exif.filter(|range| range.len() <= limits.max_exif as usize);
        if self.format != ImageFormat::Tiff
            && let Some(block) = self.exif.clone().and_then(|range| bytes.get(range))
        {
            self.orientation = Orientation::of_exif_block(block);
        }
        self.has_icc = self.icc != IccSource::None;
        let pixels = u64::from(self.width) * u64::from(self.height);
        self.decoded_bytes = match &self.jpeg {
            Some(header) => header.decoded_bytes(pixels),
            None => {
                let samples = u64::from(self.colour_channels.max(3)) + u64::from(self.has_alpha);
                let sample = u64::from(self.bits.div_ceil(8).max(1));
                // The decoder's canvas and our RGB copy of it.
                pixels.saturating_mul(samples * sample + 3)
            }
        };
        Ok(self)
    }

    /// Applies the limits on pixels, sides and memory.
    ///
    /// # Errors
    /// The first limit that the header passes.
    pub fn check_limits(&self, limits: &Limits) -> Result<(), ImageError> {
        let (width, height) = (self.width, self.height);
        let pixels = u64::from(width) * u64::from(height);
        if pixels > limits.max_pixels {
            return Err(ImageError::TooManyPixels { width, height, limit: limits.max_pixels });
        }
        let side = width.max(height);
        if side > limits.max_side {
            return Err(ImageError::SideTooLong { side, limit: limits.max_side });
        }
        if self.decoded_bytes > limits.max_alloc {
            let (needed, limit) = (self.decoded_bytes, limits.max_alloc);
            return Err(ImageError::TooMuchMemory { needed, limit });
        }
        Ok(())
    }
}

/// Reads the header of a picture: format by magic bytes, size, orientation, frames. Nothing is
/// decoded, and no size limit is applied ([`ImageInfo::check_limits`] does that).
///
/// # Errors
/// [`ImageError::Empty`], [`ImageError::Html`], [`ImageError::UnsupportedFormat`] (with the name of
/// the format where it is known), [`ImageError::Decode`] or [`ImageError::Truncated`] when the header
/// makes no sense or is cut off, and [`ImageError::TooManyFrames`].
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let Some(format) = sniff(bytes) else {
        return Err(if sniff::looks_like_html(bytes) { ImageError::Html } else { ImageError::unsupported("unknown") });
    };
    let info = match format {
        ImageFormat::Jpeg => jpeg::probe(bytes)?,
        ImageFormat::Png => png::probe(bytes, limits)?,
        ImageFormat::Webp => webp::probe(bytes, limits)?,
        ImageFormat::Gif => gif::probe(bytes, limits)?,
        ImageFormat::Tiff => tiff::probe(bytes, limits)?,
        ImageFormat::Bmp => ico::probe_bmp(bytes)?,
        ImageFormat::Ico => ico::probe(bytes, limits)?,
        other => return Err(ImageError::unsupported(other.name())),
    };
    info.finished(bytes, limits)
}

/// Big-endian number at an offset.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// Little-endian number at an offset.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    be16(bytes, at).map(u16::swap_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

pub(crate) fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let three = bytes.get(at..at.checked_add(3)?)?;
    Some(u32::from(three[0]) | u32::from(three[1]) << 8 | u32::from(three[2]) << 16)
}
