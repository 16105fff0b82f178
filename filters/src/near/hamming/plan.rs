//! What to search, and what will be missed.

use super::key::Key;
use super::{HammingError, Method, Options};
use crate::near::random::{mix, order};

/// Nanoseconds, measured on one core at 3 GHz with AVX-512: they only weigh one plan against another.
const NS_PLACE: f64 = 50.0;
const NS_COMPARE: f64 = 0.2;
/// A code against a bucket, whatever its size.
const NS_QUERY: f64 = 6.0;
const NS_BUCKETS: f64 = 25.0;
const NS_KEY: f64 = 2.0;
/// See [`widest`].
const MAX_KEY_BITS: u32 = 24;
const MAX_TABLES: u32 = 4096;
/// A plan for all pairs that takes no longer than this on one core is taken without looking for a cheaper one.
const CHEAP_NS: f64 = 20e9;

/// How many of the pairs at one distance a plan finds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RecallAt {
    /// Bits that differ.
    pub distance: u32,
    /// The share found, 0 to 1, over the draw of the tables.
    pub recall: f64,
}

/// A plan, as a report shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlanReport {
    /// Whether every pair within the distance is found: by the pigeonhole principle, not by chance.
    pub exact: bool,
    /// Bits of a code.
    pub code_bits: u32,
    /// The largest distance of a pair.
    pub distance: u32,
    /// Tables that are built, one after another.
    pub tables: u32,
    /// Bits of a key: the smallest and the largest table.
    pub key_bits: (u32, u32),
    /// Bits in which the keys of a pair may differ: the smallest and the largest.
    pub key_radius: (u32, u32),
    /// The share of pairs that is found, by distance from 0 to [`distance`](Self::distance). Tables of one permutation share no
    /// bit, which finds slightly more than this formula for independent tables says, so it is a lower bound.
    pub recall: Vec<RecallAt>,
    /// What the plan costs on one core by the model that chose it, in seconds; good for comparing plans, not for promises.
    pub estimated_core_seconds: f64,
}

/// A plan: the tables, and what they find.
#[derive(Debug, Clone)]
pub(super) struct Plan<const W: usize> {
    pub(super) tables: Vec<Key<W>>,
    pub(super) report: PlanReport,
}

impl<const W: usize> Plan<W> {
    /// The cheapest plan for `count` codes of which no more than `tables_bytes` of table may be held.
    ///
    /// Exact: cut the code into m pieces with radii t_i, such that `Σ (t_i + 1) > distance`; then two codes within the distance agree within
    /// t_i bits in at least one piece (multi-index hashing, Norouzi, Punjani, Fleet 2012; with unequal radii). Sampled: tables of k bits,
    /// in which a pair at distance d meets with probability `Π_{i<k} (B - d - i) / (B - i)` (Indyk and Motwani 1998).
    pub(super) fn choose(count: usize, options: &Options, whole_table_bytes: u64, table_budget: u64) -> Result<Self, HammingError> {
        let bits = 64 * W as u32;
        let n = count.max(1) as f64;
        let exact = (1..=options.distance + 1)
            .filter_map(|pieces| Pieces::cut(bits, options.distance, pieces, widest(count)))
            .min_by(|a, b| a.cost(n).total_cmp(&b.cost(n)));
        let fits = whole_table_bytes <= table_budget;
        let sampled = (6..=widest(count).max(6).min(bits / 2))
            .filter_map(|k| Sampled::cut(bits, options, k))
            .min_by(|a, b| a.cost(n).total_cmp(&b.cost(n)));
        let exact_plan = |pieces: Pieces| Self::of_pieces(&pieces, options, n);
        match (options.method, exact, sampled) {
            (Method::Exact, Some(pieces), _) if fits || pieces.radius == 0 => Ok(exact_plan(pieces)),
            (Method::Exact, Some(_), _) => Err(HammingError::Memory { needed: whole_table_bytes, budget: table_budget }),
            (Method::Auto, Some(pieces), sampled) if fits => {
                let cost = pieces.cost(n);
                match sampled {
                    Some(sampled) if cost > CHEAP_NS && cost > 2.0 * sampled.cost(n) => Ok(Self::of_sample(&sampled, options, n)),
                    _ => Ok(exact_plan(pieces)),
                }
            }
            (Method::Auto | Method::Sampled, _, Some(sampled)) => Ok(Self::of_sample(&sampled, options, n)),
            _ => Err(HammingError::NoPlan { distance: options.distance, code_bits: bits, recall: options.recall }),
        }
    }

    fn of_pieces(pieces: &Pieces, options: &Options, n: f64) -> Self {
        // Which bits go together is drawn: neighbouring bits of a hash depend on each other, and a drawn piece spreads the codes better.
        let positions = order(mix(options.seed, 0x9e1), 64 * W);
        let mut rest = positions.as_slice();
        let mut tables = Vec::new();
        for (width, radius) in pieces.list() {
            let (piece, after) = rest.split_at(width as usize);
            tables.push(Key::new(piece.iter().copied().take(pieces.widest as usize), radius));
            rest = after;
        }
        let recall = (0..=options.distance).map(|distance| RecallAt { distance, recall: 1.0 }).collect();
        Self::with(tables, true, recall, options, pieces.cost(n))
    }

