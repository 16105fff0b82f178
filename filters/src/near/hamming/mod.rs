//! All pairs of codes within a Hamming distance, for groups or as a list.
//!
//! A row has one *full* code, and may have *view* codes (of its mirror image, of crops). Views are compared with fulls only: a picture that is
//! a crop of another has a full code near one of the other's views. Codes are a slice, so they may lie in a mapped file; what is held
//! besides them is one table at a time, in ranges that fit [`Options::memory_bytes`].
//!
//! How it goes: identical codes are collapsed to a few representatives. Then, table by table, some bits of every code make a key, codes of equal
//! key (or keys a few flips apart) are brought together by a partition and a sort, and compared by population count on runs of
//! 64-bit words. With multi-index hashing (few codes) the tables cover every pair; with sampled bits (many codes) they cover a stated share,
//! see [`PlanReport`]. Comparing costs a fraction of a nanosecond a pair, so the keys are short, the buckets large and the tables few.
//!
//! What the closure is asked: each candidate pair within the distance, with the rows, the roles and the distance; it answers whether the pair is an edge
//! (this is where pixels or thumbnails are compared). It is called from several threads, in no order, must depend on nothing but the
//! pair, and when [groups](group) are wanted it is not asked about rows that are connected already. Then the groups are the same for any order of
//! the codes, any number of threads and any memory limit.
//!
//! Crowds (a million identical or nearly identical logos) do not make the work quadratic: a crowded bucket is first joined around a few
//! pivots, what one group holds already is not compared again, and what is left is split by further bits; where even that does not
//! part them and the closure refuses them, only neighbours in code order are compared and [`Report::capped_pairs`] says how many pairs were not.

mod crowd;
mod identical;
mod kernel;
mod key;
mod matcher;
mod plan;
mod table;
mod tables;
#[cfg(test)]
mod tests;

use crate::near::components::DisjointSet;
pub use kernel::distance;
use matcher::Matcher;
pub use plan::{PlanReport, RecallAt};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum HammingError {
    /// The rows or roles are not as many as the codes.
    #[error("{codes} codes with {got} {what}")]
    Length {
        /// Codes.
        codes: usize,
        /// `rows` or `roles`.
        what: &'static str,
        /// How many there were.
        got: usize,
    },
    /// More codes than are numbered.
    #[error("{0} codes are more than one call takes (4294967294)")]
    TooManyCodes(usize),
    /// A row is outside the groups.
    #[error("row {row} of code {item} is outside the {rows} rows of the groups")]
    NoSuchRow {
        /// The row.
        row: u32,
        /// The code.
        item: usize,
        /// Rows of the groups.
        rows: usize,
    },
    /// The recall must be above 0 and below 1.
    #[error("a recall of {0} is not between 0 and 1 (ask for `Method::Exact` to find all)")]
    Recall(f64),
    /// No plan finds pairs so far apart.
    #[error("no plan finds pairs at distance {distance} of {code_bits} bits with recall {recall}")]
    NoPlan {
        /// The distance asked for.
        distance: u32,
        /// Bits of a code.
        code_bits: u32,
        /// The recall asked for.
        recall: f64,
    },
    /// Exact search needs a whole table in memory.
    #[error("exact search needs {needed} bytes for a table, and {budget} are left; allow more memory or ask for `Method::Sampled`")]
    Memory {
        /// Bytes of a table.
        needed: u64,
        /// Bytes allowed.
        budget: u64,
    },
    /// The memory allowed does not hold even what is kept per code.
    #[error("{budget} bytes are not enough: at least {needed} are held")]
    TooLittleMemory {
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        budget: u64,
    },
}

/// How pairs are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every pair as long as that is cheap, a stated share above that.
    #[default]
    Auto,
    /// Every pair, by multi-index hashing.
    Exact,
    /// A stated share, by tables of sampled bits.
    Sampled,
}

/// What to search and with what means.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Pairs differ in at most this many bits. PDQ's published threshold is 31 of 256; pHash users take 8 to 10 of 64.
    pub distance: u32,
    /// How pairs are searched.
    pub method: Method,
    /// The share of pairs at exactly [`distance`](Self::distance) that sampled tables must find (closer pairs: more), above 0, below 1.
    pub recall: f64,
    /// Threads.
    pub threads: usize,
    /// Bytes that may be held besides the codes, the rows, the roles and the groups. Scratch of a few MB a thread comes on top.
    pub memory_bytes: u64,
    /// Decides which bits the tables look at.
    pub seed: u64,
}

impl Options {
    /// Pairs within `distance`, by the method that suits, recall 0.95 at the distance where it is sampled, all threads, 2 GiB.
    pub fn new(distance: u32) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { distance, method: Method::Auto, recall: 0.95, threads, memory_bytes: 2 << 30, seed: 0 }
    }
}

impl Default for Options {
    /// PDQ's distance, 31.
    fn default() -> Self {
        Self::new(31)
    }
}

/// Codes of `64 * W` bits, each with its row and its role.
#[derive(Debug, Clone, Copy)]
pub struct Codes<'a, const W: usize> {
    pub(crate) codes: &'a [[u64; W]],
    pub(crate) rows: Option<&'a [u32]>,
    pub(crate) roles: Option<&'a [u8]>,
}

impl<'a, const W: usize> Codes<'a, W> {
    /// One full code for each of the rows `0..codes.len()`.
    pub fn of(codes: &'a [[u64; W]]) -> Self {
        Self { codes, rows: None, roles: None }
    }

