//! Extracts candidates: each input row is an archive file, each output row a pair that it holds.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{candidate_schema, system_fields};
use trommel_shards::digest::HashKind;
use trommel_shards::source::Input;

use super::env::{Env, Out, external};
use super::files::read_files;
use super::rows::{control_row, fresh_system_columns};
use crate::crawl::archive::open_wacz;
use crate::crawl::extract::{
    Candidate, CandidateKind, CandidateSink, Compat, ExtractError, ExtractOptions, ExtractStats, SkipReason, Types, extract_archive,
};

/// Rows in a batch.
const BATCH_ROWS: usize = 8192;

/// Extracts from the archive files that its input names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extract {
    /// What to look for: `image`, `image_only`, `audio`, `video`, `text`.
    pub types: Vec<String>,
    /// cc2dataset's rows, columns and uids exactly.
    pub cc2dataset: bool,
    /// Longest caption in bytes; a longer one is counted and left out.
    pub max_text_bytes: Option<usize>,
}

impl Extract {
    pub(super) fn describe(&self) -> String {
        format!("types=[{}]{}", self.types.join(", "), if self.cc2dataset { " compat=cc2dataset" } else { "" })
    }

    /// The options for the reader.
    ///
    /// # Errors
    /// When a type is unknown.
    pub fn options(&self) -> Result<ExtractOptions> {
        let types =
            self.types
                .iter()
                .map(|name| {
                    CandidateKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
                        DataFusionError::Configuration(format!("`{name}` is no type: image, image_only, audio, video or text"))
                    })
                })
                .collect::<Result<Types>>()?;
        let mut options = ExtractOptions { types, compat: self.cc2dataset.then_some(Compat::Cc2dataset), ..ExtractOptions::default() };
        if let Some(bytes) = self.max_text_bytes {
            options.limits.text_bytes = bytes;
        }
        Ok(options)
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        input.field_with_name("path")?;
        if !self.cc2dataset {
            return Ok(candidate_schema());
        }
        let mut fields: Vec<_> =
            ["uid", "url", "alt", "cc_filename", "page_url"].iter().map(|name| Arc::new(Field::new(*name, DataType::Utf8, true))).collect();
        fields.extend(system_fields());
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let (op, schema) = (self.clone(), Arc::clone(&env.schema));
        Ok(read_files(input, &env, move |file, out| op.read_file(Arc::clone(&schema), &file.unit, &file.path, &file.identity, out.clone())))
    }

    fn read_file(&self, schema: SchemaRef, unit: &str, path: &str, identity: &str, out: Out) -> Result<()> {
        let mut rows = Rows::new(Arc::clone(&schema), unit, self.cc2dataset, out.clone());
        let stats = read(path, &self.options()?, &mut rows)?;
        rows.flush();
        if let Some(error) = rows.error {
            return Err(error);
        }
        let end = control_row(&schema, unit, &report(&stats, identity))?;
        out.blocking_send(Ok(end)).map_err(|_| DataFusionError::Execution("cancelled".into()))
    }
}

/// Reads one file: an archive or a page as a stream, a WACZ member by member.
fn read(path: &str, options: &ExtractOptions, rows: &mut Rows) -> Result<ExtractStats> {
    let in_file = |source: ExtractError| DataFusionError::External(Box::new(InFile { path: path.to_owned(), source }));
    let name = Path::new(path).file_name().map_or(path.to_owned(), |name| name.to_string_lossy().into_owned());
    let input = Input::open(path).map_err(external)?;
    if name.to_ascii_lowercase().ends_with(".wacz") {
        let Input::Local(file) = input else {
            return Err(DataFusionError::Execution(format!(
                "`{path}`: a WACZ is read from both ends, so it must be a file on this machine"
            )));
        };
        let mut wacz = open_wacz(file, &name, &options.archive).map_err(|e| in_file(e.into()))?;
        let mut stats = ExtractStats::default();
        let members: Vec<String> = wacz.members().map(str::to_owned).collect();
        for (at, member) in members.iter().enumerate() {
            let input = wacz.open(at).map_err(|e| in_file(e.into()))?;
            stats.add(&extract_archive(input, member, options, rows).map_err(in_file)?);
        }
        return Ok(stats);
    }
    extract_archive(input.into_read(), &name, options, rows).map_err(in_file)
}

