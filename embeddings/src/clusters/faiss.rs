//! k-means by faiss.

use faiss::cluster::{Clustering, ClusteringParameters};
use faiss::index::flat::FlatIndex;

use super::KMeansOptions;
use super::matrix::{Block, Taken, setting};
use crate::scores::{ScoreError, VectorSource};

/// The centroids of some rows, by faiss's `Clustering` over a flat index of Euclidean distance or inner product.
pub(super) fn train(source: &impl VectorSource, rows: &[usize], taken: Taken, options: &KMeansOptions) -> Result<Vec<f32>, ScoreError> {
    let refused = |error: faiss::error::Error| setting("engine", format!("faiss, which says {error}"), "ours may take it");
    let count = |value: usize| i32::try_from(value).map(|value| value as u32).map_err(|_| ScoreError::TooLarge(value, source.dim()));
    let (dim, clusters) = (count(source.dim())?, count(options.clusters)?);
    let mut parameters = ClusteringParameters::new();
    parameters.set_niter(count(options.iterations)?);
    parameters.set_seed((options.seed & 0x7fff_ffff) as u32);
    parameters.set_spherical(options.spherical);
    // The sample is drawn already, and few points are no reason to write to stderr.
    parameters.set_min_points_per_centroid(1);
    parameters.set_max_points_per_centroid(i32::MAX as u32);
    let mut data = Vec::with_capacity(rows.len() * source.dim());
    let capacity = Block::capacity(source.dim());
    let mut block = Block::new(capacity, source.dim());
    for rows in rows.chunks(capacity) {
        block.read("vectors", source, rows.iter().copied(), taken)?;
        (0..rows.len()).for_each(|row| data.extend_from_slice(block.row(row)));
    }
    let mut clustering = Clustering::new_with_params(dim, clusters, &parameters).map_err(refused)?;
    let mut index = if options.spherical { FlatIndex::new_ip(dim) } else { FlatIndex::new_l2(dim) }.map_err(refused)?;
    clustering.train(&data, &mut index).map_err(refused)?;
    Ok(clustering.centroids().map_err(refused)?.concat())
}
