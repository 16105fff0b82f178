//! How our nodes and functions travel.
//!
//! Both codecs wrap Ballista's: the first byte of a message says whose it is. What Ballista's leave at the traits' defaults is left
//! there too.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference, internal_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};

use super::registry::build_id;
use super::settle::{Settle, SettleExec};
use crate::op::Op;
use crate::plan::{StageExec, StageNode, functions};

/// Not ours: Ballista's own bytes follow.
const THEIRS: u8 = 0;
/// One of ours: JSON follows.
const OURS: u8 = 1;
/// First words of the refusal of another program's plan.
pub(super) const REFUSED: &str = "another build of trommel made this plan";

/// A node of ours on the wire.
#[derive(Serialize, Deserialize)]
struct Wire<T> {
    /// The program that made the plan.
    build: String,
    node: T,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Physical {
    Stage(Op),
    Settle(Settle),
}

fn write<T: Serialize>(node: T, build: &str, buf: &mut Vec<u8>) -> Result<()> {
    buf.push(OURS);
    serde_json::to_writer(buf, &Wire { build: build.to_owned(), node }).map_err(|e| DataFusionError::External(Box::new(e)))
}

fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8], build: &str) -> Result<T> {
    let known: Wire<serde_json::Value> = serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
    if known.build != build {
        return Err(DataFusionError::Execution(format!(
            "{REFUSED}: it is of {}, this process is {build}; run the same program everywhere",
            known.build
        )));
    }
    serde_json::from_value(known.node).map_err(|e| DataFusionError::External(Box::new(e)))
}

/// Name of the functions that [`functions::order_key`] makes: what it sorts by is in the name.
const ORDER_KEY: &str = "order_key_";

fn made_function(name: &str) -> Option<Arc<ScalarUDF>> {
    let directions = name.strip_prefix(ORDER_KEY)?;
    directions.bytes().all(|direction| matches!(direction, b'a' | b'd')).then(|| Arc::new(functions::order_key(directions)))
}

/// Writes a function that was made for its plan; `false` for any other.
fn write_made(function: &ScalarUDF, buf: &mut Vec<u8>) -> bool {
    let made = made_function(function.name()).is_some();
    if made {
        // Some bytes have to travel, or the name alone is looked up in the registry.
        buf.extend_from_slice(function.name().as_bytes());
    }
    made
}

/// Logical nodes over the wire.
#[derive(Debug, Default)]
pub struct LogicalCodec {
    inner: BallistaLogicalExtensionCodec,
}

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        match buf.split_first() {
            Some((&THEIRS, rest)) => self.inner.try_decode(rest, inputs, ctx),
            Some((&OURS, rest)) => {
                let [input] = inputs else { return internal_err!("a stage takes one input, {} came", inputs.len()) };
                match StageNode::plan(input.clone(), read(rest, build_id())?)? {
                    LogicalPlan::Extension(extension) => Ok(extension),
                    other => internal_err!("a stage became `{other}`"),
                }
            }
            _ => internal_err!("a logical node of a kind that is not known"),
        }
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        match node.node.as_any().downcast_ref::<StageNode>() {
            Some(stage) => write(stage.op.as_ref(), build_id(), buf),
            None => {
                buf.push(THEIRS);
                self.inner.try_encode(node, buf)
            }
        }
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table_ref: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        self.inner.try_decode_table_provider(buf, table_ref, schema, ctx)
    }

    fn try_encode_table_provider(&self, table_ref: &TableReference, node: Arc<dyn TableProvider>, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_table_provider(table_ref, node, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.inner.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.inner.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        made_function(name).map_or_else(|| self.inner.try_decode_udf(name, buf), Ok)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        if write_made(node, buf) { Ok(()) } else { self.inner.try_encode_udf(node, buf) }
    }
}

/// Physical nodes over the wire.
#[derive(Debug)]
pub struct PhysicalCodec {
    inner: BallistaPhysicalExtensionCodec,
    build: String,
}

impl Default for PhysicalCodec {
    fn default() -> Self {
        Self::of_build(build_id())
    }
}

impl PhysicalCodec {
    /// A codec of a program that calls itself so; for tests of what a mixed cluster does.
    pub fn of_build(build: &str) -> Self {
        Self { inner: BallistaPhysicalExtensionCodec::default(), build: build.to_owned() }
    }
}

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match buf.split_first() {
            Some((&THEIRS, rest)) => self.inner.try_decode(rest, inputs, ctx, converter),
            Some((&OURS, rest)) => {
                let [input] = inputs else { return internal_err!("a stage takes one input, {} came", inputs.len()) };
                match read(rest, &self.build)? {
                    Physical::Stage(op) => Ok(Arc::new(StageExec::try_new(Arc::clone(input), Arc::new(op))?)),
                    Physical::Settle(settle) => Ok(Arc::new(SettleExec::new(Arc::clone(input), settle))),
                }
            }
            _ => internal_err!("a physical node of a kind that is not known"),
        }
    }

    fn try_encode(&self, node: Arc<dyn ExecutionPlan>, buf: &mut Vec<u8>, converter: &dyn PhysicalProtoConverterExtension) -> Result<()> {
        if let Some(stage) = node.downcast_ref::<StageExec>() {
            return write(Physical::Stage(stage.op().clone()), &self.build, buf);
        }
        if let Some(settle) = node.downcast_ref::<SettleExec>() {
            return write(Physical::Settle(settle.settle().clone()), &self.build, buf);
        }
        buf.push(THEIRS);
        self.inner.try_encode(node, buf, converter)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        made_function(name).map_or_else(|| self.inner.try_decode_udf(name, buf), Ok)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        if write_made(node, buf) { Ok(()) } else { self.inner.try_encode_udf(node, buf) }
    }
}
