//! From texts to groups in one call.

use std::borrow::Cow;
use std::path::PathBuf;

use super::buckets::{Buckets, BucketsReport};
use super::options::MinHashError;
use super::shingles::jaccard;
use super::signature::{MinHasher, Scratch};
use crate::near::components::{DisjointSet, Row};

/// How [`group_texts`] goes about it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOptions {
    /// Candidates whose sets of shingles are less similar than this are not joined; `None` joins all candidates, as datatrove does.
    pub min_jaccard: Option<f64>,
    /// Threads that make signatures.
    pub threads: usize,
    /// Bytes of band keys held before they go to disk.
    pub memory_bytes: u64,
    /// Where they go; the system's temporary folder if `None`.
    pub folder: Option<PathBuf>,
}

impl Default for GroupOptions {
    /// Candidates are verified at 0.7, all threads, 1 GiB.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { min_jaccard: Some(0.7), threads, memory_bytes: 1 << 30, folder: None }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct GroupReport {
    /// Texts.
    pub texts: u64,
    /// Texts without a shingle: never grouped.
    pub without_signature: u64,
    /// What was found in the buckets.
    pub buckets: BucketsReport,
}

/// Joins in `groups` the rows whose texts are near-duplicates. `text(row)` gives the text of each row from 0 to `rows`, more than once where candidates are
/// verified.
///
/// # Errors
/// [`MinHashError`] for a similarity outside 0 to 1, for more rows than the groups have, and for disks that fail.
pub fn group_texts<'t, R: Row>(
    hasher: &MinHasher,
    rows: usize,
    text: impl Fn(usize) -> Cow<'t, str> + Sync,
    options: &GroupOptions,
    groups: &DisjointSet<R>,
) -> Result<GroupReport, MinHashError> {
    /// Texts that are signed between two writes.
    const BATCH: usize = 1 << 16;
    if let Some(similarity) = options.min_jaccard.filter(|s| !(0.0..=1.0).contains(s)) {
        return Err(MinHashError::Similarity(similarity));
    }
    if rows > groups.len() {
        return Err(MinHashError::NoSuchRow { row: groups.len() as u64, rows: groups.len() });
    }
    let mut report = GroupReport { texts: rows as u64, ..GroupReport::default() };
    let mut buckets = Buckets::new(options.memory_bytes, options.folder.as_deref());
    let threads = options.threads.max(1);
    let bands = hasher.options().bands;
    for start in (0..rows).step_by(BATCH) {
        let end = (start + BATCH).min(rows);
        let share = (end - start).div_ceil(threads);
        let signed: Vec<(Vec<u64>, Vec<u64>)> = std::thread::scope(|scope| {
            let handles: Vec<_> = (start..end)
                .step_by(share)
                .map(|from| {
                    let text = &text;
                    scope.spawn(move || {
                        let mut scratch = Scratch::default();
                        let (mut of, mut keys) = (Vec::new(), Vec::new());
                        for row in from..(from + share).min(end) {
                            if let Some(found) = hasher.band_keys(&text(row), &mut scratch) {
                                of.push(row as u64);
                                keys.extend(found);
                            }
                        }
                        (of, keys)
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        report.without_signature += (end - start) as u64;
        for (of, keys) in signed {
            report.without_signature -= of.len() as u64;
            for (row, keys) in of.iter().zip(keys.chunks_exact(bands)) {
                buckets.push(*row, keys)?;
            }
        }
    }
    let (mut one, mut two) = (Scratch::default(), Scratch::default());
    report.buckets = buckets.join(groups, |a, b| {
        options.min_jaccard.is_none_or(|least| {
            jaccard(hasher.shingles(&text(a as usize), &mut one), hasher.shingles(&text(b as usize), &mut two)) >= least
        })
    })?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;
    use crate::near::random::mix;

    fn texts() -> Vec<String> {
        let words =
            ["red", "fox", "snow", "boat", "harbour", "night", "tower", "dog", "green", "market", "old", "street", "camera", "lens"];
        (0..600_u64)
            .map(|row| {
                let of = row / 3;
                let mut text: Vec<&str> = (0..14).map(|k| words[(mix(of, k) % 14) as usize]).collect();
                // The second of three lacks the last word, the third has capitals and stops.
                if row % 3 == 1 {
                    text.pop();
                }
                if row % 3 == 2 { format!("{}!", text.join(", ")).to_uppercase() } else { text.join(" ") }
            })
            .collect()
    }

    #[test]
    fn copies_of_captions_are_found_and_threads_and_memory_change_nothing() {
        let texts = texts();
        for options in [Options::captions(), Options::words()] {
            let hasher = MinHasher::new(options).unwrap();
            let mut expected = None;
            for (threads, memory_bytes) in [(1, 0), (3, 1 << 24)] {
                let groups = DisjointSet::<u32>::new(texts.len()).unwrap();
                let options = GroupOptions { threads, memory_bytes, ..GroupOptions::default() };
                let report = group_texts(&hasher, texts.len(), |row| texts[row].as_str().into(), &options, &groups).unwrap();
                let labels = groups.labels();
                let whole = labels.iter().enumerate().filter(|(row, label)| **label as usize == row / 3 * 3).count();
                assert!(whole >= 594, "{whole} of 600 with their own");
                assert_eq!(expected.get_or_insert((labels.clone(), report)), &(labels, report));
            }
        }
    }

    #[test]
    fn short_texts_follow_the_stated_rule() {
        let texts = ["red fox", "Red fox!", "", "?"];
        for (options, expected) in [(Options::captions(), [0, 0, 2, 3]), (Options::datatrove(), [0, 1, 2, 3])] {
            let groups = DisjointSet::<u32>::new(4).unwrap();
            let hasher = MinHasher::new(options).unwrap();
            let report = group_texts(&hasher, 4, |row| texts[row].into(), &GroupOptions::default(), &groups).unwrap();
            assert_eq!(groups.labels(), expected);
            assert_eq!(report.without_signature, if expected[1] == 0 { 2 } else { 4 });
        }
    }
}
