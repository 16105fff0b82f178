//! Identical codes: joined first, and then represented by few.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::key::Key;
use super::matcher::Matcher;
use super::table::{Entry, Input, Parts, each, partition};
use crate::near::random::mix;

/// Rounds in which one code is shown to all that are not joined with it yet.
const PIVOTS: usize = 4;
/// Identical codes that the closure keeps apart (other pixels, same hash): as many stay, smallest rows first.
const KEPT: usize = 64;
/// Longer runs are listed as a star when pairs are wanted.
const LISTED: usize = 1024;

/// Which codes take part in the tables.
#[derive(Debug)]
pub(super) struct Active {
    out: Box<[AtomicU64]>,
}

impl Active {
    fn all(items: usize) -> Self {
        Self { out: (0..items.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    fn leave_out(&self, item: u32) {
        self.out[item as usize / 64].fetch_or(1 << (item % 64), Ordering::Relaxed);
    }

    pub(super) fn has(&self, item: usize) -> bool {
        self.out[item / 64].load(Ordering::Relaxed) >> (item % 64) & 1 == 0
    }

    pub(super) fn left_out(&self) -> u64 {
        self.out.iter().map(|bits| u64::from(bits.load(Ordering::Relaxed).count_ones())).sum()
    }
}

/// Bytes held for each code while identical codes are sought.
pub(super) const BYTES: u64 = size_of::<Entry<0>>() as u64;

/// Joins identical codes and says which codes stand for the others.
pub(super) fn collapse<const W: usize>(matcher: &Matcher<'_, W>) -> Active {
    let codes = matcher.codes;
    let items = codes.codes.len();
    let active = Active::all(items);
    let parts = Parts::new(items, 30);
    let capacity = (matcher.options.memory_bytes / BYTES) as usize;
    // Runs with views wait until all fulls are joined: what is a repetition depends on the groups, which must not depend on the threads.
    let with_views: Mutex<Vec<Vec<u32>>> = Mutex::new(Vec::new());
    partition::<0, _, _>(
        Input { items, threads: matcher.threads(), capacity },
        parts,
        &mut Vec::new(),
        |range, keys| {
            keys.clear();
            keys.extend(codes.codes[range].iter().map(|code| (code.iter().fold(0, |hash, word| mix(hash, *word)) >> 34) as u32));
        },
        |item, key| Entry { words: [], item: item as u32, key },
        |_, starts, entries| {
            let mut rest = &mut *entries;
            let mut slices = Vec::with_capacity(starts.len());
            for two in starts.windows(2) {
                let (part, after) = rest.split_at_mut(two[1] - two[0]);
                slices.push(Mutex::new(part));
                rest = after;
            }
            each(slices.len(), matcher.threads(), Vec::new, |run: &mut Vec<u32>, part| {
                let Ok(mut part) = slices[part].lock() else { return };
                part.sort_unstable_by_key(|entry| entry.key);
                for same_key in part.chunk_by_mut(|a, b| a.key == b.key).filter(|same| same.len() > 1) {
                    same_key.sort_unstable_by_key(|entry| (codes.rank(entry.item), entry.item));
                    let same_code = |a: &Entry<0>, b: &Entry<0>| codes.codes[a.item as usize] == codes.codes[b.item as usize];
                    for same in same_key.chunk_by(same_code).filter(|same| same.len() > 1) {
                        run.clear();
                        run.extend(same.iter().map(|entry| entry.item));
                        if matcher.groups.is_none() {
                            list(matcher, run, &active);
                            continue;
                        }
                        let fulls = run.iter().take_while(|item| !codes.is_view(**item)).count();
                        join_fulls(matcher, &run[..fulls], &active);
                        if fulls < run.len()
                            && let Ok(mut with_views) = with_views.lock()
                        {
                            with_views.push(run.clone());
                        }
                    }
                }
            });
        },
    );
    let mut with_views = with_views.into_inner().unwrap_or_default();
    // Fulls with views first, on all runs; then the views that repeat.
    each(with_views.len(), matcher.threads(), || (), |(), run| join_views(matcher, &with_views[run], &active));
    each(with_views.len(), matcher.threads(), || (), |(), run| thin_views(matcher, &with_views[run], &active));
    with_views.clear();
    active
}

/// Every pair of a run, or a star; for the list of pairs.
fn list<const W: usize>(matcher: &Matcher<'_, W>, run: &[u32], active: &Active) {
    let centres = if run.len() <= LISTED { run.len() } else { 1 };
    for (at, a) in run.iter().enumerate().take(centres) {
        for b in &run[at + 1..] {
            matcher.ask(*a, *b, 0);
        }
    }
    if run.len() > LISTED {
        let left = (run.len() - 1) as u64;
        matcher.cap(left * (left - 1) / 2);
        run[LISTED..].iter().for_each(|item| active.leave_out(*item));
    }
}

/// Joins the full codes of a run around a few pivots, and keeps one of each group.
fn join_fulls<const W: usize>(matcher: &Matcher<'_, W>, run: &[u32], active: &Active) {
    let mut rest = run.to_vec();
    let mut kept = 0;
    for _ in 0..PIVOTS {
        let Some((pivot, others)) = rest.split_first() else { return };
        let pivot = *pivot;
        kept += 1;
        let mut apart = Vec::new();
        for other in others {
            matcher.ask(pivot, *other, 0);
            if matcher.root(pivot) == matcher.root(*other) {
                active.leave_out(*other);
            } else {
                apart.push(*other);
            }
        }
        rest = apart;
    }
    // What the pivots did not take is shown to each other if it is little.
    if rest.len() <= KEPT - kept {
        for (at, a) in rest.iter().enumerate() {
            rest[at + 1..].iter().for_each(|b| matcher.ask(*a, *b, 0));
        }
    } else {
        let n = rest.len() as u64;
        matcher.cap(n * (n - 1) / 2);
        rest[KEPT - kept..].iter().for_each(|item| active.leave_out(*item));
    }
}

/// Shows the views of a run to its full codes.
fn join_views<const W: usize>(matcher: &Matcher<'_, W>, run: &[u32], active: &Active) {
    let fulls = run.iter().take_while(|item| !matcher.codes.is_view(**item)).count();
    let (fulls, views) = run.split_at(fulls);
    for full in fulls.iter().filter(|item| active.has(**item as usize)).take(PIVOTS) {
        views.iter().for_each(|view| matcher.ask(*full, *view, 0));
    }
}

/// Keeps one view of each group, and none where a full code of the group is the same.
fn thin_views<const W: usize>(matcher: &Matcher<'_, W>, run: &[u32], active: &Active) {
    let fulls = run.iter().take_while(|item| !matcher.codes.is_view(**item)).count();
    let (fulls, views) = run.split_at(fulls);
    let mut seen: std::collections::HashSet<u32> = fulls.iter().map(|full| matcher.root(*full)).collect();
    let mut kept = 0;
    for view in views {
        if !seen.insert(matcher.root(*view)) {
            active.leave_out(*view);
        } else if kept < KEPT {
            kept += 1;
        } else {
            active.leave_out(*view);
            matcher.cap(1);
        }
    }
}

/// The keys of the active codes of a run.
pub(super) fn active_keys<const W: usize>(
    key: &Key<W>,
    codes: &[[u64; W]],
    active: &Active,
    range: std::ops::Range<usize>,
    keys: &mut Vec<u32>,
) {
    key.of_all(&codes[range.clone()], keys);
    for (item, key) in range.zip(keys.iter_mut()) {
        if !active.has(item) {
            *key = super::table::LEFT_OUT;
        }
    }
}