/// An error with the file that it is about.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {source}")]
struct InFile {
    path: String,
    #[source]
    source: crate::crawl::extract::ExtractError,
}

/// What a unit's marker says of the extraction.
fn report(stats: &ExtractStats, identity: &str) -> serde_json::Value {
    let candidates: serde_json::Map<_, _> = CandidateKind::ALL
        .into_iter()
        .filter(|&kind| stats.candidates(kind) > 0)
        .map(|kind| (kind.as_str().to_owned(), stats.candidates(kind).into()))
        .collect();
    let skipped: serde_json::Map<_, _> = SkipReason::ALL
        .into_iter()
        .filter(|&reason| stats.skipped(reason) > 0)
        .map(|reason| (reason.as_str().to_owned(), stats.skipped(reason).into()))
        .collect();
    serde_json::json!({
        "input": identity,
        "records": stats.records,
        "pages": stats.pages,
        "broken_records": stats.archive.broken,
        "bytes_skipped": stats.archive.bytes_skipped,
        "candidates": candidates,
        "skipped": skipped,
    })
}

/// Builds batches of candidates.
struct Rows {
    schema: SchemaRef,
    unit: String,
    compat: bool,
    out: Out,
    texts: Vec<StringBuilder>,
    offsets: Int64Builder,
    count: usize,
    first_row: i64,
    error: Option<DataFusionError>,
}

impl Rows {
    fn new(schema: SchemaRef, unit: &str, compat: bool, out: Out) -> Self {
        let texts = schema.fields().len() - system_fields().len() - usize::from(!compat);
        Self {
            schema,
            unit: unit.to_owned(),
            compat,
            out,
            texts: std::iter::repeat_with(StringBuilder::new).take(texts).collect(),
            offsets: Int64Builder::new(),
            count: 0,
            first_row: 0,
            error: None,
        }
    }

    fn flush(&mut self) {
        if self.count == 0 || self.error.is_some() {
            return;
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (at, builder) in self.texts.iter_mut().enumerate() {
            columns.push(Arc::new(builder.finish()));
            // The offset stands between the file and the date.
            if !self.compat && at == 12 {
                columns.push(Arc::new(self.offsets.finish()));
            }
        }
        columns.extend(fresh_system_columns(&self.unit, self.first_row, self.count));
        self.first_row += self.count as i64;
        self.count = 0;
        let sent = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(DataFusionError::from)
            .and_then(|batch| self.out.blocking_send(Ok(batch)).map_err(|_| DataFusionError::Execution("cancelled".into())));
        self.error = sent.err();
    }
}

impl CandidateSink for Rows {
    fn candidate(&mut self, c: &Candidate<'_>) {
        if self.compat {
            let mut joined = String::with_capacity(c.text.len() + c.url.len());
            joined.push_str(c.text);
            joined.push_str(c.url);
            let uid = HashKind::Md5.hex(joined.as_bytes());
            let values = [uid.as_str(), c.url, c.text, c.warc_file.unwrap_or_default(), c.page_url];
            for (builder, value) in self.texts.iter_mut().zip(values) {
                builder.append_value(value);
            }
        } else {
            let uid = trommel_filters::uid(c.url, c.text);
            let kind = match c.kind {
                CandidateKind::ImageOnly => CandidateKind::Image.as_str(),
                kind => kind.as_str(),
            };
            let values = [
                Some(uid.as_str()),
                Some(c.url),
                Some(c.text),
                Some(kind),
                Some(c.text_source.as_str()),
                Some(c.page_url),
                c.page_title,
                c.page_lang,
                c.license,
                c.license_source.map(|source| source.as_str()),
                c.credit,
                c.robots,
                c.warc_file,
                c.warc_date,
            ];
            for (builder, value) in self.texts.iter_mut().zip(values) {
                builder.append_option(value);
            }
            self.offsets.append_option(c.warc_offset.and_then(|offset| i64::try_from(offset).ok()));
        }
        self.count += 1;
        if self.count == BATCH_ROWS {
            self.flush();
        }
    }
}
