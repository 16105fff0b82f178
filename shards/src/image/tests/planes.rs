//! The short way of JPEGs, in planes, against the long one over RGB.

use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

use super::make::{decoded, encoded, jpeg, psnr, scene, scene_jpeg, with_segment};
use crate::image::{EncodeFormat, IccUse, ImageOptions, Processed, Processor, ResizeMode};
use image::{DynamicImage, ImageBuffer, ImageFormat as File};

/// A box without area blurs nothing, and pictures with boxes take the long way.
const LONG_WAY: &[[f32; 4]] = &[[0.0; 4]];

fn short(file: &[u8], options: &ImageOptions) -> Processed {
    Processor::new().unwrap().process(file, &[], options).unwrap()
}

fn long(file: &[u8], options: &ImageOptions) -> Processed {
    Processor::new().unwrap().process(file, LONG_WAY, options).unwrap()
}

fn sampled(width: usize, height: usize, subsamp: Subsamp, colorspace: Option<Colorspace>) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    if let Some(colorspace) = colorspace {
        compressor.set_colorspace(colorspace).unwrap();
    }
    let pixels = scene(width, height);
    let image = Image { pixels: pixels.as_slice(), width, pitch: width * 3, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

/// At quality 100, so that what is compared is not the encoder's loss.
fn finest(image_size: u32, resize_mode: ResizeMode) -> ImageOptions {
    ImageOptions { image_size, resize_mode, encode_quality: Some(100), ..ImageOptions::default() }
}

#[test]
fn both_ways_give_the_same_picture_at_every_parity() {
    let modes = [ResizeMode::Border, ResizeMode::KeepRatio, ResizeMode::KeepRatioLargest, ResizeMode::CenterCrop];
    // Full and reduced decodes; sides that end inside of a block and of a chroma sample.
    for (width, height) in [(200, 150), (201, 133), (133, 200), (263, 75), (640, 481), (1023, 601)] {
        for subsamp in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None] {
            let file = sampled(width, height, subsamp, None);
            for resize_mode in modes {
                for side in [63, 64, 65, 66] {
                    let options = finest(side, resize_mode);
                    let (short, long) = (short(&file, &options), long(&file, &options));
                    let place = format!("{width} x {height}, {subsamp:?}, {resize_mode:?} {side}");
                    assert_ne!(short.bytes, long.bytes, "{place}: not two ways");
                    let alike = psnr(&short.bytes, &long.bytes);
                    assert!(alike > 45.0, "{place}: {alike} dB");
                    assert_eq!(short, Processed { bytes: short.bytes.clone(), ..long }, "{place}");
                }
            }
        }
    }
}

#[test]
fn the_short_way_is_as_near_to_the_original_as_the_long_one() {
    for (width, height) in [(300, 201), (640, 480), (1025, 769)] {
        let pixels = ImageBuffer::from_raw(width as u32, height as u32, scene(width, height)).unwrap();
        let original = encoded(&DynamicImage::ImageRgb8(pixels), File::Png);
        let options = ImageOptions { image_size: 128, ..ImageOptions::default() };
        let exact = short(&original, &ImageOptions { encode_format: EncodeFormat::Png, ..options.clone() });
        for subsamp in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None] {
            let file = sampled(width, height, subsamp, None);
            let near = |made: Processed| psnr(&made.bytes, &exact.bytes);
            let (short, long) = (near(short(&file, &options)), near(long(&file, &options)));
            assert!(short > long - 0.3, "{width} x {height} {subsamp:?}: {short} dB, over RGB {long} dB");
        }
    }
}

#[test]
fn white_borders_are_white_and_the_edge_of_the_picture_keeps_its_colour() {
    // Blue, 61 rows in 128: an odd margin above and below.
    let file = jpeg(&[20, 30, 220].repeat(256 * 122), 256, 122, PixelFormat::RGB, false);
    let made = decoded(&short(&file, &finest(128, ResizeMode::Border)).bytes).to_rgb8();
    let near = |y: u32, wanted: [u8; 3]| made.get_pixel(60, y).0.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 6);
    for y in (0..30).chain(98..128) {
        assert!(near(y, [255; 3]), "row {y}: {:?}", made.get_pixel(60, y));
    }
    for y in 36..92 {
        assert!(near(y, [20, 30, 220]), "row {y}: {:?}", made.get_pixel(60, y));
    }
}

