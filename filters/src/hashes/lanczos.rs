//! Pillow's `resize` of a grey picture with the Lanczos filter, bit for bit.
//!
//! Pillow weighs 8-bit pixels in 22-bit fixed point along one axis, then along the other, and rounds to 8 bits after
//! each (`src/libImaging/Resample.c`).

use std::f64::consts::PI;

use super::lanes;
use super::plane::Luma;

/// Bits behind the point of a weight.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Lobes of the filter on each side.
const SUPPORT: f64 = 3.0;

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

fn filter(x: f64) -> f64 {
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}

/// What each output pixel reads: its first input pixel and its weights.
struct Taps {
    firsts: Vec<usize>,
    weights: Vec<Vec<i32>>,
}

impl Taps {
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let (support, shrink) = (SUPPORT * stretch, 1.0 / stretch);
        let mut taps = Self { firsts: Vec::with_capacity(output), weights: Vec::with_capacity(output) };
        for at in 0..output {
            let centre = (at as f64 + 0.5) * scale;
            // C's conversions cut towards zero; so do `as` casts.
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as i64).min(input as i64) as usize;
            let mut weights: Vec<f64> = (first..end).map(|x| filter((x as f64 - centre + 0.5) * shrink)).collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
            let fixed = |weight: &f64| {
                let half = if *weight < 0.0 { -0.5 } else { 0.5 };
                (half + weight * f64::from(1u32 << PRECISION_BITS)) as i32
            };
            taps.firsts.push(first);
            taps.weights.push(weights.iter().map(fixed).collect());
        }
        taps
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.firsts.iter().copied().zip(self.weights.iter().map(Vec::as_slice))
    }
}

fn round(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Whether Pillow scales the columns first: where they lose more than twice as many pixels as the rows do. Pillow 13
/// does so; versions before always begin with the rows, and differ by a level here and there in such tall pictures.
fn columns_first(picture: Luma<'_>, width: usize, height: usize) -> bool {
    picture.height().saturating_sub(height) > 2 * picture.width().saturating_sub(width)
}

/// The picture as `width` times `height` pixels, rows one after another.
pub(super) fn resize(picture: Luma<'_>, width: usize, height: usize) -> Vec<u8> {
    if columns_first(picture, width, height) {
        let between = along_columns(picture, height);
        let between = Luma::new(&between, picture.width(), height);
        return between.map(|between| along_rows(between, width)).unwrap_or_default();
    }
    let between = along_rows(picture, width);
    let between = Luma::new(&between, width, picture.height());
    between.map(|between| along_columns(between, height)).unwrap_or_default()
}

/// Every row scaled to `width` pixels.
fn along_rows(picture: Luma<'_>, width: usize) -> Vec<u8> {
    let rows = (0..picture.height()).map(|y| picture.row(y));
    if picture.width() == width {
        return rows.flatten().copied().collect();
    }
    let taps = Taps::new(picture.width(), width);
    rows.flat_map(|row| taps.iter().map(move |(first, weights)| round(lanes::weigh(&row[first..], weights)))).collect()
}

/// Every column scaled to `height` pixels.
fn along_columns(picture: Luma<'_>, height: usize) -> Vec<u8> {
    if picture.height() == height {
        return (0..height).flat_map(|y| picture.row(y)).copied().collect();
    }
    let taps = Taps::new(picture.height(), height);
    let mut result = Vec::with_capacity(picture.width() * height);
    let mut sums = vec![0i32; picture.width()];
    for (first, weights) in taps.iter() {
        sums.fill(0);
        for (y, weight) in weights.iter().enumerate() {
            lanes::add_row(&mut sums, picture.row(first + y), *weight);
        }
        result.extend(sums.iter().map(|sum| round(*sum)));
    }
    result
}
