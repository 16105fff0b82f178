//! Language rebalancing as in WebLI-100B: chosen languages get a stated share each, the rest shrinks alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The low-resource languages of WebLI-100B (arXiv 2502.07617), each brought to 1 % of the mix: Bengali, Filipino, Hindi, Hebrew,
/// Maori, Swahili, Telugu. The paper writes Hebrew as `iw`; name it here as the data does.
pub const WEBLI_LOW_RESOURCE: [&str; 7] = ["bn", "fil", "hi", "iw", "mi", "sw", "te"];

/// The share of each of [`WEBLI_LOW_RESOURCE`] in WebLI-100B's mix.
pub const WEBLI_SHARE: f64 = 0.01;

/// What can be wrong with the shares.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LanguageError {
    /// No language has a row.
    #[error("there are no rows to rebalance")]
    NoRows,
    /// A share is not between 0 and 1, both left out.
    #[error("the share of `{language}` is {share}: it must be above 0 and below 1")]
    Share {
        /// The language.
        language: String,
        /// What was given.
        share: f64,
    },
    /// A language that is to have a share has no rows.
    #[error("`{0}` is to have a share of the mix, but has no rows")]
    NoRowsOf(String),
    /// The shares leave no room for the rows of the other languages, or do not fill the mix where there are none.
    #[error("the shares add up to {total}: {}", if *others { "less than 1 must be left for the other languages" } else { "there are no other languages, so they must add up to 1" })]
    Total {
        /// Their sum.
        total: f64,
        /// Whether there are rows of other languages.
        others: bool,
    },
    /// A row of a language would be repeated more often than allowed.
    #[error("`{language}` needs a weight of {weight:.1} for its share, above the largest that is allowed, {most}")]
    Repeats {
        /// The language.
        language: String,
        /// The weight that its share asks for.
        weight: f64,
        /// The largest allowed.
        most: f64,
    },
}

/// One language before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageWeight {
    /// The language.
    pub language: String,
    /// Its rows.
    pub rows: u64,
    /// Its part of all rows, 0 to 1.
    pub share_before: f64,
    /// The weight of each of its rows; above 1 they repeat. [`super::Draw::copies`] makes copies of it.
    pub weight: f64,
    /// Its expected part of the mix, 0 to 1.
    pub share_after: f64,
}

/// The shares that languages are to have.
///
/// With `f_l` the part of language `l` in the rows and `t_l` its share: `weight = t_l / f_l` for the languages that are named, and
/// `(1 − Σt) / (1 − Σf)` for all others, so the expected number of rows stays what it is.
///
/// ```
/// use trommel_filters::balance::language::LanguageShares;
///
/// let shares = LanguageShares::equal(["sw", "te"], 0.01);
/// let table = shares.weights([("en", 9_900u64), ("sw", 60), ("te", 40)])?;
/// assert!((table[1].weight - 0.01 / 0.006).abs() < 1e-12);
/// assert!((table[0].weight - 0.98 / 0.99).abs() < 1e-12);
/// # Ok::<(), trommel_filters::balance::language::LanguageError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageShares {
    /// Language to share of the mix, above 0 and below 1.
    pub shares: BTreeMap<String, f64>,
    /// The largest weight that a language may get; none for any.
    #[serde(default)]
    pub max_weight: Option<f64>,
}

impl LanguageShares {
    /// The same share for each of these languages.
    pub fn equal<S: Into<String>>(languages: impl IntoIterator<Item = S>, share: f64) -> Self {
        Self { shares: languages.into_iter().map(|language| (language.into(), share)).collect(), max_weight: None }
    }

    /// WebLI-100B's: 1 % for each of [`WEBLI_LOW_RESOURCE`].
    pub fn webli_100b() -> Self {
        Self::equal(WEBLI_LOW_RESOURCE, WEBLI_SHARE)
    }

