//! Buckets too crowded to be compared pair by pair.
//!
//! Everything here is decided by the codes of the crowd and by the groups as they are when it starts, and crowds are settled one after another;
//! threads only share the comparing within one step.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::kernel::distance;
use super::key::Key;
use super::matcher::{Bucket, Matcher, Run, Scratch, majority};
use super::plan::{Plan, meets};
use super::table::each;
use super::tables::CROWD;
use crate::near::random::{mix, order};

/// Codes that are shown to a whole crowd, one after another.
const PIVOTS: usize = 8;
/// To a crowd of two buckets.
const PIVOTS_OF_TWO: usize = 2;
/// So many comparisons are simply made: half a minute on one core.
const ALL_PAIRS: u64 = 1 << 36;
/// In a sampled plan, so many for each code of the crowd.
const PAIRS_EACH: u64 = 4096;
/// What a comparison costs, in comparisons, if the codes are within the distance: the whole codes are fetched, and the closure is asked.
const HIT_COST: f64 = 200.0;
/// Where more of a crowd than this is within the distance of its centre, further bits do not part it.
const DENSE: f64 = 0.1;
/// Levels of further bits.
const DEPTH: u64 = 2;
/// Codes of a bucket after the split, on average.
const SPLIT_TO: usize = 256;
/// Where nothing parts the codes: each is compared with so many that follow it in code order.
const WINDOW: usize = 128;

/// Codes that met.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) items: Vec<u32>,
    /// In two buckets, each of which is joined by itself.
    pub(super) of_two: bool,
    /// How often it was split.
    pub(super) depth: u64,
}

/// Joins what there is to join in a crowd that met in table `table` of the plan.
pub(super) fn join<const W: usize, const S: usize>(matcher: &Matcher<'_, W>, plan: &Plan<W>, table: usize, crowd: Crowd) {
    let Crowd { mut items, of_two, depth } = crowd;
    if matcher.one_group(&items) {
        return;
    }
    matcher.crowds.fetch_add(1, Ordering::Relaxed);
    let earlier = &plan.tables[..table];
    let (centre, density) = centre(matcher, &items);
    let mut others = items.len();
    if matcher.groups.is_some() {
        pivots(matcher, &items, if of_two { PIVOTS_OF_TWO } else { PIVOTS });
        let roots: Vec<u32> = items.iter().map(|item| matcher.root(*item)).collect();
        let largest = majority(&roots);
        let inside: Vec<u32> = items.iter().zip(&roots).filter(|(_, root)| **root == largest).map(|(item, _)| *item).collect();
        items = items.iter().zip(&roots).filter(|(_, root)| **root != largest).map(|(item, _)| *item).collect();
        others = items.len();
        if others == 0 {
            return;
        }
        items.extend(inside);
    }
    let n = items.len() as u64;
    let cost = others as f64 * n as f64 * (1.0 + HIT_COST * density);
    let limit = if plan.report.exact || matcher.groups.is_none() { ALL_PAIRS } else { (PAIRS_EACH * n).min(ALL_PAIRS) };
    if cost <= limit as f64 {
        let columns = columns::<W, S>(matcher, &items);
        let run = Run::of(&columns, &items);
        matcher.first_with_all(&run, others, earlier);
    } else if depth < DEPTH && density < DENSE && matcher.groups.is_some() {
        split::<W, S>(matcher, plan, table, &items, depth);
    } else if matcher.groups.is_none() || (!of_two && matcher.centres.lock().is_ok_and(|mut centres| centres.insert(centre))) {
        window(matcher, items, earlier);
    } else {
        // The same crowd met in an earlier table, or its two halves are settled by themselves.
        matcher.cap(n * (n - 1) / 2);
    }
}

/// The smallest full code of a crowd, and which share of the crowd is within the distance of it.
fn centre<const W: usize>(matcher: &Matcher<'_, W>, items: &[u32]) -> (u32, f64) {
    let fulls = items.iter().filter(|item| !matcher.codes.is_view(**item));
    let Some(centre) = fulls.min_by_key(|item| matcher.codes.rank(**item)).copied() else { return (u32::MAX, 0.0) };
    let code = |item: u32| &matcher.codes.codes[item as usize];
    let near = items.iter().filter(|item| distance(code(centre), code(**item)) <= matcher.options.distance).count();
    (centre, near as f64 / items.len() as f64)
}

