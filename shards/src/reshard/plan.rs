//! The plan: which sample, and which copy of it, stands where in the output.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::input::InputShard;
use super::options::{Order, ReshardOptions, Sizes};
use super::pictures::ParquetShard;
use super::scan::{Found, Question, Scanned, scan};
use super::schema::{OutputSchema, Unified};
use super::store::{Sample, Store, StoreBuilder};
use super::{Keys, ReshardError};
use crate::subset::spill::Sorter;
use crate::subset::{Subset, Uid128};

/// Bytes of sort records that are held before they are spilled.
const SORT_BYTES: usize = 128 << 20;

/// What became of the samples of the inputs. `samples` is the sum of `selected` and of what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReshardCounts {
    /// Samples in the input shards that could be read.
    pub samples: u64,
    /// Samples that are written, once or several times.
    pub selected: u64,
    /// Samples of the output: selected ones, copies counted.
    pub copies: u64,
    /// Left out: not in the subset.
    pub not_in_subset: u64,
    /// Without a uid. They are left out where there is a subset or keys are made of uids, and written otherwise.
    pub no_uid: u64,
    /// Left out: an earlier sample had the same uid, which is written as often as the subset says and not more.
    pub duplicate_uid: u64,
    /// Rows of parquet shards without a picture: no samples, not counted as such.
    pub without_picture: u64,
    /// Files of tars that belong to no sample: passed over.
    pub other_members: u64,
    /// Different uids of the subset that no input shard has.
    pub missing_uids: u64,
}

/// A resharding that is planned: its output shards can be written in any order, in parallel, and again. Cheap to clone.
#[derive(Clone)]
pub struct Reshard {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: ReshardOptions,
    pub(super) inputs: Vec<InputShard>,
    pub(super) parquet: Vec<Option<ParquetShard>>,
    pub(super) store: Store,
    pub(super) schema: OutputSchema,
    pub(super) subset: Option<Arc<Subset>>,
    starts: Vec<u64>,
    counts: ReshardCounts,
    first_no_uid: Option<String>,
    failures: Vec<(String, ReshardError)>,
    identity: String,
}

impl std::fmt::Debug for Reshard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reshard").field("shards", &self.shards()).field("counts", &self.inner.counts).finish()
    }
}

impl Reshard {
    /// Scans the input shards and plans the output. Reads headers and tables, and JSON members only where nothing else
    /// gives a uid; no picture is read, but in parquet shards that do not say which rows have one.
    ///
    /// `subset` says which uids are wanted and how often; without one every sample is written once. A shard that is
    /// missing, short or broken is left out as a whole and listed by [`Reshard::failures`]: the caller decides whether to go
    /// on. Memory holds the tables of as many input shards as are scanned at a time, a bit for each uid of the subset, and
    /// 192 MiB of sorting; the plan itself lies in unnamed temporary files.
    ///
    /// # Errors
    /// Options that make no sense, and temporary files that cannot be written.
    pub async fn plan(inputs: Vec<InputShard>, subset: Option<Arc<Subset>>, options: ReshardOptions) -> Result<Self, ReshardError> {
        options.check()?;
        let handle = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let _guard = handle.enter();
            plan(inputs, subset, options)
        });
        work.await.map_err(|e| ReshardError::Plan(std::io::Error::other(e)))?
    }

    /// Output shards.
    pub fn shards(&self) -> usize {
        self.inner.starts.len() - 1
    }

    /// Name of an output shard, without an ending.
    pub fn name(&self, shard: usize) -> String {
        self.inner.options.names.name(shard)
    }

    /// Samples of an output shard; zero beyond the last.
    pub fn rows(&self, shard: usize) -> u64 {
        match self.inner.starts.get(shard..shard + 2) {
            Some([start, end]) => end - start,
            _ => 0,
        }
    }

    /// First place of an output shard in the whole output.
    pub(super) fn start(&self, shard: usize) -> u64 {
        self.inner.starts.get(shard).copied().unwrap_or_default()
    }

    /// What became of the samples of the inputs.
    pub fn counts(&self) -> &ReshardCounts {
        &self.inner.counts
    }

    /// The first sample without a usable uid, with its shard and the reason, for a warning.
    pub fn first_without_uid(&self) -> Option<&str> {
        self.inner.first_no_uid.as_deref()
    }

    /// Input shards that were left out, by name, with the reason.
    pub fn failures(&self) -> &[(String, ReshardError)] {
        &self.inner.failures
    }

    /// 32 hexadecimal characters over the inputs with their versions, the subset, the options and what failed: the same plan
    /// writes the same bytes. What the hook and the extra columns do is the caller's to add.
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }
}

