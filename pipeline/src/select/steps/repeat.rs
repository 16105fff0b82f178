//! `sample` with repetition: soft-cap and hard-cap draws by a score. The one stage whose memory grows with the rows: 100 bytes
//! each, as every row is in every round.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;
use trommel_filters::balance::Draw;
use trommel_filters::balance::hard_cap::{HardCap, hard_cap};
use trommel_filters::balance::soft_cap::{SoftCap, soft_cap};

use crate::select::error::{Result, SelectError};
use crate::select::expression::Expression;
use crate::select::scan::{Fit, Judging, Step};
use crate::select::spec::Repeat;

/// A row in the draw.
#[derive(Clone, Copy)]
struct Entry {
    piece: u32,
    row: u32,
    uid: u128,
    score: f32,
}

/// Scores of the rows that are in.
pub(in crate::select) struct ScoreFit {
    by: Arc<Expression>,
    entries: Vec<Entry>,
}

impl ScoreFit {
    pub(in crate::select) fn new(by: &Arc<Expression>) -> Self {
        Self { by: Arc::clone(by), entries: Vec::new() }
    }
}

impl Fit for ScoreFit {
    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let scores = self.by.numbers(rows.batch)?;
        for row in rows.living() {
            let score = if scores.is_valid(row) { scores.value(row) as f32 } else { f32::NAN };
            self.entries.push(Entry { piece: rows.piece as u32, row: (rows.first + row) as u32, uid: rows.uid(row)?, score });
        }
        Ok(())
    }
}

/// Repeats rows as often as they were drawn.
pub(in crate::select) struct RepeatStep {
    /// By piece: rows in order, and how often each is taken.
    drawn: HashMap<u32, Vec<(u32, u32)>>,
    reason: Arc<str>,
}

impl RepeatStep {
    pub(in crate::select) fn of_fits(
        stage: &str,
        fits: Vec<ScoreFit>,
        target: u64,
        repeat: Repeat,
        draw: &Draw,
        threads: usize,
    ) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let mut entries: Vec<Entry> = fits.into_iter().flat_map(|fit| fit.entries).filter(|entry| entry.score.is_finite()).collect();
        entries.sort_unstable_by_key(|entry| (entry.piece, entry.row));
        let scores: Vec<f32> = entries.iter().map(|entry| entry.score).collect();
        let uids: Vec<u128> = entries.iter().map(|entry| entry.uid).collect();
        let times = match repeat {
            Repeat::SoftCap { alpha, round } => {
                soft_cap(draw, &scores, &uids, &SoftCap { target, per_round: round, alpha: f64::from(alpha), threads })
                    .map_err(|e| fail(&e))?
            }
            Repeat::HardCap { most } => hard_cap(draw, &scores, &uids, &HardCap { target, cap: most, threads }).map_err(|e| fail(&e))?,
        };
        let mut drawn: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
        for (entry, times) in entries.iter().zip(times).filter(|(_, times)| *times > 0) {
            drawn.entry(entry.piece).or_default().push((entry.row, times));
        }
        Ok(Self { drawn, reason: format!("not among the {target} draws").into() })
    }
}

impl Step for RepeatStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let none = Vec::new();
        let drawn = self.drawn.get(&(rows.piece as u32)).unwrap_or(&none);
        for row in rows.living() {
            let place = drawn.binary_search_by_key(&((rows.first + row) as u32), |(row, _)| *row);
            rows.repeat(row, place.map_or(0, |at| drawn[at].1), &self.reason, || None);
        }
        Ok(())
    }
}
