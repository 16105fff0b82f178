//! The lowest frequencies of the samples, and the hashes of the eight orientations.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::super::bits::Hash256;
use super::super::lanes::versions;
use super::SAMPLES;

/// Frequencies along each axis: 1 to 16.
const LOW: usize = 16;

type Grid = [[f32; LOW]; LOW];
type Basis = [[f32; SAMPLES]; LOW];

/// `sqrt(2 / 64) cos(pi / 128 (i + 1) (2 j + 1))`, computed in double precision.
static BASIS: LazyLock<Basis> = LazyLock::new(|| {
    let scale = (2.0 / SAMPLES as f64).sqrt() as f32;
    let angle = |i: usize, j: usize| PI / 2.0 / SAMPLES as f64 * (i + 1) as f64 * (2 * j + 1) as f64;
    std::array::from_fn(|i| std::array::from_fn(|j| (f64::from(scale) * angle(i, j).cos()) as f32))
});

versions! {
    /// `basis * samples * basis^T`; every sum in the order of the samples.
    fn transform(samples: &[[f32; SAMPLES]; SAMPLES], basis: &Basis) -> Grid {
        let mut along = [[0f32; LOW]; SAMPLES];
        for (row, weights) in basis.iter().enumerate() {
            let mut sums = [0f32; SAMPLES];
            for (weight, sample) in weights.iter().zip(samples) {
                for (sum, value) in sums.iter_mut().zip(sample) {
                    *sum += weight * value;
                }
            }
            for (along, sum) in along.iter_mut().zip(sums) {
                along[row] = sum;
            }
        }
        // The frequencies of the rows are the lanes, so that no sum is split.
        let mut turned = [[0f32; LOW]; LOW];
        for (turned, weights) in turned.iter_mut().zip(basis) {
            for (weight, along) in weights.iter().zip(&along) {
                for (sum, value) in turned.iter_mut().zip(along) {
                    *sum += weight * value;
                }
            }
        }
        std::array::from_fn(|i| std::array::from_fn(|j| turned[j][i]))
    }
}

/// The coefficients of the frequencies 1 to 16 along both axes: rows are frequencies along the columns of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spectrum(Grid);

/// The hashes of a picture turned and mirrored. Names say what is done to the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientations {
    /// As it is.
    pub original: Hash256,
    /// A quarter turn to the left (counter-clockwise).
    pub rotated_90: Hash256,
    /// Half a turn.
    pub rotated_180: Hash256,
    /// A quarter turn to the right.
    pub rotated_270: Hash256,
    /// Top and bottom exchanged: Meta's `flipX`.
    pub upside_down: Hash256,
    /// Left and right exchanged, a mirror image: Meta's `flipY`.
    pub mirrored: Hash256,
    /// Rows and columns exchanged: Meta's `flipPlus1`.
    pub transposed: Hash256,
    /// Rows and columns exchanged from the other corner: Meta's `flipMinus1`.
    pub antitransposed: Hash256,
    /// The quality of all of them, see [`Pdq::quality`](super::Pdq::quality).
    pub quality: u8,
}

impl Orientations {
    /// All hashes, in Meta's order: original, 90, 180, 270, flipX, flipY, flipPlus1, flipMinus1.
    pub fn all(&self) -> [Hash256; 8] {
        [
            self.original,
            self.rotated_90,
            self.rotated_180,
            self.rotated_270,
            self.upside_down,
            self.mirrored,
            self.transposed,
            self.antitransposed,
        ]
    }
}

impl Spectrum {
    pub(super) fn of(samples: &[[f32; SAMPLES]; SAMPLES]) -> Self {
        Self(transform(samples, &BASIS))
    }

    /// The hash: a bit is set where a coefficient is above the lower of the two middle values of all 256.
    pub fn hash(&self) -> Hash256 {
        let mut sorted = [0f32; LOW * LOW];
        self.0.iter().flatten().zip(&mut sorted).for_each(|(value, sorted)| *sorted = *value);
        let (_, median, _) = sorted.select_nth_unstable_by(LOW * LOW / 2 - 1, f32::total_cmp);
        // The mutable borrow ends here.
        let median = *median;
        Hash256::from_bits(self.0.iter().flatten().map(|value| *value > median))
    }

    /// The spectrum of the picture with left and right exchanged: the even cosines of a row change their sign.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        self.signed(|_, j| j % 2 == 0)
    }

    fn signed(&self, negative: impl Fn(usize, usize) -> bool) -> Self {
        Self(std::array::from_fn(|i| std::array::from_fn(|j| if negative(i, j) { -self.0[i][j] } else { self.0[i][j] })))
    }

    fn transposed(&self) -> Self {
        Self(std::array::from_fn(|i| std::array::from_fn(|j| self.0[j][i])))
    }

    /// The hashes of the eight orientations; `quality` is handed on.
    pub fn orientations(&self, quality: u8) -> Orientations {
        Orientations {
            original: self.hash(),
            rotated_90: self.signed(|_, j| j % 2 == 0).transposed().hash(),
            rotated_180: self.signed(|i, j| (i + j) % 2 == 1).hash(),
            rotated_270: self.signed(|i, _| i % 2 == 0).transposed().hash(),
            upside_down: self.signed(|i, _| i % 2 == 0).hash(),
            mirrored: self.mirrored().hash(),
            transposed: self.transposed().hash(),
            antitransposed: self.signed(|i, j| (i + j) % 2 == 1).transposed().hash(),
            quality,
        }
    }
}
