//! The products of many vectors with many others, and what is kept of them.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::best::{Best, key};
use super::vectors::unit_into;
use super::{Edge, NeighbourError};
use crate::clusters::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use crate::clusters::matrix::{Block, Panels};
use crate::clusters::parallel::share;
use crate::scores::VectorSource;

/// Vectors of the base that are packed at a time.
const SEGMENT: usize = 2048;
/// Blocks of queries that meet a packed segment at a time, where nothing limits them otherwise.
const BLOCKS: usize = 64;

/// A search that is ready to run.
pub(super) struct Engine<'a> {
    pub(super) queries: &'a dyn VectorSource,
    pub(super) base: &'a dyn VectorSource,
    /// Whether both are the same rows, so that no row is its own neighbour.
    pub(super) same: bool,
    pub(super) k: usize,
    /// The least similarity.
    pub(super) floor: f32,
    pub(super) threads: usize,
    /// Bytes that may be used for the queries at hand.
    pub(super) memory: usize,
}

/// A part of the work: a segment of base rows, and the queries that meet it.
pub(super) struct Job<'a> {
    pub(super) base: &'a [u32],
    /// Places in the batch at hand.
    pub(super) queries: Places<'a>,
}

#[derive(Clone)]
pub(super) enum Places<'a> {
    Span(std::ops::Range<usize>),
    Listed(&'a [u32]),
}

impl Places<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Span(span) => span.len(),
            Self::Listed(places) => places.len(),
        }
    }

    fn at(&self, place: usize) -> usize {
        match self {
            Self::Span(span) => span.start + place,
            Self::Listed(places) => places[place] as usize,
        }
    }
}

/// The queries at hand: their vectors, and what each has found.
struct Batch {
    vectors: Block,
    best: Vec<Mutex<Best>>,
    floors: Vec<AtomicU32>,
}

struct Scratch {
    kernel: &'static Kernel,
    panels: Panels,
    segment: Vec<f32>,
    block: Block,
    tile: [f32; MAX_ROWS * MAX_COLUMNS],
    floors: Vec<f32>,
}

