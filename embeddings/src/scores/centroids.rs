//! The nearest of given centroids.

use trommel_shards::vectors::Rows;

use super::ScoreError;
use super::gemm::products;
use super::source::{finite, gather, same_dim, valid_rows};

const BLOCK: usize = 4096;
const CENTROID_BLOCK: usize = 1024;

/// How far apart two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// `1 - cosine`, 0 to 2. Vectors and centroids need not be of length 1; one without direction has no nearest.
    #[default]
    Cosine,
    /// The Euclidean distance. faiss gives its square.
    L2,
}

/// The nearest centroid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its row among the centroids.
    pub index: usize,
    /// How far away it is.
    pub distance: f32,
}

/// The nearest centroid of every vector, the first of equally near ones; `None` for a null vector and, by cosine, for a
/// zero vector. Null centroids, and by cosine zero ones, are passed over.
///
/// The choice is made by products in single precision, so of two centroids that differ by less than about 1e-6 either
/// may win; the distance is then computed in double precision. Memory beside the vectors: 16 MiB of products and the
/// vectors of a block.
///
/// # Errors
/// [`ScoreError`] when no centroid is left, the lengths differ, or a vector is not finite.
pub fn nearest(vectors: &Rows<'_>, centroids: &Rows<'_>, metric: Metric) -> Result<Vec<Option<Nearest>>, ScoreError> {
    let dim = vectors.dim();
    same_dim("centroids", dim, centroids.dim())?;
    let mut centroid_rows = valid_rows(centroids);
    for &row in &centroid_rows {
        finite("centroids", row, of(centroids, row))?;
    }
    let squares: Vec<f64> = (0..centroids.len()).map(|row| inner(of(centroids, row), of(centroids, row))).collect();
    if metric == Metric::Cosine {
        centroid_rows.retain(|&row| squares[row] > 0.0);
    }
    if centroid_rows.is_empty() {
        return Err(ScoreError::Empty { what: "centroids" });
    }
    // Both metrics rank by `slope * x·c + offset`, the larger the nearer: x·c / |c|, or x·c - |c|²/2.
    let weights = |row: usize| match metric {
        Metric::Cosine => (1.0 / squares[row].sqrt(), 0.0),
        Metric::L2 => (1.0, -squares[row] / 2.0),
    };
    let mut found = vec![None; vectors.len()];
    let (mut f, mut g, mut tile) = (Vec::new(), Vec::new(), Vec::new());
    for rows in valid_rows(vectors).chunks(BLOCK) {
        gather("vectors", vectors, rows, &mut f)?;
        let mut best = vec![(f64::NEG_INFINITY, 0_usize); rows.len()];
        for centroid_rows in centroid_rows.chunks(CENTROID_BLOCK) {
            gather("centroids", centroids, centroid_rows, &mut g)?;
            tile.resize(rows.len() * centroid_rows.len(), 0.0);
            products(1.0, &f, &g, dim, &mut tile[..rows.len() * centroid_rows.len()])?;
            let weights: Vec<(f64, f64)> = centroid_rows.iter().map(|&row| weights(row)).collect();
            for (best, products) in best.iter_mut().zip(tile.chunks_exact(centroid_rows.len())) {
                for ((&product, &(slope, offset)), &row) in products.iter().zip(&weights).zip(centroid_rows) {
                    let rank = f64::from(product) * slope + offset;
                    if rank > best.0 {
                        *best = (rank, row);
                    }
                }
            }
        }
        for (&row, (_, index)) in rows.iter().zip(best) {
            let distance = distance(of(vectors, row), of(centroids, index), metric);
            found[row] = distance.map(|distance| Nearest { index, distance: distance as f32 });
        }
    }
    Ok(found)
}

fn of<'a>(rows: &Rows<'a>, row: usize) -> &'a [f32] {
    &rows.data()[row * rows.dim()..(row + 1) * rows.dim()]
}

fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn distance(a: &[f32], b: &[f32], metric: Metric) -> Option<f64> {
    match metric {
        Metric::Cosine => {
            let lengths = (inner(a, a) * inner(b, b)).sqrt();
            (lengths > 0.0).then(|| 1.0 - inner(a, b) / lengths)
        }
        Metric::L2 => Some(a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()),
    }
}
