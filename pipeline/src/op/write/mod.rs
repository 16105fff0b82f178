//! Writes units: what is kept, what was excluded and why, and last the marker.
//!
//! The node cuts on the unit column and on control rows. It emits one statistics row per finished unit. What a crash may
//! leave behind is a unit without a marker, which the next run redoes whole; outputs are named by unit, so redoing
//! overwrites.

mod exclusions;
mod json;
mod row_list;
mod shards;
mod table;
mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::VALUE;
use trommel_shards::marker::{Counts, Marker, Output};

use super::env::{Env, external};
use super::rows::{UnitRows, strings};
use exclusions::Exclusions;
pub use exclusions::exclusion_schema;
pub(crate) use json::python_indented;
pub use row_list::{RowEntry, read_row_list, write_row_list};
use shards::ShardSink;
pub use shards::{OutputFormat, ShardSpec};
use table::TableSink;
pub use vectors::VectorFormat;

/// Writes the units of one pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The pass, as it appears in marker names.
    pub pass: String,
    /// Hash over everything that shapes the output.
    pub config: String,
    /// Where the identity of a unit's input is found.
    pub input: InputIdentity,
    /// What is written.
    pub target: Target,
}

/// Where the identity of a unit's input is found, for its marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputIdentity {
    /// In the control row, under `input`: the operation that read the file has put it there.
    Control,
    /// In the marker of the pass that wrote the unit's input, joined by the digest of the unit's list of duplicates.
    Upstream {
        /// The pass that wrote the input.
        pass: String,
        /// Folder of a dedupe pass's lists.
        lists: Option<String>,
    },
    /// One for all units: the pass is redone whole.
    Fixed(String),
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// An intermediate table per unit, with its control row, for the next pass.
    Table {
        /// Folder, relative to the job's output.
        folder: String,
    },
    /// The lists of duplicates of a dedupe pass: one file per unit that has any, no markers.
    Lists {
        /// Folder, relative to the job's output.
        folder: String,
    },
    /// Final shards.
    Shards(ShardSpec),
}

/// Schema of the statistics rows: the unit, and its marker as JSON.
pub fn stats_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("unit", DataType::Utf8, false), Field::new("marker", DataType::Utf8, false)]))
}

impl Write {
    pub(super) fn describe(&self) -> String {
        match &self.target {
            Target::Table { folder } | Target::Lists { folder } => format!("pass={} folder={folder}", self.pass),
            Target::Shards(spec) => format!("pass={} {}", self.pass, spec.describe()),
        }
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = self.clone();
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let mut open: Option<OpenUnit> = None;
            while let Some(batch) = input.next().await {
                let batch = batch?;
                if matches!(op.target, Target::Lists { .. }) {
                    for run in runs_of_lists(&batch)? {
                        let unit = switch(&mut open, &op, &run.0, &batch, &inner, &out).await?;
                        unit.write(&batch.slice(run.1.start, run.1.len()), &inner).await?;
                    }
                    continue;
                }
                for run in UnitRows::split(&batch)? {
                    let unit = switch(&mut open, &op, &run.unit, &batch, &inner, &out).await?;
                    if !run.rows.is_empty() {
                        unit.write(&batch.slice(run.rows.start, run.rows.len()), &inner).await?;
                    }
                    if let Some(at) = run.control
                        && let Some(mut unit) = open.take()
                    {
                        unit.control = serde_json::from_str(strings(&batch, VALUE)?.value(at)).unwrap_or_default();
                        unit.write_control(&batch.slice(at, 1)).await?;
                        emit(unit.finish(&op, &inner).await?, &out).await;
                    }
                }
            }
            match open {
                Some(unit) if matches!(op.target, Target::Lists { .. }) => emit(unit.finish(&op, &inner).await?, &out).await,
                // A unit without its control row was cut short: it is rolled back, not marked.
                Some(unit) => return Err(DataFusionError::Execution(format!("unit `{}` ended without its control row", unit.name))),
                None => {}
            }
            Ok(())
        }))
    }
}

/// The open unit, after the one before it has been finished.
async fn switch<'a>(
    open: &'a mut Option<OpenUnit>,
    op: &Write,
    name: &str,
    batch: &RecordBatch,
    env: &Env,
    out: &super::env::Out,
) -> Result<&'a mut OpenUnit> {
    if open.as_ref().is_some_and(|unit| unit.name != name)
        && let Some(unit) = open.take()
    {
        emit(unit.finish(op, env).await?, out).await;
    }
    match open {
        Some(unit) => Ok(unit),
        None => Ok(open.insert(OpenUnit::start(op, name, &batch.schema(), env).await?)),
    }
}

