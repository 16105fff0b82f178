//! Searching.

use std::borrow::Cow;
use std::ffi::CStr;

use trommel_shards::subset::Uid128;

use super::error::setting;
use super::open::Tuned;
use super::raw::Threads;
use super::read::read;
use super::{Allowed, Index, IndexError, IndexMetric, LeftOut};
use crate::clusters::parallel::all_cores;
use crate::neighbours::Vectors;

/// Queries that are searched at a time.
const BATCH: usize = 1024;
/// Where no more than one vector in so many is allowed, a graph leads past them: they are compared one by one.
const RARE: u64 = 50;

/// Settings of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions<'a> {
    /// Rows to find for each query, 1 or more.
    pub k: usize,
    /// Lists to look into, of an index with lists: more find more, and take as much longer. `None`: as the index says,
    /// which is one in 64, from 16 to 256, of those built here.
    pub probes: Option<usize>,
    /// Nodes to follow, of a graph; `k` at least. `None`: 64.
    pub ef_search: Option<usize>,
    /// The only rows that may be found; all when `None`. The search is widened until `k` are found or no more are there.
    pub allowed: Option<&'a Allowed>,
    /// Threads.
    pub threads: usize,
}

impl SearchOptions<'_> {
    /// The `k` nearest, among all rows, on all cores.
    pub fn new(k: usize) -> Self {
        Self { k, probes: None, ef_search: None, allowed: None, threads: all_cores() }
    }
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The row, counted over all sources.
    pub row: u64,
    /// Its uid, where the index has uids.
    pub uid: Option<Uid128>,
    /// Its cosine or inner product with the query; by [`IndexMetric::L2`] their squared distance, where smaller is nearer.
    /// Kinds that store codes give it about.
    pub similarity: f32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// For each query the nearest first, of equally near ones the smaller row. Empty for a query that cannot be compared.
    pub hits: Vec<Vec<Hit>>,
    /// Queries that cannot be compared, and those that were brought to length 1.
    pub queries: LeftOut,
}

impl Index {
    /// The nearest rows of each query.
    ///
    /// # Errors
    /// [`IndexError`] when the queries are of another length or model, the set of allowed rows is over another number of
    /// rows, or a setting has no meaning.
    pub fn search(&self, queries: &Vectors<'_>, options: &SearchOptions<'_>) -> Result<Answer, IndexError> {
        self.check(queries, options)?;
        let bits = options.allowed.map(|allowed| self.bits(allowed));
        let allowed = bits.as_deref().map(|bits| (bits, bits.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()));
        self.batches(queries, options.threads, |data| {
            let found = match allowed {
                Some((_, 0)) => vec![Vec::new(); data.len() / self.description().dim],
                Some((bits, count)) => self.filtered(data, bits, count, options)?,
                None => self.nearest(data, options.k, options.probes, options.ef_search, None)?,
            };
            Ok(found)
        })
    }

