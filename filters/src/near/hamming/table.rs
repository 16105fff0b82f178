//! Codes brought together by their keys: one stable partition by the high bits, in ranges that fit the memory, and a sort of each part.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a table holds of a code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<const S: usize> {
    /// The first words of the code: enough to reject nearly all strangers without touching the code.
    pub(super) words: [u64; S],
    /// The code's place in the input.
    pub(super) item: u32,
    /// Its key.
    pub(super) key: u32,
}

/// Keys of codes that take no part.
pub(super) const LEFT_OUT: u32 = u32::MAX;

const BLOCK: usize = 1024;
/// A part has about this many entries, so that it is sorted in the second-level cache.
const PART: usize = 16 * 1024;
const MAX_PART_BITS: u32 = 11;

/// How keys are divided into parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) key_bits: u32,
    pub(super) part_bits: u32,
}

impl Parts {
    pub(super) fn new(count: usize, key_bits: u32) -> Self {
        let wanted = (count / PART).max(1).ilog2() + 1;
        Self { key_bits, part_bits: wanted.min(MAX_PART_BITS).min(key_bits) }
    }

    fn count(self) -> usize {
        1 << self.part_bits
    }

    /// The part of a key.
    fn of(self, key: u32) -> usize {
        (u64::from(key) >> (self.key_bits - self.part_bits)) as usize
    }

    /// The keys of a part.
    pub(super) fn keys(self, part: usize) -> Range<u64> {
        let shift = self.key_bits - self.part_bits;
        (part as u64) << shift..(part as u64 + 1) << shift
    }
}

/// What is partitioned, and with what means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) items: usize,
    pub(super) threads: usize,
    /// Entries that may be held.
    pub(super) capacity: usize,
}

/// A run of `items` for each thread, whole blocks each.
fn shares(items: usize, threads: usize) -> Vec<Range<usize>> {
    let share = items.div_ceil(threads).next_multiple_of(BLOCK);
    (0..threads).map(|t| (t * share).min(items)..((t + 1) * share).min(items)).collect()
}

/// A buffer that threads fill at places of their own.
struct Places<E>(*mut E);
// SAFETY: every place is written by one thread only (the counts say which), and read after all have ended.
unsafe impl<E: Send> Sync for Places<E> {}

/// Brings the entries together by part and hands ranges of parts to `work`: `work(parts, starts, entries)` where part `parts.start + i` is
/// `entries[starts[i]..starts[i + 1]]`.
///
/// `keys` gives the keys of a run of items ([`LEFT_OUT`] for those that take no part), `entry` makes an entry. At most `input.capacity`
/// entries are held, unless one part alone is larger. The order within a part is that of the input.
pub(super) fn partition<const S: usize, K, M>(
    input: Input,
    parts: Parts,
    buffer: &mut Vec<Entry<S>>,
    keys: K,
    entry: M,
    mut work: impl FnMut(Range<usize>, &[usize], &mut [Entry<S>]),
) where
    K: Fn(Range<usize>, &mut Vec<u32>) + Sync,
    M: Fn(usize, u32) -> Entry<S> + Sync,
{
    let Input { items, threads, capacity } = input;
    let shares = shares(items, threads);
    // Counts, by thread and part.
    let mut counts: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let handles: Vec<_> = shares
            .iter()
            .map(|share| {
                let keys = &keys;
                scope.spawn(move || {
                    let mut counts = vec![0_u32; parts.count()];
                    let mut block = Vec::with_capacity(BLOCK);
                    for start in share.clone().step_by(BLOCK) {
                        keys(start..(start + BLOCK).min(share.end), &mut block);
                        for key in block.iter().filter(|key| **key != LEFT_OUT) {
                            counts[parts.of(*key)] += 1;
                        }
                    }
                    counts
                })
            })
            .collect();
        handles.into_iter().map(join).collect()
    });
    let part_len = |counts: &[Vec<u32>], part: usize| counts.iter().map(|of| of[part] as usize).sum::<usize>();

    let mut first = 0;
    while first < parts.count() {
        let mut starts = vec![0];
        let mut held = 0;
        let mut end = first;
        while end < parts.count() {
            let len = part_len(&counts, end);
            if end > first && held + len > capacity {
                break;
            }
            held += len;
            starts.push(held);
            end += 1;
        }
        // From counts to places: part by part, and thread by thread within a part.
        for (part, start) in (first..end).zip(&starts) {
            let mut at = *start as u32;
            for of in &mut counts {
                at += std::mem::replace(&mut of[part], at);
            }
        }
        buffer.clear();
        buffer.reserve(held);
        let places = Places(buffer.as_mut_ptr());
        std::thread::scope(|scope| {
            for (share, next) in shares.iter().zip(&mut counts) {
                let (keys, entry, places) = (&keys, &entry, &places);
                scope.spawn(move || {
                    let mut block = Vec::with_capacity(BLOCK);
                    for start in share.clone().step_by(BLOCK) {
                        keys(start..(start + BLOCK).min(share.end), &mut block);
                        for (item, key) in (start..).zip(block.iter().copied()) {
                            if key == LEFT_OUT {
                                continue;
                            }
                            let part = parts.of(key);
                            if part < first || part >= end {
                                continue;
                            }
                            let at = next[part];
                            next[part] += 1;
                            // SAFETY: the counts of the first pass gave this thread this place, below `held`, which is reserved.
                            unsafe { places.0.add(at as usize).write(entry(item, key)) };
                        }
                    }
                });
            }
        });
        // SAFETY: all places below `held` were written: the second pass saw the same keys as the first.
        unsafe { buffer.set_len(held) };
        work(first..end, &starts, buffer);
        first = end;
    }
}

