//! Right pixels, right sizes, right bytes.

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat as File, Rgba, RgbaImage};
use turbojpeg::PixelFormat;

use super::make::{decoded, encoded, exif_segment, jpeg, psnr, scene, scene_jpeg, with_segment};
use crate::image::{EncodeFormat, IccUse, ImageError, ImageOptions, Interpolation, Processed, Processor, ResizeMode};

fn keep_size() -> ImageOptions {
    ImageOptions { resize_mode: ResizeMode::No, ..ImageOptions::default() }
}

fn png_out(options: ImageOptions) -> ImageOptions {
    ImageOptions { encode_format: EncodeFormat::Png, ..options }
}

fn process(bytes: &[u8], options: &ImageOptions) -> Result<Processed, ImageError> {
    options.validate().unwrap();
    Processor::new().unwrap().process(bytes, &[], options)
}

#[test]
fn the_jpeg_that_is_written_is_baseline_420_with_jfif_and_nothing_else() {
    let made = process(&scene_jpeg(300, 200), &ImageOptions::default()).unwrap();
    assert_eq!((made.width, made.height), (Some(256), Some(256)));
    assert_eq!((made.original_width, made.original_height), (Some(300), Some(200)));
    assert!(made.reencoded);
    assert_eq!(made.exif.as_deref(), Some("{}"));
    let markers: Vec<u8> = made.bytes.windows(2).filter(|w| w[0] == 0xFF && w[1] >= 0xC0).map(|w| w[1]).collect();
    assert!(markers.contains(&0xC0) && !markers.contains(&0xE1) && !markers.contains(&0xE2));
    let frame = made.bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    assert_eq!([11, 14, 17].map(|at| made.bytes[frame + at]), [0x22, 0x11, 0x11]);
}

#[test]
fn the_eight_orientations_give_the_same_upright_picture_and_size() {
    let upright = decoded(&encoded(&DynamicImage::ImageRgb8(ImageBuffer::from_raw(120, 80, scene(120, 80)).unwrap()), File::Png));
    let options = png_out(ImageOptions { image_size: 48, resize_mode: ResizeMode::KeepRatio, ..Default::default() });
    let reference = process(&encoded(&upright, File::Png), &options).unwrap();
    assert_eq!((reference.width, reference.height), (Some(72), Some(48)));
    for orientation in 1..=8u8 {
        let stored = match orientation {
            2 => upright.fliph(),
            3 => upright.rotate180(),
            4 => upright.flipv(),
            5 => upright.rotate90().fliph(),
            6 => upright.rotate270(),
            7 => upright.rotate270().fliph(),
            8 => upright.rotate90(),
            _ => upright.clone(),
        };
        let pixels = stored.to_rgb8();
        let (w, h) = (pixels.width() as usize, pixels.height() as usize);
        let file = with_segment(&jpeg(&pixels, w, h, PixelFormat::RGB, false), 0xE1, &exif_segment(orientation));
        let made = process(&file, &options).unwrap();
        assert_eq!(made.orientation, orientation);
        assert_eq!((made.original_width, made.original_height), (Some(120), Some(80)));
        assert!(psnr(&made.bytes, &reference.bytes) > 30.0, "orientation {orientation}");
    }
}

#[test]
fn gray_stays_gray_and_sixteen_bits_are_scaled() {
    let ramp = ImageBuffer::from_fn(256, 8, |x, _| image::Luma([x as u16 * 257]));
    let made = process(&encoded(&DynamicImage::ImageLuma16(ramp), File::Png), &png_out(keep_size())).unwrap();
    let DynamicImage::ImageLuma8(out) = decoded(&made.bytes) else { panic!("not gray") };
    assert!(out.enumerate_pixels().all(|(x, _, value)| u32::from(value[0]) == x));
    let gray = jpeg(&[90; 64 * 64], 64, 64, PixelFormat::GRAY, false);
    let made = process(&gray, &ImageOptions::default()).unwrap();
    assert!(matches!(decoded(&made.bytes), DynamicImage::ImageLuma8(_)));
}