    /// Codes with the row of each, in any order; rows may be missing, and a row may have several codes.
    ///
    /// # Errors
    /// [`HammingError::Length`].
    pub fn with_rows(self, rows: &'a [u32]) -> Result<Self, HammingError> {
        if rows.len() != self.codes.len() {
            return Err(HammingError::Length { codes: self.codes.len(), what: "rows", got: rows.len() });
        }
        Ok(Self { rows: Some(rows), ..self })
    }

    /// Codes with the role of each: 0 is a full code, every other value a view (the caller's number of it), compared with full codes only.
    ///
    /// # Errors
    /// [`HammingError::Length`].
    pub fn with_roles(self, roles: &'a [u8]) -> Result<Self, HammingError> {
        if roles.len() != self.codes.len() {
            return Err(HammingError::Length { codes: self.codes.len(), what: "roles", got: roles.len() });
        }
        Ok(Self { roles: Some(roles), ..self })
    }

    pub(crate) fn row(&self, item: u32) -> u32 {
        self.rows.map_or(item, |rows| rows[item as usize])
    }

    pub(crate) fn role(&self, item: u32) -> u8 {
        self.roles.map_or(0, |roles| roles[item as usize])
    }

    pub(crate) fn is_view(&self, item: u32) -> bool {
        self.role(item) != 0
    }

    /// An order of codes that depends on what they are and not on where they stand: by code, fulls first, then by row and view.
    pub(crate) fn rank(&self, item: u32) -> ([u64; W], bool, u32, u8) {
        (self.codes[item as usize], self.is_view(item), self.row(item), self.role(item))
    }
}

/// One end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The row.
    pub row: u32,
    /// The role of its code: 0 for the full code.
    pub role: u8,
    /// Where the code stands in the input.
    pub item: u32,
}

/// A pair of codes of two different rows within the distance; at least one end is a full code, and `a.row < b.row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The end with the smaller row.
    pub a: End,
    /// The other end.
    pub b: End,
    /// Bits that differ.
    pub distance: u32,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// The tables, and what they find.
    pub plan: PlanReport,
    /// Codes given.
    pub codes: u64,
    /// Codes left out of the tables because identical ones stood for them.
    pub identical: u64,
    /// Pairs that the closure was asked about. When groups are made by several threads this number changes a little from run to run.
    pub asked: u64,
    /// Of these, pairs that it accepted.
    pub accepted: u64,
    /// Buckets that were too crowded to be compared pair by pair.
    pub crowds: u64,
    /// Pairs in crowds that were not compared, at most (a crowd that several tables meet counts in each); 0 unless the closure refuses many pairs of nearly identical codes.
    pub capped_pairs: u64,
}

impl std::ops::Deref for Report {
    type Target = PlanReport;
    fn deref(&self) -> &PlanReport {
        &self.plan
    }
}

/// What [`group`] or [`pairs`] would do with `count` codes.
///
/// # Errors
/// As [`group`], as far as it depends on the options.
pub fn plan<const W: usize>(count: usize, options: &Options) -> Result<PlanReport, HammingError> {
    Ok(tables::plan::<W>(count, options)?.report)
}

/// Joins the rows of all pairs that `edge` accepts in `groups`; pairs of rows that are connected already are not looked at.
///
/// `groups` may hold edges of other kinds (of exact hashes, say) before and afterwards. See the [module](self) for what is promised.
///
/// # Errors
/// [`HammingError`] for input that does not fit together, and for plans that cannot be made.
pub fn group<const W: usize>(
    codes: &Codes<'_, W>,
    options: &Options,
    groups: &DisjointSet<u32>,
    edge: impl Fn(&Pair) -> bool + Sync,
) -> Result<Report, HammingError> {
    let rows = groups.len();
    if codes.rows.is_none() && codes.codes.len() > rows {
        return Err(HammingError::NoSuchRow { row: rows as u32, item: rows, rows });
    }
    if let Some(item) = codes.rows.and_then(|of| of.iter().position(|row| *row as usize >= rows)) {
        return Err(HammingError::NoSuchRow { row: codes.row(item as u32), item, rows });
    }
    run(codes, options, Some(groups), &edge)
}

/// Shows every pair that the plan finds to `visit`, once, whether or not the rows are connected by other pairs; its answer is only counted.
///
/// As many pairs as there are: a thousand alike codes are half a million pairs. More than 1 024 identical codes are shown as a star around
/// one of them, and crowded buckets of over 2^36 pairs are capped; [`Report::capped_pairs`] counts what was not shown.
///
/// # Errors
/// [`HammingError`] for input that does not fit together, and for plans that cannot be made.
pub fn pairs<const W: usize>(
    codes: &Codes<'_, W>,
    options: &Options,
    visit: impl Fn(&Pair) -> bool + Sync,
) -> Result<Report, HammingError> {
    run(codes, options, None, &visit)
}

fn run<const W: usize>(
    codes: &Codes<'_, W>,
    options: &Options,
    groups: Option<&DisjointSet<u32>>,
    edge: &(dyn Fn(&Pair) -> bool + Sync),
) -> Result<Report, HammingError> {
    let count = codes.codes.len();
    if count >= u32::MAX as usize {
        return Err(HammingError::TooManyCodes(count));
    }
    let plan = tables::plan::<W>(count, options)?;
    let matcher = Matcher::new(codes, options, groups, edge);
    let active = identical::collapse(&matcher);
    if W == 1 {
        tables::search::<W, 1>(&matcher, &plan, &active)
    } else {
        tables::search::<W, 2>(&matcher, &plan, &active)
    }
    Ok(matcher.report(plan.report, count, active.left_out()))
}
