//! Tiles of matrix products, held in registers.
//!
//! A tile is `rows` rows of `a` times one panel of packed weights. The rows of `a` are read where they are, without packing:
//! their distance is an odd number of cache lines (see [`super::matrix`]), so that they do not fall into the same
//! cache sets.
//!
//! # Safety
//! The contract of all: the instructions that the function is compiled for are there; `rows` is between 1 and the tile's;
//! `a` is readable for `k` values in each of the rows that the function reads, which is `rows` rounded up as in the match;
//! `b` is readable for `k` times the panel's columns; `tile` is writable for all rows of a whole tile.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Of three versions of something, those that this machine can run, the fastest first.
#[cfg(target_arch = "x86_64")]
pub(crate) fn runnable<T>(avx512: &'static T, avx2: &'static T, portable: &'static T) -> Vec<&'static T> {
    let mut all = Vec::new();
    let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    if fma
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
    {
        all.push(avx512);
    }
    if fma {
        all.push(avx2);
    }
    all.push(portable);
    all
}

/// Panels are fetched this many steps of `k` ahead.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 12;

/// A tile of up to 12 rows and 32 columns.
///
/// # Safety
/// See the module.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(crate) unsafe fn avx512(k: usize, a: *const f32, lda: usize, b: *const f32, tile: *mut f32, rows: usize) {
    // SAFETY: the caller's contract is that of the parts.
    unsafe {
        match rows {
            0..=1 => avx512_rows::<1, 1>(k, a, lda, b, tile),
            2..=4 => avx512_rows::<4, 1>(k, a, lda, b, tile),
            5..=8 => avx512_rows::<4, 2>(k, a, lda, b, tile),
            _ => avx512_rows::<4, 3>(k, a, lda, b, tile),
        }
    }
}

/// `GROUPS * ROWS` rows; in groups, because an address reaches only a few rows from one base.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
#[expect(clippy::needless_range_loop, reason = "plain indices are what keeps the sums in registers")]
unsafe fn avx512_rows<const ROWS: usize, const GROUPS: usize>(k: usize, a: *const f32, lda: usize, mut b: *const f32, tile: *mut f32) {
    let mut sums = [[[_mm512_setzero_ps(); 2]; ROWS]; GROUPS];
    let mut bases = [a; GROUPS];
    for (group, base) in bases.iter_mut().enumerate() {
        // Within the rows that the caller promises.
        *base = a.wrapping_add(group * ROWS * lda);
    }
    for step in 0..k {
        // SAFETY: `b` advances by one row of the panel per step; prefetching needs no valid address.
        let (left, right) = unsafe { (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16))) };
        _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(32 * AHEAD).cast());
        _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(32 * AHEAD + 16).cast());
        for group in 0..GROUPS {
            for row in 0..ROWS {
                // SAFETY: a row of `a` holds `k` values.
                let x = _mm512_set1_ps(unsafe { *bases[group].add(row * lda + step) });
                sums[group][row][0] = _mm512_fmadd_ps(x, left, sums[group][row][0]);
                sums[group][row][1] = _mm512_fmadd_ps(x, right, sums[group][row][1]);
            }
        }
        b = b.wrapping_add(32);
    }
    for (row, [left, right]) in sums.into_iter().flatten().enumerate() {
        // SAFETY: `row` is below the rows of a tile.
        unsafe {
            _mm512_storeu_ps(tile.add(row * 32), left);
            _mm512_storeu_ps(tile.add(row * 32 + 16), right);
        }
    }
}

/// A tile of up to 6 rows and 16 columns.
///
/// # Safety
/// See the module.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn avx2(k: usize, a: *const f32, lda: usize, b: *const f32, tile: *mut f32, rows: usize) {
    // SAFETY: the caller's contract is that of the parts.
    unsafe {
        match rows {
            0..=1 => avx2_rows::<1, 1>(k, a, lda, b, tile),
            2..=3 => avx2_rows::<3, 1>(k, a, lda, b, tile),
            _ => avx2_rows::<3, 2>(k, a, lda, b, tile),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[expect(clippy::needless_range_loop, reason = "plain indices are what keeps the sums in registers")]
unsafe fn avx2_rows<const ROWS: usize, const GROUPS: usize>(k: usize, a: *const f32, lda: usize, mut b: *const f32, tile: *mut f32) {
    let mut sums = [[[_mm256_setzero_ps(); 2]; ROWS]; GROUPS];
    let mut bases = [a; GROUPS];
    for (group, base) in bases.iter_mut().enumerate() {
        *base = a.wrapping_add(group * ROWS * lda);
    }
    for step in 0..k {
        // SAFETY: as in `avx512_rows`.
        let (left, right) = unsafe { (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8))) };
        _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(16 * AHEAD).cast());
        for group in 0..GROUPS {
            for row in 0..ROWS {
                // SAFETY: as in `avx512_rows`.
                let x = _mm256_set1_ps(unsafe { *bases[group].add(row * lda + step) });
                sums[group][row][0] = _mm256_fmadd_ps(x, left, sums[group][row][0]);
                sums[group][row][1] = _mm256_fmadd_ps(x, right, sums[group][row][1]);
            }
        }
        b = b.wrapping_add(16);
    }
    for (row, [left, right]) in sums.into_iter().flatten().enumerate() {
        // SAFETY: as in `avx512_rows`.
        unsafe {
            _mm256_storeu_ps(tile.add(row * 16), left);
            _mm256_storeu_ps(tile.add(row * 16 + 8), right);
        }
    }
}

/// A tile of up to 4 rows and 16 columns, in plain Rust for every other machine; NEON takes it well.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn portable(k: usize, a: *const f32, lda: usize, b: *const f32, tile: *mut f32, rows: usize) {
    const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
    let mut sums = [[0.0_f32; 16]; 4];
    for step in 0..k {
        // SAFETY: a panel has 16 columns and `k` rows.
        let panel = unsafe { &*b.add(step * 16).cast::<[f32; 16]>() };
        for (row, sums) in sums.iter_mut().enumerate().take(rows) {
            // SAFETY: a row of `a` holds `k` values.
            let x = unsafe { *a.add(row * lda + step) };
            for (sum, &weight) in sums.iter_mut().zip(panel) {
                *sum = if FUSED { x.mul_add(weight, *sum) } else { x * weight + *sum };
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: `row` is below the rows of a tile.
        unsafe { tile.add(row * 16).cast::<[f32; 16]>().write_unaligned(*sums) };
    }
}
