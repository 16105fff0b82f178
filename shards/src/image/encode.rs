//! Writing pixels: JPEG, PNG, WebP, without any metadata.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use turbojpeg::{Compressor, Image, OutputBuf, PixelFormat, Subsamp, YuvImage};

use super::error::ImageError;
use super::options::EncodeFormat;
use super::planes::Canvas;
use super::raster::Raster;

/// Longest side that WebP can say.
const WEBP_MAX_SIDE: u32 = 16_383;
/// Longest side that libjpeg takes.
const JPEG_MAX_SIDE: u32 = 65_500;

/// Encoders with their buffers.
pub(crate) struct Encoder {
    jpeg: Compressor,
    scratch: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Result<Self, ImageError> {
        let jpeg = Compressor::new().map_err(|error| ImageError::encode(error.to_string()))?;
        Ok(Self { jpeg, scratch: Vec::new() })
    }

    /// Whether a picture of this size can be written at all. Asked before anything is decoded.
    pub(crate) fn check_size(format: EncodeFormat, width: u32, height: u32) -> Result<(), ImageError> {
        let longest = match format {
            EncodeFormat::Jpg => JPEG_MAX_SIDE,
            EncodeFormat::Png => i32::MAX as u32,
            EncodeFormat::Webp => WEBP_MAX_SIDE,
        };
        if width.max(height) > longest {
            let name = format.extension();
            return Err(ImageError::encode(format!("{width}x{height} is too large for {name}")));
        }
        Ok(())
    }

    pub(crate) fn encode(&mut self, raster: &Raster, format: EncodeFormat, quality: u8) -> Result<Vec<u8>, ImageError> {
        Self::check_size(format, raster.width, raster.height)?;
        match format {
            EncodeFormat::Jpg => self.jpeg(raster, quality).map_err(|e| ImageError::encode(e.to_string())),
            EncodeFormat::Png => png(raster, quality),
            EncodeFormat::Webp => webp(raster, quality),
        }
    }

    /// Writes planes as the JPEG that [`Self::encode`] would make of the same picture in RGB.
    pub(crate) fn encode_planes(&mut self, canvas: &Canvas, quality: u8) -> Result<Vec<u8>, ImageError> {
        Self::check_size(EncodeFormat::Jpg, canvas.width, canvas.height)?;
        self.jpeg_planes(canvas, quality).map_err(|e| ImageError::encode(e.to_string()))
    }

    fn jpeg_planes(&mut self, canvas: &Canvas, quality: u8) -> turbojpeg::Result<Vec<u8>> {
        let (width, height) = (canvas.width as usize, canvas.height as usize);
        let image = YuvImage { pixels: canvas.data.as_slice(), width, align: 1, height, subsamp: Subsamp::Sub2x2 };
        self.start(quality, image.subsamp, width, height)?;
        let mut output = OutputBuf::borrowed(&mut self.scratch);
        self.jpeg.compress_yuv(image, &mut output)?;
        Ok(output.to_vec())
    }

    fn jpeg(&mut self, raster: &Raster, quality: u8) -> turbojpeg::Result<Vec<u8>> {
        let (format, subsamp) = match raster.channels {
            1 => (PixelFormat::GRAY, Subsamp::Gray),
            _ => (PixelFormat::RGB, Subsamp::Sub2x2),
        };
        let (width, height) = (raster.width as usize, raster.height as usize);
        self.start(quality, subsamp, width, height)?;
        let image = Image { pixels: raster.data.as_slice(), width, pitch: width * format.size(), height, format };
        let mut output = OutputBuf::borrowed(&mut self.scratch);
        self.jpeg.compress(image, &mut output)?;
        Ok(output.to_vec())
    }

    /// Sets the options and makes room for the largest JPEG of that size.
    fn start(&mut self, quality: u8, subsamp: Subsamp, width: usize, height: usize) -> turbojpeg::Result<()> {
        self.jpeg.set_quality(i32::from(quality))?;
        self.jpeg.set_subsamp(subsamp)?;
        let most = self.jpeg.buf_len(width, height)?;
        if self.scratch.len() < most {
            self.scratch.resize(most, 0);
        }
        Ok(())
    }

    /// Gives back a buffer that one large picture has blown up.
    pub(crate) fn shrink(&mut self, keep: usize) {
        if self.scratch.capacity() > keep {
            self.scratch = Vec::new();
        }
    }
}

fn png(raster: &Raster, level: u8) -> Result<Vec<u8>, ImageError> {
    let compression = match level {
        0 => CompressionType::Uncompressed,
        level => CompressionType::Level(level),
    };
    let colour = if raster.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, compression, FilterType::Adaptive)
        .write_image(&raster.data, raster.width, raster.height, colour)
        .map_err(|error| ImageError::encode(error.to_string()))?;
    Ok(out)
}

fn webp(raster: &Raster, quality: u8) -> Result<Vec<u8>, ImageError> {
    let widened: Vec<u8>;
    let data = if raster.channels == 1 {
        widened = raster.data.iter().flat_map(|&v| [v; 3]).collect();
        &widened
    } else {
        &raster.data
    };
    let encoder = webp::Encoder::from_rgb(data, raster.width, raster.height);
    let lossless = quality > 100;
    let quality = if lossless { 75.0 } else { f32::from(quality) };
    match encoder.encode_simple(lossless, quality) {
        Ok(out) => Ok(out.to_vec()),
        Err(error) => Err(ImageError::encode(format!("webp: {error:?}"))),
    }
}
