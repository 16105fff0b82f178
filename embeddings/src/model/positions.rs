//! Position embeddings resized to a picture's own grid (NaFlex).
//!
//! As PyTorch's `interpolate(mode="bilinear", align_corners=False, antialias=True)`, which transformers uses in
//! `Siglip2VisionEmbeddings.resize_positional_embeddings`: a triangle filter that widens when the grid shrinks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Values that are kept: 64 MiB.
const MOST_VALUES: usize = 16 << 20;

/// Grids that were asked for before. Shared by all replicas; pictures of a crawl have few shapes.
#[derive(Debug, Default)]
pub(super) struct PositionCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By rows and columns.
    grids: HashMap<(usize, usize), Arc<Vec<f32>>>,
    values: usize,
}

impl PositionCache {
    /// `rows * columns * width` values from a learned square of them.
    pub(super) fn get(&self, learned: &[f32], width: usize, rows: usize, columns: usize) -> Arc<Vec<f32>> {
        if let Some(grid) = self.kept.lock().grids.get(&(rows, columns)) {
            return Arc::clone(grid);
        }
        let grid = Arc::new(resize(learned, width, rows, columns));
        if grid.len() > MOST_VALUES {
            return grid;
        }
        let mut kept = self.kept.lock();
        if kept.values + grid.len() > MOST_VALUES {
            *kept = Kept::default();
        }
        kept.values += grid.len();
        kept.grids.insert((rows, columns), Arc::clone(&grid));
        grid
    }
}

/// For each place of the output: the first place of the input that counts, and the weights of that and the next ones.
fn weights(input: usize, output: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = input as f64 / output as f64;
    // The triangle reaches one input place to each side, or one output place where that is more.
    let reach = scale.max(1.0);
    (0..output)
        .map(|at| {
            let centre = scale * (at as f64 + 0.5);
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(input);
            let raw: Vec<f64> = (first..end).map(|place| (1.0 - ((place as f64 - centre + 0.5) / reach).abs()).max(0.0)).collect();
            let sum: f64 = raw.iter().sum();
            (first, raw.into_iter().map(|weight| (weight / sum) as f32).collect())
        })
        .collect()
}

fn resize(learned: &[f32], width: usize, rows: usize, columns: usize) -> Vec<f32> {
    let side = (learned.len() / width).isqrt();
    let mut narrow = vec![0.0_f32; side * columns * width];
    let across = weights(side, columns);
    for row in 0..side {
        for (column, (first, weights)) in across.iter().enumerate() {
            let out = &mut narrow[(row * columns + column) * width..][..width];
            for (offset, weight) in weights.iter().enumerate() {
                let from = &learned[(row * side + first + offset) * width..][..width];
                out.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
            }
        }
    }
    let mut resized = vec![0.0_f32; rows * columns * width];
    for (row, (first, weights)) in weights(side, rows).iter().enumerate() {
        let out = &mut resized[row * columns * width..][..columns * width];
        for (offset, weight) in weights.iter().enumerate() {
            let from = &narrow[(first + offset) * columns * width..][..columns * width];
            out.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_size_gives_the_learned_embeddings() {
        let learned: Vec<f32> = (0..32).map(|i| i as f32).collect();
        assert_eq!(resize(&learned, 2, 4, 4), learned);
    }

    #[test]
    fn a_grid_is_resized_as_pytorch_resizes_it() {
        // torch.nn.functional.interpolate(torch.arange(9.).square().reshape(1, 1, 3, 3), size=(2, 5), mode="bilinear",
        //     align_corners=False, antialias=True), PyTorch 2.15.
        let learned: Vec<f32> = (0..9).map(|i| (i * i) as f32).collect();
        let expected = [3.375, 4.675, 6.625, 9.775, 11.875, 25.875, 30.175, 36.625, 44.275, 49.375];
        for (ours, theirs) in resize(&learned, 1, 2, 5).iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }

    #[test]
    fn the_store_of_grids_is_bounded() {
        let (cache, learned) = (PositionCache::default(), vec![1.0; 16]);
        for rows in 1..20 {
            cache.get(&learned, 1, rows << 16, 16);
            assert!(cache.kept.lock().values <= MOST_VALUES);
        }
    }
}
