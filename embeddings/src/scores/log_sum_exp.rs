//! `log Σ exp` over the rows and the columns of a matrix of products that is never whole in memory.

use super::ScoreError;
use super::exp::exp_negative;
use super::gemm::products;

/// Rows of a tile of the matrix.
const TILE_ROWS: usize = 1024;
/// Columns of a tile: 16 MiB with the rows above.
const TILE_COLUMNS: usize = 4096;

/// Running `log Σ exp`: the largest value so far, and the sum of what the others are against it.
#[derive(Debug, Clone, Copy)]
struct Sum {
    max: f32,
    sum: f64,
}

impl Sum {
    const EMPTY: Self = Self { max: f32::NEG_INFINITY, sum: 0.0 };

    /// Makes `max` the new reference if it is larger.
    fn raise(&mut self, max: f32) {
        if max > self.max {
            self.sum *= (f64::from(self.max) - f64::from(max)).exp();
            self.max = max;
        }
    }

    fn log(self) -> f64 {
        f64::from(self.max) + self.sum.ln()
    }
}

/// For `z[i][j] = scale * a[i] · b[j]`, the `log Σ_j exp z[i][j]` of every row and the `log Σ_i exp z[i][j]` of every
/// column.
///
/// Products in single precision, sums in double, the largest value taken off first. Memory beside the vectors: one tile
/// of 16 MiB and 16 bytes for each row and column. The result does not depend on `threads`.
pub(crate) fn log_sum_exp(scale: f32, a: &[f32], b: &[f32], dim: usize, threads: usize) -> Result<(Vec<f64>, Vec<f64>), ScoreError> {
    let (m, n) = (a.len() / dim, b.len() / dim);
    let (mut rows, mut columns) = (vec![Sum::EMPTY; m], vec![Sum::EMPTY; n]);
    let mut tile = vec![0.0; m.min(TILE_ROWS) * n.min(TILE_COLUMNS)];
    for (a, rows) in a.chunks(TILE_ROWS * dim).zip(rows.chunks_mut(TILE_ROWS)) {
        for (b, columns) in b.chunks(TILE_COLUMNS * dim).zip(columns.chunks_mut(TILE_COLUMNS)) {
            let tile = &mut tile[..rows.len() * columns.len()];
            products(scale, a, b, dim, tile)?;
            add_tile(tile, rows, columns, threads.max(1));
        }
    }
    Ok((rows.into_iter().map(Sum::log).collect(), columns.into_iter().map(Sum::log).collect()))
}

fn add_tile(tile: &[f32], rows: &mut [Sum], columns: &mut [Sum], threads: usize) {
    let width = columns.len();
    let (some_rows, some_columns) = (rows.len().div_ceil(threads), columns.len().div_ceil(threads));
    std::thread::scope(|scope| {
        for (tile, rows) in tile.chunks(some_rows * width).zip(rows.chunks_mut(some_rows)) {
            scope.spawn(move || tile.chunks(width).zip(rows).for_each(|(values, sum)| add_row(values, sum)));
        }
        for (part, columns) in columns.chunks_mut(some_columns).enumerate() {
            let start = part * some_columns;
            scope.spawn(move || add_columns(tile, width, start, columns));
        }
    });
}

fn add_row(values: &[f32], sum: &mut Sum) {
    // Eight lanes, so that the largest is found without waiting for the one before.
    let mut lanes = [f32::NEG_INFINITY; 8];
    let (eights, rest) = values.as_chunks::<8>();
    for eight in eights {
        for (lane, &value) in lanes.iter_mut().zip(eight) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    sum.raise(lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max));
    let max = sum.max;
    let mut sums = [0.0_f64; 8];
    for eight in eights {
        for (lane, &value) in sums.iter_mut().zip(eight) {
            *lane += f64::from(exp_negative(value - max));
        }
    }
    sum.sum += sums.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(exp_negative(value - max))).sum::<f64>();
}

/// Adds the columns of a tile from `start` on, in groups that stay in the nearest cache.
fn add_columns(tile: &[f32], width: usize, start: usize, columns: &mut [Sum]) {
    const GROUP: usize = 64;
    for (group, sums) in columns.chunks_mut(GROUP).enumerate() {
        let at = start + group * GROUP;
        let (mut max, mut add) = ([f32::NEG_INFINITY; GROUP], [0.0_f64; GROUP]);
        let count = sums.len();
        for row in tile.chunks(width) {
            for (max, &value) in max.iter_mut().zip(&row[at..at + count]) {
                *max = if value > *max { value } else { *max };
            }
        }
        for (sum, max) in sums.iter_mut().zip(&mut max) {
            sum.raise(*max);
            *max = sum.max;
        }
        for row in tile.chunks(width) {
            for ((add, &max), &value) in add.iter_mut().zip(&max).zip(&row[at..at + count]) {
                *add += f64::from(exp_negative(value - max));
            }
        }
        for (sum, add) in sums.iter_mut().zip(add) {
            sum.sum += add;
        }
    }
}
