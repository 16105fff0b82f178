//! PNG, GIF, WebP, BMP, TIFF and ICO through the `image` crate.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, ico::IcoDecoder, png::PngDecoder, tiff::TiffDecoder};
use image::error::{ImageError as Failure, LimitErrorKind};

use super::{Decoded, Pixels};
use crate::image::colour::{float_to_eight, onto_white, sixteen_to_eight};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::{ImageFormat, ImageInfo, ico, png};
use crate::image::raster::Raster;
use crate::image::resize::Extent;

/// Decodes the first frame.
pub(crate) fn decode_other(bytes: &[u8], info: &ImageInfo, limits: &Limits, scratch: &mut Vec<u8>) -> Result<Decoded, ImageError> {
    let place = Place { info, limits };
    match info.format {
        ImageFormat::Png => place.png(bytes, scratch),
        ImageFormat::Ico => {
            let entry = ico::best_entry(bytes).and_then(|range| bytes.get(range));
            match entry {
                Some(entry) if ico::is_png(entry) => place.png(entry, scratch),
                Some(_) => place.read(IcoDecoder::new(Cursor::new(bytes))),
                None => Err(ImageError::truncated("entry outside the file")),
            }
        }
        ImageFormat::Gif => place.read(GifDecoder::new(Cursor::new(bytes))),
        ImageFormat::Webp => place.read(WebPDecoder::new(Cursor::new(bytes))),
        ImageFormat::Bmp => place.read(BmpDecoder::new(Cursor::new(bytes))),
        ImageFormat::Tiff => place.read(TiffDecoder::new(Cursor::new(bytes))),
        other => Err(ImageError::unsupported(other.name())),
    }
}

struct Place<'a> {
    info: &'a ImageInfo,
    limits: &'a Limits,
}

impl Place<'_> {
    fn png(&self, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Decoded, ImageError> {
        png::pixels_only(bytes, scratch);
        let limits = self.image_limits();
        self.read(PngDecoder::with_limits(Cursor::new(scratch.as_slice()), limits))
    }

    fn image_limits(&self) -> image::Limits {
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(self.limits.max_side);
        limits.max_image_height = Some(self.limits.max_side);
        limits.max_alloc = Some(self.limits.max_alloc);
        limits
    }

    fn read<D: ImageDecoder>(&self, decoder: Result<D, Failure>) -> Result<Decoded, ImageError> {
        let mut decoder = decoder.map_err(|error| self.refusal(&error))?;
        decoder.set_limits(self.image_limits()).map_err(|error| self.refusal(&error))?;
        // The header was judged by our own reader: a decoder that sees another size is not run.
        let (width, height) = decoder.dimensions();
        if (width, height) != (self.info.width, self.info.height) {
            return Err(ImageError::decode(format!("header says {}x{}, decoder {width}x{height}", self.info.width, self.info.height)));
        }
        let (needed, limit) = (decoder.total_bytes(), self.limits.max_alloc);
        if needed > limit {
            return Err(ImageError::TooMuchMemory { needed, limit });
        }
        let colour = decoder.color_type();
        let mut data = vec![0; needed as usize];
        decoder.read_image(&mut data).map_err(|error| self.refusal(&error))?;
        let eight = match colour.bytes_per_pixel() / colour.channel_count() {
            1 => data,
            2 => sixteen_to_eight(&data),
            _ => float_to_eight(&data),
        };
        let (channels, (data, transparent)) = match colour.channel_count() {
            1 => (1, (eight, false)),
            2 => (1, onto_white::<2>(&eight)),
            3 => (3, (eight, false)),
            _ => (3, onto_white::<4>(&eight)),
        };
        let raster = Raster { width, height, channels, data };
        let extent = Extent::whole(&raster);
        Ok(Decoded { pixels: Pixels::Light(raster), extent, alpha_channel: colour.has_alpha(), transparent })
    }

    fn refusal(&self, error: &Failure) -> ImageError {
        let reason = error.to_string();
        match error {
            Failure::Limits(limit) => match limit.kind() {
                LimitErrorKind::DimensionError => {
                    ImageError::SideTooLong { side: self.info.width.max(self.info.height), limit: self.limits.max_side }
                }
                _ => ImageError::TooMuchMemory { needed: self.info.decoded_bytes, limit: self.limits.max_alloc },
            },
            Failure::Unsupported(_) => ImageError::unsupported(format!("{}: {reason}", self.info.format.name())),
            _ if ends_early(error, &reason) => ImageError::truncated(reason),
            _ => ImageError::decode(reason),
        }
    }
}

/// Whether a decoder failed because the data ran out.
fn ends_early(error: &Failure, reason: &str) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::UnexpectedEof
        {
            return true;
        }
        source = error.source();
    }
    let reason = reason.to_ascii_lowercase();
    ["unexpected eof", "unexpected end", "failed to fill whole buffer", "no more data", "not enough data"]
        .iter()
        .any(|part| reason.contains(part))
}
