//! The corpus as a table of distinct patterns with their counts: mergeable, and the same in any order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use super::problem::{M4Error, M4Problem};
use super::utility::Utility;

/// Distinct patterns that a table takes unless told otherwise; about 64 bytes each.
const DEFAULT_LIMIT: usize = 8 << 20;

/// Entries of the front cache, which spares the hash table most look-ups.
const CACHE: usize = 1 << 10;

/// An integer that carries the bits of a pattern: bit k is attribute k, bit m + r is label r.
pub trait PatternBits: Copy + Send + Sync {
    /// The pattern.
    fn bits(self) -> u128;
}

macro_rules! pattern_bits {
    ($($int:ty),*) => {$(
        impl PatternBits for $int {
            #[inline]
            fn bits(self) -> u128 {
                u128::from(self)
            }
        }
    )*};
}

pattern_bits!(u8, u16, u32, u64, u128);

/// A pattern with its utility level: what has one weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) bits: u128,
    pub(super) level: u32,
}

impl Key {
    /// The pattern of a row, or what is wrong with it.
    #[inline]
    pub(super) fn of(utility: &Utility, mask: u128, row: usize, bits: u128, u: f32) -> Result<Self, M4Error> {
        if bits & !mask != 0 {
            return Err(M4Error::UnknownBit { row, bit: bits.ilog2(), known: mask.count_ones() as usize });
        }
        match utility.key(u) {
            Some(level) => Ok(Self { bits, level }),
            None => Err(M4Error::BadUtility { row, value: f64::from(u) }),
        }
    }

    /// Its place in a small table.
    #[inline]
    pub(super) fn slot(self, slots: usize) -> usize {
        let folded = self.bits as u64 ^ ((self.bits >> 64) as u64).rotate_left(32) ^ u64::from(self.level).rotate_left(17);
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % slots
    }
}

/// A multiplying hash: keys are bit sets, nobody's attack on a hash table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0.rotate_left(29) ^ value ^ 0x2545_f491_4f6c_dd1d) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835u128;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Table = HashMap<Key, u64, BuildHasherDefault<Fold>>;

/// One line of a table of counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatternCount {
    /// Attributes in bits 0 to m − 1, labels after them.
    pub bits: u128,
    /// The utility's level: its index, or the bits of an exact `f32`.
    pub level: u32,
    /// Rows with this pattern and level.
    pub count: u64,
}

/// How many rows have each distinct pattern of attributes, labels and utility level.
///
/// Counts are whole numbers, so tables of shards add up to the table of all rows in any order. It serialises as a sorted
/// list; memory is about 64 bytes per distinct pattern.
#[derive(Clone, Debug)]
pub struct PatternCounts {
    shape: Shape,
    limit: usize,
    rows: u64,
    table: Table,
}

/// What two tables must share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shape {
    attributes: Vec<String>,
    labels: Vec<String>,
    utility: Utility,
}

impl Shape {
    fn of(problem: &M4Problem) -> Self {
        let options = problem.options();
        Self {
            attributes: options.attributes.iter().map(|a| a.name.clone()).collect(),
            labels: options.labels.clone(),
            utility: options.utility,
        }
    }

    fn mask(&self) -> u128 {
        u128::MAX >> (128 - self.attributes.len() - self.labels.len())
    }
}

impl PatternCounts {
    /// An empty table for the attributes, labels and utility levels of `problem`; at most 8 Mi distinct patterns.
    ///
    /// Targets, limits and rates of the problem do not matter here: one table serves any of them.
    pub fn new(problem: &M4Problem) -> Self {
        Self { shape: Shape::of(problem), limit: DEFAULT_LIMIT, rows: 0, table: Table::default() }
    }

    /// Sets the number of distinct patterns beyond which adding is [`M4Error::TooManyPatterns`].
    #[must_use]
    pub fn with_limit(mut self, patterns: usize) -> Self {
        self.limit = patterns;
        self
    }

    /// Counts rows. `utilities` is needed, one per row, where the problem uses them.
    ///
    /// An error may leave some of the rows counted.
    pub fn add_rows<B: PatternBits>(&mut self, rows: &[B], utilities: Option<&[f32]>) -> Result<(), M4Error> {
        let utility = self.shape.utility;
        let utilities = utilities_of(&utility, rows.len(), utilities)?;
        counted(&utility, self.shape.mask(), rows, utilities, |key, count| self.add(key, count))
    }

    /// [`PatternCounts::add_rows`] on so many threads; the result is the same.
    pub fn add_rows_on<B: PatternBits>(&mut self, rows: &[B], utilities: Option<&[f32]>, threads: usize) -> Result<(), M4Error> {
        utilities_of(&self.shape.utility, rows.len(), utilities)?;
        let size = rows.len().div_ceil(threads.max(1)).max(1);
        let empty = || Self { shape: self.shape.clone(), limit: self.limit, rows: 0, table: Table::default() };
        let parts = std::thread::scope(|scope| {
            let parts: Vec<_> = rows
                .chunks(size)
                .enumerate()
                .map(|(i, part)| {
                    let mut counts = empty();
                    let utilities = utilities.map(|u| &u[i * size..][..part.len()]);
                    scope.spawn(move || counts.add_rows(part, utilities).map(|()| counts).map_err(|error| error.shifted(i * size)))
                })
                .collect();
            parts.into_iter().map(joined).collect::<Vec<_>>()
        });
        for part in parts {
            self.merge(&part?)?;
        }
        Ok(())
    }

