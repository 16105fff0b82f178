//! DataComp's image-based filter: pictures in clusters that hold a picture of a target task.

use super::kernel::Kernel;
use super::matrix::{Taken, inner, same_dim, same_len};
use super::search::{By, NO_CLUSTER, Searcher, search};
use crate::scores::{Rows, ScoreError, VectorSource};

/// The centroid of the largest inner product with each vector, in single precision, of equals the first: how DataComp's
/// `image_based` filter assigns. Neither side is brought to length 1, so a long centroid draws more vectors. [`NO_CLUSTER`]
/// for a null vector; null centroids are passed over.
///
/// # Errors
/// [`ScoreError`] when no centroid is left, the lengths differ, or a vector is not finite.
pub fn largest_product(vectors: &impl VectorSource, centroids: &Rows<'_>, threads: usize) -> Result<Vec<u32>, ScoreError> {
    same_dim("centroids", vectors.dim(), centroids.dim())?;
    for (row, centroid) in centroids.iter().enumerate() {
        if centroid.is_some_and(|centroid| !inner(centroid, centroid).is_finite()) {
            return Err(ScoreError::NotFinite { what: "centroids", row });
        }
    }
    if !(0..centroids.len()).any(|row| centroids.is_valid(row)) {
        return Err(ScoreError::Empty { what: "centroids" });
    }
    // A null row may hold anything, NaN included, which would spoil nothing but is better not multiplied.
    let mut data = centroids.data().to_vec();
    for (row, centroid) in data.chunks_exact_mut(centroids.dim()).enumerate() {
        if !centroids.is_valid(row) {
            centroid.fill(0.0);
        }
    }
    let mut searcher = Searcher::new(Kernel::detect());
    searcher.fill(&data, centroids.dim(), By::Product, |row| centroids.is_valid(row));
    let found = search::<1>(vectors, &data, &searcher, Taken::AsStored, threads, |_, _| 0.0)?;
    Ok(found.into_iter().map(|[found]| found.cluster).collect())
}

/// Marks the centroids that are nearest to any target, by [`largest_product`]; `marked` has a flag per centroid and keeps
/// what it has, so that targets may come in parts (DataComp's are the images of ImageNet-1k's training set, five files).
///
/// # Errors
/// As [`largest_product`], and when there are not as many flags as centroids.
pub fn mark_centroids(targets: &impl VectorSource, centroids: &Rows<'_>, marked: &mut [bool], threads: usize) -> Result<(), ScoreError> {
    same_len("marks", centroids.len(), marked.len())?;
    for centroid in largest_product(targets, centroids, threads)?.into_iter().filter(|&centroid| centroid != NO_CLUSTER) {
        marked[centroid as usize] = true;
    }
    Ok(())
}

/// Whether the nearest centroid of each vector is marked, by [`largest_product`]; `None` for a null vector.
///
/// # Errors
/// As [`mark_centroids`].
pub fn in_marked(
    vectors: &impl VectorSource,
    centroids: &Rows<'_>,
    marked: &[bool],
    threads: usize,
) -> Result<Vec<Option<bool>>, ScoreError> {
    same_len("marks", centroids.len(), marked.len())?;
    let nearest = largest_product(vectors, centroids, threads)?;
    Ok(nearest.into_iter().map(|centroid| (centroid != NO_CLUSTER).then(|| marked[centroid as usize])).collect())
}
