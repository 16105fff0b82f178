//! `balance` by clusters of stored vectors: SemDeDup, prototypes, density, and balanced sampling over a hierarchy.
//!
//! The vectors of the rows that are in are copied, ordered by uid, into one file in half precision, which is mapped: so the result does not
//! depend on files, pieces or threads. Memory grows by some 50 bytes a row; the vectors stay on disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use trommel_embeddings::clusters::{
    DensityOptions, DuplicateRule, HierarchyOptions, KMeans, KMeansOptions, KeepEnd, Keys, LevelOptions, NO_CLUSTER, PrototypeOptions,
    SemDedupOptions, density, duplicates, hierarchy, kmeans, prototypes, semdedup,
};
use trommel_filters::balance::Draw;
use trommel_filters::balance::alloc::Pick;
use trommel_filters::balance::hierarchy::{Hierarchy, Rows as TreeRows, sample};

use crate::select::error::{Result, SelectError};
use crate::select::scan::{Judging, Step};
use crate::select::spec::{ClusterRule, Clusters};
use crate::select::steps::gathered::{GatherFit, Gathered, GatheredVectors};

/// What became of the rows: by piece, the row, how often it is taken, and why not.
pub(in crate::select) struct ClusterStep {
    fates: HashMap<u32, Vec<(u32, u32, f32)>>,
    /// Number of a weight in the rows' state, for the similarity that SemDeDup found.
    weight: Option<usize>,
    out: Arc<str>,
    no_vector: Arc<str>,
}

