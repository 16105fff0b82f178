//! What happens to a candidate pair, and the joins of buckets.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kernel::{Hits, Isa, With, distance};
use super::key::Key;
use super::plan::PlanReport;
use super::{Codes, End, Options, Pair, Report};
use crate::near::components::DisjointSet;

/// Everything that the threads share.
pub(super) struct Matcher<'a, const W: usize> {
    pub(super) codes: &'a Codes<'a, W>,
    pub(super) options: &'a Options,
    pub(super) groups: Option<&'a DisjointSet<u32>>,
    edge: &'a (dyn Fn(&Pair) -> bool + Sync),
    pub(super) isa: Isa,
    asked: AtomicU64,
    accepted: AtomicU64,
    pub(super) crowds: AtomicU64,
    pub(super) capped_pairs: AtomicU64,
    /// Centres of crowds whose neighbours were compared.
    pub(super) centres: Mutex<HashSet<u32>>,
}

/// What a thread reuses from bucket to bucket.
#[derive(Debug)]
pub(super) struct Scratch<const S: usize> {
    hits: Hits,
    columns: [Vec<u64>; S],
    items: Vec<u32>,
}

impl<const S: usize> Scratch<S> {
    pub(super) fn new() -> Self {
        Self { hits: Vec::new(), columns: std::array::from_fn(|_| Vec::new()), items: Vec::new() }
    }
}

/// Codes side by side: the first words of each by column, and where each stands in the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'r, const S: usize> {
    pub(super) columns: [&'r [u64]; S],
    pub(super) items: &'r [u32],
}

impl<'r, const S: usize> Run<'r, S> {
    pub(super) fn of(columns: &'r [Vec<u64>; S], items: &'r [u32]) -> Self {
        Self { columns: columns.each_ref().map(Vec::as_slice), items }
    }
}

/// One bucket in a run: fulls, then views.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub(super) start: usize,
    pub(super) views: usize,
    pub(super) end: usize,
}

impl Bucket {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    pub(super) fn fulls(self) -> Range<usize> {
        self.start..self.views
    }
}

/// More hits than this in one join, and it is worth asking which rows are connected already.
fn is_dense(hits: usize, codes: usize) -> bool {
    hits > 8 * codes + 1024
}

