//! `keep top`: the best rows of the pool by a score, exact at any size.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, Float64Array};

use crate::select::error::{Result, SelectError};
use crate::select::expression::Expression;
use crate::select::order::{Keys, key_of, nth_largest, value_of};
use crate::select::scan::{Fit, Judging, Step};

/// How many are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::select) enum Share {
    /// A fraction of so many rows, DataComp's way: of the values in descending order the one with the number ⌊fraction · rows⌋,
    /// from 0, is the threshold, and everything from it on is kept: one row more than the fraction, and more on ties.
    Fraction(f64),
    /// So many rows, and those that are equal to the last.
    Count(u64),
}

impl Share {
    /// The rank, from 0, of the value that is the threshold; `None` for all rows.
    pub(in crate::select) fn rank(self, rows: u64) -> Option<u64> {
        match self {
            // As Python's `int(rows * fraction)`.
            Self::Fraction(fraction) => Some((rows as f64 * fraction) as u64).filter(|&rank| rank < rows),
            Self::Count(count) => count.checked_sub(1),
        }
    }
}

/// Collects the keys of the rows that are in.
pub(in crate::select) struct TopFit {
    by: Arc<Expression>,
    lowest: bool,
    keys: Keys,
    /// Rows without a value.
    pub(in crate::select) without: u64,
    /// Rows with one.
    pub(in crate::select) with: u64,
}

fn key(values: &Float64Array, row: usize, lowest: bool) -> Option<u64> {
    let key = values.is_valid(row).then(|| key_of(values.value(row)))??;
    Some(if lowest { !key } else { key })
}

impl TopFit {
    pub(in crate::select) fn new(by: &Arc<Expression>, lowest: bool, spill: &Path) -> Result<Self> {
        Ok(Self { by: Arc::clone(by), lowest, keys: Keys::new(spill)?, without: 0, with: 0 })
    }
}

impl Fit for TopFit {
    const NAMES: bool = false;

    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let values = self.by.numbers(rows.batch)?;
        for row in rows.living() {
            match key(&values, row, self.lowest) {
                Some(key) => {
                    self.with += 1;
                    self.keys.push(key)?;
                }
                None => self.without += 1,
            }
        }
        Ok(())
    }
}

/// Keeps what reaches a threshold.
pub(in crate::select) struct TopStep {
    by: Arc<Expression>,
    lowest: bool,
    /// `None`: every value does.
    threshold: Option<u64>,
    keep_nulls: bool,
    no_value: Arc<str>,
    too_low: Arc<str>,
}

impl TopStep {
    /// From the fits of all threads. `rows` is what a fraction is taken of.
    pub(in crate::select) fn of_fits(
        stage: &str,
        fits: Vec<TopFit>,
        share: Share,
        rows: u64,
        keep_nulls: bool,
        sql: &str,
    ) -> Result<(Self, Option<f64>)> {
        let Some(first) = fits.first() else { return Err(SelectError::stage(stage, "no thread has looked at the rows")) };
        let (by, lowest) = (Arc::clone(&first.by), first.lowest);
        let keys = fits.into_iter().map(|fit| fit.keys).collect();
        let threshold = match share.rank(rows) {
            // A fraction of 0 keeps one row in DataComp's way of counting; nobody means that.
            _ if share == Share::Fraction(0.0) || share == Share::Count(0) => Some(u64::MAX),
            Some(rank) => nth_largest(keys, rank)?,
            None => None,
        };
        let value = threshold.filter(|&key| key != u64::MAX).map(|key| value_of(if lowest { !key } else { key }));
        let sign = if lowest { "<=" } else { ">=" };
        let reason = match value {
            Some(value) => format!("{sql} {sign} {value}"),
            None => format!("{sql}: none is taken"),
        };
        let (no_value, too_low) = (format!("{sql} is null or not a number").into(), reason.into());
        Ok((Self { by, lowest, threshold, keep_nulls, no_value, too_low }, value))
    }
}

impl Step for TopStep {
    fn columns(&self) -> Vec<String> {
        self.by.columns().to_vec()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let values = self.by.numbers(rows.batch)?;
        for row in rows.living() {
            match key(&values, row, self.lowest) {
                Some(key) if self.threshold.is_some_and(|threshold| key < threshold || threshold == u64::MAX) => {
                    let seen = rows.tells.then(|| values.value(row).to_string());
                    rows.exclude(row, &self.too_low, seen);
                }
                Some(_) => {}
                None if self.keep_nulls => {}
                None => rows.exclude(row, &self.no_value, None),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_fraction_is_counted_as_datacomp_does() {
        assert_eq!(Share::Fraction(0.3).rank(10), Some(3));
        assert_eq!(Share::Fraction(0.29).rank(100), Some(28), "int(100 * 0.29) is 28 in floating point");
        assert_eq!(Share::Fraction(1.0).rank(10), None, "where DataComp fails, everything is kept");
        assert_eq!(Share::Count(5).rank(10), Some(4));
    }
}
