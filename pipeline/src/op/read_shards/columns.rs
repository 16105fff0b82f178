//! What columns a shard has.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trommel_shards::columns::{TEXT, is_system};
use trommel_shards::samples::{IMAGE_ENDINGS, Sample, Samples};
use trommel_shards::source::Input;

use super::{ReadShards, stored};
use crate::op::env::external;

/// Name of the parquet file beside a tar.
pub(super) fn beside(tar: &str) -> String {
    format!("{}.parquet", tar.strip_suffix(".tar").unwrap_or(tar))
}

/// The parquet file beside a tar, if there is one.
pub(super) fn open_beside(tar: &str) -> Result<Option<ParquetRecordBatchReaderBuilder<Input>>> {
    open_table(&beside(tar))
}

/// A parquet file, if there is one.
pub(super) fn open_table(name: &str) -> Result<Option<ParquetRecordBatchReaderBuilder<Input>>> {
    match Input::open(name) {
        Ok(input) => {
            let fail = |e| DataFusionError::Execution(format!("`{name}`: {e}"));
            ParquetRecordBatchReaderBuilder::try_new(input).map(Some).map_err(fail)
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(external(error)),
    }
}

pub(super) fn resolve(file: &str) -> Result<ReadShards> {
    if file.to_ascii_lowercase().ends_with(".parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Input::open(file).map_err(external)?)
            .map_err(|e| DataFusionError::Execution(format!("`{file}`: {e}")))?;
        let image = image_column(reader.schema()).ok_or_else(|| {
            DataFusionError::Execution(format!("`{file}` has no column with pictures: one of {}, of binary type", IMAGE_ENDINGS.join(", ")))
        })?;
        let ending = if IMAGE_ENDINGS.contains(&image.as_str()) { image.clone() } else { "jpg".to_owned() };
        return Ok(ReadShards {
            columns: of_schema(reader.schema(), Some(&image)),
            image: Some(image),
            ending,
            vectors: stored::beside(file)?,
        });
    }
    let mut samples = Samples::new(Input::open(file).map_err(external)?.into_read());
    let mut first = match samples.next() {
        Some(sample) => sample.map_err(|e| DataFusionError::Execution(format!("`{file}`: {e}")))?,
        None => Sample::default(),
    };
    let ending = first.take_image().map(|(ending, _)| ending);
    let columns = match open_beside(file)? {
        Some(reader) => of_schema(reader.schema(), None),
        None => of_sample(&first),
    };
    Ok(ReadShards { columns, image: None, ending: ending.unwrap_or_else(|| "jpg".to_owned()), vectors: stored::beside(file)? })
}

/// The column with the pictures: one that our own writer has marked, or a binary one with the name of a picture's ending.
fn image_column(schema: &Schema) -> Option<String> {
    let binary = |data_type: &DataType| matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let marked = schema.fields().iter().find(|field| field.metadata().contains_key("trommel.image"));
    let named = || {
        IMAGE_ENDINGS.iter().chain(&["image"]).find_map(|name| schema.field_with_name(name).ok().filter(|field| binary(field.data_type())))
    };
    marked.map(|field| field.name().clone()).or_else(|| named().map(|field| field.name().clone()))
}

fn of_schema(schema: &Schema, without: Option<&str>) -> Vec<(String, String)> {
    let taken = |name: &str| !is_system(name) && Some(name) != without;
    // Views are a matter of layout in memory: what is written again is plain.
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    let fields = schema.fields().iter().filter(|field| taken(field.name()));
    fields.map(|field| (field.name().clone(), plain(field.data_type()).to_string())).collect()
}

/// Columns of a sample without a table: its key, the scalars of its JSON member, and its caption.
fn of_sample(sample: &Sample) -> Vec<(String, String)> {
    let mut columns = vec![("key".to_owned(), DataType::Utf8.to_string())];
    let json = sample.member("json").and_then(|text| serde_json::from_slice::<serde_json::Value>(text).ok());
    for (name, value) in json.as_ref().and_then(|json| json.as_object()).into_iter().flatten() {
        let data_type = match value {
            serde_json::Value::Bool(_) => DataType::Boolean,
            serde_json::Value::Number(number) if number.is_f64() => DataType::Float64,
            serde_json::Value::Number(_) => DataType::Int64,
            _ => DataType::Utf8,
        };
        if name != "key" && !is_system(name) {
            columns.push((name.clone(), data_type.to_string()));
        }
    }
    let captioned = columns.iter().any(|(name, _)| name == TEXT || name == "caption");
    if !captioned && sample.member("txt").is_some() {
        columns.push((TEXT.to_owned(), DataType::Utf8.to_string()));
    }
    columns
}
