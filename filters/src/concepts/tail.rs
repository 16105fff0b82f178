//! The threshold `t`, and what share of the matches lies in the tail below it (MetaCLIP 2, arXiv 2507.22062).

use std::collections::BTreeMap;

use super::{EntryCounts, Error, LanguageCounts};

/// `t` of MetaCLIP's set of 400 M pairs, out of 1.6 G matched texts.
pub const T_400M: u64 = 20_000;
/// `t` of MetaCLIP's set of 2.5 G pairs, and of English in MetaCLIP 2: about 6 % of the matches are in the tail, as at 400 M.
pub const T_2_5B: u64 = 170_000;

/// `t_to_p`: the share of the matches that belong to entries with fewer than `t` of them, `p = Σ_{c_e < t} c_e / Σ c_e`.
///
/// Strictly fewer: an entry with exactly `t` is none of the tail. 0 where there are no matches at all.
///
/// ```
/// use trommel_filters::concepts::{EntryCounts, tail_share};
///
/// assert_eq!(tail_share(&EntryCounts::from(vec![1, 2, 3, 4]), 3), 0.3);
/// ```
pub fn tail_share(counts: &EntryCounts, t: u64) -> f64 {
    let total = counts.total();
    if total == 0 {
        return 0.0;
    }
    let tail: u128 = counts.as_slice().iter().filter(|count| **count < t).map(|count| u128::from(*count)).sum();
    tail as f64 / total as f64
}

/// `p_to_t`: the threshold whose tail share is nearest to `p`: with the counts sorted from the least, and `F` their running sum
/// over their sum, `t = c[argmin |F − p|]`, the first such place on a tie.
///
/// `F` at a place counts the entry at that place in, while [`tail_share`] leaves out entries with exactly `t`. So the two are not
/// inverses: `tail_share(counts, threshold_for_share(counts, p))` is below `p` by about the share of the entries with that very
/// count. It is so in MetaCLIP 2, and kept. `t` is 0 where the nearest place is an entry without matches (`p` near 0), and that
/// drops everything: take 1 then, as [`language_thresholds`] does.
///
/// [`None`] where there are no matches.
///
/// # Errors
/// [`Error::Range`] where `p` is not from 0 to 1.
pub fn threshold_for_share(counts: &EntryCounts, p: f64) -> Result<Option<u64>, Error> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::Range { name: "p", value: p, range: "from 0 to 1" });
    }
    let total = counts.total() as f64;
    if total == 0.0 {
        return Ok(None);
    }
    let mut sorted = counts.as_slice().to_vec();
    sorted.sort_unstable();
    let mut sum = 0u128;
    let mut best: Option<(f64, u64)> = None;
    for count in sorted {
        sum += u128::from(count);
        let distance = (sum as f64 / total - p).abs();
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, count));
        }
    }
    Ok(best.map(|(_, t)| t))
}

/// `t` of each language, so that the tail has the same share everywhere (MetaCLIP 2): `p` is the tail share of the language
/// `reference` (`en`) at `t_reference`; the reference keeps `t_reference` exactly, and every other language gets
/// [`threshold_for_share`] of `p`, at least 1.
///
/// Languages without matches get 1; nothing there can be kept or dropped.
///
/// # Errors
/// [`Error::UnknownLanguage`] where the reference has no counts.
pub fn language_thresholds(counts: &LanguageCounts, reference: &str, t_reference: u64) -> Result<BTreeMap<String, u64>, Error> {
    let english = counts.get(reference).ok_or_else(|| Error::UnknownLanguage(reference.to_owned()))?;
    let p = tail_share(english, t_reference);
    let threshold = |(language, counts): (&str, &EntryCounts)| {
        let t = if language == reference { t_reference } else { threshold_for_share(counts, p)?.unwrap_or(1).max(1) };
        Ok((language.to_owned(), t))
    };
    counts.iter().map(threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(counts: &[u64]) -> EntryCounts {
        EntryCounts::from(counts.to_vec())
    }

    #[test]
    fn the_boundary_is_out_of_the_share_and_in_the_threshold() {
        let c = counts(&[4, 1, 3, 2]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|t| tail_share(&c, t)), [0.0, 0.0, 0.1, 0.3, 0.6, 1.0]);
        // Running sums 0.1, 0.3, 0.6, 1.0.
        assert_eq!([0.0, 0.1, 0.3, 0.44, 0.46, 1.0].map(|p| threshold_for_share(&c, p).unwrap()), [1, 1, 2, 2, 3, 4].map(Some));
        assert_eq!(tail_share(&c, threshold_for_share(&c, 0.3).unwrap().unwrap()), 0.1);
    }

    #[test]
    fn no_matches_have_no_threshold() {
        assert_eq!(threshold_for_share(&counts(&[0, 0]), 0.1).unwrap(), None);
        assert_eq!(tail_share(&counts(&[]), 5), 0.0);
        assert_eq!(threshold_for_share(&counts(&[0, 5]), 0.0).unwrap(), Some(0));
        assert!(threshold_for_share(&counts(&[1]), f64::NAN).is_err());
        assert!(threshold_for_share(&counts(&[1]), 1.5).is_err());
    }

    #[test]
    fn english_keeps_its_t_and_the_others_its_tail_share() {
        let mut languages = LanguageCounts::default();
        *languages.table("en", 4) = counts(&[10, 20, 30, 40]);
        *languages.table("de", 4) = counts(&[1, 2, 3, 4]);
        *languages.table("xx", 2) = counts(&[0, 0]);
        let t = language_thresholds(&languages, "en", 25).unwrap();
        // p = 0.3; German's running sum is 0.3 at the count 2.
        assert_eq!(t, BTreeMap::from([("en".into(), 25), ("de".into(), 2), ("xx".into(), 1)]));
        assert!(matches!(language_thresholds(&languages, "fr", 25), Err(Error::UnknownLanguage(_))));
    }

    proptest! {
        #[test]
        fn no_other_place_is_nearer(c in proptest::collection::vec(0u64..50, 1..20), p in 0.0..1.0f64) {
            let c = counts(&c);
            let Some(t) = threshold_for_share(&c, p).unwrap() else { return Ok(()) };
            let mut sorted = c.as_slice().to_vec();
            sorted.sort_unstable();
            let total: u64 = sorted.iter().sum();
            let f: Vec<f64> = sorted.iter().scan(0, |sum, x| { *sum += x; Some(*sum as f64 / total as f64) }).collect();
            let best = (0..f.len()).fold(0, |best, i| if (f[i] - p).abs() < (f[best] - p).abs() { i } else { best });
            prop_assert_eq!(t, sorted[best]);
        }
    }
}
