//! The file formats of the pictures, and a picture's bytes.

use std::io::{Cursor, Write};

use flate2::{Compression, Crc, write::ZlibEncoder};
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Frame, ImageFormat, ImageResult, RgbImage, RgbaImage};

use super::paint::paint;
use super::world::Scene;

/// The format of a picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Baseline JPEG in colour.
    Jpeg,
    /// JPEG with one component.
    JpegGray,
    /// JPEG whose EXIF orientation is 6: the stored pixels have to be turned by 90° clockwise to stand upright.
    JpegTurned,
    /// PNG, 8 bits, RGB.
    Png,
    /// PNG, 8 bits, RGBA, with see-through edges.
    PngAlpha,
    /// PNG with a palette of 216 colours.
    PngPalette,
    /// PNG, 16 bits, RGB.
    Png16,
    /// PNG, 8 bits, gray.
    PngGray,
    /// GIF with one frame.
    Gif,
    /// GIF with three frames; the first is the scene.
    GifAnimated,
    /// Lossless WebP.
    Webp,
    /// BMP, 24 bits.
    Bmp,
    /// ICO with one entry.
    Ico,
    /// SVG: an image to a browser, but not pixels.
    Svg,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 14] = [
        Self::Jpeg,
        Self::JpegGray,
        Self::JpegTurned,
        Self::Png,
        Self::PngAlpha,
        Self::PngPalette,
        Self::Png16,
        Self::PngGray,
        Self::Gif,
        Self::GifAnimated,
        Self::Webp,
        Self::Bmp,
        Self::Ico,
        Self::Svg,
    ];

    /// The share of each format among the pictures; the shares sum to 1.
    pub const SHARES: [(Self, f64); 14] = [
        (Self::Jpeg, 0.68),
        (Self::JpegGray, 0.02),
        (Self::JpegTurned, 0.03),
        (Self::Png, 0.07),
        (Self::PngAlpha, 0.03),
        (Self::PngPalette, 0.02),
        (Self::Png16, 0.01),
        (Self::PngGray, 0.02),
        (Self::Gif, 0.02),
        (Self::GifAnimated, 0.01),
        (Self::Webp, 0.05),
        (Self::Bmp, 0.01),
        (Self::Ico, 0.01),
        (Self::Svg, 0.02),
    ];

    /// What stands behind the dot of the file name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg | Self::JpegGray | Self::JpegTurned => "jpg",
            Self::Png | Self::PngAlpha | Self::PngPalette | Self::Png16 | Self::PngGray => "png",
            Self::Gif | Self::GifAnimated => "gif",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Ico => "ico",
            Self::Svg => "svg",
        }
    }

    /// The `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg | Self::JpegGray | Self::JpegTurned => "image/jpeg",
            Self::Png | Self::PngAlpha | Self::PngPalette | Self::Png16 | Self::PngGray => "image/png",
            Self::Gif | Self::GifAnimated => "image/gif",
            Self::Webp => "image/webp",
            Self::Bmp => "image/bmp",
            Self::Ico => "image/x-icon",
            Self::Svg => "image/svg+xml",
        }
    }

    /// Whether the file is small only when the picture is: such formats are kept to a small side.
    pub(crate) fn is_bulky(self) -> bool {
        !matches!(self, Self::Jpeg | Self::JpegGray | Self::JpegTurned | Self::Svg)
    }
}

/// How a picture is stored: its format and its size as it is seen, upright, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// The file format.
    pub format: Format,
    /// Width of the upright picture in pixels.
    pub width: u32,
    /// Height of the upright picture in pixels.
    pub height: u32,
    /// JPEG quality, 1..=100; without meaning for other formats.
    pub quality: u8,
}

/// The bytes of the file that shows `scene` in this `look`. The same bytes on every call.
///
/// # Errors
/// When an encoder refuses the size; no look that a web draws is refused.
pub fn encode(scene: &Scene, look: &Look) -> ImageResult<Vec<u8>> {
    if look.format == Format::Svg {
        return Ok(svg(scene, look));
    }
    let picture = paint(scene, look.width, look.height);
    let with = |picture: DynamicImage, format: ImageFormat| {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).map(|()| out.into_inner())
    };
    match look.format {
        Format::Jpeg => jpeg(&picture.into(), look.quality),
        Format::JpegGray => jpeg(&DynamicImage::from(picture).to_luma8().into(), look.quality),
        Format::JpegTurned => {
            let stored = image::imageops::rotate270(&picture);
            Ok(with_orientation(&jpeg(&stored.into(), look.quality)?, 6))
        }
        Format::Png => with(picture.into(), ImageFormat::Png),
        Format::PngAlpha => with(with_soft_edge(&picture).into(), ImageFormat::Png),
        Format::PngPalette => Ok(palette_png(&picture)),
        Format::Png16 => with(DynamicImage::from(picture).to_rgb16().into(), ImageFormat::Png),
        Format::PngGray => with(DynamicImage::from(picture).to_luma8().into(), ImageFormat::Png),
        Format::Gif => with(picture.into(), ImageFormat::Gif),
        Format::GifAnimated => animated_gif(scene, &picture),
        Format::Webp => with(picture.into(), ImageFormat::WebP),
        Format::Bmp => with(picture.into(), ImageFormat::Bmp),
        Format::Ico => with(DynamicImage::from(picture).to_rgba8().into(), ImageFormat::Ico),
        Format::Svg => Ok(svg(scene, look)),
    }
}

fn jpeg(picture: &DynamicImage, quality: u8) -> ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100)).encode_image(picture)?;
    Ok(out)
}

