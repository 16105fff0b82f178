//! `balance m4`: counts the patterns of attributes and labels, solves for weights, and draws each row by its weight.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use parking_lot::Mutex;
use serde_json::{Value, json};
use trommel_filters::balance::Draw;
use trommel_filters::balance::lexicon::{Lexicon, LexiconFile};
use trommel_filters::balance::m4::{
    Attribute, Limit, M4Options, M4Problem, M4Status, M4Weights, PatternCounts, SolverOptions, Utility, fit_with,
};

use crate::select::error::{Result, SelectError};
use crate::select::expression::{Expression, text_at, text_column};
use crate::select::scan::{Fit, Judging, Step};
use crate::select::spec::{LexiconLanguage, M4, M4Lexicon};

/// Levels that utilities of 0 to 1 are read in.
const UTILITY_LEVELS: u32 = 101;
/// Patterns that `--explain` shows at either end.
const EXPLAINED: usize = 10;

/// What a row's bits come from.
pub(in crate::select) struct Bits {
    stage: String,
    /// Bit and condition.
    sql: Vec<(usize, Expression)>,
    lexicon: Option<(Lexicon, M4Lexicon)>,
    utility: Option<Expression>,
    /// Captions without a lexicon, by language.
    pub(in crate::select) without: Mutex<BTreeMap<String, u64>>,
}

/// The patterns and utilities of a batch's rows that are in.
struct Patterns {
    rows: Vec<usize>,
    bits: Vec<u128>,
    utilities: Option<Vec<f32>>,
}

impl Bits {
    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> =
            self.sql.iter().map(|(_, sql)| sql).chain(&self.utility).flat_map(|sql| sql.columns().to_vec()).collect();
        if let Some((_, lexicon)) = &self.lexicon {
            columns.push(lexicon.text.clone());
            if let LexiconLanguage::Column(name) = &lexicon.language {
                columns.push(name.clone());
            }
        }
        columns
    }

    fn of(&self, rows: &Judging<'_>, count: bool) -> Result<Patterns> {
        let living = rows.living();
        let mut bits = vec![0_u128; living.len()];
        for (bit, sql) in &self.sql {
            let truths = sql.truths(rows.batch)?;
            for (bits, &row) in bits.iter_mut().zip(&living) {
                *bits |= u128::from(truths.is_valid(row) && truths.value(row)) << bit;
            }
        }
        if let Some((lexicon, columns)) = &self.lexicon {
            let texts = text_column(rows.batch, &columns.text, &self.stage)?;
            let languages = match &columns.language {
                LexiconLanguage::Column(name) => Some(text_column(rows.batch, name, &self.stage)?),
                LexiconLanguage::Fixed(_) => None,
            };
            for (bits, &row) in bits.iter_mut().zip(&living) {
                let language = match (&columns.language, languages) {
                    (LexiconLanguage::Fixed(language), _) => language.as_str(),
                    (_, Some(languages)) => text_at(languages, row),
                    (_, None) => "",
                };
                match lexicon.bits(language, text_at(texts, row)) {
                    Ok(found) => *bits |= found,
                    Err(_) if count => *self.without.lock().entry(language.to_owned()).or_default() += 1,
                    Err(_) => {}
                }
            }
        }
        let utilities = match &self.utility {
            None => None,
            Some(sql) => {
                let values = sql.numbers(rows.batch)?;
                let value = |&row: &usize| if values.is_valid(row) { values.value(row) as f32 } else { 0.0 };
                Some(living.iter().map(value).collect())
            }
        };
        Ok(Patterns { rows: living, bits, utilities })
    }
}

/// The compiled stage.
pub(in crate::select) struct Balance {
    stage: String,
    problem: M4Problem,
    bits: Arc<Bits>,
    strict: bool,
}

