//! Reading a column of vectors from any parquet table.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::super::block::block_rows;
use super::super::{MAX_DIM, Precision, Provenance, VectorBlock, VectorFileError};
use super::lists::{Lists, vector_type};
use super::names::{Names, names_of};
use crate::source::Input;

/// Rows of a batch while the length of the vectors is not known.
const PROBE_ROWS: usize = 256;

/// The vectors of one column.
pub(crate) struct ColumnReader {
    batches: ParquetRecordBatchReader,
    uri: String,
    column: String,
    pub(crate) precision: Precision,
    pub(crate) dim: usize,
    pub(crate) rows: u64,
    pub(crate) provenance: Option<Provenance>,
    next: u64,
}

type Builder = ParquetRecordBatchReaderBuilder<Input>;

fn builder(uri: &str) -> Result<Builder, VectorFileError> {
    Builder::try_new(Input::open(uri)?).map_err(|e| VectorFileError::content(uri, e))
}

fn build(uri: &str, builder: Builder, columns: &[&str], rows: usize) -> Result<ParquetRecordBatchReader, VectorFileError> {
    let schema = builder.schema();
    let roots: Vec<usize> = columns.iter().filter_map(|name| schema.index_of(name).ok()).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    builder.with_projection(mask).with_batch_size(rows).build().map_err(|e| VectorFileError::content(uri, e))
}

/// Opens a column; `None` takes the only one that holds vectors.
pub(crate) fn open_column(uri: &str, column: Option<&str>, rows: usize) -> Result<ColumnReader, VectorFileError> {
    let table = builder(uri)?;
    let schema = table.schema();
    let column = choose(uri, schema, column)?;
    let field = schema.field_with_name(&column).map_err(|e| VectorFileError::content(uri, e))?;
    let Some((precision, dim)) = vector_type(field.data_type()) else {
        let message = format!("column `{column}` is {}, no list of float16, float32 or float64", field.data_type());
        return Err(VectorFileError::content(uri, message));
    };
    let provenance = Provenance::from_metadata(field.metadata());
    let total = u64::try_from(table.metadata().file_metadata().num_rows()).unwrap_or(0);
    let dim = match dim {
        Some(dim) => dim,
        None => probe(uri, &column)?,
    };
    if dim > MAX_DIM {
        return Err(VectorFileError::content(uri, format!("column `{column}`: vectors of {dim} components; at most {MAX_DIM} are taken")));
    }
    let batches = build(uri, table, &["uid", "key", &column], block_rows(rows, dim))?;
    Ok(ColumnReader { batches, uri: uri.to_owned(), column, precision, dim, rows: total, provenance, next: 0 })
}

fn choose(uri: &str, schema: &Schema, column: Option<&str>) -> Result<String, VectorFileError> {
    let candidates = schema.fields().iter().filter(|field| vector_type(field.data_type()).is_some());
    let names: Vec<String> = candidates.map(|field| field.name().clone()).collect();
    match (column, &names[..]) {
        (Some(column), _) if schema.index_of(column).is_ok() => Ok(column.to_owned()),
        (Some(column), _) => Err(VectorFileError::no_column(uri, column, &names)),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(VectorFileError::content(uri, "has no column with lists of float16, float32 or float64")),
        (None, _) => Err(VectorFileError::ambiguous(uri, &names)),
    }
}

/// The length of the first vector of a column whose type does not say it; zero when there is none.
fn probe(uri: &str, column: &str) -> Result<usize, VectorFileError> {
    for batch in build(uri, builder(uri)?, &[column], PROBE_ROWS)? {
        let batch = batch.map_err(|e| VectorFileError::content(uri, e))?;
        let Some(array) = batch.column_by_name(column) else { return Ok(0) };
        let lists = Lists::new(array).map_err(|e| VectorFileError::content(uri, format!("column `{column}`: {e}")))?;
        for row in 0..batch.num_rows() {
            if let Some(vector) = lists.row(row).map_err(|e| VectorFileError::content(uri, format!("column `{column}`: {e}")))? {
                return Ok(vector.len());
            }
        }
    }
    Ok(0)
}

impl ColumnReader {
    pub(crate) fn next_block(&mut self) -> Result<Option<VectorBlock>, VectorFileError> {
        let Some(batch) = self.batches.next() else { return Ok(None) };
        let batch = batch.map_err(|e| VectorFileError::content(&self.uri, e))?;
        let block = self.block(&batch)?;
        self.next += block.rows as u64;
        Ok(Some(block))
    }

    fn block(&self, batch: &RecordBatch) -> Result<VectorBlock, VectorFileError> {
        let fail = |row: usize, message: String| {
            VectorFileError::content(&self.uri, format!("column `{}`, row {}: {message}", self.column, self.next + row as u64))
        };
        let array: &ArrayRef = batch.column_by_name(&self.column).ok_or_else(|| fail(0, "the column is gone".into()))?;
        let lists = Lists::new(array).map_err(|e| fail(0, e))?;
        let rows = batch.num_rows();
        let (mut data, mut valid) = (Vec::with_capacity(rows * self.dim), Vec::with_capacity(rows));
        for row in 0..rows {
            match lists.row(row).map_err(|e| fail(row, e))? {
                Some(vector) if vector.len() == self.dim => {
                    data.extend_from_slice(vector);
                    valid.push(true);
                }
                Some(vector) => {
                    return Err(fail(row, format!("a vector of {} components among vectors of {}", vector.len(), self.dim)));
                }
                None => {
                    data.resize(data.len() + self.dim, f32::NAN);
                    valid.push(false);
                }
            }
        }
        let Names { uids, keys } = names_of(&self.uri, batch, "key")?;
        let valid = valid.contains(&false).then_some(valid);
        Ok(VectorBlock { start: self.next, uids, keys, rows, dim: self.dim, data, valid })
    }
}