impl<'a, const W: usize> Matcher<'a, W> {
    pub(super) fn new(
        codes: &'a Codes<'a, W>,
        options: &'a Options,
        groups: Option<&'a DisjointSet<u32>>,
        edge: &'a (dyn Fn(&Pair) -> bool + Sync),
    ) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            codes,
            options,
            groups,
            edge,
            isa: Isa::detect(),
            asked: zero(),
            accepted: zero(),
            crowds: zero(),
            capped_pairs: zero(),
            centres: Mutex::default(),
        }
    }

    pub(super) fn report(&self, plan: PlanReport, codes: usize, identical: u64) -> Report {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Report {
            plan,
            codes: codes as u64,
            identical,
            asked: read(&self.asked),
            accepted: read(&self.accepted),
            crowds: read(&self.crowds),
            capped_pairs: read(&self.capped_pairs),
        }
    }

    pub(super) fn cap(&self, pairs: u64) {
        self.capped_pairs.fetch_add(pairs, Ordering::Relaxed);
    }

    pub(super) fn threads(&self) -> usize {
        self.options.threads.max(1)
    }

    /// The group of an item's row now; only for grouping.
    pub(super) fn root(&self, item: u32) -> u32 {
        let row = self.codes.row(item);
        self.groups.map_or(row, |groups| groups.find(row))
    }

    /// Whether the rows of all items are one group now, so that nothing is left to ask about them; only for grouping.
    pub(super) fn one_group(&self, items: &[u32]) -> bool {
        let Some((first, rest)) = items.split_first() else { return true };
        let root = self.root(*first);
        self.groups.is_some() && rest.iter().all(|item| self.root(*item) == root)
    }

    pub(super) fn words<const S: usize>(&self, item: u32) -> [u64; S] {
        let code = &self.codes.codes[item as usize];
        std::array::from_fn(|s| code[s])
    }

    /// A candidate pair that is not identical; `earlier` are the tables where it would have been shown before.
    #[inline]
    pub(super) fn consider(&self, a: u32, b: u32, earlier: &[Key<W>]) {
        let (code_a, code_b) = (&self.codes.codes[a as usize], &self.codes.codes[b as usize]);
        let apart = distance(code_a, code_b);
        // Pairs of identical codes are dealt with before the tables.
        if apart == 0 || apart > self.options.distance {
            return;
        }
        if self.groups.is_none() && earlier.iter().any(|key| key.meet(code_a, code_b)) {
            return;
        }
        self.ask(a, b, apart);
    }

    /// Whether two codes may be a pair at all.
    pub(super) fn comparable(&self, a: u32, b: u32) -> bool {
        self.codes.row(a) != self.codes.row(b) && !(self.codes.is_view(a) && self.codes.is_view(b))
    }

    /// A pair within the distance: asks, and joins.
    pub(super) fn ask(&self, a: u32, b: u32, distance: u32) {
        let end = |item: u32| End { row: self.codes.row(item), role: self.codes.role(item), item };
        if !self.comparable(a, b) {
            return;
        }
        let (a, b) = (end(a), end(b));
        if self.groups.is_some_and(|groups| groups.same(a.row, b.row)) {
            return;
        }
        let (a, b) = if a.row < b.row { (a, b) } else { (b, a) };
        self.asked.fetch_add(1, Ordering::Relaxed);
        if (self.edge)(&Pair { a, b, distance }) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
            if let Some(groups) = self.groups {
                groups.union(a.row, b.row);
            }
        }
    }

    /// Compares the codes at `of` with others of the run; says how many passed the first words.
    fn probe<const S: usize>(&self, run: &Run<'_, S>, of: Range<usize>, with: &With, earlier: &[Key<W>], hits: &mut Hits) -> usize {
        hits.clear();
        self.isa.scan(run.columns, of, run.columns, with, self.options.distance, hits);
        for (a, b) in hits.iter() {
            self.consider(run.items[*a as usize], run.items[*b as usize], earlier);
        }
        hits.len()
    }

    /// All pairs within a bucket; false if it turns out to be a crowd, which is then the caller's to settle.
    pub(super) fn within<const S: usize>(&self, run: &Run<'_, S>, bucket: Bucket, earlier: &[Key<W>], scratch: &mut Scratch<S>) -> bool {
        if bucket.len() >= MANY && self.one_group(&run.items[bucket.start..bucket.end]) {
            return true;
        }
        let with = With { from: bucket.start, to: bucket.end, after: true };
        let mut hits = 0;
        for of in chunks(bucket.fulls()) {
            let next = of.end;
            hits += self.probe(run, of, &with, earlier, &mut scratch.hits);
            if self.groups.is_some() && is_dense(hits, bucket.len()) {
                if bucket.len() > DENSE_JOIN {
                    return false;
                }
                self.dense(run, std::slice::from_ref(&(next..bucket.end)), scratch);
                return true;
            }
        }
        true
    }

    /// All pairs between two buckets of an exact plan; false if they turn out to be a crowd.
    pub(super) fn between<const S: usize>(
        &self,
        run: &Run<'_, S>,
        a: Bucket,
        b: Bucket,
        earlier: &[Key<W>],
        scratch: &mut Scratch<S>,
    ) -> bool {
        let (items_a, items_b) = (&run.items[a.start..a.end], &run.items[b.start..b.end]);
        if a.len() + b.len() >= MANY && self.one_group(items_a) && self.one_group(items_b) && self.root(items_a[0]) == self.root(items_b[0])
        {
            return true;
        }
        let mut hits = 0;
        for (part, to) in [(a.fulls(), b.end), (a.views..a.end, b.views)] {
            let with = With { from: b.start, to, after: false };
            for of in chunks(part) {
                let next = of.end;
                hits += self.probe(run, of, &with, earlier, &mut scratch.hits);
                if self.groups.is_some() && is_dense(hits, a.len() + b.len()) {
                    if a.len() + b.len() > DENSE_JOIN {
                        return false;
                    }
                    // More pairs than asked for, which an exact plan may do: it finds all of them somewhere.
                    self.dense(run, &[next..a.end, b.start..b.end], scratch);
                    return true;
                }
            }
        }
        true
    }

    /// All pairs within the ranges that are not in the largest group already.
    fn dense<const S: usize>(&self, run: &Run<'_, S>, ranges: &[Range<usize>], scratch: &mut Scratch<S>) {
        let members = || ranges.iter().cloned().flatten();
        let roots: Vec<u32> = members().map(|at| self.root(run.items[at])).collect();
        let largest = majority(&roots);
        let Scratch { hits, columns, items } = scratch;
        items.clear();
        columns.iter_mut().for_each(Vec::clear);
        let mut others = 0;
        for inside in [false, true] {
            for (at, _) in members().zip(&roots).filter(|(_, root)| (**root == largest) == inside) {
                items.push(run.items[at]);
                for (column, of) in columns.iter_mut().zip(run.columns) {
                    column.push(of[at]);
                }
            }
            if !inside {
                others = items.len();
            }
        }
        let run = Run::of(columns, items);
        for of in chunks(0..others) {
            self.probe(&run, of, &With { from: 0, to: run.items.len(), after: true }, &[], hits);
        }
    }

    /// The codes at `0..others` of the run with all that follow them, on all threads.
    pub(super) fn first_with_all<const S: usize>(&self, run: &Run<'_, S>, others: usize, earlier: &[Key<W>]) {
        let with = With { from: 0, to: run.items.len(), after: true };
        super::table::each(others.div_ceil(CHUNK), self.threads(), Vec::new, |hits, chunk| {
            self.probe(run, chunk * CHUNK..((chunk + 1) * CHUNK).min(others), &with, earlier, hits);
        });
    }
}

/// A join of more codes than this in which most are within the distance is a crowd: the number of its pairs is what must be saved.
const DENSE_JOIN: usize = 1024;

/// In joins of so many codes it is first asked whether they are one group; where they are not, the first two mostly tell.
const MANY: usize = 256;

/// Codes that are compared before their hits are looked at.
const CHUNK: usize = 32;

fn chunks(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(CHUNK).map(move |start| start..(start + CHUNK).min(end))
}

/// The value that more than half of the values have, if there is one; else any (Boyer and Moore 1981).
pub(super) fn majority(values: &[u32]) -> u32 {
    let (mut candidate, mut count) = (0, 0_usize);
    for value in values {
        if count == 0 {
            candidate = *value;
        }
        if candidate == *value {
            count += 1;
        } else {
            count -= 1;
        }
    }
    candidate
}
