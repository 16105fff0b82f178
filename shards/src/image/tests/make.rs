//! Pictures made for tests.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// A smooth RGB picture with a bright top left corner, so that every turn of it looks different.
pub(super) fn scene(width: usize, height: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let corner = if u < 0.3 && v < 0.3 { 90.0 } else { 0.0 };
            let wave = ((u * 21.0).sin() + (v * 13.0).cos()) * 20.0;
            pixels.extend([u * 120.0 + corner + 40.0, v * 120.0 + corner + wave + 60.0, 140.0 + wave].map(|v| v as u8));
        }
    }
    pixels
}

pub(super) fn jpeg(pixels: &[u8], width: usize, height: usize, format: PixelFormat, progressive: bool) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(92).unwrap();
    compressor.set_progressive(progressive).unwrap();
    let subsamp = if format == PixelFormat::GRAY { Subsamp::Gray } else { Subsamp::Sub2x2 };
    compressor.set_subsamp(subsamp).unwrap();
    let image = Image { pixels, width, pitch: width * format.size(), height, format };
    compressor.compress_to_vec(image).unwrap()
}

pub(super) fn scene_jpeg(width: usize, height: usize) -> Vec<u8> {
    jpeg(&scene(width, height), width, height, PixelFormat::RGB, false)
}

/// The file with a segment put right behind its start.
pub(super) fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, marker];
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
    out.extend(&jpeg[2..]);
    out
}

/// An EXIF segment that says nothing but the orientation.
pub(super) fn exif_segment(orientation: u8) -> Vec<u8> {
    let mut body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    body.extend([orientation, 0, 0, 0, 0, 0, 0]);
    body
}

pub(super) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// Width, height, channels and pixels of any still picture.
pub(super) fn decoded(bytes: &[u8]) -> DynamicImage {
    image::load_from_memory(bytes).unwrap()
}

/// Peak signal to noise ratio in decibels of two pictures of one size, both as RGB.
pub(super) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let (a, b) = (decoded(a).to_rgb8(), decoded(b).to_rgb8());
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: f64 = a.iter().zip(b.iter()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) / (sum / a.len() as f64).max(1e-9)).log10()
}

/// A PNG chunk with its checksum.
pub(super) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(data);
    out.extend(crc.sum().to_be_bytes());
    out
}