async fn emit((unit, marker): (String, Marker), out: &super::env::Out) {
    let text = serde_json::to_string(&marker).unwrap_or_default();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![unit])), Arc::new(StringArray::from(vec![text]))];
    if let Ok(batch) = RecordBatch::try_new(stats_schema(), columns) {
        // Nobody reads any more only when the run is given up; the unit itself is safe.
        let _ = out.send(Ok(batch)).await;
    }
}

fn runs_of_lists(batch: &RecordBatch) -> Result<Vec<(String, std::ops::Range<usize>)>> {
    let units = strings(batch, trommel_shards::columns::UNIT)?;
    let mut runs: Vec<(String, std::ops::Range<usize>)> = Vec::new();
    for row in 0..batch.num_rows() {
        match runs.last_mut() {
            Some((unit, range)) if unit == units.value(row) => range.end = row + 1,
            _ => runs.push((units.value(row).to_owned(), row..row + 1)),
        }
    }
    Ok(runs)
}

enum Sink {
    Table(TableSink),
    Lists(TableSink),
    Shards(Box<ShardSink>),
}

/// A unit that is being written.
struct OpenUnit {
    name: String,
    sink: Sink,
    exclusions: Exclusions,
    counts: Counts,
    control: serde_json::Value,
    started: Instant,
}

impl OpenUnit {
    async fn start(op: &Write, name: &str, schema: &SchemaRef, env: &Env) -> Result<Self> {
        let storage = &env.services.storage;
        let sink = match &op.target {
            Target::Table { folder } => Sink::Table(TableSink::open(storage, &format!("{folder}/{name}.parquet"), schema).await?),
            Target::Lists { folder } => Sink::Lists(TableSink::open(storage, &format!("{folder}/{name}.parquet"), schema).await?),
            Target::Shards(spec) => Sink::Shards(Box::new(ShardSink::open(env, spec, name, schema).await?)),
        };
        let exclusions = Exclusions::new(format!("excluded/{}/{name}.parquet", op.pass));
        Ok(Self {
            name: name.to_owned(),
            sink,
            exclusions,
            counts: Counts::default(),
            control: serde_json::Value::Null,
            started: Instant::now(),
        })
    }

    async fn write(&mut self, batch: &RecordBatch, env: &Env) -> Result<()> {
        self.counts.rows += batch.num_rows() as u64;
        if let Sink::Lists(sink) = &mut self.sink {
            self.counts.kept += batch.num_rows() as u64;
            return sink.write(batch).await;
        }
        let kept = self.exclusions.split(batch, &env.services.storage, &mut self.counts).await?;
        env.services.progress.rows(batch.num_rows() as u64);
        env.services.progress.lost((batch.num_rows() - kept.num_rows()) as u64);
        match &mut self.sink {
            Sink::Table(sink) => {
                self.counts.kept += kept.num_rows() as u64;
                sink.write(&kept).await
            }
            Sink::Shards(sink) => sink.write(&kept, &mut self.counts, env).await,
            Sink::Lists(_) => Ok(()),
        }
    }

    async fn write_control(&mut self, row: &RecordBatch) -> Result<()> {
        match &mut self.sink {
            Sink::Table(sink) => sink.write(row).await,
            Sink::Lists(_) | Sink::Shards(_) => Ok(()),
        }
    }

    async fn finish(self, op: &Write, env: &Env) -> Result<(String, Marker)> {
        let storage = &env.services.storage;
        let mut outputs: BTreeMap<String, Output> = BTreeMap::new();
        let marks = !matches!(op.target, Target::Lists { .. });
        match self.sink {
            Sink::Table(sink) => sink.finish(&mut outputs).await?,
            Sink::Lists(sink) => sink.finish(&mut outputs).await?,
            Sink::Shards(sink) => sink.finish(&self.counts, &mut outputs).await?,
        }
        self.exclusions.finish(&mut outputs).await?;
        let input = match &op.input {
            InputIdentity::Control => self.control.get("input").and_then(|value| value.as_str()).unwrap_or_default().to_owned(),
            InputIdentity::Fixed(identity) => identity.clone(),
            InputIdentity::Upstream { pass, lists } => {
                let marker = Marker::read(storage, pass, &self.name).await.map_err(external)?;
                let list = match lists {
                    Some(folder) => storage.sha256(&format!("{folder}/{}.parquet", self.name)).await.map_err(external)?,
                    None => None,
                };
                crate::ledger::upstream_identity(marker.as_ref(), list.as_deref())
            }
        };
        let marker = Marker {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: op.config.clone(),
            input,
            outputs,
            counts: self.counts,
            stats: self.control,
            elapsed_ms: self.started.elapsed().as_millis() as u64,
        };
        if marks {
            crate::failpoint::reach("before-marker");
            marker.write(storage, &op.pass, &self.name).await.map_err(external)?;
            env.services.progress.unit_done();
        }
        Ok((self.name, marker))
    }
}
