//! Table after table: keys, parts, buckets, and the joins of buckets.

use std::sync::Mutex;

use super::crowd::{self, Crowd};
use super::identical::{self, Active, active_keys};
use super::key::Key;
use super::matcher::{Bucket, Matcher, Run, Scratch};
use super::plan::{Plan, widest};
use super::table::{Entry, Input, Parts, Sorted, each, partition};
use super::{HammingError, Options};

/// A bucket of more codes than this (or a pair of buckets of as many comparisons) is a crowd.
pub(super) const CROWD: usize = 8192;

/// The plan for so many codes.
pub(super) fn plan<const W: usize>(count: usize, options: &Options) -> Result<Plan<W>, HammingError> {
    if !(options.recall > 0.0 && options.recall < 1.0) {
        return Err(HammingError::Recall(options.recall));
    }
    let entry = if W == 1 { size_of::<Entry<1>>() } else { size_of::<Entry<2>>() } as u64;
    let n = count as u64;
    let flags = n / 8;
    // One part must fit, and so must the smallest useful range.
    let least = flags + (n.div_ceil(16).max(1024)) * entry.max(identical::BYTES);
    if count > 0 && options.memory_bytes < least {
        return Err(HammingError::TooLittleMemory { needed: least, budget: options.memory_bytes });
    }
    // While buckets of neighbouring keys are joined, the sorted columns and the bounds of the buckets are held.
    let whole = n * (2 * entry - 4) + (8 << widest(count));
    Plan::choose(count, options, whole, options.memory_bytes - flags.min(options.memory_bytes))
}

/// Runs all tables of a plan.
pub(super) fn search<const W: usize, const S: usize>(matcher: &Matcher<'_, W>, plan: &Plan<W>, active: &Active) {
    let count = matcher.codes.codes.len();
    let budget = matcher.options.memory_bytes - (count as u64 / 8).min(matcher.options.memory_bytes);
    let mut buffer = Vec::new();
    for (at, key) in plan.tables.iter().enumerate() {
        let earlier = &plan.tables[..at];
        let crowds = Crowds::default();
        let parts = Parts::new(count, key.bits);
        let capacity = if key.radius == 0 { (budget / size_of::<Entry<S>>() as u64) as usize } else { usize::MAX };
        let is_view = |item: u32| matcher.codes.is_view(item);
        partition::<S, _, _>(
            Input { items: count, threads: matcher.threads(), capacity },
            parts,
            &mut buffer,
            |range, keys| active_keys(key, matcher.codes.codes, active, range, keys),
            |item, key| Entry { words: matcher.words(item as u32), item: item as u32, key },
            |range, starts, entries| {
                if key.radius > 0 {
                    let whole = Whole::sort(parts, starts, entries, matcher.threads(), is_view);
                    whole.join(matcher, key, earlier, &crowds);
                    return;
                }
                let entries = &*entries;
                each(
                    range.len(),
                    matcher.threads(),
                    || (Sorted::new(), Scratch::new()),
                    |(sorted, scratch), i| {
                        sorted.fill(&entries[starts[i]..starts[i + 1]], parts.keys(range.start + i), is_view);
                        let run = Run::of(&sorted.columns, &sorted.items);
                        for bucket in buckets(&sorted.bounds) {
                            within(matcher, &run, bucket, earlier, &crowds, scratch);
                        }
                    },
                );
            },
        );
        crowds.settle::<W, S>(matcher, plan, at);
    }
}

/// The buckets that hold at least two codes, one of them full.
fn buckets(bounds: &[u32]) -> impl Iterator<Item = Bucket> + '_ {
    (0..bounds.len() / 2 - 1).map(|b| bucket(bounds, b)).filter(|bucket| bucket.len() > 1 && !bucket.fulls().is_empty())
}

fn bucket(bounds: &[u32], b: usize) -> Bucket {
    Bucket { start: bounds[2 * b] as usize, views: bounds[2 * b + 1] as usize, end: bounds[2 * b + 2] as usize }
}

fn within<const W: usize, const S: usize>(
    matcher: &Matcher<'_, W>,
    run: &Run<'_, S>,
    bucket: Bucket,
    earlier: &[Key<W>],
    crowds: &Crowds,
    scratch: &mut Scratch<S>,
) {
    if bucket.len() > CROWD || !matcher.within(run, bucket, earlier, scratch) {
        crowds.put(matcher, &run.items[bucket.start..bucket.end], &[]);
    }
}

/// Crowded buckets wait until the rest of their table is done: what happens to them depends on the groups, which then do not depend on
/// which thread came first.
#[derive(Debug, Default)]
struct Crowds(Mutex<Vec<Crowd>>);

impl Crowds {
    /// One bucket, or two that met.
    fn put<const W: usize>(&self, matcher: &Matcher<'_, W>, a: &[u32], b: &[u32]) {
        let crowd = Crowd { items: [a, b].concat(), of_two: !b.is_empty(), depth: 0 };
        if matcher.one_group(&crowd.items) {
            return;
        }
        if let Ok(mut crowds) = self.0.lock() {
            crowds.push(crowd);
        }
    }

