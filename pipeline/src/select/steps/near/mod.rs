//! `near`: groups of near-duplicates, of which the best stays.
//!
//! One scan collects what rows are compared by; they are brought into the order of their uids, alike pairs are searched and joined, and the
//! next scan takes out everybody but the best of each group.

mod captions;
mod chains;
mod groups;
mod leaks;
mod pictures;
mod references;
mod vectors;

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};
use trommel_filters::hashes::MIN_SIMILARITY;
use trommel_filters::near::best::{Order, Prefer};
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::storage::Storage;

use super::super::vectors::VectorsOfRows;
use crate::select::error::{Result, SelectError};
use crate::select::expression::Expression;
use crate::select::inputs::Inputs;
use crate::select::spec::{Near, NearOf, Preference};
use crate::select::steps::gathered::{GatherFit, Gathered, GatheredVectors, Payload, VectorPayload};
use captions::{CaptionRule, TextPayload};
use groups::Deciding;
pub(in crate::select) use groups::NearStep;
pub(in crate::select) use pictures::SignaturePayload;
pub(in crate::select) use references::References as PictureReferences;

/// The numbers by which the best of a group is found: those that are asked for, or pixels and the length of the caption, as far as the
/// columns are there.
fn preferences(spec: &Near, schema: &SchemaRef) -> Vec<Preference> {
    if !spec.order.is_empty() {
        return spec.order.clone();
    }
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let prefer = |sql: String| Preference { sql, lowest: false };
    let mut order = Vec::new();
    if let Some((width, height)) = [("original_width", "original_height"), ("width", "height")].into_iter().find(|(w, h)| has(w) && has(h))
    {
        order.push(prefer(format!("cast({width} as double) * {height}")));
    }
    if let Some(text) = ["text", "caption"].into_iter().find(|name| has(name)) {
        order.push(prefer(format!("chars({text})")));
    }
    order
}

/// Checks the stage against the columns.
pub(in crate::select) fn check(stage: &str, spec: &Near, context: &SessionContext, schema: &SchemaRef) -> Result<()> {
    let column = |name: &str, hint: &str| match schema.field_with_name(name).is_ok() {
        true => Ok(()),
        false => Err(SelectError::stage(stage, format!("no column `{name}` in the metadata{hint}"))),
    };
    match &spec.of {
        NearOf::Pictures { .. } => column(NEAR_SIGNATURE, ": the stage `hash` makes it, after `fetch` or over shards")?,
        NearOf::Captions { text, preset, shingle, bands, rows } => {
            column(text, "")?;
            CaptionRule::new(stage, preset, *shingle, *bands, *rows)?;
        }
        NearOf::Vectors { .. } => {}
    }
    preferences(spec, schema).iter().try_for_each(|by| Expression::number(context, stage, &by.sql, schema).map(drop))
}

/// How the rows of a `near` stage are compared.
enum Rule {
    Pictures { recall: f64 },
    Captions(CaptionRule),
    Vectors { dim: usize, k: usize, above: f32 },
}

impl Rule {
    /// The similarity from which on two rows are alike.
    fn alike(&self) -> f32 {
        match self {
            Self::Pictures { .. } => MIN_SIMILARITY,
            Self::Captions(rule) => rule.alike(),
            Self::Vectors { above, .. } => *above,
        }
    }
}

/// A `near` stage before its scan.
pub(in crate::select) struct NearPlan {
    stage: String,
    spec: Near,
    payload: Box<dyn Payload>,
    rule: Rule,
    preferences: Vec<Preference>,
    order: Vec<Expression>,
}

/// What the search may use, and where it writes.
pub(in crate::select) struct NearMeans<'a> {
    pub(in crate::select) seed: u64,
    pub(in crate::select) threads: usize,
    pub(in crate::select) spill: &'a Path,
    /// Storage and name of the table of groups.
    pub(in crate::select) table: Option<(&'a Storage, String)>,
}