impl Engine<'_> {
    /// Queries of a batch: as many as the memory holds, with `more` bytes for each beside vectors and neighbours.
    pub(super) fn batch(&self, more: usize) -> usize {
        let each = (self.queries.dim() + 32) * 4 + 2 * self.k.min(self.base.len().max(1)) * 8 + 48 + more;
        (self.memory / each).max(4096)
    }

    /// Every base row among `base` against every query among `rows`.
    pub(super) fn exact(
        &self,
        rows: &[u32],
        base: &[u32],
        emit: &mut dyn FnMut(&[Edge]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, NeighbourError> {
        let capacity = Block::capacity(self.queries.dim());
        // A small base is cut finer, so that all threads have work.
        let segment = base.len().div_ceil(4 * self.threads.max(1)).next_multiple_of(MAX_COLUMNS).clamp(MAX_COLUMNS, SEGMENT);
        self.run(rows, 0, emit, &mut |batch, jobs| {
            let spans = (0..batch.len()).step_by(capacity * BLOCKS).map(|start| start..batch.len().min(start + capacity * BLOCKS));
            let spans: Vec<_> = spans.collect();
            let jobs_of =
                base.chunks(segment).flat_map(|base| spans.iter().map(move |span| Job { base, queries: Places::Span(span.clone()) }));
            jobs(&mut { jobs_of })
        })
    }

    /// Runs the jobs that `plan` makes of each batch of queries, and gives what was found in the order of the queries.
    pub(super) fn run(
        &self,
        rows: &[u32],
        more: usize,
        emit: &mut dyn FnMut(&[Edge]) -> ControlFlow<()>,
        plan: &mut Plan<'_>,
    ) -> Result<ControlFlow<()>, NeighbourError> {
        let mut edges = Vec::new();
        for rows in rows.chunks(self.batch(more)) {
            let batch = self.read(rows)?;
            plan(rows, &mut |jobs| self.work(rows, &batch, jobs))?;
            for (best, &row) in batch.best.iter().zip(rows) {
                best.lock().take(self.k, |similarity, neighbour| edges.push(Edge { row, neighbour, similarity }));
                if edges.len() >= 65_536 {
                    if emit(&edges).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    edges.clear();
                }
            }
        }
        if !edges.is_empty() {
            return Ok(emit(&edges));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn read(&self, rows: &[u32]) -> Result<Batch, NeighbourError> {
        let dim = self.queries.dim();
        let mut vectors = Block::new(rows.len(), dim);
        vectors.rows = rows.len();
        let ld = vectors.ld;
        let parts = vectors.values_mut().chunks_mut(ld * 1024).zip(rows.chunks(1024));
        share(
            self.threads,
            parts,
            || (),
            |(), (out, rows)| {
                for (out, &row) in out.chunks_exact_mut(ld).zip(rows) {
                    unit_into(self.queries, row as usize, &mut out[..dim]);
                }
                Ok::<(), NeighbourError>(())
            },
        )?;
        let best = rows.iter().map(|_| Mutex::new(Best::default())).collect();
        let floors = rows.iter().map(|_| AtomicU32::new(self.floor.to_bits())).collect();
        Ok(Batch { vectors, best, floors })
    }

    fn work<'j>(&self, rows: &[u32], batch: &Batch, jobs: &mut (dyn Iterator<Item = Job<'j>> + Send)) -> Result<(), NeighbourError> {
        let dim = self.queries.dim();
        let state = || {
            let kernel = Kernel::detect();
            Scratch {
                kernel,
                panels: Panels::new(kernel),
                segment: Vec::new(),
                block: Block::new(Block::capacity(dim), dim),
                tile: [0.0; MAX_ROWS * MAX_COLUMNS],
                floors: Vec::new(),
            }
        };
        share(self.threads, jobs, state, |scratch, job| {
            let Scratch { panels, segment, .. } = scratch;
            segment.resize(job.base.len() * dim, 0.0);
            for (out, &row) in segment.chunks_exact_mut(dim).zip(job.base) {
                unit_into(self.base, row as usize, out);
            }
            panels.pack(dim, segment.chunks_exact(dim));
            let capacity = Block::capacity(dim);
            for start in (0..job.queries.len()).step_by(capacity) {
                let length = capacity.min(job.queries.len() - start);
                self.meet(rows, batch, scratch, &job, start, length);
            }
            Ok(())
        })
    }

    /// A block of queries against a packed segment.
    fn meet(&self, rows: &[u32], batch: &Batch, scratch: &mut Scratch, job: &Job<'_>, start: usize, length: usize) {
        let Scratch { kernel, panels, block, tile, floors, .. } = scratch;
        let (dim, ld) = (batch.vectors.dim, batch.vectors.ld);
        let values = match job.queries {
            Places::Span(_) => &batch.vectors.values()[job.queries.at(start) * ld..],
            Places::Listed(places) => {
                block.fill(places[start..start + length].iter().map(|&place| batch.vectors.row(place as usize)));
                block.values()
            }
        };
        floors.clear();
        floors.extend((start..start + length).map(|at| f32::from_bits(batch.floors[job.queries.at(at)].load(Ordering::Relaxed))));
        let mut masks = [0; MAX_ROWS];
        for (number, panel) in panels.iter().enumerate() {
            let columns = kernel.columns.min(panels.count - number * kernel.columns);
            // Columns behind the last vector are zeros, which are no vector.
            let within = u32::MAX >> (32 - columns as u32);
            for row in (0..length).step_by(kernel.rows) {
                let count = kernel.rows.min(length - row);
                kernel.product(dim, &values[row * ld..], ld, panel, tile, count);
                kernel.reach(&tile[..count * kernel.columns], &floors[row..row + count], &mut masks);
                for (at, &mask) in masks[..count].iter().enumerate() {
                    let mut mask = mask & within;
                    if mask == 0 {
                        continue;
                    }
                    let place = job.queries.at(start + row + at);
                    let mut best = batch.best[place].lock();
                    while mask != 0 {
                        let column = mask.trailing_zeros() as usize;
                        mask &= mask - 1;
                        let neighbour = job.base[number * kernel.columns + column];
                        if self.same && neighbour == rows[place] {
                            continue;
                        }
                        if let Some(floor) = best.push(key(tile[at * kernel.columns + column], neighbour), self.k) {
                            // A thread that still sees the lower floor gives only what is cut away later.
                            floors[row + at] = floor;
                            batch.floors[place].store(floor.to_bits(), Ordering::Relaxed);
                        }
                    }
                }
            }
        }
    }
}

/// Makes the jobs of a batch of queries and hands them over, at once or in turns.
pub(super) type Plan<'p> = dyn FnMut(&[u32], &mut dyn FnMut(&mut (dyn Iterator<Item = Job<'_>> + Send)) -> Result<(), NeighbourError>) -> Result<(), NeighbourError>
    + 'p;