impl Balance {
    pub(in crate::select) fn compile(context: &SessionContext, stage: &str, spec: &M4, schema: &SchemaRef) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let attributes = spec.attributes.iter().map(|attribute| Attribute::new(&attribute.name, attribute.target)).collect();
        let options = M4Options {
            epsilon_r: Limit::All(spec.epsilon_r),
            epsilon_d: Limit::All(spec.epsilon_d),
            eta: spec.target_rate,
            cap: spec.most,
            enforcement: spec.enforcement,
            utility: if spec.utility.is_some() { Utility::Levels { low: 0.0, high: 1.0, count: UTILITY_LEVELS } } else { Utility::One },
            ..M4Options::new(attributes, spec.labels.iter().map(|label| label.name.clone()).collect())
        };
        let problem = M4Problem::new(options).map_err(|e| fail(&e))?;
        let all = spec.attributes.iter().map(|attribute| (&attribute.name, &attribute.sql));
        let all: Vec<_> = all.chain(spec.labels.iter().map(|label| (&label.name, &label.sql))).collect();
        let mut sql = Vec::new();
        // Names without SQL are the lexicon's; a name with SQL takes its bit there, and no words.
        let mut names = Vec::new();
        for (bit, (name, text)) in all.iter().enumerate() {
            match text {
                Some(text) => sql.push((bit, Expression::compile(context, stage, text, schema)?)),
                None => names.push((bit, name.as_str())),
            }
        }
        let lexicon = match &spec.lexicon {
            Some(lexicon) if !names.is_empty() => Some((compile_lexicon(stage, lexicon, &names, schema)?, lexicon.clone())),
            _ if names.is_empty() => None,
            _ => return Err(fail(&format!("`{}` has neither a condition nor a lexicon: write `{0}=SQL`, or give `lexicon`", names[0].1))),
        };
        let utility = spec.utility.as_ref().map(|text| Expression::number(context, stage, text, schema)).transpose()?;
        let bits = Bits { stage: stage.to_owned(), sql, lexicon, utility, without: Mutex::default() };
        Ok(Self { stage: stage.to_owned(), problem, bits: Arc::new(bits), strict: spec.strict })
    }

    pub(in crate::select) fn columns(&self) -> Vec<String> {
        self.bits.columns()
    }

    pub(in crate::select) fn fit(&self) -> PatternFit {
        PatternFit { bits: Arc::clone(&self.bits), counts: PatternCounts::new(&self.problem) }
    }

    /// Solves; gives the step that draws, and the tables of before and after.
    pub(in crate::select) fn solve(&self, fits: Vec<PatternFit>, draw: Draw, weight: usize, threads: usize) -> Result<(M4Step, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let mut counts = PatternCounts::new(&self.problem);
        for fit in &fits {
            counts.merge(&fit.counts).map_err(|e| fail(&e))?;
        }
        let without = std::mem::take(&mut *self.bits.without.lock());
        if self.bits.lexicon.is_some() && without.values().sum::<u64>() == counts.rows() {
            let list: Vec<&str> = without.keys().map(String::as_str).take(8).collect();
            return Err(fail(&format!("the lexicon has none of the languages of the captions: {}", list.join(", "))));
        }
        let fit = fit_with(&self.problem, &counts, &SolverOptions { threads, ..SolverOptions::default() }).map_err(|e| fail(&e))?;
        if let (true, M4Status::Infeasible { broken }) = (self.strict, &fit.status) {
            let list: Vec<String> = broken.iter().map(ToString::to_string).collect();
            return Err(fail(&format!("the targets cannot be met: {}", list.join("; "))));
        }
        let (gaining, losing) = fit.explain(&counts, EXPLAINED).map_err(|e| fail(&e))?;
        let report = json!({
            "fit": fit.report(),
            "patterns": counts.patterns(),
            "iterations": fit.iterations,
            "losing_most": losing,
            "gaining_most": gaining,
            "captions_without_a_lexicon": without,
        });
        let step = M4Step {
            stage: self.stage.clone(),
            bits: Arc::clone(&self.bits),
            weights: fit.weights,
            draw,
            weight,
            reason: "drawn out by its m4_weight".into(),
        };
        Ok((step, report))
    }
}

fn compile_lexicon(stage: &str, spec: &M4Lexicon, names: &[(usize, &str)], schema: &SchemaRef) -> Result<Lexicon> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{}`: {e}", spec.file));
    let columns = std::iter::once(&spec.text).chain(match &spec.language {
        LexiconLanguage::Column(name) => Some(name),
        LexiconLanguage::Fixed(_) => None,
    });
    for column in columns {
        if schema.field_with_name(column).is_err() {
            return Err(fail(&format!("no column `{column}` in the metadata")));
        }
    }
    let text = std::fs::read_to_string(&spec.file).map_err(|e| fail(&e))?;
    let mut file: LexiconFile = match Path::new(&spec.file).extension() {
        Some(ending) if ending == "json" => serde_json::from_str(&text).map_err(|e| fail(&e))?,
        _ => text.parse().map_err(|e| fail(&e))?,
    };
    // Bits that SQL sets have a name here too, and no words.
    let most = names.iter().map(|(bit, _)| bit + 1).max().unwrap_or(0);
    let mut all: Vec<String> = (0..most).map(|bit| format!("\u{0}{bit}")).collect();
    for (bit, name) in names {
        all[*bit] = (*name).to_owned();
    }
    for lists in file.languages.values_mut() {
        for name in all.iter().filter(|name| name.starts_with('\u{0}')) {
            lists.insert(name.clone(), Vec::new());
        }
    }
    Lexicon::new(&file, &all).map_err(|e| fail(&e))
}

/// Counts of patterns, one per thread.
pub(in crate::select) struct PatternFit {
    bits: Arc<Bits>,
    counts: PatternCounts,
}

impl Fit for PatternFit {
    const NAMES: bool = false;

    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let patterns = self.bits.of(rows, true)?;
        let added = self.counts.add_rows(&patterns.bits, patterns.utilities.as_deref());
        added.map_err(|e| SelectError::stage(&self.bits.stage, e))
    }
}

/// Draws rows by their weights.
pub(in crate::select) struct M4Step {
    stage: String,
    bits: Arc<Bits>,
    weights: M4Weights,
    draw: Draw,
    /// Number of the weight in the rows' state.
    weight: usize,
    reason: Arc<str>,
}

impl Step for M4Step {
    fn columns(&self) -> Vec<String> {
        self.bits.columns()
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let patterns = self.bits.of(rows, false)?;
        let weights = self.weights.apply(&patterns.bits, patterns.utilities.as_deref());
        for (&row, weight) in patterns.rows.iter().zip(weights.map_err(|e| SelectError::stage(&self.stage, e))?) {
            rows.weigh(self.weight, row, weight as f32);
            rows.repeat(row, self.draw.copies(weight, rows.uid(row)?), &self.reason, || Some(weight.to_string()));
        }
        Ok(())
    }
}
