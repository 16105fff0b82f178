//! Writes the shards of a plan, several at a time, each with a marker: what is there stays, what is not is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, Float32Array, StringArray};
use arrow::datatypes::{DataType, Float32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::stream::{FuturesUnordered, StreamExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use trommel_shards::marker::{self, Counts, Marker, Output};
use trommel_shards::reshard::{
    BoxError, Extra, GroupBy, Order, Reshard, ReshardCounts, ReshardError, ReshardOptions, ShardFormat, ShardNames, Sizes,
};
use trommel_shards::source::Input;
use trommel_shards::storage::{Storage, StorageError};
use trommel_shards::subset::Uid128;

use crate::recipe::settings::ReshardSettings;
use crate::report::{Progress, ProgressLine};
use crate::select::DUP_GROUP;

/// Aspect ratios, width by height, of the buckets that models of several shapes are trained on.
const ASPECTS: [f64; 9] = [0.5, 9.0 / 16.0, 2.0 / 3.0, 0.75, 1.0, 4.0 / 3.0, 1.5, 16.0 / 9.0, 2.0];

/// Name of the pass, for markers.
pub const PASS: &str = "reshard";

/// A resharding that could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The plan could not be made.
    #[error(transparent)]
    Plan(#[from] ReshardError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Interrupted; what was finished is safe.
    #[error("interrupted: finished shards are safe, run the same command again to go on")]
    Interrupted,
}

/// What a resharding did.
#[derive(Debug)]
pub struct Resharded {
    /// Shards written in this run.
    pub written: usize,
    /// Shards that were there.
    pub there: usize,
    /// What became of the samples.
    pub counts: ReshardCounts,
    /// Input shards that could not be read, and output shards that could not be written, with the reason.
    pub failed: Vec<(String, String)>,
    /// Seconds.
    pub seconds: f64,
}

/// The options of settings.
///
/// # Errors
/// The key that is wrong.
pub fn options_of(settings: &ReshardSettings, threads: usize) -> Result<ReshardOptions, (&'static str, String)> {
    let base = match settings.shard_compat.as_deref() {
        None => ReshardOptions::default(),
        Some("datacomp") => ReshardOptions::datacomp(),
        Some(other) => return Err(("shard_compat", format!("no such layout `{other}`: only `datacomp`"))),
    };
    let seed = settings.shuffle_seed;
    let order = match settings.order.as_str() {
        "input" => Order::Input,
        "shuffled" => Order::Shuffled { seed },
        "aspect" => Order::Grouped { by: GroupBy::Aspect(ASPECTS.to_vec()), seed },
        "patches" => Order::Grouped { by: GroupBy::NaflexLength { patch: 16, patches: 256 }, seed },
        other => match other.strip_prefix("column:") {
            Some(column) => Order::Grouped { by: GroupBy::Column(column.to_owned()), seed },
            None => return Err(("order", format!("no such order `{other}`: `input`, `shuffled`, `aspect`, `patches` or `column:NAME`"))),
        },
    };
    let format = match settings.shard_format.as_str() {
        "webdataset" => ShardFormat::Webdataset,
        "parquet" => ShardFormat::Parquet,
        other => return Err(("shard_format", format!("no such format `{other}`: `webdataset` or `parquet`"))),
    };
    let (sizes, max_bytes) = match settings.equal_shards {
        true => (Sizes::Equal(settings.shard_size), None),
        false => (Sizes::Exact(settings.shard_size), base.max_bytes),
    };
    let names = ShardNames { first: settings.first_shard, ..base.names };
    Ok(ReshardOptions { order, sizes, max_bytes, names, format, threads, ..base })
}

/// Writes the shards of a plan that are not there yet. `extra` is the identity of the columns that are added to them; empty without any.
///
/// # Errors
/// [`RunError`]; a shard that cannot be written is no error, it is listed in [`Resharded::failed`].
pub async fn write(
    plan: &Reshard,
    extra: &str,
    storage: &Storage,
    datacomp: bool,
    threads: usize,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<Resharded, RunError> {
    let started = Instant::now();
    let config = if extra.is_empty() { plan.identity().to_owned() } else { format!("{} {extra}", plan.identity()) };
    let known = Marker::read_all(storage, PASS).await?;
    let names: Vec<String> = (0..plan.shards()).map(|shard| plan.name(shard)).collect();
    let mut there = 0;
    let mut pending = Vec::new();
    for (shard, name) in names.iter().enumerate() {
        match known.get(name) {
            Some(marker) if marker.config == config && marker.outputs_present(storage).await? => there += 1,
            _ => pending.push(shard),
        }
    }
    // What another plan has left goes, its marker first.
    for (name, marker) in &known {
        let stays = names.iter().position(|wanted| wanted == name).is_some_and(|shard| !pending.contains(&shard));
        if !stays {
            storage.delete(&marker::name(PASS, name)).await?;
            for output in marker.outputs.keys() {
                storage.delete(output).await?;
            }
        }
    }
    let mut failed: Vec<(String, String)> = plan.failures().iter().map(|(shard, error)| (shard.clone(), error.to_string())).collect();
    let progress = Arc::new(Progress::default());
    let line = ProgressLine::start(&progress, PASS, pending.len() as u64, quiet);
    let mut waiting = pending.into_iter();
    let mut running = FuturesUnordered::new();
    let mut written = 0;
    loop {
        while running.len() < threads.max(1) && !cancel.is_cancelled() {
            let Some(shard) = waiting.next() else { break };
            let (plan, storage, config, progress) = (plan.clone(), storage.clone(), config.clone(), Arc::clone(&progress));
            running.push(async move { (shard, one(&plan, shard, &storage, &config, &progress).await) });
        }
        match running.next().await {
            Some((_, Ok(()))) => written += 1,
            Some((shard, Err(error))) => failed.push((plan.name(shard), error.to_string())),
            None => break,
        }
    }
    line.finish();
    if cancel.is_cancelled() {
        return Err(RunError::Interrupted);
    }
    if datacomp && failed.is_empty() {
        plan.write_datacomp_files(storage).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Resharded { written, there, counts: plan.counts().clone(), failed, seconds })
}

async fn one(plan: &Reshard, shard: usize, storage: &Storage, config: &str, progress: &Progress) -> Result<(), RunError> {
    let started = Instant::now();
    let shard = plan.write_shard(shard, storage).await?;
    crate::failpoint::reach("before-reshard-marker");
    let outputs: BTreeMap<String, Output> = shard.outputs.into_iter().map(|(name, written)| (name, written.into())).collect();
    let marker = Marker {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: config.to_owned(),
        input: config.to_owned(),
        outputs,
        counts: Counts { rows: shard.rows, kept: shard.rows, ..Counts::default() },
        stats: serde_json::Value::Null,
        elapsed_ms: started.elapsed().as_millis() as u64,
    };
    marker.write(storage, PASS, &shard.name).await?;
    progress.rows(shard.rows);
    progress.unit_done();
    Ok(())
}

/// What a subset's table says of its rows, looked up by uid: columns of the final shards.
///
/// Weights are numbers, names (`dup_group`) are uids. Memory: 16 bytes a row, 4 for each weight and 16 for each name.
pub struct ExtraColumns {
    schema: SchemaRef,
    uids: Vec<u128>,
    columns: Vec<ExtraColumn>,
}

enum ExtraColumn {
    /// NaN where there is none.
    Weight(Vec<f32>),
    /// 0 where there is none.
    Name(Vec<u128>),
}

impl ExtraColumn {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float32 => Self::Weight(Vec::new()),
            _ => Self::Name(Vec::new()),
        }
    }

    fn extend(&mut self, column: &ArrayRef) -> Result<(), BoxError> {
        match self {
            Self::Weight(list) => {
                let weights = column.as_primitive_opt::<Float32Type>().ok_or("a weight is not float32")?;
                list.extend(weights.iter().map(|weight| weight.unwrap_or(f32::NAN)));
            }
            Self::Name(list) => {
                for name in column.as_string_opt::<i32>().ok_or("a name is not text")?.iter() {
                    list.push(match name {
                        Some(name) => Uid128::parse(name).ok_or("a name is not 32 hexadecimal digits")?.0,
                        None => 0,
                    });
                }
            }
        }
        Ok(())
    }

    fn ordered(self, order: &[usize]) -> Self {
        match self {
            Self::Weight(list) => Self::Weight(order.iter().map(|&row| list[row]).collect()),
            Self::Name(list) => Self::Name(order.iter().map(|&row| list[row]).collect()),
        }
    }

    fn digest(&self, hasher: &mut xxhash_rust::xxh3::Xxh3) {
        match self {
            Self::Weight(list) => list.iter().for_each(|weight| hasher.update(&weight.to_le_bytes())),
            Self::Name(list) => list.iter().for_each(|name| hasher.update(&name.to_le_bytes())),
        }
    }

    fn array(&self, places: &[Option<usize>]) -> ArrayRef {
        match self {
            Self::Weight(list) => {
                Arc::new(places.iter().map(|place| place.map(|at| list[at]).filter(|weight| !weight.is_nan())).collect::<Float32Array>())
            }
            Self::Name(list) => {
                let name = |at: usize| (list[at] != 0).then(|| format!("{:032x}", list[at]));
                Arc::new(places.iter().map(|place| place.and_then(name)).collect::<StringArray>())
            }
        }
    }
}

impl ExtraColumns {
    /// Reads a subset's table; `None` when it says nothing but uid and copies.
    ///
    /// # Errors
    /// When the table cannot be read, or has a uid that is none.
    pub fn open(uri: &str) -> Result<Option<Self>, BoxError> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Input::open(uri)?)?;
        let fields: Vec<_> = reader
            .schema()
            .fields()
            .iter()
            .filter(|field| *field.data_type() == DataType::Float32 || field.name().starts_with(DUP_GROUP))
            .cloned()
            .collect();
        if fields.is_empty() {
            return Ok(None);
        }
        let mut uids = Vec::new();
        let mut columns: Vec<ExtraColumn> = fields.iter().map(|field| ExtraColumn::of(field.data_type())).collect();
        for batch in reader.build()? {
            let batch = batch?;
            let names = batch.column_by_name("uid").and_then(|column| column.as_string_opt::<i32>()).ok_or("column `uid` is not text")?;
            for name in names.iter() {
                uids.push(name.and_then(Uid128::parse).ok_or("a uid is not 32 hexadecimal digits")?.0);
            }
            for (field, column) in fields.iter().zip(&mut columns) {
                column.extend(batch.column_by_name(field.name()).ok_or("a column is missing")?)?;
            }
        }
        let mut order: Vec<usize> = (0..uids.len()).collect();
        order.sort_unstable_by_key(|&row| (uids[row], row));
        let columns = columns.into_iter().map(|column| column.ordered(&order)).collect();
        Ok(Some(Self { schema: Arc::new(Schema::new(fields)), uids: order.iter().map(|&row| uids[row]).collect(), columns }))
    }
}

impl ExtraColumns {
    /// What changes when any value does: shards that hold others are written again.
    pub fn identity(&self) -> String {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(format!("{:?}", self.schema.fields().iter().map(|field| field.name()).collect::<Vec<_>>()).as_bytes());
        self.uids.iter().for_each(|uid| hasher.update(&uid.to_le_bytes()));
        self.columns.iter().for_each(|column| column.digest(&mut hasher));
        format!("{:032x}", hasher.digest128())
    }
}

impl Extra for ExtraColumns {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self, uids: &[Option<Uid128>]) -> Result<RecordBatch, BoxError> {
        let places: Vec<Option<usize>> = uids.iter().map(|uid| self.uids.binary_search(&uid.as_ref()?.0).ok()).collect();
        Ok(RecordBatch::try_new(self.schema(), self.columns.iter().map(|column| column.array(&places)).collect())?)
    }
}