/// Runs `work(state, index)` for the indexes `0..count`, on `threads` threads, each with its state.
pub(super) fn each<T, I: Fn() -> T + Sync>(count: usize, threads: usize, init: I, work: impl Fn(&mut T, usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count.max(1)) {
            let (next, init, work) = (&next, &init, &work);
            scope.spawn(move || {
                let mut state = init();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(&mut state, index);
                }
            });
        }
    });
}

/// The result of a thread; a panic in it goes on here.
pub(super) fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One part in key order, by columns: fulls before views in each bucket.
#[derive(Debug)]
pub(super) struct Sorted<const S: usize> {
    pub(super) columns: [Vec<u64>; S],
    pub(super) items: Vec<u32>,
    /// Bucket `b` of the part: its fulls are `bounds[2b]..bounds[2b + 1]`, its views go on to `bounds[2b + 2]`.
    pub(super) bounds: Vec<u32>,
}

impl<const S: usize> Sorted<S> {
    pub(super) fn new() -> Self {
        Self { columns: std::array::from_fn(|_| Vec::new()), items: Vec::new(), bounds: Vec::new() }
    }

    /// Sorts the entries of one part, whose keys are `keys`, by key and role; stable.
    pub(super) fn fill(&mut self, entries: &[Entry<S>], keys: Range<u64>, is_view: impl Fn(u32) -> bool) {
        let buckets = (keys.end - keys.start) as usize;
        let first = keys.start as u32;
        self.bounds.clear();
        self.bounds.resize(2 * buckets + 2, 0);
        let slot = |entry: &Entry<S>| 2 * (entry.key - first) as usize + usize::from(is_view(entry.item));
        // Counts two places up, so that filling leaves the starts.
        for entry in entries {
            self.bounds[slot(entry) + 1] += 1;
        }
        let mut sum = 0;
        for bound in &mut self.bounds {
            sum += *bound;
            *bound = sum;
        }
        for column in &mut self.columns {
            column.resize(entries.len(), 0);
        }
        self.items.resize(entries.len(), 0);
        // bounds[slot] is the next free place of the slot; after the loop it is the slot's end, that is the next slot's start.
        for entry in entries {
            let next = &mut self.bounds[slot(entry)];
            let at = *next as usize;
            *next += 1;
            self.items[at] = entry.item;
            for (column, word) in self.columns.iter_mut().zip(entry.words) {
                column[at] = word;
            }
        }
        self.bounds.rotate_right(1);
        self.bounds[0] = 0;
    }
}