    /// The weights of all languages, sorted by language. A language that occurs twice is added up.
    pub fn weights<S: Into<String>>(&self, rows: impl IntoIterator<Item = (S, u64)>) -> Result<Vec<LanguageWeight>, LanguageError> {
        let mut counts = BTreeMap::<String, u64>::new();
        for (language, count) in rows {
            *counts.entry(language.into()).or_default() += count;
        }
        let all: u64 = counts.values().sum();
        if all == 0 {
            return Err(LanguageError::NoRows);
        }
        let mut named_rows = 0;
        for (language, share) in &self.shares {
            // A share that is no number fails the comparison too.
            if !(*share > 0.0 && *share < 1.0) {
                return Err(LanguageError::Share { language: language.clone(), share: *share });
            }
            match counts.get(language) {
                None | Some(0) => return Err(LanguageError::NoRowsOf(language.clone())),
                Some(count) => named_rows += count,
            }
        }
        let total: f64 = self.shares.values().sum();
        let others = all > named_rows;
        // Shares like 0.1 + 0.2 + 0.7 do not add up to 1 exactly.
        if (others && total >= 1.0 - 1e-12) || (!others && (total - 1.0).abs() > 1e-9) {
            return Err(LanguageError::Total { total, others });
        }
        let rest = if others { (1.0 - total) / ((all - named_rows) as f64 / all as f64) } else { 0.0 };
        counts
            .into_iter()
            .map(|(language, rows)| {
                let share_before = rows as f64 / all as f64;
                let weight = self.shares.get(&language).map_or(rest, |share| share / share_before);
                if let Some(most) = self.max_weight.filter(|most| weight > *most) {
                    return Err(LanguageError::Repeats { language, weight, most });
                }
                Ok(LanguageWeight { language, rows, share_before, weight, share_after: share_before * weight })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn webli() -> Vec<(&'static str, u64)> {
        // Seven languages with 0.814 % together, as the paper says of them.
        vec![
            ("en", 353_530),
            ("ja", 87_520),
            ("de", 550_810),
            ("bn", 2_670),
            ("fil", 1_000),
            ("hi", 2_000),
            ("iw", 1_400),
            ("mi", 10),
            ("sw", 560),
            ("te", 500),
        ]
    }

    #[test]
    fn webli_gives_each_low_resource_language_one_percent_and_the_rest_93() {
        let table = LanguageShares::webli_100b().weights(webli()).unwrap();
        for line in &table {
            let low = WEBLI_LOW_RESOURCE.contains(&line.language.as_str());
            if low {
                assert!((line.share_after - 0.01).abs() < 1e-15, "{line:?}");
                assert!((line.weight - 0.01 / line.share_before).abs() < 1e-12, "{line:?}");
            } else {
                assert!((line.weight - 0.93 / (1.0 - 0.00814)).abs() < 1e-12, "{line:?}");
            }
        }
        let mi = table.iter().find(|line| line.language == "mi").unwrap();
        assert!((mi.weight - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn shares_that_do_not_fit_are_errors() {
        let rows = || [("en", 90u64), ("sw", 10)];
        let error = |shares: LanguageShares| shares.weights(rows()).unwrap_err().to_string();
        assert_eq!(error(LanguageShares::equal(["te"], 0.1)), "`te` is to have a share of the mix, but has no rows");
        assert_eq!(error(LanguageShares::equal(["sw"], 0.0)), "the share of `sw` is 0: it must be above 0 and below 1");
        assert_eq!(error(LanguageShares::equal(["sw"], f64::NAN)), "the share of `sw` is NaN: it must be above 0 and below 1");
        assert_eq!(
            error(LanguageShares::equal(["sw", "en"], 0.4)),
            "the shares add up to 0.8: there are no other languages, so they must add up to 1"
        );
        assert_eq!(
            LanguageShares::equal(["sw", "te"], 0.5).weights([("sw", 1u64), ("te", 1), ("en", 8)]).unwrap_err().to_string(),
            "the shares add up to 1: less than 1 must be left for the other languages"
        );
        let capped = LanguageShares { max_weight: Some(4.0), ..LanguageShares::equal(["sw"], 0.5) };
        assert_eq!(error(capped), "`sw` needs a weight of 5.0 for its share, above the largest that is allowed, 4");
        assert_eq!(LanguageShares::default().weights([("en", 0u64)]).unwrap_err(), LanguageError::NoRows);
        assert!(LanguageShares::equal(["sw", "en"], 0.5).weights(rows()).is_ok());
    }

    proptest! {
        #[test]
        fn the_shares_come_out_and_the_number_of_rows_stays(counts in prop::collection::vec(1u64..100_000, 2..10), share in 0.001..0.3f64) {
            let rows: Vec<(String, u64)> = counts.iter().enumerate().map(|(i, n)| (format!("l{i}"), *n)).collect();
            let low: Vec<String> = rows.iter().take(rows.len() / 2).map(|row| row.0.clone()).take(3).collect();
            let table = LanguageShares::equal(low.clone(), share).weights(rows).unwrap();
            let all: f64 = counts.iter().sum::<u64>() as f64;
            prop_assert!((table.iter().map(|line| line.rows as f64 * line.weight).sum::<f64>() / all - 1.0).abs() < 1e-9);
            prop_assert!((table.iter().map(|line| line.share_after).sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(table.iter().filter(|line| low.contains(&line.language)).all(|line| (line.share_after - share).abs() < 1e-12));
        }
    }
}
