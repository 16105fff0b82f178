//! The nearest neighbours of all rows.

use std::ops::ControlFlow;

use super::engine::Engine;
use super::error::setting;
use super::lists::Lists;
use super::vectors::{Survey, Usable, survey};
use super::{NeighbourError, Vectors};
use crate::clusters::Keys;
use crate::clusters::draw::Draws;
use crate::clusters::parallel::all_cores;

/// A row and one of its neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The row that asked.
    pub row: u32,
    /// The row that was found.
    pub neighbour: u32,
    /// Their cosine, -1 to 1, in single precision: rounding may move it by about 1e-6, also past 1.
    pub similarity: f32,
}

/// The least similarity of an edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Floor {
    /// Every neighbour is an edge.
    None,
    /// More than this, as DINOv2 says it.
    Above(f32),
    /// This or more, as DataComp says it.
    AtLeast(f32),
}

impl Floor {
    /// The least similarity that passes.
    pub fn least(self) -> f32 {
        match self {
            Self::None => f32::NEG_INFINITY,
            Self::Above(value) => value.next_up(),
            Self::AtLeast(value) => value,
        }
    }

    fn check(self) -> Result<(), NeighbourError> {
        match self {
            Self::Above(value) | Self::AtLeast(value) if !(-1.0..=1.0).contains(&value) => {
                Err(setting("similarity", value, "-1 to 1 are possible"))
            }
            _ => Ok(()),
        }
    }
}

/// How neighbours are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// [`Search::Exact`] where that takes 4e10 comparisons or fewer (200 000 rows among themselves), else lists:
    /// `4·√rows` of them, rounded to a power of two, one in 64 probed, 16 at least.
    #[default]
    Auto,
    /// Every row of the base is compared.
    Exact,
    /// An inverted file: the base in clusters, of which each query looks into the nearest.
    Lists {
        /// Clusters of the base, 1 to its rows.
        lists: usize,
        /// Clusters that a query looks into, 1 to `lists`. More find more, and cost as much more.
        probes: usize,
    },
}

/// Settings of [`neighbours`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeighbourOptions {
    /// The most neighbours of a row, itself not counted.
    pub k: usize,
    /// The least similarity.
    pub floor: Floor,
    /// How they are searched.
    pub search: Search,
    /// Seed of the training sample, the first centroids and the sample for the recall.
    pub seed: u64,
    /// Rows that are searched a second time, exactly, to state the recall of a search in lists. 0: none.
    pub recall_sample: usize,
    /// Bytes for the queries at hand and their neighbours; the whole use is this, a few megabytes per thread, four bytes
    /// per row, and with lists the training sample (64 vectors for each).
    pub memory: usize,
    /// Threads. Changes no result.
    pub threads: usize,
}

impl NeighbourOptions {
    /// The `k` nearest of at least a similarity, seed 0, recall by 256 rows, 1 GiB, all cores.
    pub fn new(k: usize, floor: Floor) -> Self {
        Self { k, floor, search: Search::Auto, seed: 0, recall_sample: 256, memory: 1 << 30, threads: all_cores() }
    }
}

/// How a search went.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighbourReport {
    /// The vectors that asked.
    pub queries: Survey,
    /// The vectors that were searched; the same for a search of rows among themselves.
    pub base: Survey,
    /// How it was searched: [`Search::Exact`] or [`Search::Lists`].
    pub search: Search,
    /// Edges given.
    pub edges: u64,
    /// Rows with `k` neighbours: they may have more.
    pub full: u64,
    /// Share of the edges of an exact search that were found, over the sample; `None` when the search was exact or the
    /// sample has no edges.
    pub recall: Option<f64>,
    /// Rows of the sample.
    pub recall_rows: u64,
    /// Whether the search was stopped by the receiver of the edges.
    pub stopped: bool,
}

/// Gives the nearest neighbours of every row among a base, or with `base: None` among the other rows, as edges: rows in
/// order, for each row the most similar first, of equally similar ones the smaller row. `emit` gets them in pieces and
/// may end the search.
///
/// Vectors are brought to length 1 when they are read; null, zero and not finite ones are left out and counted. Every
/// product is summed in one order, so edges depend neither on threads nor on memory; with [`Search::Lists`] an edge that
/// is given is exact, but some are missing ([`NeighbourReport::recall`]).
///
/// An exact search reads the base once per batch of queries (`memory / (4·dim + 16·k)` of them), one in lists the probed
/// part of it, row by row: vectors that are mapped from a disk should fit into memory then.
///
/// # Errors
/// [`NeighbourError`] when the models or the lengths differ, or a setting has no meaning.
pub fn neighbours(
    queries: &Vectors<'_>,
    base: Option<&Vectors<'_>>,
    options: &NeighbourOptions,
    mut emit: impl FnMut(&[Edge]) -> ControlFlow<()>,
) -> Result<NeighbourReport, NeighbourError> {
    check(options)?;
    if let Some(base) = base {
        queries.check(base)?;
    }
    let asking = survey(queries.source, options.threads)?;
    let searched = base.map(|base| survey(base.source, options.threads)).transpose()?;
    search(queries, base, &asking, searched.as_ref(), options, &mut emit)
}

