//! Near-duplicates by stored vectors.

use std::ops::ControlFlow;

use serde_json::Value;
use trommel_embeddings::neighbours::{Floor, NeighbourOptions, Vectors, neighbours};
use trommel_embeddings::scores::VectorSource;
use trommel_filters::near::components::DisjointSet;

use crate::select::error::{Result, SelectError};
use crate::select::steps::gathered::{GatheredVectors, searched};

/// Joins rows whose cosine is above the threshold, among the `k` nearest of each.
pub(super) fn join(
    stage: &str,
    vectors: &GatheredVectors<'_>,
    (k, above): (usize, f32),
    (seed, threads, memory): (u64, usize, u64),
) -> Result<(DisjointSet<u32>, Value)> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
    let groups = DisjointSet::<u32>::new(vectors.len()).map_err(|e| fail(&e))?;
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let options = NeighbourOptions { seed, threads, memory, ..NeighbourOptions::new(k, Floor::Above(above)) };
    let report = neighbours(&Vectors::new(vectors, ""), None, &options, |edges| {
        edges.iter().for_each(|edge| {
            groups.union(edge.row, edge.neighbour);
        });
        ControlFlow::Continue(())
    });
    Ok((groups, searched(&report.map_err(|e| fail(&e))?)))
}