/// Puts an EXIF block with nothing but an orientation behind the first marker of a JPEG.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    #[rustfmt::skip]
    let app1 = [
        0xFF, 0xE1, 0, 34, b'E', b'x', b'i', b'f', 0, 0,
        b'M', b'M', 0, 42, 0, 0, 0, 8,              // TIFF, big-endian, the first directory at byte 8
        0, 1,                                       // one entry:
        0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, // Orientation, SHORT, one value
        0, 0, 0, 0,                                 // no further directory
    ];
    let (start, rest) = jpeg.split_at(2.min(jpeg.len()));
    [start, &app1, rest].concat()
}

fn with_soft_edge(picture: &RgbImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = picture.get_pixel(x, y).0;
        let edge = x.min(y).min(width - 1 - x).min(height - 1 - y);
        image::Rgba([r, g, b, (edge * 64).min(255) as u8])
    })
}

fn animated_gif(scene: &Scene, first: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, 30);
    encoder.set_repeat(Repeat::Infinite)?;
    for turn in 0..3 {
        let frame = if turn == 0 {
            first.clone()
        } else {
            paint(&Scene { light: scene.light.wrapping_add(turn), ..*scene }, first.width(), first.height())
        };
        encoder.encode_frame(Frame::new(DynamicImage::from(frame).to_rgba8()))?;
    }
    drop(encoder);
    Ok(out)
}

/// A PNG with six steps of each primary in its palette, which the `image` crate reads but does not write.
fn palette_png(picture: &RgbImage) -> Vec<u8> {
    let step = |v: u8| u32::from(v) * 5 / 255;
    let mut palette = Vec::with_capacity(216 * 3);
    for index in 0..216u32 {
        palette.extend([index / 36, index / 6 % 6, index % 6].map(|s| (s * 51) as u8));
    }
    let mut rows = Vec::with_capacity((picture.width() as usize + 1) * picture.height() as usize);
    for row in picture.rows() {
        rows.push(0); // no filter
        rows.extend(row.map(|p| (step(p.0[0]) * 36 + step(p.0[1]) * 6 + step(p.0[2])) as u8));
    }
    png([picture.width(), picture.height()], 8, 3, &[(b"PLTE", &palette), (b"IDAT", &deflated(&rows))])
}

/// A PNG that claims to be far larger than memory and brings a few rows of it: 60 000 × 60 000 pixels in about a kilobyte.
pub(crate) fn pixel_bomb() -> Vec<u8> {
    png([60_000, 60_000], 8, 2, &[(b"IDAT", &deflated(&vec![0; 180_001 * 4]))])
}

fn png([width, height]: [u32; 2], depth: u8, colour_type: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([depth, colour_type, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let all = [(b"IHDR", header.as_slice())].into_iter().chain(chunks.iter().copied()).chain([(b"IEND", &[][..])]);
    for (name, body) in all {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(body);
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(name);
        out.extend(body);
        out.extend(crc.sum().to_be_bytes());
    }
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn svg(scene: &Scene, look: &Look) -> Vec<u8> {
    let hex = |[r, g, b]: [u8; 3]| format!("#{r:02x}{g:02x}{b:02x}");
    let (width, height) = (look.width, look.height);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/><circle cx=\"50%\" cy=\"50%\" r=\"20%\" fill=\"{}\"/></svg>",
        hex(scene.background.rgb()),
        hex(scene.colour.rgb())
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(format: Format) -> Look {
        Look { format, width: 48, height: 32, quality: 85 }
    }

    #[test]
    fn every_format_but_svg_decodes_to_its_stored_size() {
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Svg) {
            let bytes = encode(&Scene::nth(0, 1), &look(format)).unwrap();
            let picture = image::load_from_memory(&bytes).unwrap();
            let stored = if format == Format::JpegTurned { (32, 48) } else { (48, 32) };
            assert_eq!((picture.width(), picture.height()), stored, "{format:?}");
        }
    }

    #[test]
    fn lossless_formats_hold_the_painted_pixels() {
        let scene = Scene::nth(0, 4);
        let painted = paint(&scene, 48, 32);
        for format in [Format::Png, Format::Webp, Format::Bmp, Format::Png16] {
            let read = image::load_from_memory(&encode(&scene, &look(format)).unwrap()).unwrap();
            assert_eq!(read.to_rgb8(), painted, "{format:?}");
        }
    }

    #[test]
    fn a_turned_jpeg_stands_upright_when_its_orientation_is_applied() {
        use image::{ImageDecoder, ImageReader};
        let scene = Scene::nth(0, 3);
        let bytes = encode(&scene, &Look { quality: 95, ..look(Format::JpegTurned) }).unwrap();
        let mut decoder = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().unwrap().into_decoder().unwrap();
        let orientation = decoder.orientation().unwrap();
        assert_eq!(orientation.to_exif(), 6);
        let mut picture = DynamicImage::from_decoder(decoder).unwrap();
        picture.apply_orientation(orientation);
        let (read, painted) = (picture.to_rgb8(), paint(&scene, 48, 32));
        let apart: u64 = read.as_raw().iter().zip(painted.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(apart / (48 * 32 * 3) < 12, "{apart}");
    }

    #[test]
    fn an_animated_gif_has_three_frames() {
        use image::AnimationDecoder;
        let bytes = encode(&Scene::nth(0, 3), &look(Format::GifAnimated)).unwrap();
        let decoder = image::codecs::gif::GifDecoder::new(Cursor::new(bytes)).unwrap();
        assert_eq!(decoder.into_frames().count(), 3);
    }

    #[test]
    fn the_pixel_bomb_is_small_and_claims_much() {
        let bomb = pixel_bomb();
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let reader = image::ImageReader::new(Cursor::new(bomb)).with_guessed_format().unwrap();
        assert_eq!(reader.into_dimensions().unwrap(), (60_000, 60_000));
    }

    #[test]
    fn shares_sum_to_one() {
        assert!((Format::SHARES.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