fn plan(inputs: Vec<InputShard>, subset: Option<Arc<Subset>>, options: ReshardOptions) -> Result<Reshard, ReshardError> {
    let mut planner = Planner::new(&inputs, subset.as_deref(), &options)?;
    let handle = tokio::runtime::Handle::try_current().ok();
    let question = Question {
        subset: subset.as_deref(),
        group: match &options.order {
            Order::Grouped { by, .. } => Some(by),
            _ => None,
        },
        needs_uid: options.keys == Keys::UidAndCopy,
        needs_bytes: options.max_bytes.is_some(),
        caption: options.caption.as_deref(),
    };
    let threads = options.threads.max(1);
    for (group, some) in inputs.chunks(threads).enumerate() {
        let first = group * threads;
        // In the order of the inputs, whoever is done first.
        let scanned: Vec<Result<Scanned, ReshardError>> = std::thread::scope(|scope| {
            let (question, handle) = (&question, &handle);
            let start = |(at, input): (usize, &'_ _)| {
                let input: &InputShard = input;
                let input = input.clone();
                scope.spawn(move || {
                    let _guard = handle.as_ref().map(tokio::runtime::Handle::enter);
                    scan((first + at) as u32, &input, question)
                })
            };
            let threads: Vec<_> = some.iter().enumerate().map(start).collect();
            let lost = |at: usize| Err(ReshardError::shard(&some[at].uri, "the scan was given up"));
            threads.into_iter().enumerate().map(|(at, thread)| thread.join().unwrap_or_else(|_| lost(at))).collect()
        });
        for (at, scanned) in scanned.into_iter().enumerate() {
            let uri = &inputs[first + at].uri;
            match scanned.and_then(|scanned| planner.unified.add(uri, &scanned).map(|()| scanned)) {
                Ok(scanned) => planner.absorb(first + at, scanned).map_err(ReshardError::Plan)?,
                Err(error) => planner.failures.push((uri.clone(), error)),
            }
        }
    }
    planner.finish(inputs, subset.clone(), options.clone())
}

/// Bytes of a record that is sorted: group, hash, uid, copy, shard, place in the store, bytes, each big-endian.
const RECORD: usize = 64;

struct Planner {
    order: Order,
    store: StoreBuilder,
    sorter: Sorter<RECORD>,
    unified: Unified,
    /// A bit for each row of the subset: whether its uid has been found.
    seen: Vec<u64>,
    found: u64,
    counts: ReshardCounts,
    first_no_uid: Option<String>,
    failures: Vec<(String, ReshardError)>,
    parquet: Vec<Option<ParquetShard>>,
}

impl Planner {
    fn new(inputs: &[InputShard], subset: Option<&Subset>, options: &ReshardOptions) -> Result<Self, ReshardError> {
        Ok(Self {
            order: options.order.clone(),
            store: StoreBuilder::new(inputs.len()).map_err(ReshardError::Plan)?,
            sorter: Sorter::new(SORT_BYTES),
            unified: Unified::default(),
            seen: vec![0; subset.map_or(0, |subset| subset.len().div_ceil(64) as usize)],
            found: 0,
            counts: ReshardCounts::default(),
            first_no_uid: None,
            failures: Vec::new(),
            parquet: vec![None; inputs.len()],
        })
    }

    fn absorb(&mut self, shard: usize, scanned: Scanned) -> std::io::Result<()> {
        let counts = &mut self.counts;
        counts.samples += scanned.counts.samples;
        counts.not_in_subset += scanned.counts.not_in_subset;
        counts.no_uid += scanned.counts.no_uid;
        counts.without_picture += scanned.counts.without_picture;
        counts.other_members += scanned.counts.other_members;
        if self.first_no_uid.is_none() {
            self.first_no_uid = scanned.counts.first_no_uid;
        }
        self.parquet[shard] = scanned.parquet;
        if let Some(table) = scanned.table.filter(|table| table.num_rows() > 0) {
            self.store.table(shard, &table)?;
        }
        for found in scanned.samples {
            if let Some(row) = found.subset_row {
                let (word, bit) = (row / 64, 1_u64 << (row % 64));
                if self.seen[word] & bit != 0 {
                    self.counts.duplicate_uid += 1;
                    continue;
                }
                self.seen[word] |= bit;
                self.found += 1;
            }
            self.push(shard, &found)?;
        }
        Ok(())
    }

    fn push(&mut self, shard: usize, found: &Found) -> std::io::Result<()> {
        self.counts.selected += 1;
        self.counts.copies += u64::from(found.copies);
        let at = self.store.sample(&found.sample)?;
        for copy in 0..found.copies {
            let uid = name_of(&found.sample);
            let (group, hash, uid) = match self.order {
                Order::Input => (u128::from(self.sorter.count()), 0, 0),
                Order::Shuffled { seed } => (0, draw(seed, uid, copy), uid.0),
                Order::Grouped { seed, .. } => (found.group, draw(seed, uid, copy), uid.0),
            };
            let mut record = [0; RECORD];
            record[..16].copy_from_slice(&group.to_be_bytes());
            record[16..24].copy_from_slice(&hash.to_be_bytes());
            record[24..40].copy_from_slice(&uid.to_be_bytes());
            record[40..44].copy_from_slice(&copy.to_be_bytes());
            record[44..48].copy_from_slice(&(shard as u32).to_be_bytes());
            record[48..56].copy_from_slice(&at.to_be_bytes());
            record[56..].copy_from_slice(&found.bytes.to_be_bytes());
            self.sorter.push(record)?;
        }
        Ok(())
    }

