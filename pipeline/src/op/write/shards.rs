//! Final shards: webdataset tars, parquet, plain files, or statistics only.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatchOptions, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ERROR_CODE, IMAGE, ROW, is_system};
use trommel_shards::marker::{Counts, Output};
use trommel_shards::storage::{ObjectWriter, Storage};
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};
use trommel_shards::tar::TarWriter;
use trommel_shards::vectors::datacomp_schema;

use super::json;
use crate::crawl::fetch::is_transient;
use crate::op::env::{Env, external};
use crate::op::rows::{column, integers, strings};
use crate::op::write::row_list::RowList;
use crate::op::write::vectors::{VectorFormat, VectorSink};

/// Bytes of a tar that are gathered before they are handed to storage.
const FLUSH_BYTES: usize = 1 << 20;
/// Bytes of pictures in a row group of parquet output.
const GROUP_BYTES: usize = 64 << 20;

/// The layout of the final shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// One tar per shard (`KEY.jpg`, `KEY.txt`, `KEY.json`) with a parquet file beside it.
    Webdataset,
    /// One parquet file per shard with the pictures in a binary column.
    Parquet,
    /// A folder per shard, one file per member.
    Files,
    /// One parquet file per shard without the pictures: scores and vectors for shards that stay where they are.
    Metadata,
    /// Statistics only: measures fetching.
    Dummy,
}

/// How final shards are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardSpec {
    /// The layout.
    pub format: OutputFormat,
    /// Rows of a full shard: gives the digits of a key.
    pub shard_rows: usize,
    /// Column that becomes the `txt` member; `None` for none.
    pub caption: Option<String>,
    /// Ending of the picture's member, and name of its parquet column.
    pub extension: String,
    /// img2dataset's habits where they differ from ours: indented ASCII JSON, times in the statistics.
    pub compat: bool,
    /// DataComp's columns where they differ from ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub datacomp: bool,
    /// How vectors of models are stored.
    #[serde(default, skip_serializing_if = "is_none")]
    pub vectors: VectorFormat,
    /// Folder for the shards, relative to the job's output; empty for its root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Name of the fetching stage, for the funnel.
    pub fetch_stage: String,
    /// Folder for rows that are put off, relative to the job's output.
    pub deferred_folder: String,
    /// Folder for the list of rows that failed for a passing reason, relative to the job's output.
    pub failed_folder: String,
}

fn is_none(format: &VectorFormat) -> bool {
    *format == VectorFormat::None
}

impl ShardSpec {
    pub(super) fn describe(&self) -> String {
        format!("format={:?} shard_rows={}", self.format, self.shard_rows).to_lowercase()
    }

    /// Digits of the row's number in a key: img2dataset's `ceil(log10(number_sample_per_shard))`.
    fn row_digits(&self) -> usize {
        let mut digits = 0;
        while 10_usize.pow(digits) < self.shard_rows {
            digits += 1;
        }
        digits as usize
    }
}

pub(super) struct ShardSink {
    spec: ShardSpec,
    shard: String,
    /// Where the shards go.
    storage: Storage,
    /// The job's output, for the lists of rows that are put off.
    root: Storage,
    schema: SchemaRef,
    rows: usize,
    tar: Option<(TarWriter, ObjectWriter)>,
    table: Option<TableWriter>,
    vectors: Option<VectorSink>,
    deferred: RowList,
    failed: RowList,
    files: BTreeMap<String, Output>,
    statuses: BTreeMap<String, u64>,
    messages: BTreeMap<String, u64>,
    started: std::time::SystemTime,
}

