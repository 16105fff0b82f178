//! Cut, damaged and oversized pictures: refused with a stable code, without a panic.

use std::io::Write;

use image::{DynamicImage, ImageBuffer, ImageFormat as File};
use proptest::prelude::*;
use turbojpeg::PixelFormat;

use super::make::{chunk, encoded, jpeg, scene, scene_jpeg, with_segment};
use crate::image::{ImageError, ImageOptions, Limits, Processor, ResizeMode, probe};

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (w, h) = (97, 61);
    let pixels = scene(w, h);
    let image = DynamicImage::ImageRgb8(ImageBuffer::from_raw(w as u32, h as u32, pixels.clone()).unwrap());
    vec![
        ("baseline", jpeg(&pixels, w, h, PixelFormat::RGB, false)),
        ("progressive", jpeg(&pixels, w, h, PixelFormat::RGB, true)),
        ("png", encoded(&image, File::Png)),
        ("gif", encoded(&image, File::Gif)),
        ("webp", encoded(&image, File::WebP)),
        ("bmp", encoded(&image, File::Bmp)),
        ("tiff", encoded(&image, File::Tiff)),
    ]
}

fn options() -> ImageOptions {
    ImageOptions { resize_mode: ResizeMode::No, ..ImageOptions::default() }
}

#[test]
fn a_cut_picture_is_refused_or_complete_never_half() {
    let mut processor = Processor::new().unwrap();
    for (name, file) in samples() {
        let whole = processor.process(&file, &[], &options()).unwrap();
        for cut in 0..file.len() {
            match processor.process(&file[..cut], &[], &options()) {
                Ok(made) => assert_eq!(made.bytes, whole.bytes, "{name} cut at {cut} of {}", file.len()),
                Err(error) => assert!(!matches!(error, ImageError::Panic { .. }), "{name} at {cut}: {}", error.detail()),
            }
        }
        let most = file.len() * 2 / 3;
        let error = processor.process(&file[..most], &[], &options()).unwrap_err();
        assert!(["truncated", "image_decoding_error"].contains(&error.code()), "{name}: {error:?}");
    }
}

#[test]
fn the_reason_of_a_cut_jpeg_is_truncated() {
    let file = scene_jpeg(320, 240);
    let mut processor = Processor::new().unwrap();
    for share in 3..10 {
        let error = processor.process(&file[..file.len() * share / 10], &[], &options()).unwrap_err();
        assert_eq!(error.code(), "truncated");
        assert_eq!(error.to_string(), "Image decoding error");
    }
    // Only the end marker is missing: everything is there.
    assert!(processor.process(&file[..file.len() - 2], &[], &options()).is_ok());
}

#[test]
fn harmless_oddities_of_jpeg_are_read() {
    let file = scene_jpeg(64, 64);
    let whole = Processor::new().unwrap().process(&file, &[], &options()).unwrap();
    let mut junk_in_header = file.clone();
    junk_in_header.splice(20..20, [1, 2, 3]);
    let mut junk_before_end = file.clone();
    junk_before_end.splice(file.len() - 2..file.len() - 2, [0; 40]);
    let mut junk_after = file.clone();
    junk_after.extend(b"<!-- served in 3 ms -->");
    let broken_icc = with_segment(&file, 0xE2, b"ICC_PROFILE\0\x07\x02xx");
    for odd in [junk_in_header, junk_before_end, junk_after, broken_icc] {
        let made = Processor::new().unwrap().process(&odd, &[], &options()).unwrap();
        assert_eq!(made.bytes, whole.bytes);
    }
}

/// A PNG header for a picture of any size, without pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([1, 0, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1A\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    out
}

#[test]
fn bombs_are_refused_from_the_header() {
    let mut processor = Processor::new().unwrap();
    let mut code = |bytes: &[u8]| processor.process(bytes, &[], &options()).unwrap_err().code();
    assert_eq!(code(&png_header(65_535, 65_535)), "too_many_pixels");
    assert_eq!(code(&png_header(100_000, 10)), "side_too_long");
    assert_eq!(code(&png_header(u32::MAX, u32::MAX)), "too_many_pixels");
    assert_eq!(code(b"GIF89a\xFF\xFF\xFF\xFF\0\0\0"), "too_many_pixels");
    let mut frames = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
    for _ in 0..10_001 {
        frames.extend(b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\0");
    }
    assert_eq!(code(&frames), "too_many_frames");
}

#[test]
fn a_strip_that_would_be_blown_up_is_refused() {
    let strip = encoded(&DynamicImage::new_rgb8(1, 60_000), File::Png);
    let blown = ImageOptions { resize_mode: ResizeMode::CenterCrop, image_size: 4_096, ..Default::default() };
    let error = Processor::new().unwrap().process(&strip, &[], &blown).unwrap_err();
    assert_eq!(error.code(), "too_many_pixels");
}

#[test]
fn a_profile_that_inflates_without_end_is_ignored() {
    let small = encoded(&DynamicImage::new_rgb8(8, 8), File::Png);
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    stream.write_all(&vec![0; 64 << 20]).unwrap();
    let mut profile = b"bomb\0\0".to_vec();
    profile.extend(stream.finish().unwrap());
    let mut text = b"note\0\0".to_vec();
    text.extend(&profile[6..]);
    let mut bomb = small[..33].to_vec();
    bomb.extend(chunk(b"iCCP", &profile));
    bomb.extend(chunk(b"zTXt", &text));
    bomb.extend(&small[33..]);
    let made = Processor::new().unwrap().process(&bomb, &[], &options()).unwrap();
    assert_eq!(made.icc, crate::image::IccUse::Ignored);
}

#[test]
fn a_directory_that_points_to_itself_ends() {
    let mut loops = b"II*\0\x08\0\0\0\x02\0".to_vec();
    loops.extend(b"\0\x01\x03\0\x01\0\0\0\x04\0\0\0\x01\x01\x03\0\x01\0\0\0\x04\0\0\0\x08\0\0\0");
    assert_eq!(probe(&loops, &Limits::default()).unwrap().frames, 1);
}

#[test]
fn a_progressive_jpeg_with_too_many_scans_is_refused() {
    let file = jpeg(&scene(64, 64), 64, 64, PixelFormat::RGB, true);
    let limits = Limits { max_scans: 3, ..Limits::default() };
    let few = ImageOptions { limits, ..options() };
    let error = Processor::new().unwrap().process(&file, &[], &few).unwrap_err();
    assert_eq!(error.code(), "too_many_scans");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_gives_a_picture_or_an_error(which in 0usize..7, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (_, mut file) = samples().swap_remove(which);
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        let made = Processor::new().unwrap().process(&file, &[], &ImageOptions { limits, ..options() });
        prop_assert!(!matches!(made, Err(ImageError::Panic { .. })), "{made:?}");
    }
}
