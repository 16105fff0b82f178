//! The first centroids.

use super::draw::{Draws, Keys};
use super::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use super::matrix::{Block, Panels, Taken, inner};
use super::parallel::share;
use crate::scores::{ScoreError, VectorSource};

/// `count` of the rows, drawn evenly, in the order of their draws.
pub(super) fn random(
    source: &impl VectorSource,
    rows: &[usize],
    keys: Keys<'_>,
    seed: u64,
    count: usize,
    taken: Taken,
) -> Result<Vec<f32>, ScoreError> {
    let draws = Draws::new(seed, "kmeans_init", 0);
    let mut drawn = draws.sample(rows.to_vec(), keys, count);
    drawn.sort_by_key(|&row| (draws.bits(keys.of(row)), row));
    let mut block = Block::new(drawn.len(), source.dim());
    block.read("vectors", source, drawn.iter().copied(), taken)?;
    Ok((0..drawn.len()).flat_map(|row| block.row(row).iter().copied()).collect())
}

/// Points that are worked on by one thread, with what is known of each.
struct Part {
    block: Block,
    keys: Vec<u64>,
    squares: Vec<f64>,
    /// Squared distance to the nearest centroid so far.
    nearest: Vec<f64>,
    /// Squared distances to the candidates, row after row.
    candidates: Vec<f64>,
}

/// A row with the exponential race that it runs: the smallest are a weighted sample.
type Runner = (f64, u64, usize, usize);

/// k-means++ with several candidates per step (Arthur and Vassilvitskii 2007): each next centroid is drawn in proportion
/// to the squared distance to the nearest one so far, `2 + ln(count)` times, and of these the one that leaves the smallest
/// sum of squared distances is taken.
///
/// The candidates of a step are the rows with the smallest `-ln(U) / D²`, which is a draw of that many without
/// replacement and depends on no order. All of `rows` are held in memory; time: `count * rows * dim` multiplications,
/// times the columns of a tile.
pub(super) fn plus_plus<V: VectorSource>(
    source: &V,
    rows: &[usize],
    keys: Keys<'_>,
    seed: u64,
    count: usize,
    taken: Taken,
    threads: usize,
) -> Result<Vec<f32>, ScoreError> {
    let (dim, kernel) = (source.dim(), Kernel::detect());
    let trials = (2 + (count.max(1) as f64).ln() as usize).min(MAX_COLUMNS).min(kernel.columns);
    let capacity = Block::capacity(dim);
    let mut parts = Vec::with_capacity(rows.len().div_ceil(capacity));
    for rows in rows.chunks(capacity) {
        let mut block = Block::new(rows.len(), dim);
        block.read("vectors", source, rows.iter().copied(), taken)?;
        let squares: Vec<f64> = (0..rows.len()).map(|row| inner(block.row(row), block.row(row))).collect();
        let keys = rows.iter().map(|&row| keys.of(row)).collect();
        parts.push(Part { block, keys, squares, nearest: vec![f64::INFINITY; rows.len()], candidates: vec![0.0; rows.len() * trials] });
    }
    let mut centroids: Vec<f32> = Vec::with_capacity(count * dim);
    let mut panels = Panels::new(kernel);
    for step in 0..count.min(rows.len()) {
        let draws = Draws::new(seed, "kmeans_plus_plus", step as u64);
        let mut runners = race(&mut parts, draws, if step == 0 { 1 } else { trials }, threads)?;
        runners.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then((a.2, a.3).cmp(&(b.2, b.3))));
        runners.truncate(if step == 0 { 1 } else { trials });
        let vectors: Vec<Vec<f32>> = runners.iter().map(|runner| parts[runner.2].block.row(runner.3).to_vec()).collect();
        panels.pack(dim, vectors.iter().map(Vec::as_slice));
        let squares: Vec<f64> = runners.iter().map(|runner| parts[runner.2].squares[runner.3]).collect();
        // Sums per part are added in the order of the parts, so that threads change nothing.
        let mut left = vec![vec![0.0_f64; runners.len()]; parts.len()];
        let panel = panels.iter().next().unwrap_or_default();
        share(
            threads,
            parts.iter_mut().zip(&mut left),
            || [0.0; MAX_ROWS * MAX_COLUMNS],
            |tile, (part, left)| {
                measure(kernel, part, panel, &squares, trials, tile, left);
                Ok::<_, ScoreError>(())
            },
        )?;
        let totals: Vec<f64> = (0..runners.len()).map(|at| left.iter().map(|left| left[at]).sum()).collect();
        let best = (0..runners.len()).min_by(|&a, &b| totals[a].total_cmp(&totals[b])).unwrap_or_default();
        for part in &mut parts {
            for (nearest, candidates) in part.nearest.iter_mut().zip(part.candidates.chunks_exact(trials)) {
                *nearest = nearest.min(candidates[best]);
            }
        }
        // Rounding may leave a little of a distance to itself.
        parts[runners[best].2].nearest[runners[best].3] = 0.0;
        centroids.extend_from_slice(&vectors[best]);
    }
    Ok(centroids)
}

/// The first `count` of each part in the exponential race; those that are a centroid already come last.
fn race(parts: &mut [Part], draws: Draws, count: usize, threads: usize) -> Result<Vec<Runner>, ScoreError> {
    let mut firsts: Vec<Vec<Runner>> = vec![Vec::new(); parts.len()];
    share(
        threads,
        parts.iter().enumerate().zip(&mut firsts),
        || (),
        |(), ((number, part), firsts)| {
            for (row, (&nearest, &key)) in part.nearest.iter().zip(&part.keys).enumerate() {
                // An infinite distance, before the first centroid, is the same for all.
                let weight = if nearest == f64::INFINITY { 1.0 } else { nearest };
                let time = -draws.unit(key).ln() / weight;
                if firsts.len() < count || firsts.last().is_some_and(|last| time < last.0) {
                    let at = firsts.partition_point(|first| first.0 <= time);
                    firsts.insert(at, (time, draws.bits(key), number, row));
                    firsts.truncate(count);
                }
            }
            Ok::<_, ScoreError>(())
        },
    )?;
    Ok(firsts.into_iter().flatten().collect())
}

/// Squared distances from all rows of a part to the candidates, and what each candidate would leave of the sum.
fn measure(kernel: &Kernel, part: &mut Part, panel: &[f32], squares: &[f64], trials: usize, tile: &mut [f32], left: &mut [f64]) {
    let block = &part.block;
    for first in (0..block.rows).step_by(kernel.rows) {
        let rows = kernel.rows.min(block.rows - first);
        kernel.product(block.dim, &block.values()[first * block.ld..], block.ld, panel, tile, rows);
        for (row, products) in (first..first + rows).zip(tile.chunks_exact(kernel.columns)) {
            let out = &mut part.candidates[row * trials..][..trials];
            for (((out, &product), &square), left) in out.iter_mut().zip(products).zip(squares).zip(left.iter_mut()) {
                *out = (part.squares[row] - 2.0 * f64::from(product) + square).max(0.0);
                *left += out.min(part.nearest[row]);
            }
        }
    }
}
