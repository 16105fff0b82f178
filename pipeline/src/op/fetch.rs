//! Fetches the urls of a unit and makes training pictures of them.
//!
//! Inside a unit everything overlaps: hundreds of requests are in flight while decoder threads work on what has come. Rows
//! leave in the order in which they came in. What is ready early waits, in memory up to a bound, beyond it in a temporary
//! file, so a slow host at the head of a unit costs neither speed nor memory. What a host has not given when the unit's
//! time is over leaves with the status `deferred`.

mod archived;
mod job;
mod reorder;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Builder, LargeBinaryBuilder, StringBuilder};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use trommel_shards::columns::{ERROR_CODE, IMAGE, ROW, UNIT, fetch_fields, is_system, system_fields};
use trommel_shards::digest::HashKind;
use trommel_shards::image::ImageOptions;

use super::env::{Env, Out, external};
use super::rows::{UnitRows, control_row, exclude, strings};
use super::score::pixels_column;
use crate::crawl::fetch::{FetchConfig, FetchItem, FetchOutcome, Leave, UnitBudget};
use crate::hashes::{HashBuilders, PictureHash, fields};
use crate::scorers::ScoreModel;
use job::{ImageJob, Row};
use reorder::Reorder;
pub use reorder::WaitingRows;

/// Rows in an output batch.
const BATCH_ROWS: usize = 128;

/// Fetching and image work of one pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    /// How to fetch.
    pub config: FetchConfig,
    /// What to do with the bytes.
    pub images: FetchImages,
    /// Archive files that are asked before the network.
    pub archive: Vec<String>,
    /// What changes when the content of the archive files does.
    pub archive_identity: String,
    /// Never ask the network.
    pub offline: bool,
    /// Time of a unit in seconds, after which the rest is deferred.
    pub unit_seconds: f64,
    /// In the last round what is left over fails instead.
    pub last_round: bool,
    /// There are units behind those of this plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_units: bool,
    /// Models that score in the same pass: pictures are scaled for them while they are decoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_for: Vec<ScoreModel>,
}

/// What to do with the bytes of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FetchImages {
    /// Decode, judge, resize, encode.
    pub options: ImageOptions,
    /// Digest of the downloaded bytes, as a column.
    pub compute_hash: Option<HashKind>,
    /// Column with the digest that the bytes must have, of the same kind.
    pub verify_hash: Option<String>,
    /// Column with boxes to blur: lists of `[x0, y0, x1, y1]` in 0..1.
    pub boxes: Option<String>,
    /// Hashes of the decoded pictures, as columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<PictureHash>,
    /// Lists of pictures that must not be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocking: Option<Blocking>,
    /// Text column to blank: `robots`, the page's own opt-out.
    pub page_optout: bool,
}

/// Pictures that must not be kept. One that is in a list is written nowhere: its row leaves only a count and the case id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocking {
    /// The lists.
    pub files: Vec<String>,
    /// What changes when the content of the lists does.
    pub identity: String,
    /// Largest distance of PDQ hashes that match.
    pub distance: u32,
    /// Name of the stage, for the funnel.
    pub stage: String,
}

/// The reason of a row whose picture is in a list.
const BLOCKED: &str = "in a block list";

impl Fetch {
    pub(super) fn describe(&self) -> String {
        let options = &self.images.options;
        let from = match (self.archive.len(), self.offline) {
            (0, _) => String::new(),
            (n, true) => format!(" from {n} archives, offline"),
            (n, false) => format!(" from {n} archives, then the network"),
        };
        format!("{}x{:?} {:?}{from}", options.image_size, options.resize_mode, options.encode_format).to_lowercase()
    }

    fn hash_name(&self) -> Option<&'static str> {
        self.images.compute_hash.map(HashKind::name)
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name("url")?;
        for column in [&self.images.verify_hash, &self.images.boxes].into_iter().flatten() {
            input.field_with_name(column)?;
        }
        let mut added = fetch_fields(self.images.options.extract_exif, self.hash_name());
        added.extend(fields(&self.images.hashes));
        let replaced = |name: &str| is_system(name) || name == ERROR_CODE || added.iter().any(|field| field.name() == name);
        // The row of a picture that must not be kept loses everything that it says.
        let blocks = self.images.blocking.is_some();
        let emptied = |field: &Arc<Field>| if blocks { Arc::new(field.as_ref().clone().with_nullable(true)) } else { Arc::clone(field) };
        let mut fields: Vec<_> = input.fields().iter().filter(|field| !replaced(field.name())).map(emptied).collect();
        fields.extend(added);
        fields.push(Arc::new(Field::new(ERROR_CODE, DataType::Utf8, true)));
        fields.push(Arc::new(Field::new(IMAGE, DataType::LargeBinary, true)));
        for model in &self.scale_for {
            fields.push(Arc::new(Field::new(pixels_column(&model.name), DataType::LargeBinary, true)));
        }
        fields.extend(system_fields());
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let op = Arc::new(self.clone());
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let mut unit: Vec<RecordBatch> = Vec::new();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                for run in UnitRows::split(&batch)? {
                    if !run.rows.is_empty() {
                        unit.push(batch.slice(run.rows.start, run.rows.len()));
                    }
                    if run.control.is_some() {
                        let name = run.unit;
                        run_unit(&op, &inner, &name, std::mem::take(&mut unit), &out).await?;
                    }
                }
            }
            match unit.first() {
                Some(batch) => {
                    Err(DataFusionError::Execution(format!("unit `{}` ended without its control row", strings(batch, UNIT)?.value(0))))
                }
                None => Ok(()),
            }
        }))
    }
}