#[test]
fn transparency_becomes_white_and_is_reported() {
    let image = RgbaImage::from_fn(4, 1, |x, _| Rgba([10, 20, 30, [0, 255, 128, 255][x as usize]]));
    let made = process(&encoded(&DynamicImage::ImageRgba8(image), File::Png), &png_out(keep_size())).unwrap();
    assert!(made.had_alpha);
    let out = decoded(&made.bytes).to_rgb8();
    assert_eq!(out.as_raw()[..9], [255, 255, 255, 10, 20, 30, 132, 137, 142]);
}

#[test]
fn inverted_inks_become_the_colours_that_were_meant() {
    // 255 is no ink: white, then pure cyan, then black.
    let pixels: Vec<u8> =
        [[255, 255, 255, 255], [0, 255, 255, 255], [255, 255, 255, 0]].iter().flat_map(|ink| ink.repeat(16 * 16)).collect();
    let made = process(&jpeg(&pixels, 16, 48, PixelFormat::CMYK, false), &png_out(keep_size())).unwrap();
    let out = decoded(&made.bytes).to_rgb8();
    for (y, wanted) in [(8, [255, 255, 255]), (24, [0, 255, 255]), (40, [0, 0, 0])] {
        let found = out.get_pixel(8, y).0;
        assert!(found.iter().zip(wanted).all(|(a, b): (&u8, u8)| a.abs_diff(b) < 12), "{found:?} {wanted:?}");
    }
}

#[test]
fn a_colour_profile_is_applied_once_and_then_gone() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let mut body = b"ICC_PROFILE\0\x01\x01".to_vec();
    body.extend(&profile);
    let red = jpeg(&[200, 40, 40].repeat(64 * 64), 64, 64, PixelFormat::RGB, false);
    let made = process(&with_segment(&red, 0xE2, &body), &png_out(keep_size())).unwrap();
    assert_eq!(made.icc, IccUse::Converted);
    assert!(decoded(&made.bytes).to_rgb8().get_pixel(30, 30)[0] > 208);
    body.truncate(40);
    assert_eq!(process(&with_segment(&red, 0xE2, &body), &keep_size()).unwrap().icc, IccUse::Ignored);
}

#[test]
fn filters_speak_as_img2dataset_does_and_see_the_upright_header() {
    let file = with_segment(&scene_jpeg(300, 100), 0xE1, &exif_segment(6));
    let refused = |options: ImageOptions| process(&file, &options).unwrap_err().to_string();
    let base = ImageOptions::default;
    assert_eq!(refused(ImageOptions { min_image_size: 101, ..base() }), "image too small");
    assert_eq!(refused(ImageOptions { max_image_area: Some(29_999.0), ..base() }), "image area too large");
    assert_eq!(refused(ImageOptions { max_aspect_ratio: Some(2.99), ..base() }), "aspect ratio too large");
    let most = ImageOptions { min_image_size: 100, max_image_area: Some(30_000.0), max_aspect_ratio: Some(3.0), ..base() };
    assert!(process(&file, &most).is_ok());
}

#[test]
fn bytes_are_kept_only_when_the_picture_needs_no_change() {
    let keep = ImageOptions { skip_reencode: true, resize_only_if_bigger: true, ..ImageOptions::default() };
    let file = scene_jpeg(100, 80);
    let made = process(&file, &keep).unwrap();
    assert!(!made.reencoded && made.bytes == file);
    assert_eq!((made.width, made.height), (Some(100), Some(80)));
    let turned = process(&with_segment(&file, 0xE1, &exif_segment(6)), &keep).unwrap();
    assert!(turned.reencoded);
    assert_eq!((turned.width, turned.height), (Some(80), Some(100)));
    assert!(process(&scene_jpeg(300, 200), &keep).unwrap().reencoded);
    let cut = &file[..file.len() * 2 / 3];
    assert_eq!(process(cut, &keep).unwrap_err().code(), "truncated");
}