impl ShardSink {
    pub(super) async fn open(env: &Env, spec: &ShardSpec, shard: &str, input: &SchemaRef) -> Result<Self> {
        let root = env.services.storage.clone();
        let storage = root.folder(&spec.folder);
        let schema = final_schema(input, spec);
        let tar = match spec.format {
            OutputFormat::Webdataset => Some((TarWriter::new(), storage.create(&format!("{shard}.tar")).await.map_err(external)?)),
            _ => None,
        };
        let table = match spec.format {
            OutputFormat::Dummy => None,
            _ => Some(
                TableWriter::create(&storage, &format!("{shard}.parquet"), Arc::clone(&schema), ROW_GROUP_ROWS).await.map_err(external)?,
            ),
        };
        let key = schema.field_with_name("key").is_ok();
        let vectors = VectorSink::open(&storage, shard, spec.vectors, input, key).await?;
        Ok(Self {
            spec: spec.clone(),
            vectors,
            shard: shard.to_owned(),
            storage,
            root,
            schema,
            rows: 0,
            tar,
            table,
            deferred: RowList::new(format!("{}/{shard}.parquet", spec.deferred_folder)),
            failed: RowList::new(format!("{}/{shard}.parquet", spec.failed_folder)),
            files: BTreeMap::new(),
            statuses: BTreeMap::new(),
            messages: BTreeMap::new(),
            started: std::time::SystemTime::now(),
        })
    }

