//! `keep where`: a predicate whose every condition is a reason of its own.

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::DFSchema;
use datafusion::prelude::SessionContext;

use crate::plan::{Keep, subject};
use crate::select::error::{Result, SelectError};
use crate::select::expression::Expression;
use crate::select::scan::{Judging, Step};

struct Condition {
    reason: Arc<str>,
    test: Expression,
    /// What the condition looks at, for the exclusion table.
    subject: Option<Expression>,
}

/// The conditions, in order: a row is out at the first that does not hold, or is null.
pub(in crate::select) struct KeepStep {
    stage: String,
    conditions: Vec<Condition>,
}

impl KeepStep {
    pub(in crate::select) fn compile(context: &SessionContext, keep: &Keep, schema: &SchemaRef) -> Result<Self> {
        keep.check(context, schema).map_err(|e| SelectError::stage(&keep.stage, e))?;
        let fail = |e: datafusion::common::DataFusionError| SelectError::stage(&keep.stage, e.strip_backtrace());
        let all = DFSchema::try_from(schema.as_ref().clone()).map_err(fail)?;
        let mut conditions = Vec::new();
        for condition in &keep.conditions {
            let expr = context.parse_sql_expr(condition, &all).map_err(fail)?;
            let subject = subject(&expr).map(|expr| Expression::of(context, &keep.stage, expr, schema)).transpose().map_err(fail)?;
            let test = Expression::of(context, &keep.stage, expr, schema).map_err(fail)?;
            conditions.push(Condition { reason: condition.as_str().into(), test, subject });
        }
        Ok(Self { stage: keep.stage.clone(), conditions })
    }
}

/// Some rows of a batch.
pub(in crate::select) fn rows_of(batch: &RecordBatch, rows: &[usize], stage: &str) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let indices = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
    take_record_batch(batch, &indices).map_err(|e| SelectError::stage(stage, e))
}

impl Step for KeepStep {
    fn columns(&self) -> Vec<String> {
        let subjects = self.conditions.iter().flat_map(|condition| &condition.subject);
        let all = self.conditions.iter().map(|condition| &condition.test).chain(subjects);
        all.flat_map(|expression| expression.columns().to_vec()).collect()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        // Each condition looks at what the ones before it have left: the cheap ones are written first.
        for condition in &self.conditions {
            let living = rows.living();
            if living.is_empty() {
                return Ok(());
            }
            let batch = rows_of(rows.batch, &living, &self.stage)?;
            let holds = condition.test.truths(&batch)?;
            let failed: Vec<usize> = (0..living.len()).filter(|&at| !(holds.is_valid(at) && holds.value(at))).collect();
            if failed.is_empty() {
                continue;
            }
            let values = match &condition.subject {
                Some(subject) if rows.tells => {
                    let values = subject.evaluate(&rows_of(&batch, &failed, &self.stage)?)?;
                    Some(cast(&values, &DataType::Utf8).map_err(|e| SelectError::stage(&self.stage, e))?)
                }
                _ => None,
            };
            let values = values.as_ref().and_then(|values| values.as_string_opt::<i32>());
            for (at, &row) in failed.iter().enumerate() {
                let value = values.filter(|values| values.is_valid(at)).map(|values| values.value(at).to_owned());
                rows.exclude(living[row], &condition.reason, value);
            }
        }
        Ok(())
    }
}
