//! Languages: those that a filter keeps, and the shares that `balance languages` gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use trommel_filters::balance::Draw;
use trommel_filters::balance::language::LanguageShares;
use trommel_filters::language::{FastText, default_detector};

use super::keep::rows_of;
use crate::select::error::{Result, SelectError};
use crate::select::expression::{text_at, text_column};
use crate::select::scan::{Fit, Judging, Step};
use crate::select::spec::Languages;

/// Keeps captions in some languages, as a detector sees them.
pub(in crate::select) struct LidStep {
    stage: String,
    text: String,
    languages: BTreeSet<String>,
    model: Option<FastText>,
    reason: Arc<str>,
}

impl LidStep {
    pub(in crate::select) fn new(stage: &str, model: Option<&str>, text: &str, languages: &[String]) -> Result<Self> {
        let loaded = model.map(FastText::load).transpose().map_err(|e| SelectError::stage(stage, e))?;
        let reason = format!("lang({text}) in ('{}')", languages.join("', '")).into();
        Ok(Self { stage: stage.to_owned(), text: text.to_owned(), languages: languages.iter().cloned().collect(), model: loaded, reason })
    }
}

impl Step for LidStep {
    fn columns(&self) -> Vec<String> {
        vec![self.text.clone()]
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let living = rows.living();
        let batch = rows_of(rows.batch, &living, &self.stage)?;
        let texts = text_column(&batch, &self.text, &self.stage)?;
        for (at, &row) in living.iter().enumerate() {
            // A line is what fastText takes for a text.
            let text = text_at(texts, at).replace('\n', " ");
            let found = match &self.model {
                // Whatever the model says, as DataComp's baselines take it.
                Some(model) => model.predict(&text).map_or("", |(label, _)| label),
                None => default_detector().detect(&text).lang,
            };
            if !self.languages.contains(found) {
                rows.exclude(row, &self.reason, Some(found.to_owned()));
            }
        }
        Ok(())
    }
}

/// Rows by language.
pub(in crate::select) struct LanguageFit {
    stage: String,
    column: String,
    counts: BTreeMap<String, u64>,
}

impl LanguageFit {
    pub(in crate::select) fn new(stage: &str, column: &str) -> Self {
        Self { stage: stage.to_owned(), column: column.to_owned(), counts: BTreeMap::new() }
    }
}

impl Fit for LanguageFit {
    const NAMES: bool = false;

    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let languages = text_column(rows.batch, &self.column, &self.stage)?;
        for row in rows.living() {
            let language = text_at(languages, row);
            match self.counts.get_mut(language) {
                Some(count) => *count += u64::from(rows.copies(row)),
                None => {
                    self.counts.insert(language.to_owned(), u64::from(rows.copies(row)));
                }
            }
        }
        Ok(())
    }
}

/// Repeats and thins rows by their language.
pub(in crate::select) struct LanguageStep {
    stage: String,
    column: String,
    weights: BTreeMap<String, f64>,
    draw: Draw,
    weight: usize,
    reason: Arc<str>,
}

impl LanguageStep {
    pub(in crate::select) fn of_fits(
        stage: &str,
        spec: &Languages,
        fits: Vec<LanguageFit>,
        draw: Draw,
        weight: usize,
    ) -> Result<(Self, Value)> {
        let rows = fits.into_iter().flat_map(|fit| fit.counts);
        let shares = LanguageShares { shares: spec.shares.clone(), max_weight: None };
        let table = shares.weights(rows).map_err(|e| SelectError::stage(stage, e))?;
        let weights = table.iter().map(|line| (line.language.clone(), line.weight)).collect();
        let reason = "drawn out by the weight of its language".into();
        let step = Self { stage: stage.to_owned(), column: spec.column.clone(), weights, draw, weight, reason };
        Ok((step, json!({ "languages": table })))
    }
}

impl Step for LanguageStep {
    fn columns(&self) -> Vec<String> {
        vec![self.column.clone()]
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let languages = text_column(rows.batch, &self.column, &self.stage)?.clone();
        for row in rows.living() {
            let language = text_at(&languages, row);
            let weight = self.weights.get(language).copied().unwrap_or(1.0);
            rows.weigh(self.weight, row, weight as f32);
            rows.repeat(row, self.draw.copies(weight, rows.uid(row)?), &self.reason, || Some(language.to_owned()));
        }
        Ok(())
    }
}