fn columns<const W: usize, const S: usize>(matcher: &Matcher<'_, W>, items: &[u32]) -> [Vec<u64>; S] {
    let mut columns: [Vec<u64>; S] = std::array::from_fn(|_| Vec::with_capacity(items.len()));
    for item in items {
        for (column, word) in columns.iter_mut().zip(matcher.words::<S>(*item)) {
            column.push(word);
        }
    }
    columns
}

/// Shows a few full codes to all that are not of their group: a crowd of copies of one picture is one group after the first.
fn pivots<const W: usize>(matcher: &Matcher<'_, W>, items: &[u32], most: usize) {
    let mut rest = items.to_vec();
    for _ in 0..most {
        let fulls = rest.iter().filter(|item| !matcher.codes.is_view(**item));
        let Some(pivot) = fulls.min_by_key(|item| matcher.codes.rank(**item)).copied() else { return };
        for item in items.iter().filter(|item| **item != pivot) {
            matcher.consider(pivot, *item, &[]);
        }
        let root = matcher.root(pivot);
        rest.retain(|item| matcher.root(*item) != root);
    }
}

/// Splits a crowd by further bits, with tables enough for the recall of the plan.
fn split<const W: usize, const S: usize>(matcher: &Matcher<'_, W>, plan: &Plan<W>, table: usize, items: &[u32], depth: u64) {
    let bits = 64 * W as u32;
    let key_bits = (items.len() / SPLIT_TO).max(2).ilog2().clamp(4, 20);
    let meet = meets(bits, matcher.options.distance, key_bits);
    let tables = ((1.0 - matcher.options.recall).ln() / (-meet).ln_1p()).ceil().clamp(1.0, 256.0) as usize;
    let seed = mix(matcher.options.seed, 0xc0d + depth);
    for sub in 0..tables {
        let positions = order(mix(seed, sub as u64), 64 * W);
        let key = Key::<W>::new(positions.into_iter().take(key_bits as usize), 0);
        let mut keyed: Vec<(u32, u32)> = items.iter().map(|item| (key.of(&matcher.codes.codes[*item as usize]), *item)).collect();
        keyed.sort_unstable();
        let buckets: Vec<&[(u32, u32)]> = keyed.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1).collect();
        let crowds = Mutex::new(Vec::new());
        each(buckets.len(), matcher.threads(), Scratch::<S>::new, |scratch, at| {
            let mut items: Vec<u32> = buckets[at].iter().map(|(_, item)| *item).collect();
            if items.len() > CROWD {
                if let Ok(mut crowds) = crowds.lock() {
                    crowds.push((at, items));
                }
                return;
            }
            if matcher.one_group(&items) {
                return;
            }
            items.sort_unstable_by_key(|item| (matcher.codes.is_view(*item), *item));
            let views = items.partition_point(|item| !matcher.codes.is_view(*item));
            let columns = columns::<W, S>(matcher, &items);
            let run = Run::of(&columns, &items);
            let whole = Bucket { start: 0, views, end: items.len() };
            if !matcher.within(&run, whole, &[], scratch)
                && let Ok(mut crowds) = crowds.lock()
            {
                crowds.push((at, items));
            }
        });
        let mut crowds = crowds.into_inner().unwrap_or_default();
        crowds.sort_unstable_by_key(|(at, _)| *at);
        for (_, items) in crowds {
            join::<W, S>(matcher, plan, table, Crowd { items, of_two: false, depth: depth + 1 });
        }
    }
}

/// Compares each code with those that follow it in code order, and counts the pairs that this leaves out.
fn window<const W: usize>(matcher: &Matcher<'_, W>, mut items: Vec<u32>, earlier: &[Key<W>]) {
    items.sort_by_cached_key(|item| matcher.codes.rank(*item));
    let n = items.len();
    const CHUNK: usize = 256;
    each(
        n.div_ceil(CHUNK),
        matcher.threads(),
        || (),
        |(), chunk| {
            for at in chunk * CHUNK..((chunk + 1) * CHUNK).min(n) {
                for other in at + 1..(at + 1 + WINDOW).min(n) {
                    matcher.consider(items[at], items[other], earlier);
                }
            }
        },
    );
    let (n, window) = (n as u64, (WINDOW as u64).min(n as u64));
    matcher.cap((n * (n - 1) / 2).saturating_sub(n * window - window * (window + 1) / 2));
}