    /// Writes kept rows: books failures, sets deferred rows aside.
    pub(super) async fn write(&mut self, batch: &RecordBatch, counts: &mut Counts, env: &Env) -> Result<()> {
        // Without fetching a column `status` is the input's own affair.
        let Some(status) = batch.column_by_name("status").filter(|_| !self.spec.fetch_stage.is_empty()) else {
            counts.kept += batch.num_rows() as u64;
            return self.write_rows(batch, None).await;
        };
        let status = status.as_string_opt::<i32>().ok_or_else(|| DataFusionError::Plan("column `status` is not text".into()))?;
        let deferred = BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(status.value(row) == "deferred")));
        let put_off = deferred.true_count();
        if put_off > 0 {
            counts.deferred += put_off as u64;
            let rows = filter_record_batch(batch, &deferred)?;
            let numbers = integers(&rows, ROW)?;
            for row in 0..rows.num_rows() {
                self.deferred.push(&self.shard, numbers.value(row), "", "deferred", "");
            }
        }
        let now = if put_off > 0 { filter_record_batch(batch, &arrow::compute::not(&deferred)?)? } else { batch.clone() };
        let status = strings(&now, "status")?.clone();
        let code = strings(&now, ERROR_CODE)?;
        let message = strings(&now, "error_message")?;
        let numbers = integers(&now, ROW)?;
        for row in 0..now.num_rows() {
            *self.statuses.entry(status.value(row).to_owned()).or_default() += 1;
            if status.value(row) == "success" {
                counts.kept += 1;
                *self.messages.entry("success".into()).or_default() += 1;
            } else {
                counts.lose(&self.spec.fetch_stage, code.value(row));
                *self.messages.entry(if message.is_valid(row) { message.value(row) } else { code.value(row) }.to_owned()).or_default() += 1;
                env.services.progress.failed(code.value(row));
                if is_transient(code.value(row)) {
                    let key = self.key(self.rows + row);
                    let said = if message.is_valid(row) { message.value(row) } else { code.value(row) };
                    self.failed.push(&self.shard, numbers.value(row), &key, code.value(row), said);
                }
            }
        }
        self.write_rows(&now, Some(&status)).await
    }

    async fn write_rows(&mut self, batch: &RecordBatch, status: Option<&StringArray>) -> Result<()> {
        // Shards that are read again keep their keys.
        let fresh = !self.spec.fetch_stage.is_empty();
        let keys = match batch.column_by_name("key").and_then(|keys| keys.as_string_opt::<i32>()).filter(|_| !fresh) {
            Some(keys) => keys.clone(),
            None => self.keys(batch.num_rows()),
        };
        if let Some(vectors) = &mut self.vectors {
            let keys: ArrayRef = Arc::new(keys.clone());
            vectors.write(batch, &keys).await?;
        }
        let rows = self.final_rows(batch, &keys)?;
        let images = batch.column_by_name(IMAGE).and_then(|column| column.as_binary_opt::<i64>());
        let meta = RecordBatch::try_new_with_options(
            without_image(&rows.schema()),
            rows.schema()
                .fields()
                .iter()
                .zip(rows.columns())
                .filter(|(field, _)| !is_image(field))
                .map(|(_, column)| Arc::clone(column))
                .collect(),
            &RecordBatchOptions::new().with_row_count(Some(rows.num_rows())),
        )?;
        if let Some(images) = images.filter(|_| matches!(self.spec.format, OutputFormat::Webdataset | OutputFormat::Files)) {
            let caption = self.spec.caption.as_deref().map(|name| strings(&meta, name)).transpose()?.cloned();
            for row in 0..batch.num_rows() {
                if status.is_none_or(|status| status.value(row) == "success") && images.is_valid(row) {
                    self.sample(
                        keys.value(row),
                        images.value(row),
                        caption.as_ref().map(|text| if text.is_valid(row) { text.value(row) } else { "" }),
                        &json::object(&meta, row),
                    )
                    .await?;
                }
            }
        }
        if let Some(table) = &mut self.table {
            let rows = match self.spec.format {
                OutputFormat::Parquet => rows,
                _ => meta,
            };
            table.write(&rows).await.map_err(external)?;
            if table.pending_bytes() > GROUP_BYTES {
                table.flush().await.map_err(external)?;
            }
        }
        Ok(())
    }

    /// Writes the members of one sample, adjacent, sorted by ending as img2dataset's are.
    async fn sample(&mut self, key: &str, image: &[u8], caption: Option<&str>, meta: &serde_json::Value) -> Result<()> {
        let meta = if self.spec.compat { json::python_indented(meta) } else { serde_json::to_vec(meta).unwrap_or_default() };
        let image_ending = self.spec.extension.clone();
        let mut members = vec![(image_ending.as_str(), image), ("json", meta.as_slice())];
        if let Some(caption) = caption {
            members.push(("txt", caption.as_bytes()));
        }
        members.sort_by_key(|(ending, _)| *ending);
        for (ending, content) in members {
            match &mut self.tar {
                Some((tar, writer)) => {
                    tar.append(&format!("{key}.{ending}"), content).map_err(external)?;
                    if tar.pending() >= FLUSH_BYTES {
                        writer.write(Bytes::from(tar.take())).await.map_err(external)?;
                    }
                }
                None => {
                    let name = format!("{}/{key}.{ending}", self.shard);
                    let written = self.storage.put(&name, content.to_vec()).await.map_err(external)?;
                    self.files.insert(name, written.into());
                }
            }
        }
        Ok(())
    }

    /// Keys of the next rows: the shard's number, then the row's.
    fn keys(&mut self, count: usize) -> StringArray {
        let first = self.rows;
        self.rows += count;
        StringArray::from_iter_values((first..first + count).map(|row| self.key(row)))
    }

    fn key(&self, row: usize) -> String {
        format!("{}{row:0width$}", self.shard, width = self.spec.row_digits())
    }

    fn final_rows(&self, batch: &RecordBatch, keys: &StringArray) -> Result<RecordBatch> {
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| -> Result<ArrayRef> {
                match field.name().as_str() {
                    "key" => Ok(Arc::new(keys.clone())),
                    _ if is_image(field) => {
                        let images = column(batch, IMAGE)?.as_binary::<i64>();
                        Ok(Arc::new(images.iter().collect::<BinaryArray>()))
                    }
                    name if self.spec.datacomp => match batch.column_by_name(name) {
                        Some(column) => Ok(arrow::compute::cast(column, field.data_type())?),
                        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
                    },
                    name => column(batch, name).map(Arc::clone),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    pub(super) async fn finish(self, counts: &Counts, outputs: &mut BTreeMap<String, Output>) -> Result<()> {
        let folder = self.spec.folder.clone();
        let (root, mut lists) = (self.root.clone(), BTreeMap::new());
        let (deferred, failed) = (self.deferred, self.failed);
        deferred.finish(&root, &mut lists).await.map_err(external)?;
        failed.finish(&root, &mut lists).await.map_err(external)?;
        outputs.extend(lists);
        let all = outputs;
        let mut local = BTreeMap::new();
        let outputs = &mut local;
        if let Some((tar, mut writer)) = self.tar {
            writer.write(Bytes::from(tar.finish())).await.map_err(external)?;
            crate::failpoint::reach("before-tar-commit");
            outputs.insert(format!("{}.tar", self.shard), writer.finish().await.map_err(external)?.into());
        }
        if let Some(table) = self.table {
            crate::failpoint::reach("between-tar-and-parquet");
            outputs.insert(format!("{}.parquet", self.shard), table.finish().await.map_err(external)?.into());
        }
        if let Some(vectors) = self.vectors {
            vectors.finish(outputs).await?;
        }
        outputs.extend(self.files);
        let count = |name: &str| self.statuses.get(name).copied().unwrap_or(0);
        let mut stats = serde_json::json!({
            "count": counts.kept + counts.lost.get(&self.spec.fetch_stage).map_or(0, |reasons| reasons.values().sum::<u64>()),
            "successes": counts.kept,
            "failed_to_download": count("failed_to_download"),
            "failed_to_resize": count("failed_to_resize"),
        });
        if self.spec.compat {
            let seconds = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64());
            let (start, end) = (seconds(self.started), seconds(std::time::SystemTime::now()));
            stats["duration"] = (end - start).into();
            stats["start_time"] = start.into();
            stats["end_time"] = end.into();
        }
        stats["status_dict"] = serde_json::to_value(&self.messages).unwrap_or_default();
        let name = format!("{}_stats.json", self.shard);
        let text = json::python_indented(&stats);
        outputs.insert(name.clone(), self.storage.put(&name, text).await.map_err(external)?.into());
        let below = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
        all.extend(local.into_iter().map(|(name, output)| (below(name), output)));
        Ok(())
    }
}

/// Marks the picture's column in a final schema.
const IMAGE_MARK: &str = "trommel.image";

fn is_image(field: &Field) -> bool {
    field.metadata().contains_key(IMAGE_MARK)
}

fn without_image(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().filter(|field| !is_image(field)).cloned().collect::<Vec<_>>()))
}

