//! PDQ: 256 bits of the lowest frequencies, a quality, and the hashes of the eight orientations.
//!
//! The definition is Meta's (`ThreatExchange/pdq`): luma, two passes of a running mean along both axes, every 64th part
//! sampled, a DCT of which 16 x 16 frequencies are kept, each compared with their median. Blurring and sampling are
//! linear and separable, so here each axis is one table of weights per sample: a picture is read once, and only the
//! rows that a sample needs.

mod taps;
mod transform;

use super::bits::Hash256;
use super::lanes;
use super::plane::Plane;
use taps::Axis;
pub use transform::{Orientations, Spectrum};

/// Pictures with a side below this have no hash: Meta's rule.
pub const MIN_SIDE: usize = 5;
/// The largest distance of two hashes that Meta calls a match.
pub const MATCH_DISTANCE: u32 = 31;
/// Hashes of this quality or less should match nothing: Meta's rule.
pub const LOW_QUALITY: u8 = 49;
/// Samples along each side.
pub(super) const SAMPLES: usize = 64;

/// Which pixels are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prescale {
    /// All of them: what Meta's functions on float luma do. Better on large pictures, as nothing is skipped.
    #[default]
    None,
    /// A picture with a side above 512 is first squashed to 512 x 512 by taking the nearest pixels to the upper left,
    /// as Meta's reader of files does. Needed to meet hashes published by others.
    Meta,
}

/// A hash and how much there was to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdq {
    /// The hash; exactly 128 bits are set unless coefficients are equal.
    pub hash: Hash256,
    /// Gradients of the 64 x 64 picture, 0 (flat) to 100; see [`LOW_QUALITY`].
    pub quality: u8,
}

/// The hash of a picture, or `None` where a side is below [`MIN_SIDE`].
///
/// Sums are taken in another order than Meta's running means do, so that a coefficient next to the median may fall on
/// its other side: hashes are equal on most pictures and a bit or two apart on the rest.
///
/// ```
/// use trommel_filters::hashes::{Luma, Prescale, pdq};
///
/// let pixels: Vec<u8> = (0..96 * 96).map(|at| (at % 96 * 2 + at / 96 % 7 * 9) as u8).collect();
/// let found = pdq(Luma::new(&pixels, 96, 96)?, Prescale::None).expect("no side is below five pixels");
/// assert_eq!(found.hash.to_string().len(), 64);
/// # Ok::<(), trommel_filters::hashes::PlaneError>(())
/// ```
pub fn pdq<const C: usize>(picture: Plane<'_, C>, prescale: Prescale) -> Option<Pdq> {
    Samples::new(picture, prescale).map(|samples| samples.pdq())
}

/// The hashes of a picture turned and mirrored, or `None` where a side is below [`MIN_SIDE`].
pub fn pdq_orientations<const C: usize>(picture: Plane<'_, C>, prescale: Prescale) -> Option<Orientations> {
    Samples::new(picture, prescale).map(|samples| samples.spectrum().orientations(samples.quality()))
}

/// The blurred picture at 64 x 64 places: what every hash and the quality are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Box<[[f32; SAMPLES]; SAMPLES]>);

impl Samples {
    /// Blurs and samples a picture; `None` where a side is below [`MIN_SIDE`].
    pub fn new<const C: usize>(picture: Plane<'_, C>, prescale: Prescale) -> Option<Self> {
        let (width, height) = (picture.width(), picture.height());
        if width < MIN_SIDE || height < MIN_SIDE {
            return None;
        }
        let (columns, rows) = if prescale == Prescale::Meta && width.max(height) > taps::PRESCALED {
            (Axis::prescaled(width), Axis::prescaled(height))
        } else {
            (Axis::new(width), Axis::new(height))
        };
        let mut samples = Box::new([[0f32; SAMPLES]; SAMPLES]);
        let mut sums = vec![0f32; width * C];
        let mut luma = vec![0f32; if C == 1 { 0 } else { width }];
        for (sample, taps) in samples.iter_mut().zip(rows.samples()) {
            sums.fill(0.0);
            for taps in taps.chunks(4) {
                // A group that is not full repeats its first row with weight zero.
                let tap = |at: usize| taps.get(at).copied().unwrap_or((taps[0].0, 0.0));
                let taps: [(u32, f32); 4] = std::array::from_fn(tap);
                lanes::add_rows(&mut sums, taps.map(|(row, _)| picture.row(row as usize)), taps.map(|(_, weight)| weight));
            }
            let line = if C == 1 {
                &sums
            } else {
                for (luma, pixel) in luma.iter_mut().zip(sums.chunks_exact(C)) {
                    *luma = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
                }
                &luma
            };
            for (value, taps) in sample.iter_mut().zip(columns.samples()) {
                *value = taps.iter().map(|(column, weight)| weight * line[*column as usize]).sum();
            }
        }
        Some(Self(samples))
    }

    /// Rows from the top, values 0 to 255.
    pub fn rows(&self) -> &[[f32; SAMPLES]; SAMPLES] {
        &self.0
    }

    /// The quality: steps between neighbours in hundredths of the whole range, each cut to a whole number so that noise
    /// does not count, summed, over 90, at most 100.
    pub fn quality(&self) -> u8 {
        let step = |u: f32, v: f32| (((u - v) * 100.0 / 255.0) as i32).unsigned_abs();
        let across = self.0.windows(2).flat_map(|rows| rows[0].iter().zip(&rows[1])).map(|(u, v)| step(*u, *v)).sum::<u32>();
        let along = self.0.iter().flat_map(|row| row.windows(2)).map(|pair| step(pair[0], pair[1])).sum::<u32>();
        ((across + along) / 90).min(100) as u8
    }

    /// The lowest frequencies.
    pub fn spectrum(&self) -> Spectrum {
        Spectrum::of(&self.0)
    }

    /// Hash and quality.
    pub fn pdq(&self) -> Pdq {
        Pdq { hash: self.spectrum().hash(), quality: self.quality() }
    }
}
