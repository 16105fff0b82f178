//! Tiles of products and what is done with them, for each set of vector instructions, chosen once at run time.

// The tiles of the towers. They add in one order with fused multiply-add whatever the rows beside, so that a row's
// nearest centroid depends neither on its block nor on the number of threads, which a general library does not promise.
use crate::model::cpu::micro;

/// The most columns of any tile.
pub(crate) const MAX_COLUMNS: usize = 32;
/// The most rows of any tile.
pub(crate) const MAX_ROWS: usize = 12;
/// Rows behind the last one that a tile may read.
pub(crate) const SPARE_ROWS: usize = 4;

type Product = unsafe fn(usize, *const f32, usize, *const f32, *mut f32, usize);
type Rank = unsafe fn(&[f32], &[f32], u32, &mut [f32], &mut [u32]);
type Reach = unsafe fn(&[f32], &[f32], &mut [u32]);

/// A set of loops that this machine can run.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a tile, and of a panel of packed vectors.
    pub(crate) columns: usize,
    product: Product,
    rank: Rank,
    rank_two: Rank,
    reach: Reach,
}

/// The instructions that a loop is compiled for; one body.
macro_rules! ranks {
    ($module:ident, $columns:literal $(, $features:literal)?) => {
        mod $module {
            $(#[target_feature(enable = $features)])?
            pub(crate) fn rank(tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
                super::rank::<$columns>(tile, offsets, panel, values, panels);
            }

            $(#[target_feature(enable = $features)])?
            pub(crate) fn rank_two(tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
                super::rank_two::<$columns>(tile, offsets, panel, values, panels);
            }

            $(#[target_feature(enable = $features)])?
            pub(crate) fn reach(tile: &[f32], floors: &[f32], masks: &mut [u32]) {
                super::reach::<$columns>(tile, floors, masks);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
ranks!(avx512, 32, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
ranks!(avx2, 16, "avx2,fma");
ranks!(portable, 16);

#[cfg(target_arch = "x86_64")]
static AVX512: Kernel =
    Kernel { rows: 12, columns: 32, product: micro::avx512, rank: avx512::rank, rank_two: avx512::rank_two, reach: avx512::reach };
#[cfg(target_arch = "x86_64")]
static AVX2: Kernel = Kernel { rows: 6, columns: 16, product: micro::avx2, rank: avx2::rank, rank_two: avx2::rank_two, reach: avx2::reach };
static PORTABLE: Kernel =
    Kernel { rows: 4, columns: 16, product: micro::portable, rank: portable::rank, rank_two: portable::rank_two, reach: portable::reach };

impl Kernel {
    /// All that this machine can run, the fastest first.
    pub(crate) fn available() -> Vec<&'static Self> {
        #[cfg(target_arch = "x86_64")]
        return micro::runnable(&AVX512, &AVX2, &PORTABLE);
        #[cfg(not(target_arch = "x86_64"))]
        vec![&PORTABLE]
    }

    /// The fastest of this machine.
    pub(crate) fn detect() -> &'static Self {
        Self::available()[0]
    }

    /// `rows` rows of `values` at a distance of `ld` times a panel of `dim` steps, into the first rows of `tile`.
    ///
    /// # Panics
    /// When a slice is too short: `values` needs the spare rows, `tile` all rows of a tile.
    pub(crate) fn product(&self, dim: usize, values: &[f32], ld: usize, panel: &[f32], tile: &mut [f32], rows: usize) {
        assert!((1..=self.rows).contains(&rows), "a tile has room for the rows");
        assert!((rows + SPARE_ROWS - 1) * ld + dim <= values.len() + ld, "spare rows lie behind the rows");
        assert!(dim <= ld && panel.len() >= dim * self.columns && tile.len() >= self.rows * self.columns, "slices do not fit");
        // SAFETY: only `available` gives kernels, after the machine was asked for the instructions. A tile reads at most
        // `rows` + 2 rows of `dim` values, and all that it reads and writes is asserted above.
        unsafe { (self.product)(dim, values.as_ptr(), ld, panel.as_ptr(), tile.as_mut_ptr(), rows) }
    }

    /// Keeps for each row and lane the largest of `tile + offsets` so far, and the panel where it was. All slices have
    /// a value for each row and column of the tile, `offsets` one for each column. Of equals the first stays.
    pub(crate) fn rank(&self, tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
        // SAFETY: only `available` gives kernels, after the machine was asked for the instructions.
        unsafe { (self.rank)(tile, offsets, panel, values, panels) }
    }

    /// As [`rank`](Self::rank), the two largest: for each row first the largest of all lanes, then the second.
    pub(crate) fn rank_two(&self, tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
        // SAFETY: as in `rank`.
        unsafe { (self.rank_two)(tile, offsets, panel, values, panels) }
    }

    /// For each row of a tile which of its values are at least the row's floor: bit `c` of the mask stands for column `c`.
    pub(crate) fn reach(&self, tile: &[f32], floors: &[f32], masks: &mut [u32]) {
        // SAFETY: as in `rank`.
        unsafe { (self.reach)(tile, floors, masks) }
    }
}

#[inline(always)]
fn reach<const COLUMNS: usize>(tile: &[f32], floors: &[f32], masks: &mut [u32]) {
    for ((tile, &floor), mask) in tile.as_chunks::<COLUMNS>().0.iter().zip(floors).zip(masks) {
        // The largest first: almost every row of almost every tile ends here.
        let mut largest = [f32::NEG_INFINITY; 16];
        for part in tile.as_chunks::<16>().0 {
            for lane in 0..16 {
                largest[lane] = if part[lane] > largest[lane] { part[lane] } else { largest[lane] };
            }
        }
        *mask = 0;
        if largest.iter().any(|&value| value >= floor) || floor == f32::NEG_INFINITY {
            for (lane, &value) in tile.iter().enumerate() {
                *mask |= u32::from(value >= floor) << lane;
            }
        }
    }
}

#[inline(always)]
fn rank<const COLUMNS: usize>(tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
    let Some(offsets) = offsets.first_chunk::<COLUMNS>() else { return };
    let rows = tile.as_chunks::<COLUMNS>().0.iter();
    for ((tile, values), panels) in rows.zip(values.as_chunks_mut::<COLUMNS>().0).zip(panels.as_chunks_mut::<COLUMNS>().0) {
        for lane in 0..COLUMNS {
            let value = tile[lane] + offsets[lane];
            let better = value > values[lane];
            values[lane] = if better { value } else { values[lane] };
            panels[lane] = if better { panel } else { panels[lane] };
        }
    }
}

#[inline(always)]
fn rank_two<const COLUMNS: usize>(tile: &[f32], offsets: &[f32], panel: u32, values: &mut [f32], panels: &mut [u32]) {
    let Some(offsets) = offsets.first_chunk::<COLUMNS>() else { return };
    let states = values.as_chunks_mut::<COLUMNS>().0.as_chunks_mut::<2>().0.iter_mut();
    let states = states.zip(panels.as_chunks_mut::<COLUMNS>().0.as_chunks_mut::<2>().0);
    for (tile, ([first, second], [first_panel, second_panel])) in tile.as_chunks::<COLUMNS>().0.iter().zip(states) {
        for lane in 0..COLUMNS {
            let value = tile[lane] + offsets[lane];
            let (best, next) = (value > first[lane], value > second[lane]);
            let (below, below_panel) = if best { (first[lane], first_panel[lane]) } else { (value, panel) };
            second[lane] = if next { below } else { second[lane] };
            second_panel[lane] = if next { below_panel } else { second_panel[lane] };
            first[lane] = if best { value } else { first[lane] };
            first_panel[lane] = if best { panel } else { first_panel[lane] };
        }
    }
}