#[test]
fn without_any_reencoding_sizes_come_from_the_header() {
    let options = ImageOptions { disable_all_reencoding: true, ..ImageOptions::default() };
    let file = scene_jpeg(100, 80);
    let made = process(&file, &options).unwrap();
    assert_eq!((made.bytes, made.width, made.extension), (file, Some(100), "jpg"));
    let made = process(b"\0\0\0\x20ftypavif\0\0\0\0avif", &options).unwrap();
    assert_eq!((made.width, made.extension), (None, "avif"));
    assert_eq!(process(b"<html></html>", &options), Err(ImageError::Html));
}

#[test]
fn every_mode_and_format_gives_the_promised_size() {
    let file = scene_jpeg(700, 500);
    let sizes = [
        (ResizeMode::No, (700, 500)),
        (ResizeMode::Border, (256, 256)),
        (ResizeMode::KeepRatio, (358, 256)),
        (ResizeMode::KeepRatioLargest, (256, 183)),
        (ResizeMode::CenterCrop, (256, 256)),
    ];
    for (resize_mode, size) in sizes {
        for encode_format in [EncodeFormat::Jpg, EncodeFormat::Png, EncodeFormat::Webp] {
            let options = ImageOptions { resize_mode, encode_format, ..ImageOptions::default() };
            let made = process(&file, &options).unwrap();
            let out = decoded(&made.bytes);
            assert_eq!((out.width(), out.height()), size, "{resize_mode:?} {encode_format:?}");
            assert_eq!((made.width, made.height), (Some(size.0), Some(size.1)));
        }
    }
}

#[test]
fn a_reduced_decode_looks_like_a_full_one() {
    let (w, h) = (1100, 900);
    let file = scene_jpeg(w, h);
    let full = DynamicImage::ImageRgb8(decoded(&file).to_rgb8());
    let options = png_out(ImageOptions { image_size: 130, ..ImageOptions::default() });
    let reduced = process(&file, &options).unwrap();
    let reference = process(&encoded(&full, File::Png), &options).unwrap();
    assert!(psnr(&reduced.bytes, &reference.bytes) > 45.0);
}

#[test]
fn the_result_does_not_depend_on_the_picture_before() {
    let file = scene_jpeg(640, 480);
    // Without its Huffman tables a file is decoded with the standard ones, never with left-overs.
    let mut bare = file.clone();
    while let Some(at) = bare.windows(2).position(|w| w == [0xFF, 0xC4]) {
        let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + len);
    }
    let gray = encoded(&DynamicImage::ImageLuma8(GrayImage::new(50, 900)), File::Png);
    let options = ImageOptions { upscale_interpolation: Interpolation::Cubic, ..ImageOptions::default() };
    let mut used = Processor::new().unwrap();
    let progressive = jpeg(&scene(200, 200), 200, 200, PixelFormat::RGB, true);
    for before in [&progressive, &gray, &file, &bare, &file[..900].to_vec()] {
        for picture in [&file, &bare, &gray] {
            let _ = used.process(before, &[], &options);
            let after = used.process(picture, &[[0.2, 0.2, 0.5, 0.5]], &options);
            assert_eq!(after, Processor::new().unwrap().process(picture, &[[0.2, 0.2, 0.5, 0.5]], &options));
        }
    }
}

#[test]
fn an_unusable_option_is_named() {
    let png = ImageOptions { encode_format: EncodeFormat::Png, encode_quality: Some(95), ..Default::default() };
    assert_eq!(png.validate().unwrap_err().option, "encode_quality");
    let zero = ImageOptions { image_size: 0, ..Default::default() };
    assert_eq!(zero.validate().unwrap_err().option, "image_size");
    let words = r#"{"resize_mode":"keep_ratio_largest","upscale_interpolation":"bicubic","downscale_interpolation":"lanczos4","encode_format":"webp"}"#;
    let read: ImageOptions = serde_json::from_str(words).unwrap();
    assert_eq!((read.resize_mode, read.upscale_interpolation), (ResizeMode::KeepRatioLargest, Interpolation::Cubic));
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<ImageOptions>(&written).unwrap(), read);
}