async fn run_unit(op: &Arc<Fetch>, env: &Env, name: &str, batches: Vec<RecordBatch>, out: &Out) -> Result<()> {
    let Some(first) = batches.first() else {
        let _ = out.send(Ok(control_row(&env.schema, name, &serde_json::json!({}))?)).await;
        return Ok(());
    };
    let rows = arrow::compute::concat_batches(&first.schema(), &batches)?;
    drop(batches);
    let total = rows.num_rows();
    let mut scorers = Vec::new();
    for model in &op.scale_for {
        let (services, model) = (Arc::clone(&env.services), model.clone());
        scorers.push(tokio::task::spawn_blocking(move || services.scorer(&model)).await.map_err(external)?.map_err(external)?);
    }
    let list = match op.images.blocking.clone() {
        Some(blocking) => {
            let services = Arc::clone(&env.services);
            Some(tokio::task::spawn_blocking(move || services.block_list(&blocking)).await.map_err(external)?.map_err(external)?)
        }
        None => None,
    };
    let job = Arc::new(ImageJob::new(op, &rows, scorers, list)?);
    let mut reorder = Reorder::new(total, Arc::clone(&env.services.waiting), env.services.spill_folder.clone());
    let mut emitter = Emitter { op, env, rows: &rows, out, next: 0 };

    let mut wanted: Vec<FetchItem> = Vec::with_capacity(total);
    let urls = strings(&rows, "url")?;
    for index in 0..total {
        match job.refused_by_page(index) {
            Some(row) => reorder.put(index, row).map_err(DataFusionError::from)?,
            None => wanted.push(FetchItem {
                index: index as u32,
                url: if urls.is_valid(index) { urls.value(index).to_owned() } else { String::new() },
            }),
        }
    }
    let decoders = env.services.decoders().map_err(external)?;
    let mut decoding = FuturesUnordered::new();

    // Reading archives is work too: a unit has its place before.
    let fetcher = if op.offline || wanted.is_empty() { None } else { Some(env.services.fetcher(&op.config).map_err(external)?) };
    let _place = match &fetcher {
        Some(fetcher) => Some(fetcher.place().await),
        None => None,
    };

    if !op.archive.is_empty() {
        let services = Arc::clone(&env.services);
        let files = op.archive.clone();
        let archives = tokio::task::spawn_blocking(move || services.archives(&files)).await.map_err(external)?.map_err(external)?;
        wanted = archived::fetch(&archives, wanted, op.offline, &job, &decoders, &mut reorder, &mut emitter).await?;
    }

    if let Some(fetcher) = fetcher.filter(|_| !wanted.is_empty()) {
        // The last round is the last chance of slow hosts.
        let leave = match (op.last_round, op.more_units || env.services.behind.any()) {
            (true, _) => Leave::Never,
            (false, true) => Leave::Always,
            (false, false) => Leave::WhenOthersWait,
        };
        let (send, mut done) = mpsc::channel(64);
        let budget = UnitBudget { time: Duration::from_secs_f64(op.unit_seconds), leave, ..UnitBudget::default() };
        let runner = tokio::spawn({
            let fetcher = Arc::clone(&fetcher);
            async move { fetcher.run_unit(wanted, budget, send).await }
        });
        // Aborts the fetching when this unit is given up.
        let _guard = AbortOnDrop(runner.abort_handle());
        let mut open = true;
        while open || !decoding.is_empty() {
            tokio::select! {
                answer = done.recv(), if open && decoding.len() < 256 => match answer {
                    Some(answer) => {
                        let index = answer.index as usize;
                        match answer.outcome {
                            FetchOutcome::Success(fetched) => {
                                let job = Arc::clone(&job);
                                let decoders = Arc::clone(&decoders);
                                decoding.push(async move {
                                    let body = fetched.body.clone();
                                    let row = decoders.run(move |processor| job.process(processor, index, &body)).await;
                                    drop(fetched);
                                    (index, row.unwrap_or_else(Row::decoder_panicked))
                                });
                            }
                            other => reorder.put(index, Row::of_outcome(other, op.last_round)).map_err(DataFusionError::from)?,
                        }
                    }
                    None => open = false,
                },
                Some((index, row)) = decoding.next(), if !decoding.is_empty() => reorder.put(index, row).map_err(DataFusionError::from)?,
            }
            emitter.emit_ready(&mut reorder).await?;
        }
    }
    emitter.emit_ready(&mut reorder).await?;
    if emitter.next != total {
        return Err(DataFusionError::Execution(format!("unit `{name}`: {} of {total} urls were not answered", total - emitter.next)));
    }
    let _ = out.send(Ok(control_row(&env.schema, name, &serde_json::json!({ "urls": total }))?)).await;
    Ok(())
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Turns finished rows, in order, into batches.
struct Emitter<'a> {
    op: &'a Fetch,
    env: &'a Env,
    rows: &'a RecordBatch,
    out: &'a Out,
    next: usize,
}