    fn settle<const W: usize, const S: usize>(self, matcher: &Matcher<'_, W>, plan: &Plan<W>, table: usize) {
        let mut crowds = self.0.into_inner().unwrap_or_default();
        crowds.retain(|crowd| !matcher.one_group(&crowd.items));
        // Single buckets first, then by their contents: the smallest code of each.
        crowds
            .sort_by_cached_key(|crowd| (crowd.of_two, crowd.items.iter().map(|item| matcher.codes.rank(*item)).min(), crowd.items.len()));
        for crowd in crowds {
            crowd::join::<W, S>(matcher, plan, table, crowd);
        }
    }
}

/// A whole table in key order, for keys that may differ in a few bits.
struct Whole<const S: usize> {
    columns: [Vec<u64>; S],
    items: Vec<u32>,
    bounds: Vec<u32>,
}

/// What one part of a whole table fills.
struct Target<'t, const S: usize> {
    columns: [&'t mut [u64]; S],
    items: &'t mut [u32],
    bounds: &'t mut [u32],
}

impl<const S: usize> Whole<S> {
    fn sort(parts: Parts, starts: &[usize], entries: &[Entry<S>], threads: usize, is_view: impl Fn(u32) -> bool + Sync) -> Self {
        let mut whole = Self {
            columns: std::array::from_fn(|_| vec![0; entries.len()]),
            items: vec![0; entries.len()],
            bounds: vec![entries.len() as u32; (2 << parts.key_bits) + 2],
        };
        let mut targets = Vec::with_capacity(starts.len());
        let mut columns = whole.columns.each_mut().map(Vec::as_mut_slice);
        let (mut items, mut bounds) = (whole.items.as_mut_slice(), whole.bounds.as_mut_slice());
        for (part, two) in starts.windows(2).enumerate() {
            let len = two[1] - two[0];
            let keys = parts.keys(part);
            let (mine, rest) = std::mem::take(&mut items).split_at_mut(len);
            items = rest;
            let (bounds_here, rest) = std::mem::take(&mut bounds).split_at_mut(2 * (keys.end - keys.start) as usize);
            bounds = rest;
            let columns_here = columns.each_mut().map(|column| {
                let (mine, rest) = std::mem::take(column).split_at_mut(len);
                *column = rest;
                mine
            });
            targets.push(Mutex::new(Target { columns: columns_here, items: mine, bounds: bounds_here }));
        }
        each(targets.len(), threads, Sorted::<S>::new, |sorted, part| {
            let Ok(mut target) = targets[part].lock() else { return };
            sorted.fill(&entries[starts[part]..starts[part + 1]], parts.keys(part), &is_view);
            target.items.copy_from_slice(&sorted.items);
            for (to, from) in target.columns.iter_mut().zip(&sorted.columns) {
                to.copy_from_slice(from);
            }
            for (to, from) in target.bounds.iter_mut().zip(&sorted.bounds) {
                *to = *from + starts[part] as u32;
            }
        });
        whole
    }

    fn join<const W: usize>(&self, matcher: &Matcher<'_, W>, key: &Key<W>, earlier: &[Key<W>], crowds: &Crowds) {
        /// Keys that a thread takes at once.
        const CHUNK: usize = 256;
        let run = Run::of(&self.columns, &self.items);
        let flips = flips(key.bits, key.radius);
        let keys = 1_usize << key.bits;
        each(keys.div_ceil(CHUNK), matcher.threads(), Scratch::new, |scratch, chunk| {
            for at in chunk * CHUNK..((chunk + 1) * CHUNK).min(keys) {
                let a = bucket(&self.bounds, at);
                if a.len() == 0 {
                    continue;
                }
                if a.len() > 1 {
                    within(matcher, &run, a, earlier, crowds, scratch);
                }
                for other in flips.iter().map(|flip| at ^ flip).filter(|other| *other > at) {
                    let b = bucket(&self.bounds, other);
                    if b.len() == 0 {
                        continue;
                    }
                    if a.len() * b.len() > CROWD * CROWD || !matcher.between(&run, a, b, earlier, scratch) {
                        crowds.put(matcher, &self.items[a.start..a.end], &self.items[b.start..b.end]);
                    }
                }
            }
        });
    }
}

/// The numbers of `bits` bits with 1 to `radius` bits set.
fn flips(bits: u32, radius: u32) -> Vec<usize> {
    let mut all = vec![0_usize];
    let mut last = vec![0_usize];
    for _ in 0..radius {
        last = last
            .iter()
            .flat_map(|flip| {
                let above = usize::BITS - flip.leading_zeros();
                (above..bits).map(move |bit| flip | 1 << bit)
            })
            .collect();
        all.extend(&last);
    }
    all.remove(0);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_all_numbers_with_so_many_bits() {
        for (bits, radius) in [(5, 0), (5, 1), (7, 3), (3, 3)] {
            let mut got = flips(bits, radius);
            got.sort_unstable();
            let expected: Vec<usize> = (1..1 << bits).filter(|n: &usize| n.count_ones() <= radius).collect();
            assert_eq!(got, expected);
        }
    }
}
