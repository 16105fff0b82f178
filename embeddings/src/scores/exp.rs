//! The exponential of many values that are not above zero.

/// `exp(x)` for `x <= 0` with a relative error below 2e-7; zero below -87, where single precision ends.
///
/// Half of the time of a blocked log-sum-exp goes into exponentials. The library's is a call per value; this has no
/// branch and no table, so the compiler can compute several at once. Cephes' `expf`: `x = n ln 2 + r`, a polynomial of
/// degree 5 in `r`, and `n` added to the exponent bits.
#[inline(always)]
pub(crate) fn exp_negative(x: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // ln 2 in two parts, so that the reduction is exact.
    let r = (clamped - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1) * r + 0.5;
    let value = p * r * r + r + 1.0;
    let scale = f32::from_bits(((n as i32 + 127) as u32) << 23);
    if x > -87.0 { value * scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_exact_exponential() {
        for step in 0..=870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp_negative(x)) - exact).abs() / exact;
            assert!(error < 2e-7 || x <= -87.0, "{x}: {error}");
        }
        assert_eq!((exp_negative(0.0), exp_negative(-1e30), exp_negative(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }
}
