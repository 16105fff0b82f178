//! `keep`: a predicate whose every condition is a reason of its own.
//!
//! `where = "lang = 'en' and words(text) > 2"` becomes one column that names the first condition that fails, with the
//! value that it saw. Rows are not filtered but marked; the writer at the end of the plan puts them into the exclusion
//! table. A condition over a null counts as failed.

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Volatility, case, cast, col, lit, when};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as Sql};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use thiserror::Error;
use trommel_shards::columns::{CONTROL_ROW, EXCLUDED, IMAGE, REASON, ROW, VALUE};

/// A predicate that does not fit.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepError {
    /// A name that is neither column nor function.
    #[error("no {what} `{name}` here{hint}; there are {known}")]
    Unknown {
        /// `column` or `function`.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest name, as a half-sentence, or nothing.
        hint: String,
        /// What there is.
        known: String,
    },
    /// Not a predicate.
    #[error("{0}")]
    Invalid(String),
}

/// A `keep` stage: its name in the exclusion table and its conditions, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Name in the exclusion table.
    pub stage: String,
    /// The conditions, all of which must hold.
    pub conditions: Vec<String>,
}

impl Keep {
    /// Splits a predicate at its top-level `and`s.
    ///
    /// # Errors
    /// When the text is no SQL expression.
    pub fn parse(stage: &str, predicate: &str) -> Result<Self, KeepError> {
        let invalid = |e: datafusion::sql::sqlparser::parser::ParserError| KeepError::Invalid(e.to_string());
        let mut parser = Parser::new(&GenericDialect {}).try_with_sql(predicate).map_err(invalid)?;
        let expression = parser.parse_expr().map_err(invalid)?;
        let rest = parser.peek_token();
        if rest.token != datafusion::sql::sqlparser::tokenizer::Token::EOF {
            return Err(KeepError::Invalid(format!("`{rest}` is more than one predicate can hold")));
        }
        let mut conditions = Vec::new();
        split(&expression, &mut conditions);
        Ok(Self { stage: stage.to_owned(), conditions })
    }

    /// Checks the conditions against the columns at this place.
    ///
    /// # Errors
    /// [`KeepError`] with the nearest name.
    pub fn check(&self, context: &SessionContext, schema: &SchemaRef) -> Result<(), KeepError> {
        let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(|e| KeepError::Invalid(e.to_string()))?;
        for condition in &self.conditions {
            check_names(condition, context, &schema)?;
            let expr = context.parse_sql_expr(condition, &schema).map_err(|e| KeepError::Invalid(first_line(&e.to_string())))?;
            use datafusion::logical_expr::ExprSchemable;
            let kind = expr.get_type(&schema).map_err(|e| KeepError::Invalid(first_line(&e.to_string())))?;
            if !matches!(kind, DataType::Boolean | DataType::Null) {
                return Err(KeepError::Invalid(format!("`{condition}` is no condition: it gives {kind}")));
            }
        }
        Ok(())
    }

    /// Puts the stage on top of a plan.
    ///
    /// # Errors
    /// When a condition does not fit the columns.
    pub fn plan(&self, context: &SessionContext, input: LogicalPlan) -> Result<LogicalPlan> {
        let schema = std::sync::Arc::clone(input.schema());
        let bare = |name: &str| Expr::Column(Column::from_name(name));
        let mut why: Option<datafusion::logical_expr::conditional_expressions::CaseBuilder> = None;
        let mut saw: Option<datafusion::logical_expr::conditional_expressions::CaseBuilder> = None;
        for condition in &self.conditions {
            let expr = context.parse_sql_expr(condition, &schema)?;
            // Not `coalesce`, which the optimizer writes as a case that evaluates its first argument twice.
            let failed = expr.clone().is_not_true();
            why = Some(match why {
                None => when(failed, lit(condition.as_str())),
                Some(mut chain) => chain.when(failed, lit(condition.as_str())),
            });
            if let Some(value) = subject(&expr) {
                let value = cast(value, DataType::Utf8);
                saw = Some(match saw {
                    None => case(bare("_why")).when(lit(condition.as_str()), value),
                    Some(mut chain) => chain.when(lit(condition.as_str()), value),
                });
            }
        }
        let Some(why) = why else { return Ok(input) };
        // Rows that are out already are not judged again, nor is the control row.
        let mut judged = bare(EXCLUDED).is_null().and(bare(ROW).not_eq(lit(CONTROL_ROW)));
        if schema.has_column_with_unqualified_name(IMAGE) {
            // After fetching only pictures are judged: a failure keeps its own reason, and what is put off comes again.
            judged = judged.and(bare("status").eq(lit("success")));
        }
        let why = when(judged, why.end()?).end()?.alias("_why");
        let all: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
        let plan = LogicalPlanBuilder::from(input).project(all.iter().cloned().chain([why]))?.build()?;
        let marked =
            |name: &str, value: Expr| -> Result<Expr> { Ok(when(bare("_why").is_not_null(), value).otherwise(bare(name))?.alias(name)) };
        let seen = match saw {
            Some(chain) => chain.end()?,
            None => lit(datafusion::common::ScalarValue::Utf8(None)),
        };
        let columns = schema
            .columns()
            .into_iter()
            .map(|column| match column.name() {
                EXCLUDED => marked(EXCLUDED, lit(self.stage.as_str())),
                REASON => marked(REASON, bare("_why")),
                VALUE => marked(VALUE, seen.clone()),
                name => Ok(col(Column::from_name(name))),
            })
            .collect::<Result<Vec<_>>>()?;
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }
}

