//! Lists that are text: one url per line, separated values, JSON.

use std::io::{BufRead, Chain, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema;
use arrow::record_batch::RecordBatch;

use super::{Batches, INFER_BYTES, ListError};

/// Longest line of a txt list; a longer one is no url.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Largest JSON document that is held in memory; larger lists come as jsonl.
const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

pub(super) type ArrowBatches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// One url per line; empty lines are passed over.
pub(super) fn lines(file: &str, mut reader: Box<dyn BufRead + Send>, batch_rows: usize) -> (SchemaRef, Batches) {
    let schema = Arc::new(Schema::new(vec![Field::new("url", DataType::Utf8, true)]));
    let file = file.to_owned();
    let out = Arc::clone(&schema);
    let mut number = 0_u64;
    let mut line = Vec::new();
    let next = move || -> Result<Option<RecordBatch>, ListError> {
        let mut urls = StringBuilder::new();
        let mut rows = 0;
        while rows < batch_rows {
            line.clear();
            number += 1;
            let read = (&mut reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line);
            match read {
                Ok(0) => break,
                Ok(_) if line.len() as u64 > MAX_LINE_BYTES => {
                    return Err(ListError::content(&file, format!("line {number} is longer than {MAX_LINE_BYTES} bytes")));
                }
                Ok(_) => {}
                Err(e) => return Err(ListError::content(&file, format!("line {number}: {e}"))),
            }
            let url = String::from_utf8_lossy(&line);
            let url = url.trim();
            if !url.is_empty() {
                urls.append_value(url);
                rows += 1;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        RecordBatch::try_new(Arc::clone(&out), vec![Arc::new(urls.finish())]).map(Some).map_err(|e| ListError::content(&file, e))
    };
    (schema, Box::new(fused(next)))
}

/// An iterator that ends after its first error.
fn fused(
    mut next: impl FnMut() -> Result<Option<RecordBatch>, ListError> + Send,
) -> impl Iterator<Item = Result<RecordBatch, ListError>> + Send {
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let item = next().transpose();
        ended = !matches!(item, Some(Ok(_)));
        item
    })
}

/// A list from its first byte on, after a look at its head.
type Whole = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>;

/// Takes the first bytes for inference and gives them back in front of the rest.
fn peek(mut reader: Box<dyn BufRead + Send>) -> std::io::Result<(Vec<u8>, Whole)> {
    let mut head = Vec::new();
    (&mut reader).take(INFER_BYTES as u64).read_to_end(&mut head)?;
    // Inference must not see a line that the limit has cut.
    let whole = if head.len() < INFER_BYTES { head.len() } else { head.iter().rposition(|&b| b == b'\n').map_or(head.len(), |at| at + 1) };
    Ok((head[..whole].to_vec(), Cursor::new(head).chain(reader)))
}

pub(super) fn separated(
    reader: Box<dyn BufRead + Send>,
    delimiter: u8,
    text_columns: &[&str],
    batch_rows: usize,
) -> Result<(SchemaRef, ArrowBatches), ArrowError> {
    let (head, reader) = peek(reader)?;
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let (schema, _) = format.infer_schema(Cursor::new(head), None)?;
    let as_text = |field: &Arc<Field>| text_columns.contains(&field.name().as_str());
    let text = |field: &Arc<Field>| Arc::new(Field::new(field.name(), DataType::Utf8, true));
    let fields: Vec<_> = schema.fields().iter().map(|field| if as_text(field) { text(field) } else { Arc::clone(field) }).collect();
    let schema = Arc::new(Schema::new(fields));
    let reader =
        arrow::csv::ReaderBuilder::new(Arc::clone(&schema)).with_format(format).with_batch_size(batch_rows).build_buffered(reader)?;
    Ok((schema, Box::new(reader)))
}

pub(super) fn json_lines(reader: Box<dyn BufRead + Send>, batch_rows: usize) -> Result<(SchemaRef, ArrowBatches), ArrowError> {
    let (head, reader) = peek(reader)?;
    let (schema, _) = infer_json_schema(Cursor::new(head), None)?;
    let schema = Arc::new(schema);
    let reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(batch_rows).build(reader)?;
    Ok((schema, Box::new(reader)))
}

/// Turns one JSON document into lines: an array of objects, or pandas' object of columns (`{"url": {"0": …}}` or arrays).
pub(super) fn json_document(file: &str, reader: Box<dyn BufRead + Send>) -> Result<Vec<u8>, ListError> {
    use serde_json::{Map, Value};
    let mut text = Vec::new();
    reader.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut text).map_err(|e| ListError::content(file, e))?;
    if text.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(ListError::content(file, format!("a JSON document over {MAX_DOCUMENT_BYTES} bytes: write it as jsonl")));
    }
    let document: Value = serde_json::from_slice(&text).map_err(|e| ListError::content(file, e))?;
    drop(text);
    let rows: Vec<Value> = match document {
        Value::Array(rows) => rows,
        Value::Object(columns) => {
            let columns: Vec<(String, Vec<Value>)> = columns
                .into_iter()
                .map(|(name, values)| match values {
                    Value::Array(values) => Ok((name, values)),
                    Value::Object(values) => Ok((name, values.into_iter().map(|(_, value)| value).collect())),
                    _ => Err(ListError::content(file, format!("column `{name}` is neither a list nor an object"))),
                })
                .collect::<Result<_, _>>()?;
            let length = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
            let cell = |values: &[Value], row: usize| values.get(row).cloned().unwrap_or(Value::Null);
            (0..length)
                .map(|row| Value::Object(columns.iter().map(|(name, values)| (name.clone(), cell(values, row))).collect::<Map<_, _>>()))
                .collect()
        }
        _ => return Err(ListError::content(file, "the document is neither a list of objects nor an object of columns")),
    };
    let mut lines = Cursor::new(Vec::new());
    for row in rows {
        serde_json::to_writer(&mut lines, &row).map_err(|e| ListError::content(file, e))?;
        let _ = lines.seek(SeekFrom::End(0));
        std::io::Write::write_all(&mut lines, b"\n").map_err(|e| ListError::content(file, e))?;
    }
    Ok(lines.into_inner())
}