    /// All rows whose similarity to a query is `least` or more (by [`IndexMetric::L2`]: whose squared distance is `least` or
    /// less). Kinds without lists other than `Flat` are asked for more and more neighbours until they reach past it; how many
    /// rows there are is the caller's risk. `k` does not count.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_range(&self, queries: &Vectors<'_>, least: f32, options: &SearchOptions<'_>) -> Result<Answer, IndexError> {
        self.check(queries, options)?;
        if !least.is_finite() {
            return Err(setting("similarity", least, "a finite number is needed"));
        }
        self.batches(queries, options.threads, |data| {
            let mut found = self.range(data, least, options)?;
            if let Some(allowed) = options.allowed {
                found.iter_mut().for_each(|hits| hits.retain(|&(_, id)| allowed.contains(self.row(id))));
            }
            Ok(found)
        })
    }

    fn check(&self, queries: &Vectors<'_>, options: &SearchOptions<'_>) -> Result<(), IndexError> {
        let own = self.description();
        if !queries.model.is_empty() && !own.model.is_empty() && queries.model != own.model {
            let (expected, found) = (own.model.clone(), queries.model.to_owned());
            return Err(IndexError::Models { what: "queries".into(), expected, found });
        }
        if queries.source.dim() != own.dim {
            return Err(IndexError::Dimensions {
                what: "queries".into(),
                expected: own.dim,
                found: queries.source.dim(),
                model: own.model.clone(),
                found_model: queries.model.to_owned(),
            });
        }
        if options.k == 0 || options.probes == Some(0) || options.ef_search == Some(0) {
            return Err(setting("k, probes or nodes to follow", 0, "1 or more are needed"));
        }
        match options.allowed {
            Some(allowed) if allowed.rows() != own.rows => {
                Err(IndexError::OtherMetadata { index_rows: own.rows, index_uids: "any".into(), rows: allowed.rows(), uids: "any".into() })
            }
            _ => Ok(()),
        }
    }

    /// Searches some queries at a time, and gives rows for faiss's ids.
    fn batches(
        &self,
        queries: &Vectors<'_>,
        threads: usize,
        mut search: impl FnMut(&[f32]) -> Result<Vec<Vec<(f32, u64)>>, IndexError>,
    ) -> Result<Answer, IndexError> {
        let _threads = Threads::set(threads);
        let count = queries.source.len();
        let mut answer = Answer { hits: vec![Vec::new(); count], queries: LeftOut::default() };
        let nearer_is_less = self.description().metric == IndexMetric::L2;
        for start in (0..count).step_by(BATCH) {
            let mut data = Vec::new();
            let rows = start..count.min(start + BATCH);
            let kept = read(queries.source, rows, self.description().metric, &mut answer.queries, &mut data);
            if kept.is_empty() {
                continue;
            }
            for (row, found) in kept.into_iter().zip(search(&data)?) {
                let hits = &mut answer.hits[row];
                hits.extend(found.into_iter().map(|(similarity, id)| {
                    let row = self.row(id);
                    Hit { row, uid: self.uid(row), similarity }
                }));
                hits.sort_by(|a, b| {
                    let order = a.similarity.total_cmp(&b.similarity);
                    if nearer_is_less { order } else { order.reverse() }.then(a.row.cmp(&b.row))
                });
            }
        }
        Ok(answer)
    }

    /// The allowed rows as faiss's ids.
    fn bits<'a>(&self, allowed: &'a Allowed) -> Cow<'a, [u8]> {
        let Some(rows) = &self.rows else { return Cow::Borrowed(allowed.bits()) };
        let mut bits = vec![0_u8; (self.description().vectors.div_ceil(8)) as usize];
        for (id, row) in rows.iter().enumerate() {
            bits[id / 8] |= u8::from(allowed.contains(u64::from_le_bytes(row))) << (id % 8);
        }
        Cow::Owned(bits)
    }

    fn is_graph(&self) -> bool {
        let factory = &self.description().factory;
        factory.starts_with("HNSW")
    }

    /// Faiss's answer, without the places that it leaves empty.
    fn nearest(
        &self,
        data: &[f32],
        k: usize,
        probes: Option<usize>,
        nodes: Option<usize>,
        bits: Option<&[u8]>,
    ) -> Result<Vec<Vec<(f32, u64)>>, IndexError> {
        let k = k.min(self.description().vectors as usize);
        let follow = nodes.unwrap_or(64).max(k);
        let effort: Option<(&CStr, usize)> = self.is_graph().then_some((c"efSearch", follow));
        let guard = self.tuned(effort)?;
        let (found, ids) = guard.raw.search(data, k, probes.filter(|_| guard.raw.has_lists()), bits)?;
        drop(guard);
        let pairs = found.chunks_exact(k).zip(ids.chunks_exact(k));
        Ok(pairs
            .map(|(found, ids)| found.iter().zip(ids).filter(|(_, id)| **id >= 0).map(|(&found, &id)| (found, id as u64)).collect())
            .collect())
    }

    /// Searches among some vectors, and wider where that did not find enough.
    fn filtered(&self, data: &[f32], bits: &[u8], count: u64, options: &SearchOptions<'_>) -> Result<Vec<Vec<(f32, u64)>>, IndexError> {
        let (dim, vectors) = (self.description().dim, self.description().vectors);
        let wanted = (options.k as u64).min(count) as usize;
        if self.is_graph() && count <= vectors / RARE {
            return self.one_by_one(data, bits, wanted);
        }
        let mut all: Vec<Vec<(f32, u64)>> = vec![Vec::new(); data.len() / dim];
        let mut short: Vec<usize> = (0..all.len()).collect();
        let lists = self.raw.read().raw.list_counts();
        let most = lists.map_or(vectors as usize, |(lists, _)| lists);
        let mut effort = match lists {
            Some((_, probes)) => options.probes.unwrap_or(probes),
            None if self.is_graph() => options.ef_search.unwrap_or(64).max(options.k),
            None => options.k,
        };
        // Some kinds take no filter: then more are asked for, and those that are not allowed passed over.
        let mut takes_filter = true;
        loop {
            effort = effort.min(most);
            let some: Vec<f32> = short.iter().flat_map(|&query| &data[query * dim..(query + 1) * dim]).copied().collect();
            let (probes, nodes) = (lists.map(|_| effort), Some(effort));
            let found = if takes_filter {
                match self.nearest(&some, options.k, probes, nodes, Some(bits)) {
                    Err(IndexError::Faiss { .. }) => {
                        takes_filter = false;
                        effort = options.k;
                        continue;
                    }
                    other => other?,
                }
            } else {
                let mut found = self.nearest(&some, effort, lists.map(|(lists, _)| lists), None, None)?;
                found.iter_mut().for_each(|hits| {
                    hits.retain(|&(_, id)| bits[(id / 8) as usize] >> (id % 8) & 1 == 1);
                    hits.truncate(options.k);
                });
                found
            };
            for (&query, found) in short.iter().zip(found) {
                all[query] = found;
            }
            short.retain(|&query| all[query].len() < wanted);
            let last = if takes_filter { most } else { vectors as usize };
            // A flat index has looked at all of them the first time.
            if short.is_empty() || effort >= last || (takes_filter && lists.is_none() && !self.is_graph()) {
                return Ok(all);
            }
            effort = effort.saturating_mul(2).min(last);
        }
    }

    /// Compares each query with each allowed vector.
    fn one_by_one(&self, data: &[f32], bits: &[u8], k: usize) -> Result<Vec<Vec<(f32, u64)>>, IndexError> {
        let dim = self.description().dim;
        let distance = self.description().metric == IndexMetric::L2;
        let guard = self.raw.read();
        let mut all: Vec<Vec<(f32, u64)>> = vec![Vec::new(); data.len() / dim];
        let mut vector = vec![0.0; dim];
        let better = |a: &(f32, u64), b: &(f32, u64)| {
            let order = a.0.total_cmp(&b.0);
            if distance { order } else { order.reverse() }.then(a.1.cmp(&b.1))
        };
        let ids = (0..bits.len() * 8).filter(|id| bits[id / 8] >> (id % 8) & 1 == 1);
        for id in ids {
            guard.raw.reconstruct(id, &mut vector)?;
            for (query, best) in data.chunks_exact(dim).zip(&mut all) {
                let similarity: f64 = match distance {
                    true => crate::clusters::matrix::square_distance(query, &vector),
                    false => crate::clusters::matrix::inner(query, &vector),
                };
                best.push((similarity as f32, id as u64));
                if best.len() >= 2 * k + 64 {
                    best.select_nth_unstable_by(k - 1, better);
                    best.truncate(k);
                }
            }
        }
        all.iter_mut().for_each(|best| {
            best.sort_by(better);
            best.truncate(k);
        });
        Ok(all)
    }

    fn range(&self, data: &[f32], least: f32, options: &SearchOptions<'_>) -> Result<Vec<Vec<(f32, u64)>>, IndexError> {
        let distance = self.description().metric == IndexMetric::L2;
        let passes = |similarity: f32| if distance { similarity <= least } else { similarity >= least };
        let dim = self.description().dim;
        let lists = self.raw.read().raw.list_counts();
        if lists.is_some() || self.description().factory == "Flat" {
            let effort: Option<(&CStr, usize)> = match (lists, options.probes) {
                (Some((lists, _)), Some(probes)) => Some((c"nprobe", probes.min(lists))),
                (Some((_, probes)), None) => Some((c"nprobe", probes)),
                _ => None,
            };
            let mut all = vec![Vec::new(); data.len() / dim];
            // Faiss leaves out what is exactly at its radius.
            let radius = if distance { least.next_up() } else { least.next_down() };
            let guard: parking_lot::RwLockReadGuard<'_, Tuned> = self.tuned(effort)?;
            guard.raw.range(data, radius, |query, similarity, id| {
                if passes(similarity) && id >= 0 {
                    all[query].push((similarity, id as u64));
                }
            })?;
            return Ok(all);
        }
        let vectors = self.description().vectors as usize;
        let (mut k, mut all): (usize, Vec<Vec<(f32, u64)>>) = (256.min(vectors), vec![Vec::new(); data.len() / dim]);
        let mut open: Vec<usize> = (0..all.len()).collect();
        loop {
            let some: Vec<f32> = open.iter().flat_map(|&query| &data[query * dim..(query + 1) * dim]).copied().collect();
            let found = self.nearest(&some, k, None, options.ef_search, None)?;
            let mut still = Vec::new();
            for (&query, mut hits) in open.iter().zip(found) {
                // As long as the last one passes there may be more.
                if hits.len() == k && k < vectors && hits.last().is_some_and(|&(similarity, _)| passes(similarity)) {
                    still.push(query);
                }
                hits.retain(|&(similarity, _)| passes(similarity));
                all[query] = hits;
            }
            if still.is_empty() {
                return Ok(all);
            }
            (open, k) = (still, (k * 4).min(vectors));
        }
    }
}