fn check(options: &NeighbourOptions) -> Result<(), NeighbourError> {
    options.floor.check()?;
    if options.k == 0 || options.k > 1 << 20 {
        return Err(setting("k", options.k, "1 to 1048576 are possible"));
    }
    match options.search {
        Search::Lists { lists, probes } if lists == 0 || probes == 0 || probes > lists => {
            Err(setting("probes", format!("{probes} of {lists} lists"), "1 to as many as there are lists are possible"))
        }
        _ => Ok(()),
    }
}

fn choose(search: Search, queries: usize, base: usize) -> Search {
    match search {
        Search::Auto if (queries as f64) * (base as f64) <= 4e10 => Search::Exact,
        Search::Auto => {
            let lists = 1_usize << (4.0 * (base as f64).sqrt()).log2().round() as u32;
            Search::Lists { lists, probes: (lists / 64).max(16) }
        }
        // Lists of fewer vectors than one each are no lists.
        Search::Lists { lists, .. } if lists > base => Search::Exact,
        chosen => chosen,
    }
}

fn search(
    queries: &Vectors<'_>,
    base: Option<&Vectors<'_>>,
    asking: &Usable,
    searched: Option<&Usable>,
    options: &NeighbourOptions,
    emit: &mut dyn FnMut(&[Edge]) -> ControlFlow<()>,
) -> Result<NeighbourReport, NeighbourError> {
    let searched = searched.unwrap_or(asking);
    let engine = Engine {
        queries: queries.source,
        base: base.unwrap_or(queries).source,
        same: base.is_none(),
        k: options.k,
        floor: options.floor.least(),
        threads: options.threads.max(1),
        memory: options.memory,
    };
    let mut report = NeighbourReport {
        queries: asking.survey,
        base: searched.survey,
        search: choose(options.search, asking.rows.len(), searched.rows.len()),
        edges: 0,
        full: 0,
        recall: None,
        recall_rows: 0,
        stopped: false,
    };
    let sample = match report.search {
        Search::Lists { .. } => sample(asking, options),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    let mut run = (u32::MAX, 0);
    let mut counted = |edges: &[Edge]| {
        report.edges += edges.len() as u64;
        for edge in edges {
            run = if run.0 == edge.row { (edge.row, run.1 + 1) } else { (edge.row, 1) };
            report.full += u64::from(run.1 == options.k);
            if !sample.is_empty() && sample.binary_search(&edge.row).is_ok() {
                found.push((edge.row, edge.neighbour));
            }
        }
        emit(edges)
    };
    let flow = match report.search {
        Search::Lists { lists, probes } => {
            let lists = Lists::train(&engine, &searched.rows, lists, options.seed)?;
            lists.search(&engine, &asking.rows, probes.min(lists.count()), &mut counted)?
        }
        _ => engine.exact(&asking.rows, &searched.rows, &mut counted)?,
    };
    report.stopped = flow.is_break();
    if !sample.is_empty() && !report.stopped {
        found.sort_unstable();
        let (mut all, mut hits) = (0_u64, 0_u64);
        let _ = engine.exact(&sample, &searched.rows, &mut |edges| {
            all += edges.len() as u64;
            hits += edges.iter().filter(|edge| found.binary_search(&(edge.row, edge.neighbour)).is_ok()).count() as u64;
            ControlFlow::Continue(())
        })?;
        report.recall = (all > 0).then(|| hits as f64 / all as f64);
        report.recall_rows = sample.len() as u64;
    }
    tracing::debug!(edges = report.edges, recall = report.recall, "neighbours searched");
    Ok(report)
}

/// The rows whose recall is measured.
fn sample(asking: &Usable, options: &NeighbourOptions) -> Vec<u32> {
    let rows = asking.rows.iter().map(|&row| row as usize).collect();
    let drawn = Draws::new(options.seed, "neighbour_recall", 0).sample(rows, Keys::RowNumbers, options.recall_sample);
    drawn.into_iter().map(|row| row as u32).collect()
}