    fn of_sample(sampled: &Sampled, options: &Options, n: f64) -> Self {
        let a_round = 64 * W / sampled.key_bits as usize;
        let mut tables = Vec::with_capacity(sampled.tables as usize);
        let mut round = 0;
        while tables.len() < sampled.tables as usize {
            let positions = order(mix(options.seed, 0x5a3 + round), 64 * W);
            let wanted = a_round.min(sampled.tables as usize - tables.len());
            tables.extend(positions.chunks_exact(sampled.key_bits as usize).take(wanted).map(|piece| Key::new(piece.iter().copied(), 0)));
            round += 1;
        }
        let recall = (0..=options.distance)
            .map(|distance| {
                let meet = meets(64 * W as u32, distance, sampled.key_bits);
                RecallAt { distance, recall: 1.0 - (1.0 - meet).powi(sampled.tables as i32) }
            })
            .collect();
        Self::with(tables, false, recall, options, sampled.cost(n))
    }

    fn with(tables: Vec<Key<W>>, exact: bool, recall: Vec<RecallAt>, options: &Options, cost_ns: f64) -> Self {
        let span = |of: fn(&Key<W>) -> u32| {
            let values = || tables.iter().map(of);
            (values().min().unwrap_or(0), values().max().unwrap_or(0))
        };
        let report = PlanReport {
            exact,
            code_bits: 64 * W as u32,
            distance: options.distance,
            tables: tables.len() as u32,
            key_bits: span(|key| key.bits),
            key_radius: span(|key| key.radius),
            recall,
            estimated_core_seconds: cost_ns / 1e9,
        };
        Self { tables, report }
    }
}

/// The widest key that so many codes can use: 16 keys for each code, and a limit, because the places of all buckets are held.
pub(super) fn widest(count: usize) -> u32 {
    (count.max(2).ilog2() + 4).min(MAX_KEY_BITS)
}

/// The probability that two codes of `bits` bits at `distance` agree in `k` sampled bits.
pub(super) fn meets(bits: u32, distance: u32, k: u32) -> f64 {
    (0..k).map(|i| f64::from((bits - i).saturating_sub(distance)) / f64::from(bits - i)).product()
}

/// How many keys lie within `radius` of a key, itself included.
fn ball(bits: u32, radius: u32) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for i in 0..radius {
        term *= f64::from(bits - i) / f64::from(i + 1);
        sum += term;
    }
    sum
}

fn table_cost(n: f64, bits: u32, radius: u32) -> f64 {
    let buckets = (f64::from(bits).exp2()).min(n);
    let half_ball = ball(bits, radius) / 2.0;
    n * NS_PLACE
        + f64::from(bits).exp2() * NS_KEY
        + n * n / f64::from(bits).exp2() * half_ball * NS_COMPARE
        + n * (half_ball + 0.5) * NS_QUERY
        + buckets * (half_ball + 0.5) * NS_BUCKETS
}

/// A code cut into pieces for exact search: `wide` of them allow `radius` bits, the others one less.
#[derive(Debug)]
struct Pieces {
    bits: u32,
    pieces: u32,
    radius: u32,
    wide: u32,
    /// A key has at most so many bits of its piece; the rest may differ as it likes.
    widest: u32,
}

impl Pieces {
    fn cut(bits: u32, distance: u32, pieces: u32, widest: u32) -> Option<Self> {
        // Σ (t_i + 1) = distance + 1, shared as evenly as it goes.
        let (each, more) = ((distance + 1) / pieces, (distance + 1) % pieces);
        let radius = if more == 0 { each - 1 } else { each };
        let wide = if more == 0 { pieces } else { more };
        // Three flips of 24 bits are 2 324 neighbours of each bucket.
        (pieces <= bits && radius <= 3).then_some(Self { bits, pieces, radius, wide, widest })
    }

    /// Width and radius of every piece; the widths differ by at most one, the wide ones where the radius is larger.
    fn list(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (width, more) = (self.bits / self.pieces, self.bits % self.pieces);
        (0..self.pieces).map(move |i| (width + u32::from(i < more), if i < self.wide { self.radius } else { self.radius - 1 }))
    }

    fn cost(&self, n: f64) -> f64 {
        self.list().map(|(width, radius)| table_cost(n, width.min(self.widest), radius)).sum()
    }
}

/// Tables of sampled bits.
#[derive(Debug)]
struct Sampled {
    key_bits: u32,
    tables: u32,
}

impl Sampled {
    fn cut(bits: u32, options: &Options, key_bits: u32) -> Option<Self> {
        let meet = meets(bits, options.distance, key_bits);
        // One table finds all pairs at distance 0.
        let tables = ((1.0 - options.recall).ln() / (-meet).ln_1p()).ceil().max(1.0);
        (tables <= f64::from(MAX_TABLES)).then_some(Self { key_bits, tables: tables as u32 })
    }

    fn cost(&self, n: f64) -> f64 {
        f64::from(self.tables) * table_cost(n, self.key_bits, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_obey_the_pigeonhole() {
        for (bits, distance) in [(256, 31), (64, 8), (64, 10), (256, 0), (64, 3), (256, 90)] {
            for pieces in (1..=distance + 1).filter_map(|pieces| Pieces::cut(bits, distance, pieces, 20)) {
                assert_eq!(pieces.list().map(|(width, _)| width).sum::<u32>(), bits);
                assert!(pieces.list().map(|(_, radius)| radius + 1).sum::<u32>() > distance);
            }
        }
    }

    #[test]
    fn the_number_of_tables_reaches_the_recall_asked_for_at_the_distance() {
        let options = Options { method: Method::Sampled, recall: 0.95, ..Options::new(31) };
        let plan = Plan::<4>::choose(50_000_000, &options, 0, 0).unwrap();
        let at = plan.report.recall.last().unwrap();
        assert!(at.distance == 31 && at.recall >= 0.95 && at.recall < 0.97, "{at:?}");
        assert!(plan.report.recall.windows(2).all(|two| two[0].recall >= two[1].recall));
        assert_eq!(plan.report.recall[0].recall, 1.0);
    }
}
