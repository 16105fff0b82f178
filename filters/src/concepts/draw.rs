//! Draws that are hashes, and the probability with which a text is kept.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{EntryCounts, EntryId, Error};

/// The probability that each entry keeps a text, `p_e = t / max(c_e, t)`, for one threshold `t` (MetaCLIP, arXiv 2309.16671).
///
/// `c_e` is the number of texts of the whole pool that match the entry `e`. An entry with fewer than `t` matches keeps all its
/// texts; one with more keeps `t` of them in expectation. A text is kept where any of its entries keeps it:
/// `P(keep) = 1 − Π (1 − p_e)`; a text without entries is dropped.
///
/// ```
/// use trommel_filters::concepts::{EntryCounts, KeepRule};
///
/// // The example of the published description: t = 20.
/// let rule = KeepRule::new(&EntryCounts::from(vec![100, 10, 40]), 20)?;
/// assert_eq!([0, 1, 2].map(|e| rule.of_entry(e)), [0.2, 1.0, 0.5]);
/// assert!((rule.probability(&[0, 2]) - 0.6).abs() < 1e-12);
/// assert_eq!(rule.probability(&[]), 0.0);
/// # Ok::<(), trommel_filters::concepts::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeepRule {
    probabilities: Vec<f64>,
    t: u64,
}

impl KeepRule {
    /// The rule for these counts and this threshold, at least 1.
    ///
    /// # Errors
    /// [`Error::Range`] for `t = 0`, which would drop everything.
    pub fn new(counts: &EntryCounts, t: u64) -> Result<Self, Error> {
        if t == 0 {
            return Err(Error::Range { name: "t", value: 0.0, range: "at least 1" });
        }
        let probabilities = counts.as_slice().iter().map(|&count| t as f64 / count.max(t) as f64).collect();
        Ok(Self { probabilities, t })
    }

    /// The threshold.
    pub fn t(&self) -> u64 {
        self.t
    }

    /// `p_e`, above 0 and at most 1; 0 for an entry that the counts do not have.
    pub fn of_entry(&self, entry: EntryId) -> f64 {
        self.probabilities.get(entry as usize).copied().unwrap_or(0.0)
    }

    /// `1 − Π (1 − p_e)` over the entries of a text, each given once; 0 for none.
    pub fn probability(&self, entries: &[EntryId]) -> f64 {
        1.0 - entries.iter().map(|&entry| 1.0 - self.of_entry(entry)).product::<f64>()
    }

    /// Whether a text with these entries is kept: whether `U < p_e` for any of them, with a `U` per entry from [`Draw::entry`].
    ///
    /// It depends on nothing but the arguments, so that neither order nor sharding matters, and a larger `t` keeps all that a
    /// smaller one keeps.
    pub fn keeps(&self, draw: &Draw, text_ix: u64, entries: &[EntryId]) -> bool {
        entries.iter().any(|&entry| draw.entry(text_ix, entry) < self.of_entry(entry))
    }
}

/// The draws of one sample: uniform numbers that are hashes of the seed, the sample's uid, the text's place and the entry.
///
/// `U = hash64(seed, uid, text_ix, entry) / 2⁶⁴`, of which the upper 53 bits are taken, so that `0 ≤ U < 1` exactly. The hash is
/// XXH3 with the seed over `"metaclip"` and the uid, whose 64 bits seed XXH3 over `text_ix` and `entry` (little endian, 8 and 4
/// bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    base: u64,
}

impl Draw {
    /// The draws of the sample with this uid (any bytes; by custom the 32 hex digits).
    pub fn new(seed: u64, uid: &[u8]) -> Self {
        let stage = xxh3_64_with_seed(b"metaclip", seed);
        Self { base: xxh3_64_with_seed(uid, stage) }
    }

    /// The number for an entry in the sample's text `text_ix` (from 0; 0 where a sample has one text), in `[0, 1)`.
    pub fn entry(&self, text_ix: u64, entry: EntryId) -> f64 {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&text_ix.to_le_bytes());
        bytes[8..].copy_from_slice(&entry.to_le_bytes());
        unit(xxh3_64_with_seed(&bytes, self.base))
    }

    /// One of a sample's texts, uniformly: of the given places, the one with the least hash. [`None`] where none is given.
    ///
    /// A place that is added or taken away changes the choice only where it is chosen itself.
    pub fn pick(&self, texts: impl IntoIterator<Item = u64>) -> Option<u64> {
        let base = xxh3_64(&self.base.to_le_bytes());
        texts.into_iter().min_by_key(|ix| (xxh3_64_with_seed(&ix.to_le_bytes(), base), *ix))
    }
}

