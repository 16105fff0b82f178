//! The logical node.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::op::Op;

/// One operation over one input.
#[derive(Debug, Clone)]
pub struct StageNode {
    /// What the operation reads.
    pub input: LogicalPlan,
    /// The operation.
    pub op: Arc<Op>,
    schema: DFSchemaRef,
    // The operation as text: equality, order and hash of the node follow it.
    text: String,
}

impl StageNode {
    /// Puts an operation on top of a plan.
    ///
    /// # Errors
    /// When the input lacks a column that the operation reads.
    pub fn plan(input: LogicalPlan, op: Op) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::new(input, Arc::new(op))?) }))
    }

    fn new(input: LogicalPlan, op: Arc<Op>) -> Result<Self> {
        let schema = op.output_schema(input.schema().as_arrow())?;
        let schema = Arc::new(DFSchema::try_from(schema.as_ref().clone())?);
        let text = op.to_text();
        Ok(Self { input, op, schema, text })
    }
}

impl PartialEq for StageNode {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.input == other.input
    }
}

impl Eq for StageNode {}

impl PartialOrd for StageNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.text.cmp(&other.text) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            order => Some(order),
        }
    }
}

impl Hash for StageNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for StageNode {
    fn name(&self) -> &str {
        self.op.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op.name(), self.op.describe())
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::new(inputs.swap_remove(0), Arc::clone(&self.op))
    }
}
