//! The near-copy signature: what finds a picture again after it was scaled, recompressed, cropped, mirrored, written
//! over or recoloured.
//!
//! A signature holds short codes, to be joined by Hamming distance, and a thumbnail on which a pair is then verified:
//!
//! 1. index the [full](Signature::full) codes of all pictures;
//! 2. look up every full code and every [view](Signature::views) code among them, within [`CODE_DISTANCE`];
//! 3. keep the pairs that [`verify`] finds alike.
//!
//! Full codes are those of the whole picture and of its upper, lower, left and right three fifths: an overlay on one
//! side leaves a code of the other side as it was. View codes foresee what a copy may be: the mirror image, nine
//! crops that keep nine tenths of both sides, and four that keep nineteen twentieths.
//!
//! Of generated pictures that are not flat (4 000, made by `tests/peers/near_pictures.py`) all copies of each of these
//! kinds are found: scaled to 50 to 150 %, squashed, JPEG of quality 30 to 95, 5 or 10 % of both sides cut off at the
//! middle or elsewhere, mirrored, watermarked, captioned on an opaque band, recoloured; a crop of 20 % is found in half
//! of the cases at the middle and in a quarter elsewhere. Not foreseen: turned pictures, and crops of mirror images.

mod bytes;
mod codes;
mod flat;
#[cfg(test)]
mod tests;
mod verify;

pub use bytes::SignatureError;
pub use flat::{FlatPictures, MIN_FLAT_SIMILARITY};
pub use verify::{MIN_SIMILARITY, verify};

use super::bits::Hash64;
use super::pdq::{LOW_QUALITY, Prescale, SAMPLES, Samples};
use super::plane::Plane;

/// Bits by which codes of near-copies may differ. It is small so that a join of many million codes stays possible;
/// the number of codes makes up for it.
pub const CODE_DISTANCE: u32 = 10;
/// Full codes of a picture.
pub const FULL_CODES: usize = 5;
/// View codes of a picture.
pub const VIEW_CODES: usize = 1 + CROPS;
/// Crops among them.
const CROPS: usize = 13;
/// Side of the thumbnail.
const SIDE: usize = SAMPLES / 2;

/// Codes and thumbnail of a picture: [`Signature::BYTES`] bytes.
///
/// ```
/// use trommel_filters::hashes::{Prescale, Rgb, Samples, Signature, verify};
///
/// let pixels: Vec<u8> = (0..128 * 96 * 3).map(|at: usize| ((at / 37).wrapping_mul(40503) >> 5) as u8).collect();
/// let samples = Samples::new(Rgb::new(&pixels, 128, 96)?, Prescale::None).expect("no side is below five pixels");
/// // The hash and the signature come from one reading of the pixels.
/// let (hash, signature) = (samples.pdq(), Signature::of(&samples));
/// let stored = signature.to_bytes();
/// assert_eq!(Signature::from_bytes(&stored)?, signature);
/// if hash.quality > 49 {
///     assert!(verify(&signature, &signature).is_some_and(|similarity| similarity > 0.99));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    quality: u8,
    full: [Hash64; FULL_CODES],
    crops: [Hash64; CROPS],
    thumbnail: Box<[u8; SIDE * SIDE]>,
}

impl Signature {
    /// The signature of a picture, or `None` where a side is below [`MIN_SIDE`](super::MIN_SIDE).
    pub fn new<const C: usize>(picture: Plane<'_, C>) -> Option<Self> {
        Samples::new(picture, Prescale::None).map(|samples| Self::of(&samples))
    }

    /// The signature of a picture that was sampled already. Take samples without [`Prescale::Meta`]: skipped pixels
    /// make copies of other sizes less alike.
    pub fn of(samples: &Samples) -> Self {
        let rows = samples.rows();
        let mut thumbnail = Box::new([0u8; SIDE * SIDE]);
        for (line, pair) in thumbnail.chunks_exact_mut(SIDE).zip(rows.chunks_exact(2)) {
            for (x, pixel) in line.iter_mut().enumerate() {
                let sum = pair[0][2 * x] + pair[0][2 * x + 1] + pair[1][2 * x] + pair[1][2 * x + 1];
                *pixel = (sum / 4.0 + 0.5) as u8;
            }
        }
        let (full, crops) = codes::of(rows);
        Self { quality: samples.quality(), full, crops, thumbnail }
    }

    /// PDQ's quality of the picture, 0 to 100.
    pub fn quality(&self) -> u8 {
        self.quality
    }

    /// Whether there is too little in the picture to tell it from others by: its quality is [`LOW_QUALITY`] or less. It
    /// has no codes then, and is like no other for [`verify`]; [`FlatPictures`] finds a known one again.
    pub fn is_flat(&self) -> bool {
        self.quality <= LOW_QUALITY
    }

    /// The codes to be indexed: whole, upper, lower, left and right. Empty for a flat picture.
    pub fn full(&self) -> &[Hash64] {
        if self.is_flat() { &[] } else { &self.full }
    }

    /// The codes to be looked up among the full codes of other pictures: the mirror image and the crops. Empty for a
    /// flat picture.
    pub fn views(&self) -> impl Iterator<Item = Hash64> {
        let views = std::iter::once(codes::mirrored(self.full[0])).chain(self.crops);
        views.take(if self.is_flat() { 0 } else { VIEW_CODES })
    }

    /// The 32 x 32 grey pixels that pairs are verified on, rows from the top.
    pub fn thumbnail(&self) -> &[u8; 1024] {
        &self.thumbnail
    }
}
