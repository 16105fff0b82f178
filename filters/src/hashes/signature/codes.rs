//! Codes of a picture and of parts of it: signs of its lowest frequencies.
//!
//! The 64 lowest frequencies of a cosine transform (by the sum of both, the constant left out), a bit set where one is
//! above zero. Without a median the code of the mirror image is the code with the bits of odd frequencies turned, and a
//! bit does not depend on the others.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::super::bits::Hash64;
use super::super::pdq::SAMPLES;
use super::{CROPS, FULL_CODES};

/// Frequencies along an axis: the sum of both is at most 10.
const LOW: usize = 11;

/// A span of an axis in fortieths of it.
type Span = (usize, usize);
const WHOLE: Span = (0, 40);
/// Three fifths from either end.
const ENDS: [Span; 2] = [(0, 24), (16, 40)];
/// Nine tenths: from the start, the middle, to the end.
const INNER: [Span; 3] = [(0, 36), (2, 38), (4, 40)];
/// Nineteen twentieths: from the start, the middle, to the end.
const WIDE: [Span; 3] = [(0, 38), (1, 39), (2, 40)];
/// The crops of nineteen twentieths: (rows, columns), those at the middle of a side. With the corners and the centre
/// too there would be little more to find.
const AT_SIDES: [(usize, usize); 4] = [(0, 1), (1, 0), (1, 2), (2, 1)];

/// Weights of the samples for each frequency over a span; what of a sample lies outside does not count.
type Basis = [[f32; SAMPLES]; LOW];

struct Tables {
    whole: Basis,
    ends: [Basis; 2],
    inner: [Basis; 3],
    wide: [Basis; 3],
    /// (along the columns, along the rows) of each bit, the first bit first.
    frequencies: [(usize, usize); 64],
    /// The bits of frequencies that are odd along the rows.
    odd: u64,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut frequencies: Vec<(usize, usize)> = (0..LOW).flat_map(|i| (0..LOW).map(move |j| (i, j))).collect();
    frequencies.sort_by_key(|(i, j)| (i + j, i.abs_diff(*j), *i));
    let frequencies = std::array::from_fn(|at| frequencies[at + 1]);
    Tables {
        whole: basis(WHOLE),
        ends: ENDS.map(basis),
        inner: INNER.map(basis),
        wide: WIDE.map(basis),
        odd: Hash64::from_bits(frequencies.iter().map(|(_, j)| j % 2 == 1)).0,
        frequencies,
    }
});

fn basis((start, end): Span) -> Basis {
    let (start, end) = (start as f64 / 40.0, end as f64 / 40.0);
    std::array::from_fn(|k| {
        std::array::from_fn(|x| {
            let first = (x as f64 / SAMPLES as f64).clamp(start, end);
            let last = ((x + 1) as f64 / SAMPLES as f64).clamp(start, end);
            let at = ((first + last) / 2.0 - start) / (end - start);
            ((last - first) * (PI * k as f64 * at).cos()) as f32
        })
    })
}

type Rows = [[f32; SAMPLES]; SAMPLES];
/// The frequencies along the columns, for each column.
type Half = [[f32; SAMPLES]; LOW];

fn along_columns(rows: &Rows, basis: &Basis) -> Half {
    let mut half = [[0f32; SAMPLES]; LOW];
    for (sums, weights) in half.iter_mut().zip(basis) {
        for (row, weight) in rows.iter().zip(weights) {
            if *weight != 0.0 {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
    half
}

fn code(half: &Half, basis: &Basis) -> Hash64 {
    let dot = |(i, j): &(usize, usize)| half[*i].iter().zip(&basis[*j]).map(|(value, weight)| value * weight).sum::<f32>();
    Hash64::from_bits(TABLES.frequencies.iter().map(|pair| dot(pair) > 0.0))
}

/// The codes of the whole, of its four ends, and of its crops, the smaller first, row by row.
pub(super) fn of(rows: &Rows) -> ([Hash64; FULL_CODES], [Hash64; CROPS]) {
    let Tables { whole, ends, inner, wide, .. } = &*TABLES;
    let upright = along_columns(rows, whole);
    let [upper, lower] = [0, 1].map(|end| code(&along_columns(rows, &ends[end]), whole));
    let [left, right] = [0, 1].map(|end| code(&upright, &ends[end]));
    let mut crops = [Hash64::default(); CROPS];
    let halves = inner.each_ref().map(|basis| along_columns(rows, basis));
    let small = halves.iter().flat_map(|half| inner.iter().map(move |basis| code(half, basis)));
    let halves = wide.each_ref().map(|basis| along_columns(rows, basis));
    let large = AT_SIDES.iter().map(|(row, column)| code(&halves[*row], &wide[*column]));
    crops.iter_mut().zip(small.chain(large)).for_each(|(crop, code)| *crop = code);
    ([code(&upright, whole), upper, lower, left, right], crops)
}

/// The code of the mirror image.
pub(super) fn mirrored(code: Hash64) -> Hash64 {
    Hash64(code.0 ^ TABLES.odd)
}
