//! Url lists as Arrow batches: parquet, csv, tsv, json, jsonl and txt, each also compressed (gzip, zstd, bzip2), streamed.
//!
//! A txt list holds one url per line, whatever characters the url has: a comma is part of it.

mod columns;
mod text;

use std::io::{BufRead, BufReader, Read};
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::source::{Input, SourceError};

pub use columns::{ColumnChoice, Columns};

/// Bytes of a text list that the column types are inferred from.
const INFER_BYTES: usize = 1 << 20;

/// A url list that cannot be read, with the file and, where it is known, the place in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// The file cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Neither the ending nor the option says what it is.
    #[error("`{0}` has no known ending: name the format (parquet, csv, tsv, json, jsonl, txt)")]
    UnknownFormat(String),
    /// A column that was asked for is missing.
    #[error("`{file}` has no column `{column}`; it has {present}{hint}")]
    NoColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What the file has.
        present: String,
        /// The nearest name, as a sentence, or nothing.
        hint: String,
    },
    /// A row cannot be read.
    #[error("`{file}`: {message}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, and where.
        message: String,
    },
}

impl ListError {
    fn content(file: &str, error: impl std::fmt::Display) -> Self {
        Self::Content { file: file.to_owned(), message: error.to_string() }
    }
}

/// The format of a url list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
    /// Tab-separated values with a header line.
    Tsv,
    /// One JSON document: an array of objects, or an object of columns as pandas writes it.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// One url per line.
    Txt,
}

impl FromStr for ListFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.trim_end_matches(".gz") {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "json" => Ok(Self::Json),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "txt" => Ok(Self::Txt),
            other => Err(format!("`{other}` is no list format: parquet, csv, tsv, json, jsonl or txt")),
        }
    }
}

impl ListFormat {
    /// Tells the format from a file's name, past one ending of a compression.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.split(['?', '#']).next().unwrap_or(name).to_ascii_lowercase();
        let name = [".gz", ".zst", ".zstd", ".bz2"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        name.rsplit_once('.').and_then(|(_, end)| end.parse().ok())
    }
}

/// Batches of a url list, in file order.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ListError>> + Send>;

/// Opens a list: its schema and its batches of at most `batch_rows` rows, all columns as they stand in the file. In text
/// formats the types are inferred, but for `text_columns`: a caption `007` stays what it is.
///
/// To be called on a blocking thread inside a runtime, see [`Input`].
///
/// # Errors
/// [`ListError`] with the file.
pub fn open(uri: &str, format: Option<ListFormat>, text_columns: &[&str], batch_rows: usize) -> Result<(SchemaRef, Batches), ListError> {
    let format = format.or_else(|| ListFormat::of(uri)).ok_or_else(|| ListError::UnknownFormat(uri.to_owned()))?;
    let file = uri.to_owned();
    if format == ListFormat::Parquet {
        let fail = |e: &dyn std::fmt::Display| ListError::content(uri, e);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(uri)?).map_err(|e| fail(&e))?;
        let schema = Arc::clone(builder.schema());
        let reader = builder.with_batch_size(batch_rows).build().map_err(|e| fail(&e))?;
        return Ok((schema, Box::new(reader.map(move |batch| batch.map_err(|e| ListError::content(&file, e))))));
    }
    let reader = decompressed(uri, Input::open(uri)?.into_read())?;
    let content = move |e: ArrowError| ListError::content(&file, e);
    match format {
        ListFormat::Txt => Ok(text::lines(uri, reader, batch_rows)),
        ListFormat::Csv => {
            text::separated(reader, b',', text_columns, batch_rows).map(|(s, b)| (s, wrap(b, content.clone()))).map_err(content)
        }
        ListFormat::Tsv => {
            text::separated(reader, b'\t', text_columns, batch_rows).map(|(s, b)| (s, wrap(b, content.clone()))).map_err(content)
        }
        ListFormat::Jsonl => text::json_lines(reader, batch_rows).map(|(s, b)| (s, wrap(b, content.clone()))).map_err(content),
        ListFormat::Json => {
            let lines = text::json_document(uri, reader)?;
            text::json_lines(Box::new(std::io::Cursor::new(lines)), batch_rows).map(|(s, b)| (s, wrap(b, content.clone()))).map_err(content)
        }
        ListFormat::Parquet => Err(ListError::UnknownFormat(uri.to_owned())),
    }
}

fn wrap(batches: text::ArrowBatches, content: impl Fn(ArrowError) -> ListError + Send + 'static) -> Batches {
    Box::new(batches.map(move |batch| batch.map_err(&content)))
}

/// Undoes a compression that the first bytes name.
fn decompressed(uri: &str, reader: Box<dyn Read + Send>) -> Result<Box<dyn BufRead + Send>, ListError> {
    let mut reader = BufReader::with_capacity(1 << 18, reader);
    let magic = reader.fill_buf().map_err(|e| ListError::content(uri, e))?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(reader))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|e| ListError::content(uri, e))?;
            Box::new(BufReader::with_capacity(1 << 18, decoder))
        }
        [b'B', b'Z', b'h', ..] => Box::new(BufReader::with_capacity(1 << 18, bzip2::bufread::MultiBzDecoder::new(reader))),
        _ => Box::new(reader),
    })
}

#[cfg(test)]
mod tests;
