//! SQL over the columns of a batch, without a plan around it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::error::{Result, SelectError};
use crate::plan::Keep;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    stage: String,
    columns: Vec<String>,
    schema: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
}

impl Expression {
    /// Compiles SQL against the columns of the metadata. Unknown names are errors with the nearest one.
    pub(super) fn compile(context: &SessionContext, stage: &str, sql: &str, schema: &SchemaRef) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{sql}`: {e}"));
        // `keep` knows how to find unknown names in an expression of any type.
        let probe = Keep::parse(stage, &format!("({sql}) is null")).map_err(|e| fail(&e))?;
        probe.check(context, schema).map_err(|e| SelectError::stage(stage, e))?;
        let all = DFSchema::try_from(schema.as_ref().clone()).map_err(|e| fail(&e))?;
        let expr = context.parse_sql_expr(sql, &all).map_err(|e| fail(&e))?;
        Self::of(context, stage, expr, schema).map_err(|e| fail(&e))
    }

    /// As [`Expression::compile`], of something that gives numbers.
    pub(super) fn number(context: &SessionContext, stage: &str, sql: &str, schema: &SchemaRef) -> Result<Self> {
        let compiled = Self::compile(context, stage, sql, schema)?;
        let kind = compiled.physical.data_type(&compiled.schema).map_err(|e| SelectError::stage(stage, format!("`{sql}`: {e}")))?;
        if kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null) {
            return Ok(compiled);
        }
        Err(SelectError::stage(stage, format!("`{sql}` is no number: it gives {kind}")))
    }

    /// Compiles an expression that is there already.
    pub(super) fn of(context: &SessionContext, stage: &str, expr: Expr, schema: &SchemaRef) -> Result<Self, DataFusionError> {
        let names: BTreeSet<String> = expr.column_refs().into_iter().map(|column| column.name().to_owned()).collect();
        let fields: Vec<_> = schema.fields().iter().filter(|field| names.contains(field.name())).cloned().collect();
        let columns = fields.iter().map(|field| field.name().clone()).collect();
        let own = Arc::new(Schema::new(fields));
        let physical = context.create_physical_expr(expr, &DFSchema::try_from(own.as_ref().clone())?)?;
        Ok(Self { stage: stage.to_owned(), columns, schema: own, physical })
    }

    /// What it reads.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let columns = self
            .columns
            .iter()
            .map(|name| batch.column_by_name(name).map(Arc::clone).ok_or_else(|| fail(&format!("column `{name}` was not read"))));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let own = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| fail(&e))?;
        let value = self.physical.evaluate(&own).map_err(|e| fail(&e.strip_backtrace()))?;
        value.into_array(batch.num_rows()).map_err(|e| fail(&e.strip_backtrace()))
    }

    fn cast_to(&self, batch: &RecordBatch, to: &DataType) -> Result<ArrayRef> {
        cast(&self.evaluate(batch)?, to).map_err(|e| SelectError::stage(&self.stage, e))
    }

    /// As numbers. Null stays null.
    pub(super) fn numbers(&self, batch: &RecordBatch) -> Result<Float64Array> {
        Ok(self.cast_to(batch, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// As yes and no. Numbers are yes where they are not zero; null stays null.
    pub(super) fn truths(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        Ok(self.cast_to(batch, &DataType::Boolean)?.as_boolean().clone())
    }

    /// As text. Null stays null.
    pub(super) fn texts(&self, batch: &RecordBatch) -> Result<StringArray> {
        Ok(self.cast_to(batch, &DataType::Utf8)?.as_string::<i32>().clone())
    }
}

/// A text column of a batch.
pub(super) fn text_column<'a>(batch: &'a RecordBatch, name: &str, stage: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| SelectError::stage(stage, format!("column `{name}` is not text")))
}

/// The text of a row; nothing where it is null.
pub(super) fn text_at(column: &StringArray, row: usize) -> &str {
    if column.is_valid(row) { column.value(row) } else { "" }
}