/// Data columns in order, no machinery. Fetched rows get `key` before `status`; rows that no fetch has seen are candidates,
/// not samples, and keep the columns that they have. Parquet output gets the picture's column.
fn final_schema(input: &SchemaRef, spec: &ShardSpec) -> SchemaRef {
    if spec.datacomp {
        return datacomp_schema_of(input);
    }
    let mut fields = Vec::new();
    for field in input.fields().iter().filter(|field| !is_system(field.name())) {
        if field.name() == ERROR_CODE && spec.compat {
            continue;
        }
        if field.name() == "status" && !spec.fetch_stage.is_empty() {
            fields.push(Arc::new(Field::new("key", DataType::Utf8, true)));
        }
        fields.push(Arc::clone(field));
    }
    if spec.format == OutputFormat::Parquet && input.field_with_name(IMAGE).is_ok() {
        let mark = std::collections::HashMap::from([(IMAGE_MARK.to_owned(), spec.extension.clone())]);
        fields.push(Arc::new(Field::new(&spec.extension, DataType::Binary, true).with_metadata(mark)));
    }
    Arc::new(Schema::new(fields))
}

/// DataComp's columns, in its order and with its types; a score keeps what its metadata says of it.
fn datacomp_schema_of(input: &SchemaRef) -> SchemaRef {
    let described = |field: &Arc<Field>| match input.field_with_name(field.name()) {
        Ok(given) => Arc::new(field.as_ref().clone().with_metadata(given.metadata().clone())),
        Err(_) => Arc::clone(field),
    };
    Arc::new(Schema::new(datacomp_schema().fields().iter().map(described).collect::<Vec<_>>()))
}
