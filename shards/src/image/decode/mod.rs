//! From bytes to pixels.

mod jpeg;
mod other;

pub(crate) use jpeg::{JpegDecoder, dct_eighths};
pub(crate) use other::decode_other;

use super::raster::Raster;
use super::resize::Extent;

/// A decoded picture, as stored (not yet upright), still in the colours of its profile.
pub(crate) struct Decoded {
    pub(crate) pixels: Pixels,
    /// The part of the raster that is the picture.
    pub(crate) extent: Extent,
    /// The file has an alpha channel, which was put onto white.
    pub(crate) alpha_channel: bool,
    /// At least one pixel was not opaque.
    pub(crate) transparent: bool,
}

/// A decoded YCbCr picture: its luma plane, then those of Cb and Cr, without padding between rows.
pub(crate) struct Planes {
    pub(crate) data: Vec<u8>,
    pub(crate) luma: PlaneSize,
    /// Of each of the two.
    pub(crate) chroma: PlaneSize,
}

/// Size of a plane in samples, and the part of it that is the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlaneSize {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) extent: Extent,
}

impl PlaneSize {
    pub(crate) fn len(&self) -> usize {
        self.width as usize * self.height as usize
    }
}

/// Pixels by kind of colour.
pub(crate) enum Pixels {
    /// Gray or RGB.
    Light(Raster),
    /// Four inks a pixel in the inverted form that JPEG stores: 255 is no ink.
    Inks { width: u32, height: u32, data: Vec<u8> },
}
