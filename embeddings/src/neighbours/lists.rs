//! Inverted lists: the base rows by the cluster they are in.

use std::ops::ControlFlow;

use super::engine::{Engine, Job, Places};
use super::vectors::unit_into;
use super::{Edge, NeighbourError};
use crate::clusters::draw::Draws;
use crate::clusters::{KMeansOptions, Keys, kmeans};
use crate::scores::{Rows, VectorSource};

/// Vectors per list that the centroids are trained on.
const TRAINING: usize = 64;
/// Iterations of the training: the lists only have to be even, not perfect.
const ITERATIONS: usize = 10;
/// Base rows that are packed at a time.
const SEGMENT: usize = 2048;

/// Base rows by list.
pub(super) struct Lists {
    centroids: Vec<f32>,
    /// Where each list starts in `rows`, and the end.
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl Lists {
    pub(super) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Trains centroids on a drawn sample and gives every row to the nearest.
    pub(super) fn train(engine: &Engine<'_>, base: &[u32], lists: usize, seed: u64) -> Result<Self, NeighbourError> {
        let dim = engine.base.dim();
        let all = base.iter().map(|&row| row as usize).collect();
        let sample = Draws::new(seed, "neighbour_lists", 0).sample(all, Keys::RowNumbers, lists * TRAINING);
        let mut data = vec![0.0; sample.len() * dim];
        for (out, &row) in data.chunks_exact_mut(dim).zip(&sample) {
            unit_into(engine.base, row, out);
        }
        let keys: Vec<u64> = sample.iter().map(|&row| row as u64).collect();
        let vectors = Rows::new(&data, dim, None).map_err(|_| NeighbourError::Lengths { what: "sample", expected: dim, found: 0 })?;
        let settings =
            KMeansOptions { iterations: ITERATIONS, spherical: true, seed, threads: engine.threads, ..KMeansOptions::new(lists) };
        let centroids = kmeans(&vectors, Keys::Given(&keys), &settings)?.centroids;
        drop(data);
        let mut nearest = vec![0_u32; base.len()];
        let mut at = 0;
        nearest_lists(engine, engine.base, base, &centroids, 1, &mut |edge| {
            nearest[at] = edge.neighbour;
            at += 1;
        })?;
        let mut starts = vec![0; lists + 1];
        nearest.iter().for_each(|&list| starts[list as usize + 1] += 1);
        (0..lists).for_each(|list| starts[list + 1] += starts[list]);
        let mut ends = starts.clone();
        let mut rows = vec![0; base.len()];
        for (&list, &row) in nearest.iter().zip(base) {
            rows[ends[list as usize]] = row;
            ends[list as usize] += 1;
        }
        Ok(Self { centroids, starts, rows })
    }

    /// Searches the `probes` lists nearest to each query.
    pub(super) fn search(
        &self,
        engine: &Engine<'_>,
        rows: &[u32],
        probes: usize,
        emit: &mut dyn FnMut(&[Edge]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, NeighbourError> {
        // Probes and places take four bytes each, and are sorted once.
        engine.run(rows, probes * 12, emit, &mut |batch, jobs| {
            let mut probed = Vec::with_capacity(batch.len() * probes);
            nearest_lists(engine, engine.queries, batch, &self.centroids, probes, &mut |edge| probed.push(edge.neighbour))?;
            let each = probes.min(self.count());
            let mut starts = vec![0_usize; self.count() + 1];
            probed.iter().for_each(|&list| starts[list as usize + 1] += 1);
            (0..self.count()).for_each(|list| starts[list + 1] += starts[list]);
            let mut ends = starts.clone();
            let mut places = vec![0_u32; probed.len()];
            for (place, lists) in probed.chunks_exact(each).enumerate() {
                for &list in lists {
                    places[ends[list as usize]] = place as u32;
                    ends[list as usize] += 1;
                }
            }
            drop(probed);
            let mut jobs_of = (0..self.count()).flat_map(|list| {
                let queries = &places[starts[list]..starts[list + 1]];
                let base = if queries.is_empty() { &[] } else { &self.rows[self.starts[list]..self.starts[list + 1]] };
                base.chunks(SEGMENT).map(move |base| Job { base, queries: Places::Listed(queries) })
            });
            jobs(&mut jobs_of)
        })
    }
}

/// The `probes` nearest centroids of each row, row after row, nearest first.
fn nearest_lists(
    engine: &Engine<'_>,
    source: &dyn VectorSource,
    rows: &[u32],
    centroids: &[f32],
    probes: usize,
    each: &mut dyn FnMut(Edge),
) -> Result<(), NeighbourError> {
    let dim = source.dim();
    let centroids = Rows::new(centroids, dim, None).map_err(|_| NeighbourError::Lengths { what: "centroids", expected: dim, found: 0 })?;
    let all: Vec<u32> = (0..centroids.len() as u32).collect();
    let engine = Engine {
        queries: source,
        base: &centroids,
        same: false,
        k: probes,
        floor: f32::NEG_INFINITY,
        threads: engine.threads,
        memory: engine.memory / 4,
    };
    // The receiver never ends it.
    let _ = engine.exact(rows, &all, &mut |edges| {
        edges.iter().for_each(|&edge| each(edge));
        ControlFlow::Continue(())
    })?;
    Ok(())
}
