//! The innermost loops, for each set of vector instructions, chosen once at run time.
//!
//! All versions add in the same order and with fused multiply-add, so that AVX2 and AVX-512 give the same bits.

use super::{elementwise, micro};
use crate::checkpoint::config::Activation;

/// What is done with a tile of a product before it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<'a> {
    /// Added to every row; starts at the tile's first column.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Option<Activation>,
    /// Adds to what is there instead of replacing it.
    pub(super) add: bool,
}

type Product = unsafe fn(usize, *const f32, usize, *const f32, *mut f32, usize);
type FinishTile = unsafe fn(&[f32], usize, &mut [f32], usize, usize, usize, Finish<'_>);
type LayerNorm = unsafe fn(&[f32], &mut [f32], &[f32], &[f32], f32);

/// A set of loops. Calling one needs the instructions that the set is for, which is what `unsafe` stands for; the contracts
/// of the pointers of `product` are in [`micro`].
#[derive(Debug)]
pub(super) struct Kernels {
    /// For reports.
    pub(super) name: &'static str,
    /// Rows of a tile.
    pub(super) rows: usize,
    /// Columns of a tile, and of a panel of packed weights.
    pub(super) columns: usize,
    /// `(k, a, lda, b, tile, rows)`: a tile of `rows * columns` values.
    pub(super) product: Product,
    /// `(tile, its columns, out, ld of out, rows, columns, how)`.
    pub(super) finish: FinishTile,
    /// `(row, out, weight, bias, eps)`.
    pub(super) layer_norm: LayerNorm,
    /// In place.
    pub(super) softmax: unsafe fn(&mut [f32]),
    /// `(sum, values)`: adds row to row.
    pub(super) add: unsafe fn(&mut [f32], &[f32]),
}

/// Versions of a loop that the compiler vectorises: one body, compiled for each set of instructions.
macro_rules! versions {
    ($module:ident, $fused:expr $(, $features:literal)?) => {
        mod $module {
            use super::{Finish, elementwise};

            $(#[target_feature(enable = $features)])?
            pub(super) fn finish(
                tile: &[f32], width: usize, out: &mut [f32], ld: usize, rows: usize, columns: usize, how: Finish<'_>,
            ) {
                elementwise::finish::<{ $fused }>(tile, width, out, ld, rows, columns, how);
            }

            $(#[target_feature(enable = $features)])?
            pub(super) fn layer_norm(row: &[f32], out: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
                elementwise::layer_norm::<{ $fused }>(row, out, weight, bias, eps);
            }

            $(#[target_feature(enable = $features)])?
            pub(super) fn softmax(row: &mut [f32]) {
                elementwise::softmax::<{ $fused }>(row);
            }

            $(#[target_feature(enable = $features)])?
            pub(super) fn add(sum: &mut [f32], values: &[f32]) {
                elementwise::add(sum, values);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
versions!(avx512, true, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
versions!(avx2, true, "avx2,fma");
versions!(portable, cfg!(any(target_arch = "aarch64", target_feature = "fma")));

#[cfg(target_arch = "x86_64")]
static AVX512: Kernels = Kernels {
    name: "avx512",
    rows: 12,
    columns: 32,
    product: micro::avx512,
    finish: avx512::finish,
    layer_norm: avx512::layer_norm,
    softmax: avx512::softmax,
    add: avx512::add,
};

#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = Kernels {
    name: "avx2",
    rows: 6,
    columns: 16,
    product: micro::avx2,
    finish: avx2::finish,
    layer_norm: avx2::layer_norm,
    softmax: avx2::softmax,
    add: avx2::add,
};

static PORTABLE: Kernels = Kernels {
    name: "portable",
    rows: 4,
    columns: 16,
    product: micro::portable,
    finish: portable::finish,
    layer_norm: portable::layer_norm,
    softmax: portable::softmax,
    add: portable::add,
};

impl Kernels {
    /// All that this machine can run, the fastest first.
    pub(super) fn available() -> Vec<&'static Self> {
        #[cfg(target_arch = "x86_64")]
        return micro::runnable(&AVX512, &AVX2, &PORTABLE);
        #[cfg(not(target_arch = "x86_64"))]
        vec![&PORTABLE]
    }

    /// The fastest of this machine.
    pub(super) fn detect() -> &'static Self {
        Self::available()[0]
    }
}
