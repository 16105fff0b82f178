//! Training of an index on a sample.

use super::raw::{Raw, Threads};
use super::read::read;
use super::shard::IndexShard;
use super::{IndexError, IndexMetric, IndexOptions, LeftOut};
use crate::clusters::draw::Draws;
use crate::clusters::{KMeansOptions, Keys, kmeans};
use crate::scores::{Rows, ScoreError};

/// Vectors for each list that the sample has.
const PER_LIST: usize = 64;
/// Vectors that codes are trained on at least: 256 for each of 256 centroids.
const CODES: usize = 65_536;
/// Iterations of the clustering, as faiss makes for its lists.
const ITERATIONS: usize = 10;

/// Trains an index; gives the number of vectors that it took.
pub(super) fn train(index: &mut Raw, shards: &[IndexShard<'_>], options: &IndexOptions) -> Result<usize, IndexError> {
    let lists = index.list_counts().map_or(0, |(lists, _)| lists);
    let wanted = options.training.unwrap_or_else(|| (PER_LIST * lists).max(CODES));
    let mut data = Vec::new();
    let keys = sample(shards, wanted, options, &mut data);
    if keys.is_empty() {
        return Err(IndexError::Empty);
    }
    let _threads = Threads::set(options.threads);
    // Ours gives the same centroids whatever the threads, and is faster; but rotated vectors are faiss's affair, and so is
    // its notion of directions among vectors of any length.
    if index.takes_centroids() && options.metric != IndexMetric::InnerProduct {
        let rows = Rows::new(&data, index.dim(), None).map_err(|_| ScoreError::Empty { what: "training vectors" })?;
        let settings = KMeansOptions {
            iterations: ITERATIONS,
            seed: options.seed,
            spherical: options.metric == IndexMetric::Cosine,
            threads: options.threads,
            ..KMeansOptions::new(lists)
        };
        let centroids = kmeans(&rows, Keys::Given(&keys), &settings)?.centroids;
        // A graph over the centroids is linked by one thread: with more, chance decides.
        let _one = Threads::set(1);
        index.set_centroids(&centroids)?;
    }
    index.train(&data)?;
    Ok(keys.len())
}

/// Draws rows by the hash of seed and row, reads them in order, and gives their numbers over all shards.
fn sample(shards: &[IndexShard<'_>], wanted: usize, options: &IndexOptions, out: &mut Vec<f32>) -> Vec<u64> {
    let total: u64 = shards.iter().map(|shard| shard.vectors.len() as u64).sum();
    let draws = Draws::new(options.seed, "index_training", 0);
    // Draws below a bound are a few more than are wanted; of these the smallest are taken. So the draws of all rows need
    // not be held.
    let share = (wanted as f64 * 1.1 + 1000.0) / total.max(1) as f64;
    let bound = if share >= 1.0 { u64::MAX } else { (share * u64::MAX as f64) as u64 };
    let mut drawn: Vec<(u64, u64)> = (0..total).map(|row| (draws.bits(row), row)).filter(|&(draw, _)| draw <= bound).collect();
    drawn.sort_unstable();
    drawn.truncate(wanted);
    let mut rows: Vec<u64> = drawn.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    let (mut kept, mut start, mut at) = (Vec::with_capacity(rows.len()), 0_u64, 0);
    for shard in shards {
        let end = start + shard.vectors.len() as u64;
        let last = at + rows[at..].partition_point(|&row| row < end);
        let of_shard = rows[at..last].iter().map(|&row| (row - start) as usize);
        kept.extend(read(shard.vectors, of_shard, options.metric, &mut LeftOut::default(), out).into_iter().map(|row| start + row as u64));
        (start, at) = (end, last);
    }
    kept
}
