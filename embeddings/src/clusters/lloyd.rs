//! Lloyd's iterations.

use super::kernel::Kernel;
use super::matrix::{Block, Taken, inner, square_distance};
use super::parallel::share;
use super::search::{By, NO_CLUSTER, Scratch, Searcher};
use crate::scores::{ScoreError, VectorSource};

/// Bytes of vectors that are worked on between two sums.
const CHUNK_BYTES: usize = 32 << 20;

/// What is clustered, and how.
pub(super) struct Lloyd<'a, V> {
    pub(super) source: &'a V,
    pub(super) rows: &'a [usize],
    /// Whether vectors and centroids are brought to length 1, and the cosine decides.
    pub(super) spherical: bool,
    pub(super) threads: usize,
}

impl<V: VectorSource> Lloyd<'_, V> {
    pub(super) fn taken(&self) -> Taken {
        if self.spherical { Taken::Unit } else { Taken::AsStored }
    }

    /// Improves centroids in place until no row changes its cluster, `iterations` times at most. Gives the objective
    /// before each improvement: `Σ ‖x − c‖²`, or `Σ (1 − x·c)` where spherical.
    ///
    /// A cluster without rows keeps its centroid. Sums are in double precision in the order of the rows, whatever the
    /// number of threads.
    pub(super) fn run(&self, centroids: &mut [f32], iterations: usize) -> Result<Vec<f64>, ScoreError> {
        let dim = self.source.dim();
        let clusters = centroids.len() / dim;
        let mut searcher = Searcher::new(Kernel::detect());
        let by = if self.spherical { By::Product } else { By::Distance };
        let capacity = Block::capacity(dim);
        let most = (CHUNK_BYTES / (4 * capacity * dim)).max(2 * self.threads).min(self.rows.len().div_ceil(capacity));
        let mut blocks: Vec<Block> = (0..most).map(|_| Block::new(capacity, dim)).collect();
        let mut assigned = vec![[NO_CLUSTER]; self.rows.len()];
        let (mut sums, mut counts) = (vec![0.0_f64; clusters * dim], vec![0_u64; clusters]);
        let mut objectives = Vec::with_capacity(iterations);
        let mut losses = vec![0.0_f64; most * capacity];
        for _ in 0..iterations {
            searcher.fill(centroids, dim, by, |_| true);
            sums.fill(0.0);
            counts.fill(0);
            let (mut objective, mut changed) = (0.0, false);
            for (rows, assigned) in self.rows.chunks(most * capacity).zip(assigned.chunks_mut(most * capacity)) {
                changed |= self.assign(&searcher, centroids, rows, &mut blocks, assigned, &mut losses)?;
                objective += losses[..rows.len()].iter().sum::<f64>();
                self.add(&blocks, assigned, &mut sums, &mut counts)?;
            }
            objectives.push(objective);
            if !changed {
                break;
            }
            self.move_to_means(centroids, &sums, &counts);
        }
        Ok(objectives)
    }

    /// Reads a chunk and finds the cluster of each row. Whether one of them is new.
    fn assign(
        &self,
        searcher: &Searcher,
        centroids: &[f32],
        rows: &[usize],
        blocks: &mut [Block],
        assigned: &mut [[u32; 1]],
        losses: &mut [f64],
    ) -> Result<bool, ScoreError> {
        let dim = self.source.dim();
        let capacity = Block::capacity(dim);
        let changed = std::sync::atomic::AtomicBool::new(false);
        let parts = rows.chunks(capacity).zip(blocks).zip(assigned.chunks_mut(capacity).zip(losses.chunks_mut(capacity)));
        let state = || (Scratch::new(), vec![[NO_CLUSTER]; capacity]);
        share(self.threads, parts, state, |(scratch, found), ((rows, block), (assigned, losses))| {
            block.read("vectors", self.source, rows.iter().copied(), self.taken())?;
            let found = &mut found[..rows.len()];
            searcher.find(block, scratch, found);
            if found != assigned {
                changed.store(true, std::sync::atomic::Ordering::Relaxed);
                assigned.copy_from_slice(found);
            }
            for (at, (loss, &[cluster])) in losses.iter_mut().zip(found.iter()).enumerate() {
                *loss = if cluster == NO_CLUSTER {
                    0.0
                } else {
                    let centroid = &centroids[cluster as usize * dim..][..dim];
                    if self.spherical { 1.0 - inner(block.row(at), centroid) } else { square_distance(block.row(at), centroid) }
                };
            }
            Ok(())
        })?;
        Ok(changed.into_inner())
    }

    /// Adds the rows of a chunk to the sums of their clusters: each thread for clusters of its own, in the order of the
    /// rows.
    fn add(&self, blocks: &[Block], assigned: &[[u32; 1]], sums: &mut [f64], counts: &mut [u64]) -> Result<(), ScoreError> {
        let dim = self.source.dim();
        let (capacity, share_of) = (Block::capacity(dim), counts.len().div_ceil(self.threads.max(1)));
        let parts = sums.chunks_mut(share_of * dim).zip(counts.chunks_mut(share_of)).enumerate();
        share(
            self.threads,
            parts,
            || (),
            |(), (part, (sums, counts))| {
                let first = part * share_of;
                for (assigned, block) in assigned.chunks(capacity).zip(blocks) {
                    for (at, &[cluster]) in assigned.iter().enumerate() {
                        // What lies before the first wraps around and is as far away as what lies behind the last.
                        let own = (cluster as usize).wrapping_sub(first);
                        if own < counts.len() {
                            counts[own] += 1;
                            let sums = &mut sums[own * dim..][..dim];
                            sums.iter_mut().zip(block.row(at)).for_each(|(sum, &value)| *sum += f64::from(value));
                        }
                    }
                }
                Ok(())
            },
        )
    }

    fn move_to_means(&self, centroids: &mut [f32], sums: &[f64], counts: &[u64]) {
        let dim = self.source.dim();
        for ((centroid, sums), &count) in centroids.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(counts) {
            let divisor = if self.spherical { sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt() } else { count as f64 };
            if count > 0 && divisor > 0.0 {
                centroid.iter_mut().zip(sums).for_each(|(value, sum)| *value = (sum / divisor) as f32);
            }
        }
    }
}
