//! Scenes as files of many formats and sizes, and files as what the model sees.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, Rgb, RgbImage};
use trommel::miniweb::format::{Format, Look, encode};
use trommel::miniweb::world::Scene;

use super::chance::Chance;
use super::model::{PATCH, PATCH_LEN, PATCHES, SIDE};

/// The formats that keep the colours, with their shares in parts of 100.
const FORMATS: [(Format, usize); 6] =
    [(Format::Jpeg, 80), (Format::Png, 7), (Format::PngAlpha, 4), (Format::PngPalette, 3), (Format::Gif, 3), (Format::Webp, 3)];

/// The longer sides of a set of pictures. Training and test have none in common.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sides {
    Training,
    HeldOut,
}

/// The file of a scene, in a size and a format of its own.
pub(crate) fn file(scene: &Scene, sides: Sides, chance: &mut Chance) -> Result<Vec<u8>> {
    let side = match sides {
        Sides::Training => [64, 80, 96, 128, 160][chance.below(5)],
        Sides::HeldOut => [72, 112, 144, 200, 256, 320][chance.below(6)],
    };
    let (width, height) = match chance.below(10) {
        0..=2 => (side, side * 3 / 4),
        3..=4 => (side, side * 2 / 3),
        5..=6 => (side, side),
        7..=8 => (side * 3 / 4, side),
        _ => (side, side * 9 / 16),
    };
    let mut left = chance.below(100);
    let format = FORMATS.iter().find(|(_, share)| {
        let hit = left < *share;
        left = left.saturating_sub(*share);
        hit
    });
    let format = format.map_or(Format::Jpeg, |(format, _)| *format);
    Ok(encode(scene, &Look { format, width, height, quality: 50 + chance.below(46) as u8 })?)
}

/// What the model sees of a file: `SIDE` × `SIDE` pixels, whatever the aspect, see-through parts on white.
pub(crate) fn pixels(file: &[u8]) -> Result<RgbImage> {
    let picture = on_white(image::load_from_memory(file)?);
    // Catmull and Rom's is the bicubic filter with a = -1/2, as in PIL.
    Ok(resize(&picture, SIDE as u32, SIDE as u32, FilterType::CatmullRom))
}

fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let seen = picture.into_rgba8();
    RgbImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [r, g, b, alpha] = seen.get_pixel(x, y).0;
        let over = |v: u8| ((u32::from(v) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8;
        Rgb([over(r), over(g), over(b)])
    })
}

/// Appends a picture as patches of `PATCH_LEN` numbers in -1..=1, moved by `shift` pixels; its edge is drawn out where the
/// shift leaves pixels without a colour.
pub(crate) fn push_patches(picture: &RgbImage, shift: (i32, i32), out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + PATCHES * PATCH_LEN, 0.0);
    let out = &mut out[start..];
    let side = SIDE as i32;
    for y in 0..side {
        for x in 0..side {
            let from = |v: i32, by: i32| (v + by).clamp(0, side - 1) as u32;
            let Rgb(rgb) = *picture.get_pixel(from(x, shift.0), from(y, shift.1));
            let (x, y) = (x as usize, y as usize);
            let patch = (y / PATCH) * (SIDE / PATCH) + x / PATCH;
            for (channel, value) in rgb.into_iter().enumerate() {
                let at = patch * PATCH_LEN + channel * PATCH * PATCH + (y % PATCH) * PATCH + x % PATCH;
                out[at] = f32::from(value) / 127.5 - 1.0;
            }
        }
    }
}

/// Makes `count` things by number on all cores; the result does not depend on how many there are.
pub(crate) fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let mut made: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
        let work = || {
            let mut made = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return made;
                }
                made.push((number, make(number)));
            }
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    anyhow::ensure!(made.len() == count, "a worker died");
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}
