//! `sample`: a fraction by a draw for each row, or an exact number of rows by the smallest draws.

use std::path::Path;
use std::sync::Arc;

use arrow::array::Array;
use trommel_filters::balance::Draw;

use crate::select::error::{Result, SelectError};
use crate::select::expression::Expression;
use crate::select::order::{Keys, key_of, nth_largest};
use crate::select::scan::{Fit, Judging, Step};

/// Keeps each row with the same probability: a larger fraction keeps a superset.
pub(in crate::select) struct FractionStep {
    pub(in crate::select) draw: Draw,
    pub(in crate::select) fraction: f64,
    pub(in crate::select) reason: Arc<str>,
}

impl Step for FractionStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        for row in rows.living() {
            if !self.draw.keep(self.fraction, rows.uid(row)?) {
                rows.exclude(row, &self.reason, None);
            }
        }
        Ok(())
    }
}

/// The key of a row's draw: uniform, or, with a weight, so that the largest keys are a draw without replacement in
/// proportion to the weights (Gumbel's trick on the logarithm of the weight).
fn key(draw: &Draw, uid: u128, weight: Option<f64>) -> Option<u64> {
    match weight {
        None => Some(draw.row(uid).bits(0)),
        Some(weight) if weight > 0.0 && weight.is_finite() => key_of(weight.ln() + draw.gumbel(uid, 0)),
        Some(_) => None,
    }
}

/// Draws of the rows that are in.
pub(in crate::select) struct DrawFit {
    draw: Draw,
    weight: Option<Arc<Expression>>,
    keys: Keys,
}

impl DrawFit {
    pub(in crate::select) fn new(draw: Draw, weight: Option<&Arc<Expression>>, spill: &Path) -> Result<Self> {
        Ok(Self { draw, weight: weight.map(Arc::clone), keys: Keys::new(spill)? })
    }
}

/// The weights of a batch: negative, null and NaN weights are never drawn.
fn weights(weight: Option<&Arc<Expression>>, rows: &Judging<'_>) -> Result<Option<arrow::array::Float64Array>> {
    weight.map(|weight| weight.numbers(rows.batch)).transpose()
}

fn weight_of(weights: Option<&arrow::array::Float64Array>, row: usize) -> Option<f64> {
    weights.map(|weights| if weights.is_valid(row) { weights.value(row) } else { 0.0 })
}

impl Fit for DrawFit {
    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let weights = weights(self.weight.as_ref(), rows)?;
        for row in rows.living() {
            if let Some(key) = key(&self.draw, rows.uid(row)?, weight_of(weights.as_ref(), row)) {
                self.keys.push(key)?;
            }
        }
        Ok(())
    }
}

/// Keeps the rows with the largest draws.
pub(in crate::select) struct CountStep {
    draw: Draw,
    weight: Option<Arc<Expression>>,
    threshold: Option<u64>,
    none: bool,
    reason: Arc<str>,
}

impl CountStep {
    pub(in crate::select) fn of_fits(stage: &str, fits: Vec<DrawFit>, count: u64) -> Result<Self> {
        let Some(first) = fits.first() else { return Err(SelectError::stage(stage, "no thread has looked at the rows")) };
        let (draw, weight) = (first.draw, first.weight.clone());
        let keys = fits.into_iter().map(|fit| fit.keys).collect();
        let threshold = match count.checked_sub(1) {
            Some(rank) => nth_largest(keys, rank)?,
            None => None,
        };
        Ok(Self { draw, weight, threshold, none: count == 0, reason: format!("not among the {count} that were drawn").into() })
    }
}

impl Step for CountStep {
    fn columns(&self) -> Vec<String> {
        self.weight.iter().flat_map(|weight| weight.columns().to_vec()).collect()
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let weights = weights(self.weight.as_ref(), rows)?;
        for row in rows.living() {
            let key = key(&self.draw, rows.uid(row)?, weight_of(weights.as_ref(), row));
            let drawn = !self.none && key.is_some_and(|key| self.threshold.is_none_or(|threshold| key >= threshold));
            if !drawn {
                rows.exclude(row, &self.reason, None);
            }
        }
        Ok(())
    }
}