fn split(expression: &Sql, conditions: &mut Vec<String>) {
    match expression {
        Sql::BinaryOp { left, op: BinaryOperator::And, right } => {
            split(left, conditions);
            split(right, conditions);
        }
        Sql::Nested(inner) if matches!(inner.as_ref(), Sql::BinaryOp { op: BinaryOperator::And, .. }) => split(inner, conditions),
        other => conditions.push(other.to_string()),
    }
}

/// What a condition looks at: the left side of a comparison, the tested side of `in`, `between`, `like`.
pub(crate) fn subject(expr: &Expr) -> Option<Expr> {
    let expr = split_conjunction(expr).first().map(|first| (*first).clone())?;
    match expr {
        Expr::BinaryExpr(binary) if binary.op.supports_propagation() => Some(*binary.left),
        Expr::InList(list) => Some(*list.expr),
        Expr::Between(between) => Some(*between.expr),
        Expr::Like(like) => Some(*like.expr),
        _ => None,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("Error during planning: ").to_owned()
}

/// Names every column and function of a condition that is not there, before DataFusion speaks.
fn check_names(condition: &str, context: &SessionContext, schema: &DFSchema) -> Result<(), KeepError> {
    use datafusion::sql::sqlparser::ast::{VisitMut, VisitorMut};
    use std::ops::ControlFlow;

    struct Names<'a> {
        columns: Vec<&'a str>,
        functions: Vec<String>,
        volatile: Vec<String>,
    }
    impl VisitorMut for Names<'_> {
        type Break = KeepError;
        fn pre_visit_expr(&mut self, expr: &mut Sql) -> ControlFlow<KeepError> {
            match expr {
                Sql::Identifier(name) if !self.columns.iter().any(|column| column.eq_ignore_ascii_case(&name.value)) => {
                    let known: Vec<&str> = self.columns.iter().copied().filter(|column| !column.starts_with('_')).collect();
                    ControlFlow::Break(unknown("column", &name.value, &known))
                }
                Sql::Function(function) => {
                    let name = function.name.to_string().to_lowercase();
                    if self.volatile.contains(&name) {
                        let message = format!("`{name}` gives other values each time; `draw(seed, 'name', uid)` gives the same");
                        ControlFlow::Break(KeepError::Invalid(message))
                    } else if self.functions.contains(&name) {
                        ControlFlow::Continue(())
                    } else {
                        let known: Vec<&str> = self.functions.iter().map(String::as_str).collect();
                        ControlFlow::Break(unknown("function", &name, &known))
                    }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let invalid = |e: datafusion::sql::sqlparser::parser::ParserError| KeepError::Invalid(e.to_string());
    let mut expression =
        Parser::new(&GenericDialect {}).try_with_sql(condition).and_then(|mut parser| parser.parse_expr()).map_err(invalid)?;
    let columns = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let state = context.state();
    let functions = state.scalar_functions().keys().cloned().collect();
    let changing = |volatility| volatility == Volatility::Volatile;
    let volatile =
        state.scalar_functions().iter().filter(|(_, f)| changing(f.signature().volatility)).map(|(name, _)| name.clone()).collect();
    match expression.visit(&mut Names { columns, functions, volatile }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn unknown(what: &'static str, name: &str, known: &[&str]) -> KeepError {
    let near = crate::recipe::nearest(name, known.iter().copied());
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let mut sorted: Vec<&str> = known.to_vec();
    sorted.sort_unstable();
    // A session knows hundreds of functions: the nearest is enough then.
    let known = if sorted.len() > 40 {
        format!("{} of them", sorted.len())
    } else {
        sorted.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    KeepError::Unknown { what, name: name.to_owned(), hint, known }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{Array, Int64Array, RecordBatch, StringArray, new_null_array};
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{ColumnarValue, create_udf};

    use super::*;

    /// A table of ten captions, the machinery's columns beside them.
    fn rows() -> RecordBatch {
        let texts: Vec<String> = (0..10).map(|row| format!("caption {row}")).collect();
        let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Schema::new(vec![utf8("text"), Field::new(ROW, DataType::Int64, false), utf8(EXCLUDED), utf8(REASON), utf8(VALUE)]);
        let none = || new_null_array(&DataType::Utf8, 10);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![Arc::new(StringArray::from(texts)), Arc::new(Int64Array::from_iter_values(0..10)), none(), none(), none()],
        )
        .expect("columns of one length")
    }

    #[tokio::test]
    async fn a_function_is_called_once_a_row_and_once_more_for_what_a_lost_row_shows() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let context = SessionContext::new();
        context.register_udf(create_udf(
            "last_digit",
            vec![DataType::Utf8],
            DataType::Int64,
            Volatility::Immutable,
            Arc::new(|args: &[ColumnarValue]| {
                let arrays = ColumnarValue::values_to_arrays(args)?;
                let texts = datafusion::common::cast::as_string_array(&arrays[0])?;
                CALLS.fetch_add(texts.len(), Ordering::Relaxed);
                let digits = texts.iter().map(|text| text.and_then(|text| text[text.len() - 1..].parse::<i64>().ok()));
                Ok(ColumnarValue::Array(Arc::new(digits.collect::<Int64Array>())))
            }),
        ));
        let input = context.read_batch(rows()).expect("a table").into_unoptimized_plan();
        let keep = Keep::parse("keep", "last_digit(text) >= 4").expect("a predicate");
        let plan = keep.plan(&context, input).expect("it fits");
        let out = context.execute_logical_plan(plan).await.expect("it runs").collect().await.expect("it ends");
        let lost: usize =
            out.iter().map(|batch| batch.column_by_name(EXCLUDED).map_or(0, |column| column.len() - column.null_count())).sum();
        assert_eq!(lost, 4);
        assert_eq!(CALLS.load(Ordering::Relaxed), 10 + lost);
    }
}