    fn finish(mut self, inputs: Vec<InputShard>, subset: Option<Arc<Subset>>, options: ReshardOptions) -> Result<Reshard, ReshardError> {
        let total = self.sorter.count();
        let mut cut = Cut::new(options.sizes, options.max_bytes, total);
        let mut sorted = self.sorter.finish().map_err(ReshardError::Plan)?;
        while let Some(record) = sorted.next().map_err(ReshardError::Plan)? {
            let number = |from: usize| record[from..].first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            let copy = record[40..].first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            cut.next(number(56));
            self.store.entry(number(48), copy).map_err(ReshardError::Plan)?;
        }
        let starts = cut.finish();
        self.counts.missing_uids = subset.as_ref().map_or(0, |subset| subset.distinct() - self.found);
        let identity = identity(&inputs, subset.as_deref(), &options, &self.failures);
        let schema = self.unified.finish(&options)?;
        let inner = Inner {
            options,
            inputs,
            parquet: self.parquet,
            store: self.store.finish().map_err(ReshardError::Plan)?,
            schema,
            subset,
            starts,
            counts: self.counts,
            first_no_uid: self.first_no_uid,
            failures: self.failures,
            identity,
        };
        Ok(Reshard { inner: Arc::new(inner) })
    }
}

/// The uid that draws are made with: a sample that has none is drawn by its key.
fn name_of(sample: &Sample) -> Uid128 {
    sample.uid.unwrap_or_else(|| Uid128(xxh3_128(sample.key.as_bytes())))
}

/// `hash64(seed, uid, copy)`.
fn draw(seed: u64, uid: Uid128, copy: u32) -> u64 {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&uid.0.to_be_bytes());
    bytes[16..].copy_from_slice(&copy.to_le_bytes());
    xxh3_64_with_seed(&bytes, seed)
}

fn identity(inputs: &[InputShard], subset: Option<&Subset>, options: &ReshardOptions, failures: &[(String, ReshardError)]) -> String {
    let mut hash = blake3::Hasher::new();
    let mut add = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(&options.describe());
    for input in inputs {
        add(&format!("{input:?}"));
    }
    for (uri, _) in failures {
        add(uri);
    }
    if let Some(subset) = subset {
        for (uid, copies) in subset.counted() {
            hash.update(&uid.0.to_le_bytes());
            hash.update(&copies.to_le_bytes());
        }
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// Where output shards begin.
struct Cut {
    starts: Vec<u64>,
    sizes: Sizes,
    max_bytes: Option<u64>,
    /// Shards and samples, where all shards are equally full.
    equal: Option<(u64, u64)>,
    at: u64,
    bytes: u64,
}

impl Cut {
    fn new(sizes: Sizes, max_bytes: Option<u64>, total: u64) -> Self {
        let equal = match sizes {
            Sizes::Exact(_) => None,
            Sizes::Equal(most) => Some((total.div_ceil(most), total)),
            Sizes::Count(count) => Some((count.min(total), total)),
        };
        Self { starts: vec![0], sizes, max_bytes, equal, at: 0, bytes: 0 }
    }

    fn next(&mut self, bytes: u64) {
        let rows = self.at - self.starts.last().copied().unwrap_or_default();
        let full = match (self.equal, self.sizes) {
            // The first shards take what does not divide.
            (Some((shards, total)), _) => rows == total / shards + u64::from((self.starts.len() as u64) <= total % shards),
            (None, Sizes::Exact(size)) => rows == size,
            (None, _) => false,
        };
        let heavy = self.max_bytes.is_some_and(|most| self.bytes.saturating_add(bytes) > most);
        if rows > 0 && (full || heavy) {
            self.starts.push(self.at);
            self.bytes = 0;
        }
        self.at += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn finish(mut self) -> Vec<u64> {
        if self.at > 0 {
            self.starts.push(self.at);
        }
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(sizes: Sizes, max_bytes: Option<u64>, samples: &[u64]) -> Vec<u64> {
        let mut cut = Cut::new(sizes, max_bytes, samples.len() as u64);
        samples.iter().for_each(|&bytes| cut.next(bytes));
        cut.finish().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn shards_have_the_sizes_that_were_asked_for() {
        assert_eq!(sizes(Sizes::Exact(4), None, &[1; 10]), [4, 4, 2]);
        assert_eq!(sizes(Sizes::Exact(5), None, &[1; 10]), [5, 5]);
        assert_eq!(sizes(Sizes::Equal(4), None, &[1; 10]), [4, 3, 3]);
        assert_eq!(sizes(Sizes::Count(3), None, &[1; 11]), [4, 4, 3]);
        assert_eq!(sizes(Sizes::Count(5), None, &[1; 2]), [1, 1]);
        assert_eq!(sizes(Sizes::Exact(4), None, &[]), [0; 0]);
    }

    #[test]
    fn a_shard_ends_before_it_is_too_heavy() {
        assert_eq!(sizes(Sizes::Exact(3), Some(10), &[4, 4, 4, 1, 1, 1, 11, 2]), [2, 3, 1, 1, 1]);
    }
}
