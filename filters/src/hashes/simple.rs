//! aHash, dHash and pHash as the Python package `imagehash` defines them.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::bits::Hash64;
use super::lanczos::resize;
use super::plane::{Luma, Plane};

/// Side of the picture that pHash transforms.
const SIDE: usize = 32;
/// Side of the block of lowest frequencies that it keeps.
const LOW: usize = 8;

/// `COSINES[k][x] = cos(pi (2 x + 1) k / 64)`: the DCT-II without its factor 2, which no comparison sees.
static COSINES: LazyLock<[[f64; SIDE]; LOW]> =
    LazyLock::new(|| std::array::from_fn(|k| std::array::from_fn(|x| (PI * ((2 * x + 1) * k) as f64 / (2 * SIDE) as f64).cos())));

/// The pixels scaled to `width` by `height` as `image.convert("L").resize((width, height), LANCZOS)` does.
fn scaled<const C: usize>(picture: Plane<'_, C>, width: usize, height: usize) -> Vec<u8> {
    let (columns, rows) = (picture.width(), picture.height());
    let grey = picture.to_luma();
    // The grey picture has as many pixels as its source has.
    Luma::new(&grey, columns, rows).map(|grey| resize(grey, width, height)).unwrap_or_else(|_| vec![0; width * height])
}

/// The average hash: a bit is set where a pixel of the 8 x 8 picture is above the mean.
/// `imagehash.average_hash(image)`.
pub fn ahash<const C: usize>(picture: Plane<'_, C>) -> Hash64 {
    let pixels = scaled(picture, 8, 8);
    let sum: u32 = pixels.iter().map(|pixel| u32::from(*pixel)).sum();
    Hash64::from_bits(pixels.iter().map(|pixel| u32::from(*pixel) * 64 > sum))
}

/// The difference hash: a bit is set where a pixel of the 9 x 8 picture is above its left neighbour.
/// `imagehash.dhash(image)`.
pub fn dhash<const C: usize>(picture: Plane<'_, C>) -> Hash64 {
    let pixels = scaled(picture, 9, 8);
    Hash64::from_bits(pixels.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// The difference hash along the columns: a bit is set where a pixel of the 8 x 9 picture is above its upper
/// neighbour. `imagehash.dhash_vertical(image)`.
pub fn dhash_vertical<const C: usize>(picture: Plane<'_, C>) -> Hash64 {
    let pixels = scaled(picture, 8, 9);
    Hash64::from_bits((8..72).map(|at| pixels[at] > pixels[at - 8]))
}

/// pHash of a picture and of its mirror image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phash {
    /// `imagehash.phash(image)`.
    pub hash: Hash64,
    /// The same of the picture with left and right exchanged, from the same transform. It is `imagehash`'s hash of the
    /// mirrored picture save where the scaling to 32 x 32 rounds the two differently.
    pub mirrored: Hash64,
    /// The lightest less the darkest of the 32 x 32 pixels. Where it is small the hash is that of noise: bits of
    /// pictures of one colour are decided by rounding.
    pub range: u8,
}

/// The perceptual hash: the lowest 8 x 8 frequencies of the DCT of the 32 x 32 picture, a bit set where one is above
/// their median (the mean of the two middle values).
pub fn phash<const C: usize>(picture: Plane<'_, C>) -> Phash {
    let pixels = scaled(picture, SIDE, SIDE);
    let cosines = &*COSINES;
    let mut columns = [[0f64; SIDE]; LOW];
    for (sums, cosines) in columns.iter_mut().zip(cosines) {
        for (row, cosine) in pixels.chunks_exact(SIDE).zip(cosines) {
            for (sum, pixel) in sums.iter_mut().zip(row) {
                *sum += cosine * f64::from(*pixel);
            }
        }
    }
    let mut low = [0f64; LOW * LOW];
    for (at, value) in low.iter_mut().enumerate() {
        *value = columns[at / LOW].iter().zip(&cosines[at % LOW]).map(|(sum, cosine)| sum * cosine).sum();
    }
    let hash = above_median(&low);
    low.iter_mut().skip(1).step_by(2).for_each(|value| *value = -*value);
    let mirrored = above_median(&low);
    let (darkest, lightest) = pixels.iter().fold((255, 0), |(low, high), pixel| (*pixel.min(&low), *pixel.max(&high)));
    Phash { hash, mirrored, range: lightest - darkest }
}

fn above_median(values: &[f64; LOW * LOW]) -> Hash64 {
    let mut sorted = *values;
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    Hash64::from_bits(values.iter().map(|value| *value > median))
}