impl ClusterStep {
    /// Clusters the vectors and decides. `weight` is the number of the similarity's column.
    #[allow(clippy::too_many_arguments, reason = "one call site, all of one stage")]
    pub(in crate::select) fn of_fits(
        stage: &str,
        spec: &Clusters,
        fits: Vec<GatherFit<'_>>,
        dim: usize,
        spill: &Path,
        draw: &Draw,
        seed: u64,
        threads: usize,
        weight: Option<usize>,
    ) -> Result<(Self, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let gathered = Gathered::of(stage, fits, 0, spill)?;
        let vectors = GatheredVectors { rows: &gathered, dim };
        let entries = gathered.rows.entries();
        if entries.is_empty() {
            return Err(fail(&"no row has a vector"));
        }
        let keys: Vec<u64> = entries.iter().map(|entry| draw.row(entry.uid).bits(1)).collect();
        let keys = Keys::Given(&keys);
        let clustered = |spherical: bool| -> Result<KMeans> {
            let clusters = spec.levels.first().copied().unwrap_or(1);
            let options = KMeansOptions { iterations: spec.iterations, seed, spherical, threads, ..KMeansOptions::new(clusters) };
            kmeans(&vectors, keys, &options).map_err(|e| fail(&e))
        };
        let mut similarities = Vec::new();
        let mut report = json!({ "rows": entries.len(), "without_a_vector": gathered.without, "clusters": spec.levels });
        let copies: Vec<u32> = match spec.rule {
            ClusterRule::Semdedup { epsilon } => {
                let found = clustered(true)?;
                let options = SemDedupOptions { seed, threads, ..SemDedupOptions::default() };
                let nearest = semdedup(&vectors, &found.assignments, None, keys, &options).map_err(|e| fail(&e))?;
                let gone = duplicates(&nearest, epsilon, DuplicateRule::Above).map_err(|e| fail(&e))?;
                similarities = nearest.into_iter().map(|similarity| similarity.unwrap_or(f32::NAN)).collect();
                gone.into_iter().map(|gone| u32::from(!gone)).collect()
            }
            ClusterRule::Prototypes { fraction, easiest } => {
                let found = clustered(true)?;
                let end = if easiest { KeepEnd::Easiest } else { KeepEnd::Hardest };
                let options = PrototypeOptions { end, ..PrototypeOptions::new(fraction) };
                prototypes(&found.assignments, keys, &options).map_err(|e| fail(&e))?.into_iter().map(u32::from).collect()
            }
            ClusterRule::Density { keep } => {
                let found = clustered(true)?;
                let centroids = found.rows().map_err(|e| fail(&e))?;
                let decided = density(&found.assignments, &centroids, keys, &DensityOptions::new(keep)).map_err(|e| fail(&e))?;
                decided.keep.into_iter().map(u32::from).collect()
            }
            ClusterRule::Hierarchy { target, most } => {
                let levels = spec.levels.iter().enumerate().map(|(at, &clusters)| {
                    // Half of the mean size of a cluster stands for it.
                    let below = if at == 0 { entries.len() } else { spec.levels[at - 1] };
                    LevelOptions { clusters, representatives: if at == 0 { 1 } else { (below / clusters.max(1) / 2).max(1) } }
                });
                let options = HierarchyOptions { iterations: spec.iterations, seed, threads, ..HierarchyOptions::new(levels.collect()) };
                let built = hierarchy(&vectors, keys, &options).map_err(|e| fail(&e))?;
                let parents: Vec<Vec<u32>> = built[1..].iter().map(|level| level.assignments.clusters.clone()).collect();
                let top = built.last().map_or(0, trommel_embeddings::clusters::Level::clusters);
                let tree = Hierarchy::new(built[0].clusters(), parents, top).map_err(|e| fail(&e))?;
                if built[0].assignments.clusters.contains(&NO_CLUSTER) {
                    return Err(fail(&"a vector of zeros has no cluster"));
                }
                let uids: Vec<u128> = entries.iter().map(|entry| entry.uid).collect();
                if uids.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(fail(&"rows share a uid: balanced sampling needs them distinct, see `cap`"));
                }
                let rows = TreeRows { clusters: &built[0].assignments.clusters, uids: &uids, distances: None };
                let taken = sample(&tree, rows, target, most, Pick::Random, draw).map_err(|e| fail(&e))?;
                taken.into_iter().map(|times| u32::try_from(times).unwrap_or(u32::MAX)).collect()
            }
        };
        let taken: u64 = copies.iter().map(|&copies| u64::from(copies)).sum();
        report["taken"] = taken.into();
        let mut fates: HashMap<u32, Vec<(u32, u32, f32)>> = HashMap::new();
        for (at, (entry, copies)) in entries.iter().zip(copies).enumerate() {
            let similarity = similarities.get(at).copied().unwrap_or(f32::NAN);
            fates.entry(entry.piece).or_default().push((entry.row, copies, similarity));
        }
        fates.values_mut().for_each(|rows| rows.sort_unstable_by_key(|(row, ..)| *row));
        let out = match spec.rule {
            ClusterRule::Semdedup { epsilon } => format!("nearer than 1 - {epsilon} to a row of its cluster"),
            ClusterRule::Prototypes { fraction, .. } => format!("not among the {fraction} of its clusters"),
            ClusterRule::Density { keep } => format!("not among the {keep} that density keeps"),
            ClusterRule::Hierarchy { target, .. } => format!("not among the {target} that are drawn from the clusters"),
        };
        let no_vector = format!("no vector `{}`", spec.vectors).into();
        Ok((Self { fates, weight, out: out.into(), no_vector }, report))
    }
}

impl Step for ClusterStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let none = Vec::new();
        let fates = self.fates.get(&(rows.piece as u32)).unwrap_or(&none);
        for row in rows.living() {
            let Ok(place) = fates.binary_search_by_key(&((rows.first + row) as u32), |(row, ..)| *row) else {
                rows.exclude(row, &self.no_vector, None);
                continue;
            };
            let (_, copies, similarity) = fates[place];
            if let Some(weight) = self.weight {
                rows.weigh(weight, row, similarity);
            }
            let value = || (!similarity.is_nan()).then(|| similarity.to_string());
            rows.repeat(row, copies, &self.out, value);
        }
        Ok(())
    }
}