impl Emitter<'_> {
    /// Sends all full batches, and the last one however small.
    async fn emit_ready(&mut self, reorder: &mut Reorder) -> Result<()> {
        loop {
            let ready = reorder.ready();
            let total = self.rows.num_rows();
            if ready == 0 || (ready < BATCH_ROWS && self.next + ready < total) {
                return Ok(());
            }
            let rows = reorder.take(ready.min(BATCH_ROWS)).map_err(DataFusionError::from)?;
            let batch = self.batch(&rows)?;
            self.next += rows.len();
            if self.out.send(Ok(batch)).await.is_err() {
                return Err(DataFusionError::Execution("cancelled".into()));
            }
        }
    }

    fn batch(&self, finished: &[Row]) -> Result<RecordBatch> {
        let input = self.rows.slice(self.next, finished.len());
        let mut status = StringBuilder::new();
        let mut message = StringBuilder::new();
        let mut code = StringBuilder::new();
        let mut exif = StringBuilder::new();
        let mut hash = StringBuilder::new();
        let mut sizes: [Int32Builder; 4] = std::array::from_fn(|_| Int32Builder::new());
        let mut image = LargeBinaryBuilder::new();
        let mut hashes = HashBuilders::default();
        let mut pixels: Vec<LargeBinaryBuilder> = self.op.scale_for.iter().map(|_| LargeBinaryBuilder::new()).collect();
        for row in finished {
            status.append_value(row.status.as_str());
            message.append_option(row.message.as_deref());
            code.append_option(row.code.as_deref());
            exif.append_option(row.exif.as_deref());
            hash.append_option(row.hash.as_deref());
            for (builder, size) in sizes.iter_mut().zip(row.sizes) {
                builder.append_option(size.and_then(|size| i32::try_from(size).ok()));
            }
            image.append_option(row.image.as_deref());
            hashes.push(&row.hashes);
            for (at, builder) in pixels.iter_mut().enumerate() {
                builder.append_option(row.pixels.get(at).map(Vec::as_slice).filter(|pixels| !pixels.is_empty()));
            }
        }
        let [mut width, mut height, mut original_width, mut original_height] = sizes;
        let hash_name = self.op.hash_name();
        let made = fields(&self.op.images.hashes);
        let names: Vec<String> = self.op.scale_for.iter().map(|model| pixels_column(&model.name)).collect();
        let columns = self
            .env
            .schema
            .fields()
            .iter()
            .map(|field| -> Result<ArrayRef> {
                Ok(match field.name().as_str() {
                    "status" => Arc::new(status.finish()),
                    "error_message" => Arc::new(message.finish()),
                    ERROR_CODE => Arc::new(code.finish()),
                    "exif" => Arc::new(exif.finish()),
                    "width" => Arc::new(width.finish()),
                    "height" => Arc::new(height.finish()),
                    "original_width" => Arc::new(original_width.finish()),
                    "original_height" => Arc::new(original_height.finish()),
                    IMAGE => Arc::new(image.finish()),
                    name if Some(name) == hash_name => Arc::new(hash.finish()),
                    name if names.iter().any(|pixels| pixels == name) => {
                        let at = names.iter().position(|pixels| pixels == name).unwrap_or_default();
                        Arc::new(pixels[at].finish())
                    }
                    name if made.iter().any(|field| field.name() == name) => {
                        hashes.column(name).ok_or_else(|| DataFusionError::Plan(format!("no hash `{name}`")))?
                    }
                    name => Arc::clone(super::rows::column(&input, name)?),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.env.schema), columns)?;
        match &self.op.images.blocking {
            Some(blocking) if finished.iter().any(|row| row.blocked.is_some()) => without_blocked(&batch, finished, blocking),
            _ => Ok(batch),
        }
    }
}

/// Empties the rows of pictures that must not be kept, but for their place, the stage that took them out, and the case id.
fn without_blocked(batch: &RecordBatch, finished: &[Row], blocking: &Blocking) -> Result<RecordBatch> {
    let blocked: BooleanArray = finished.iter().map(|row| Some(row.blocked.is_some())).collect();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        columns.push(match field.name().as_str() {
            UNIT | ROW => Arc::clone(column),
            // What an earlier stage thought of the row goes too: this is why it is gone.
            _ => nullif(column, &blocked)?,
        });
    }
    let emptied = RecordBatch::try_new(batch.schema(), columns)?;
    let verdicts: Vec<_> = finished.iter().map(|row| row.blocked.as_ref().map(|case| (BLOCKED, Some(case.clone())))).collect();
    exclude(&emptied, &blocking.stage, &verdicts)
}
