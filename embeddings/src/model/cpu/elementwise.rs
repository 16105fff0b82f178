//! Activations, layer norm and softmax, written so that the compiler vectorises them.
//!
//! Sums run in 16 lanes whatever the width of the registers is. NaN goes through everything: clamps are comparisons that NaN
//! fails.

use super::kernels::Finish;
use crate::checkpoint::config::Activation;

/// `a * b + c`, rounded once where the instructions can.
#[inline(always)]
fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` with a relative error below 2e-7, for x in -87 to 88, clamped to that range outside of it.
///
/// `x = n ln 2 + r` with r within ± ln 2 / 2, and the polynomial of Cephes' `expf` for `e^r`.
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
    let shifted = fma::<FUSED>(x, std::f32::consts::LOG2_E, 12_582_912.0);
    let n = shifted - 12_582_912.0;
    // ln 2 in two parts, the first with so few bits that its product with n is exact.
    let r = fma::<FUSED>(n, -0.693_359_4, x);
    let r = fma::<FUSED>(n, 2.121_944_4e-4, r);
    let p = fma::<FUSED>(1.987_569_1e-4, r, 1.398_2e-3);
    let p = fma::<FUSED>(p, r, 8.333_452e-3);
    let p = fma::<FUSED>(p, r, 4.166_579_6e-2);
    let p = fma::<FUSED>(p, r, 1.666_666_5e-1);
    let p = fma::<FUSED>(p, r, 0.5);
    let p = fma::<FUSED>(p, r * r, r) + 1.0;
    let scale = f32::from_bits((shifted.to_bits().wrapping_shl(23)).wrapping_add(127 << 23));
    p * scale
}

/// The error function with an absolute error below 5e-7: the rational approximation that Eigen and XLA use, on -4 to 4.
#[inline(always)]
fn erf<const FUSED: bool>(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let s = x * x;
    let p = fma::<FUSED>(-2.726_142_3e-10, s, 2.770_681_4e-8);
    let p = fma::<FUSED>(p, s, -2.101_024e-6);
    let p = fma::<FUSED>(p, s, -5.692_506_4e-5);
    let p = fma::<FUSED>(p, s, -7.349_906_3e-4);
    let p = fma::<FUSED>(p, s, -2.954_6e-3);
    let p = fma::<FUSED>(p, s, -1.609_603_3e-2);
    let q = fma::<FUSED>(-1.456_607_2e-5, s, -2.133_740_6e-4);
    let q = fma::<FUSED>(q, s, -1.682_827e-3);
    let q = fma::<FUSED>(q, s, -7.373_329_3e-3);
    let q = fma::<FUSED>(q, s, -1.426_473_9e-2);
    x * p / q
}

#[inline(always)]
pub(super) fn gelu<const FUSED: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    fma::<FUSED>(half, erf::<FUSED>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

#[inline(always)]
pub(super) fn quick_gelu<const FUSED: bool>(x: f32) -> f32 {
    x / (1.0 + exp::<FUSED>(-1.702 * x))
}

/// `x (1 + tanh y) / 2 = x / (1 + e^(-2y))` with `y = sqrt(2/π) (x + 0.044715 x³)`.
#[inline(always)]
pub(super) fn gelu_tanh<const FUSED: bool>(x: f32) -> f32 {
    let cubic = fma::<FUSED>(0.044_715 * x * x, x, x);
    x / (1.0 + exp::<FUSED>(-1.595_769_2 * cubic))
}

/// See [`super::kernels::Kernels::finish`].
#[inline(always)]
pub(super) fn finish<const FUSED: bool>(
    tile: &[f32],
    width: usize,
    out: &mut [f32],
    ld: usize,
    rows: usize,
    columns: usize,
    how: Finish<'_>,
) {
    match how.activation {
        None => finish_with(tile, width, out, ld, [rows, columns], how, |x| x),
        Some(Activation::Gelu) => finish_with(tile, width, out, ld, [rows, columns], how, gelu::<FUSED>),
        Some(Activation::QuickGelu) => finish_with(tile, width, out, ld, [rows, columns], how, quick_gelu::<FUSED>),
        Some(Activation::GeluTanh) => finish_with(tile, width, out, ld, [rows, columns], how, gelu_tanh::<FUSED>),
    }
}

#[inline(always)]
fn finish_with(
    tile: &[f32],
    width: usize,
    out: &mut [f32],
    ld: usize,
    [rows, columns]: [usize; 2],
    how: Finish<'_>,
    activation: impl Fn(f32) -> f32,
) {
    for row in 0..rows {
        let values = &tile[row * width..][..columns];
        let out = &mut out[row * ld..][..columns];
        match (how.add, how.bias) {
            (false, None) => out.iter_mut().zip(values).for_each(|(out, &x)| *out = activation(x)),
            (true, None) => out.iter_mut().zip(values).for_each(|(out, &x)| *out = activation(*out + x)),
            (false, Some(bias)) => {
                out.iter_mut().zip(values.iter().zip(&bias[..columns])).for_each(|(out, (&x, &bias))| *out = activation(x + bias))
            }
            (true, Some(bias)) => {
                out.iter_mut().zip(values.iter().zip(&bias[..columns])).for_each(|(out, (&x, &bias))| *out = activation(*out + x + bias))
            }
        }
    }
}

#[inline(always)]
pub(super) fn add(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}

/// Sums `f(x)` over a row, in 16 lanes and then pairwise.
#[inline(always)]
fn lanes(row: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for chunk in whole {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum = f(*sum, x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum = f(*sum, x);
    }
    let mut width = 8;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// See [`super::kernels::Kernels::layer_norm`]. The variance is summed over differences from the mean.
#[inline(always)]
pub(super) fn layer_norm<const FUSED: bool>(row: &[f32], out: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let width = row.len() as f32;
    let mean = lanes(row, |sum, x| sum + x) / width;
    let variance = lanes(row, |sum, x| fma::<FUSED>(x - mean, x - mean, sum)) / width;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((out, &x), (&weight, &bias)) in out.iter_mut().zip(row).zip(weight.iter().zip(bias)) {
        *out = fma::<FUSED>((x - mean) * scale, weight, bias);
    }
}

/// See [`super::kernels::Kernels::softmax`].
#[inline(always)]
pub(super) fn softmax<const FUSED: bool>(row: &mut [f32]) {
    let (whole, rest) = row.as_chunks::<16>();
    let mut tops = [f32::NEG_INFINITY; 16];
    for chunk in whole.iter().map(<[f32; 16]>::as_slice).chain([rest]) {
        for (top, &x) in tops.iter_mut().zip(chunk) {
            *top = if x > *top { x } else { *top };
        }
    }
    let top = tops.iter().fold(f32::NEG_INFINITY, |top, &x| if x > top { x } else { top });
    for x in row.iter_mut() {
        *x = exp::<FUSED>(*x - top);
    }
    let scale = 1.0 / lanes(row, |sum, x| sum + x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}