/// The upper 53 bits as a number in `[0, 1)`.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// MetaCLIP 2's sampling: of a sample's texts that match at least one entry, one is picked uniformly, and it is kept as
/// [`KeepRule::keeps`] says. So at most one text per image.
///
/// Each text comes with its entries and with the rule of its language, [`None`] where the language has none (then it counts as a
/// text without entries). Returns the place of the text that is kept.
///
/// ```
/// use trommel_filters::concepts::{Draw, EntryCounts, KeepRule, keep_one};
///
/// let rule = KeepRule::new(&EntryCounts::from(vec![5]), 10)?;
/// let draw = Draw::new(0, b"1c0ffee");
/// assert_eq!(keep_one(&draw, [(None, [].as_slice()), (Some(&rule), &[]), (Some(&rule), &[0])]), Some(2));
/// # Ok::<(), trommel_filters::concepts::Error>(())
/// ```
pub fn keep_one<'a>(draw: &Draw, texts: impl IntoIterator<Item = (Option<&'a KeepRule>, &'a [EntryId])>) -> Option<u64> {
    let matched: Vec<_> = (0u64..)
        .zip(texts)
        .filter_map(|(ix, (rule, entries))| rule.filter(|_| !entries.is_empty()).map(|rule| (ix, rule, entries)))
        .collect();
    let picked = draw.pick(matched.iter().map(|text| text.0))?;
    let (ix, rule, entries) = matched.into_iter().find(|text| text.0 == picked)?;
    rule.keeps(draw, ix, entries).then_some(ix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(t: u64) -> KeepRule {
        KeepRule::new(&EntryCounts::from(vec![100, 10, 40]), t).unwrap()
    }

    #[test]
    fn probabilities_are_those_of_the_description() {
        // Golden values of the published description: t = 20, counts 100, 10, 40.
        let rule = rule(20);
        assert_eq!([0, 1, 2, 3].map(|e| rule.of_entry(e)), [0.2, 1.0, 0.5, 0.0]);
        assert!((rule.probability(&[0, 2]) - 0.6).abs() < 1e-12);
        assert_eq!(rule.probability(&[1, 0, 2]), 1.0);
        assert_eq!(rule.probability(&[]), 0.0);
        assert!(KeepRule::new(&EntryCounts::from(vec![1]), 0).is_err());
    }

    #[test]
    fn the_share_that_is_kept_is_the_probability() {
        let rule = rule(20);
        let share = |entries: &[EntryId]| {
            let kept = (0u64..20_000).filter(|i| rule.keeps(&Draw::new(7, &i.to_le_bytes()), 0, entries)).count();
            kept as f64 / 20_000.0
        };
        // Four standard deviations of a share of 20 000.
        assert!((share(&[0]) - 0.2).abs() < 0.0114);
        assert!((share(&[0, 2]) - 0.6).abs() < 0.0139);
        assert_eq!(share(&[0, 1]), 1.0);
        assert_eq!(share(&[]), 0.0);
    }

    #[test]
    fn draws_are_the_same_on_every_machine() {
        // Golden values of this crate: a change would draw other subsets for the same seed.
        let draw = Draw::new(3, b"139e4a9b22a614771f06c700a8ebe150");
        assert_eq!(draw, Draw::new(3, b"139e4a9b22a614771f06c700a8ebe150"));
        assert_ne!(draw, Draw::new(4, b"139e4a9b22a614771f06c700a8ebe150"));
        assert_ne!(draw.entry(0, 1), draw.entry(1, 0));
        assert_eq!(format!("{:.6} {:.6}", draw.entry(0, 0), draw.entry(1, 499_999)), GOLDEN);
    }

    const GOLDEN: &str = "0.969564 0.227544";

    #[test]
    fn each_text_is_picked_equally_often() {
        let mut counts = [0u32; 4];
        for i in 0u64..20_000 {
            let picked = Draw::new(1, &i.to_le_bytes()).pick([0, 1, 2, 3]).unwrap();
            counts[picked as usize] += 1;
        }
        // Four standard deviations of 20 000 draws at one quarter.
        assert!(counts.iter().all(|count| count.abs_diff(5000) < 245), "{counts:?}");
        assert_eq!(Draw::new(1, b"").pick([]), None);
    }

    #[test]
    fn version_two_keeps_one_text_at_most_and_only_a_matched_one() {
        let rule = rule(20);
        let mut kept = [0u32; 4];
        for i in 0u64..20_000 {
            let draw = Draw::new(1, &i.to_le_bytes());
            let texts: [(Option<&KeepRule>, &[EntryId]); 4] = [(Some(&rule), &[0]), (Some(&rule), &[]), (Some(&rule), &[1]), (None, &[1])];
            if let Some(ix) = keep_one(&draw, texts) {
                kept[ix as usize] += 1;
            }
        }
        // Half of the images pick each matched text; the first is kept one time in five.
        assert!(kept[0].abs_diff(2000) < 170 && kept[2].abs_diff(10_000) < 283, "{kept:?}");
        assert_eq!((kept[1], kept[3]), (0, 0));
    }

    proptest! {
        #[test]
        fn a_larger_t_keeps_a_superset(seed: u64, uid: u64, ix in 0u64..9, entries in proptest::collection::hash_set(0u32..3, 0..3), a in 1u64..120, b in 1u64..120) {
            let entries: Vec<_> = entries.into_iter().collect();
            let draw = Draw::new(seed, &uid.to_le_bytes());
            if rule(a.min(b)).keeps(&draw, ix, &entries) {
                prop_assert!(rule(a.max(b)).keeps(&draw, ix, &entries));
            }
        }

        #[test]
        fn the_order_of_entries_and_texts_does_not_matter(seed: u64, a in 0u64..50, b in 0u64..50) {
            let draw = Draw::new(seed, b"x");
            prop_assert_eq!(draw.pick([a, b]), draw.pick([b, a]));
            prop_assert_eq!(rule(20).keeps(&draw, a, &[0, 2]), rule(20).keeps(&draw, a, &[2, 0]));
        }
    }
}