#[test]
fn both_ways_refuse_the_same_files() {
    let options = ImageOptions { image_size: 40, ..ImageOptions::default() };
    let mut processor = Processor::new().unwrap();
    for progressive in [false, true] {
        let file = jpeg(&scene(97, 61), 97, 61, PixelFormat::RGB, progressive);
        for cut in 0..file.len() {
            let short = processor.process(&file[..cut], &[], &options).map(|made| made.width);
            let long = processor.process(&file[..cut], LONG_WAY, &options).map(|made| made.width);
            assert_eq!(short, long, "progressive: {progressive}, cut at {cut} of {}", file.len());
        }
        for at in (0..file.len()).step_by(3) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            let short = processor.process(&damaged, &[], &options).map(|made| made.width);
            let long = processor.process(&damaged, LONG_WAY, &options).map(|made| made.width);
            assert_eq!(short, long, "progressive: {progressive}, damaged at {at}");
        }
    }
}

#[test]
fn harmless_oddities_do_not_change_the_short_way() {
    let file = scene_jpeg(200, 120);
    let options = ImageOptions { image_size: 64, ..ImageOptions::default() };
    let whole = short(&file, &options);
    let mut junk_in_header = file.clone();
    junk_in_header.splice(20..20, [1, 2, 3]);
    let mut junk_before_end = file.clone();
    junk_before_end.splice(file.len() - 2..file.len() - 2, [0; 40]);
    for odd in [junk_in_header, junk_before_end, file[..file.len() - 2].to_vec()] {
        assert_eq!(short(&odd, &options).bytes, whole.bytes);
    }
    let mut body = b"ICC_PROFILE\0\x01\x01".to_vec();
    body.extend(moxcms::ColorProfile::new_srgb().encode().unwrap());
    let made = short(&with_segment(&file, 0xE2, &body), &options);
    assert_eq!((made.icc, made.bytes == whole.bytes), (IccUse::Srgb, true));
}

#[test]
fn what_does_not_fit_takes_the_long_way() {
    let options = ImageOptions { image_size: 64, ..ImageOptions::default() };
    let rgb = sampled(200, 120, Subsamp::None, Some(Colorspace::RGB));
    let other_sampling = sampled(200, 120, Subsamp::Sub1x2, None);
    let gray = jpeg(&[90; 200 * 120], 200, 120, PixelFormat::GRAY, false);
    let mut body = b"ICC_PROFILE\0\x01\x01".to_vec();
    body.extend(moxcms::ColorProfile::new_display_p3().encode().unwrap());
    let wide = with_segment(&scene_jpeg(200, 120), 0xE2, &body);
    for file in [rgb, other_sampling, gray, wide, scene_jpeg(40, 20)] {
        assert_eq!(short(&file, &options), long(&file, &options));
    }
}

#[test]
fn the_short_way_does_not_depend_on_the_picture_before() {
    let files =
        [scene_jpeg(640, 480), scene_jpeg(97, 203), sampled(333, 211, Subsamp::None, None), sampled(900, 201, Subsamp::Sub2x1, None)];
    let mut used = Processor::new().unwrap();
    for resize_mode in [ResizeMode::Border, ResizeMode::KeepRatio, ResizeMode::CenterCrop] {
        let options = ImageOptions { image_size: 91, resize_mode, ..ImageOptions::default() };
        for before in &files {
            for file in &files {
                let _ = used.process(before, &[], &options);
                let _ = used.process(&before[..before.len() / 2], &[], &options);
                assert_eq!(used.process(file, &[], &options).unwrap(), short(file, &options));
            }
        }
    }
}

#[test]
fn the_picture_that_is_shown_is_the_one_that_is_stored() {
    let mut processor = Processor::new().unwrap();
    for (mode, sampling) in [(ResizeMode::Border, Subsamp::Sub2x2), (ResizeMode::CenterCrop, Subsamp::None)] {
        let file = sampled(301, 203, sampling, None);
        let options = ImageOptions { image_size: 99, resize_mode: mode, encode_quality: Some(100), ..ImageOptions::default() };
        let mut shown = None;
        let made = processor.process_and_show(&file, &[], &options, &mut |picture| shown = Some(picture.clone())).unwrap();
        assert_eq!(made, processor.process(&file, &[], &options).unwrap(), "looking changes nothing");
        let (shown, stored) = (shown.unwrap(), processor.decode_rgb(&made.bytes, &options).unwrap());
        assert_eq!((shown.width, shown.height), (stored.width, stored.height));
        let error: f64 = shown.data.iter().zip(&stored.data).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let psnr = 10.0 * (65025.0 * shown.data.len() as f64 / error.max(1e-9)).log10();
        assert!(psnr > 42.0, "{mode:?}: {psnr}");
    }
}