    /// Adds the rows of another table.
    pub fn merge(&mut self, other: &Self) -> Result<(), M4Error> {
        if self.shape != other.shape {
            return Err(M4Error::OtherProblem);
        }
        other.table.iter().try_for_each(|(key, count)| self.add(*key, *count))
    }

    /// Rows counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Distinct patterns.
    pub fn patterns(&self) -> usize {
        self.table.len()
    }

    /// All lines, sorted by pattern and level.
    pub fn sorted(&self) -> Vec<PatternCount> {
        let mut lines: Vec<PatternCount> =
            self.table.iter().map(|(key, count)| PatternCount { bits: key.bits, level: key.level, count: *count }).collect();
        lines.sort_unstable_by_key(|line| (line.bits, line.level));
        lines
    }

    pub(super) fn belongs_to(&self, problem: &M4Problem) -> Result<(), M4Error> {
        if self.shape == Shape::of(problem) { Ok(()) } else { Err(M4Error::OtherProblem) }
    }

    #[inline]
    fn add(&mut self, key: Key, count: u64) -> Result<(), M4Error> {
        self.rows += count;
        let full = self.table.len() >= self.limit;
        match self.table.entry(key) {
            Entry::Occupied(mut entry) => *entry.get_mut() += count,
            Entry::Vacant(_) if full => return Err(M4Error::TooManyPatterns(self.limit)),
            Entry::Vacant(entry) => {
                entry.insert(count);
            }
        }
        Ok(())
    }
}

/// Hands rows on with repeats taken together, as far as a small cache goes: few patterns make up most rows.
///
/// The order and the parts depend on the rows of this call alone.
pub(super) fn counted<B: PatternBits>(
    utility: &Utility,
    mask: u128,
    rows: &[B],
    utilities: Option<&[f32]>,
    mut each: impl FnMut(Key, u64) -> Result<(), M4Error>,
) -> Result<(), M4Error> {
    let mut cache = vec![(Key::default(), 0u64); CACHE];
    for (row, pattern) in rows.iter().enumerate() {
        let key = Key::of(utility, mask, row, pattern.bits(), utilities.map_or(1.0, |u| u[row]))?;
        let entry = &mut cache[key.slot(CACHE)];
        if entry.0 == key {
            entry.1 += 1;
        } else {
            let (old, count) = std::mem::replace(entry, (key, 1));
            if count > 0 {
                each(old, count)?;
            }
        }
    }
    cache.into_iter().filter(|entry| entry.1 > 0).try_for_each(|(key, count)| each(key, count))
}

/// Checks that utilities are there where they are needed and line up with the rows.
pub(super) fn utilities_of<'a>(utility: &Utility, rows: usize, given: Option<&'a [f32]>) -> Result<Option<&'a [f32]>, M4Error> {
    match given {
        Some(utilities) if utilities.len() != rows => Err(M4Error::Lengths { rows, utilities: utilities.len() }),
        None if utility.is_used() => Err(M4Error::MissingUtility),
        given => Ok(given),
    }
}

/// The result of a thread; its panic goes on here.
pub(super) fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl M4Error {
    /// The same error with the row counted from the start of a larger slice.
    pub(super) fn shifted(self, by: usize) -> Self {
        match self {
            Self::UnknownBit { row, bit, known } => Self::UnknownBit { row: row + by, bit, known },
            Self::BadUtility { row, value } => Self::BadUtility { row: row + by, value },
            other => other,
        }
    }
}

/// The form on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    shape: Shape,
    patterns: Vec<PatternCount>,
}

impl Serialize for PatternCounts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { shape: self.shape.clone(), patterns: self.sorted() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PatternCounts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let stored = Stored::deserialize(deserializer)?;
        let bits = stored.shape.attributes.len() + stored.shape.labels.len();
        if stored.shape.attributes.is_empty() || bits > super::problem::MAX_BITS {
            return Err(D::Error::custom("a table of patterns has 1 to 128 attributes and labels"));
        }
        let mask = stored.shape.mask();
        let mut counts = Self { shape: stored.shape, limit: DEFAULT_LIMIT.max(stored.patterns.len()), rows: 0, table: Table::default() };
        for line in stored.patterns {
            if line.bits & !mask != 0 {
                return Err(D::Error::custom("a pattern has bits beyond the labels"));
            }
            counts.add(Key { bits: line.bits, level: line.level }, line.count).map_err(D::Error::custom)?;
        }
        Ok(counts)
    }
}
