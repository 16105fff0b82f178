//! `retrieve`: rows that resemble queries stay.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use trommel_embeddings::clusters::{KMeansOptions, Keys, assign, kmeans};
use trommel_embeddings::neighbours::{
    ClusterRetrieval, Floor, NeighbourOptions, Vectors, query_subset, retrieve_by_clusters, retrieve_by_sample,
};
use trommel_embeddings::scores::Metric;
use trommel_filters::balance::Draw;

use super::gathered::{GatherFit, Gathered, GatheredVectors, searched};
use crate::select::error::{Result, SelectError};
use crate::select::references::ReferenceVectors;
use crate::select::scan::{Judging, Step};
use crate::select::spec::{Retrieve, RetrieveBy};

/// Iterations of k-means at most.
const ITERATIONS: usize = 20;

/// Keeps the rows that were retrieved.
pub(in crate::select) struct RetrieveStep {
    /// By piece, in order.
    kept: HashMap<u32, Vec<u32>>,
    reason: Arc<str>,
}

impl RetrieveStep {
    /// From the vectors of all rows, their length and their model.
    pub(in crate::select) fn of_fits(
        stage: &str,
        spec: &Retrieve,
        fits: Vec<GatherFit<'_>>,
        (dim, model): (usize, String),
        (spill, draw, seed, threads): (&Path, &Draw, u64, usize),
    ) -> Result<(Self, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let rows = Gathered::of(stage, fits, 0, spill)?;
        let queries = ReferenceVectors::open(stage, &spec.queries, &spec.key)?;
        if !model.is_empty() && !queries.model.is_empty() && model != queries.model {
            return Err(fail(&format!("the queries are of model `{}`, the rows' vectors of `{model}`", queries.model)));
        }
        let pool = GatheredVectors { rows: &rows, dim };
        let (pool_vectors, query_vectors) = (Vectors::new(&pool, &model), Vectors::new(&queries, &queries.model));
        let options = |k: usize, floor: Floor| NeighbourOptions { seed, threads, ..NeighbourOptions::new(k, floor) };
        let (taken, mut said): (Vec<u32>, Value) = match spec.by {
            RetrieveBy::Sample { k } => {
                let (found, report) = retrieve_by_sample(&query_vectors, &pool_vectors, &options(k, Floor::None)).map_err(|e| fail(&e))?;
                let times: u64 = found.iter().map(|row| u64::from(row.times)).sum();
                (found.iter().map(|row| row.row).collect(), json!({ "retrieved_with_repeats": times, "went": searched(&report) }))
            }
            RetrieveBy::Floor { at_least } => {
                let (found, report) =
                    query_subset(&pool_vectors, &query_vectors, &options(1, Floor::AtLeast(at_least))).map_err(|e| fail(&e))?;
                (found.iter().map(|row| row.row).collect(), json!({ "went": searched(&report) }))
            }
            RetrieveBy::Clusters { clusters, more_than, per_cluster, cap } => {
                let keys: Vec<u64> = rows.rows.entries().iter().map(|entry| draw.row(entry.uid).bits(1)).collect();
                let options = KMeansOptions { iterations: ITERATIONS, seed, spherical: true, threads, ..KMeansOptions::new(clusters) };
                let built = kmeans(&pool, Keys::Given(&keys), &options).map_err(|e| fail(&e))?;
                let centroids = built.rows().map_err(|e| fail(&e))?;
                let of_queries = assign(&queries, &centroids, Metric::Cosine, threads).map_err(|e| fail(&e))?;
                let rule = ClusterRetrieval { more_than, per_cluster, cap, seed };
                let found = retrieve_by_clusters(&built.assignments.clusters, Keys::Given(&keys), &of_queries.clusters, &rule)
                    .map_err(|e| fail(&e))?;
                (found.rows, json!({ "clusters_that_gave": found.clusters, "before_cap": found.before_cap }))
            }
        };
        said["rows"] = rows.len().into();
        said["without_a_vector"] = rows.without.into();
        said["queries"] = trommel_embeddings::scores::VectorSource::len(&queries).into();
        said["retrieved"] = taken.len().into();
        let mut kept: HashMap<u32, Vec<u32>> = HashMap::new();
        for row in taken {
            let entry = &rows.rows.entries()[row as usize];
            kept.entry(entry.piece).or_default().push(entry.row);
        }
        kept.values_mut().for_each(|rows| rows.sort_unstable());
        let reason = match spec.by {
            RetrieveBy::Sample { k } => format!("not among the {k} nearest of a query"),
            RetrieveBy::Floor { at_least } => format!("no query is as near as {at_least}"),
            RetrieveBy::Clusters { .. } => "not drawn from a cluster of the queries".to_owned(),
        };
        Ok((Self { kept, reason: reason.into() }, json!({ "retrieve": said })))
    }
}

impl Step for RetrieveStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let none = Vec::new();
        let kept = self.kept.get(&(rows.piece as u32)).unwrap_or(&none);
        for row in rows.living() {
            if kept.binary_search(&((rows.first + row) as u32)).is_err() {
                rows.exclude(row, &self.reason, None);
            }
        }
        Ok(())
    }
}