impl NearPlan {
    pub(in crate::select) fn new(stage: &str, spec: &Near, context: &SessionContext, inputs: &Inputs) -> Result<Self> {
        let preferences = preferences(spec, &inputs.schema);
        let order = preferences.iter().map(|by| Expression::number(context, stage, &by.sql, &inputs.schema)).collect::<Result<_>>()?;
        let (payload, rule): (Box<dyn Payload>, Rule) = match &spec.of {
            NearOf::Pictures { recall } => {
                (Box::new(SignaturePayload { stage: stage.to_owned(), flat: Arc::default() }), Rule::Pictures { recall: *recall })
            }
            NearOf::Captions { text, preset, shingle, bands, rows } => {
                let rule = CaptionRule::new(stage, preset, *shingle, *bands, *rows)?;
                (Box::new(TextPayload { stage: stage.to_owned(), column: text.clone() }), Rule::Captions(rule))
            }
            NearOf::Vectors { vectors, k, above } => {
                let vectors = VectorsOfRows::open(stage, vectors, inputs)?;
                let rule = Rule::Vectors { dim: vectors.dim, k: *k, above: *above };
                (Box::new(VectorPayload(vectors)), rule)
            }
        };
        Ok(Self { stage: stage.to_owned(), spec: spec.clone(), payload, rule, preferences, order })
    }

    pub(in crate::select) fn columns(&self) -> Vec<String> {
        self.order.iter().flat_map(|by| by.columns().to_vec()).chain(self.payload.columns()).collect()
    }

    pub(in crate::select) fn fit(&self, spill: &Path) -> Result<GatherFit<'_>> {
        GatherFit::new(self.payload.as_ref(), &self.order, spill)
    }

    /// Searches, joins and decides.
    pub(in crate::select) fn decide(&self, fits: Vec<GatherFit<'_>>, means: NearMeans<'_>) -> Result<(NearStep, Value)> {
        let rows = Gathered::of(&self.stage, fits, self.order.len(), means.spill)?;
        let (stage, memory) = (self.stage.as_str(), self.spec.memory_bytes);
        let (groups, mut said) = match &self.rule {
            Rule::Pictures { recall } => pictures::join(stage, &rows, *recall, (means.seed, means.threads, memory))?,
            Rule::Captions(rule) => rule.join(stage, &rows, means.threads, memory, means.spill)?,
            Rule::Vectors { dim, k, above } => {
                let vectors = GatheredVectors { rows: &rows, dim: *dim };
                vectors::join(stage, &vectors, (*k, *above), (means.seed, means.threads, memory))?
            }
        };
        let similarity = |a: usize, b: usize| match &self.rule {
            Rule::Pictures { .. } => pictures::similarity(&rows, a, b),
            Rule::Captions(rule) => Some(rule.similarity(&rows, a, b)),
            Rule::Vectors { dim, .. } => GatheredVectors { rows: &rows, dim: *dim }.similarity(a, b),
        };
        let order = Order::new(self.preferences.iter().map(|by| if by.lowest { Prefer::Lower } else { Prefer::Higher }).collect());
        let apart = |a: u32, b: u32| 1.0 - similarity(a as usize, b as usize).unwrap_or(0.0).clamp(0.0, 1.0);
        let (groups, chains) = chains::judge(stage, groups, &rows, &order, self.spec.to_best, self.rule.alike(), apart)?;
        let what = match &self.spec.of {
            NearOf::Pictures { .. } => "a near-duplicate of a better picture",
            NearOf::Captions { .. } => "a near-duplicate of a better row's caption",
            NearOf::Vectors { .. } => "a near-duplicate, by its vector, of a better row",
        };
        let deciding = Deciding {
            rows: &rows.rows,
            order,
            keys: &|row| rows.keys(row),
            similarity: &similarity,
            table: means.table,
            keeps_all: self.spec.keep_all,
            reason: what.to_owned(),
        };
        let (step, decided) = NearStep::of_groups(stage, &groups, deciding)?;
        if let (Value::Object(said), Value::Object(decided)) = (&mut said, decided) {
            said.extend(decided);
            said.extend(chains);
            said.insert("not_compared".into(), rows.without.into());
            said.insert("best_by".into(), json!(self.preferences));
        }
        Ok((step, json!({ "near": said })))
    }
}
