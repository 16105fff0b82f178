//! Matrix products by OpenBLAS, with the sizes checked on this side.

use std::ffi::c_int;

use cblas_sys::{CblasNoTrans, CblasRowMajor, CblasTrans, cblas_dgemm, cblas_sgemm};

use super::ScoreError;

fn size(value: usize, other: usize) -> Result<c_int, ScoreError> {
    c_int::try_from(value).map_err(|_| ScoreError::TooLarge(value, other))
}

/// `out[i][j] = scale * a[i] · b[j]`: rows of `a` against rows of `b`, all of `dim` components. `out` has a row for each
/// row of `a`.
///
/// # Panics
/// When the slices are not of these sizes.
pub(crate) fn products(scale: f32, a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) -> Result<(), ScoreError> {
    let (m, n) = (a.len() / dim, b.len() / dim);
    assert!(a.len() == m * dim && b.len() == n * dim && out.len() == m * n, "slices do not fit");
    if m == 0 || n == 0 {
        return Ok(());
    }
    let (rows, columns, depth) = (size(m, n)?, size(n, m)?, size(dim, m)?);
    // SAFETY: `a` holds m x k, `b` n x k and `out` m x n values, row after row, as asserted above; the strides say so.
    unsafe {
        cblas_sgemm(
            CblasRowMajor,
            CblasNoTrans,
            CblasTrans,
            rows,
            columns,
            depth,
            scale,
            a.as_ptr(),
            depth,
            b.as_ptr(),
            depth,
            0.0,
            out.as_mut_ptr(),
            columns,
        );
    }
    Ok(())
}

/// `moment += aᵀ a` in double precision; `a` holds rows of `dim` components, `moment` is `dim` by `dim`.
///
/// # Panics
/// When the slices are not of these sizes.
pub(crate) fn add_moment(a: &[f64], dim: usize, moment: &mut [f64]) -> Result<(), ScoreError> {
    let rows = a.len() / dim;
    assert!(a.len() == rows * dim && moment.len() == dim * dim, "slices do not fit");
    if rows == 0 {
        return Ok(());
    }
    let (depth, side) = (size(rows, dim)?, size(dim, dim)?);
    // SAFETY: `a` holds rows x dim and `moment` dim x dim values, row after row, as asserted above; the strides say so.
    unsafe {
        cblas_dgemm(
            CblasRowMajor,
            CblasTrans,
            CblasNoTrans,
            side,
            side,
            depth,
            1.0,
            a.as_ptr(),
            side,
            a.as_ptr(),
            side,
            1.0,
            moment.as_mut_ptr(),
            side,
        );
    }
    Ok(())
}

/// `out = a · matrix` in double precision; `matrix` is `dim` by `dim`.
///
/// # Panics
/// When the slices are not of these sizes.
pub(crate) fn apply(a: &[f64], matrix: &[f64], dim: usize, out: &mut [f64]) -> Result<(), ScoreError> {
    let rows = a.len() / dim;
    assert!(a.len() == rows * dim && matrix.len() == dim * dim && out.len() == a.len(), "slices do not fit");
    if rows == 0 {
        return Ok(());
    }
    let (rows, side) = (size(rows, dim)?, size(dim, dim)?);
    // SAFETY: `a` and `out` hold rows x dim and `matrix` dim x dim values, row after row, as asserted above.
    unsafe {
        cblas_dgemm(
            CblasRowMajor,
            CblasNoTrans,
            CblasNoTrans,
            rows,
            side,
            side,
            1.0,
            a.as_ptr(),
            side,
            matrix.as_ptr(),
            side,
            0.0,
            out.as_mut_ptr(),
            side,
        );
    }
    Ok(())
}
