//! The columns that say which row is which.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::super::{VectorBlock, VectorFileError};
use crate::columns::UID;
use crate::source::Input;

/// Rows that are read at a time.
const READ_ROWS: usize = 8192;

/// The names of some rows.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub uids: Option<Vec<String>>,
    pub keys: Option<Vec<String>>,
}

/// The `uid` column and the key column of a batch, where it has them.
pub(crate) fn names_of(uri: &str, batch: &RecordBatch, key: &str) -> Result<Names, VectorFileError> {
    Ok(Names { uids: strings(uri, batch, UID)?, keys: strings(uri, batch, key)? })
}

fn strings(uri: &str, batch: &RecordBatch, column: &str) -> Result<Option<Vec<String>>, VectorFileError> {
    let Some(array) = batch.column_by_name(column) else { return Ok(None) };
    let fail = |e| VectorFileError::content(uri, format!("column `{column}` is no text: {e}"));
    let array = cast(array, &DataType::Utf8).map_err(fail)?;
    let texts = array.as_string::<i32>();
    Ok(Some((0..texts.len()).map(|row| if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() }).collect()))
}

/// Names that lie in a table beside the vectors, row for row.
pub(crate) struct NameReader {
    batches: ParquetRecordBatchReader,
    uri: String,
    key: &'static str,
    waiting: Names,
    at: usize,
    pub(crate) rows: u64,
}

impl NameReader {
    pub(crate) fn open(uri: &str, key: &'static str) -> Result<Self, VectorFileError> {
        let fail = |e| VectorFileError::content(uri, e);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(uri)?).map_err(fail)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let roots: Vec<usize> = [UID, key].iter().filter_map(|name| builder.schema().index_of(name).ok()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder.with_projection(mask).with_batch_size(READ_ROWS).build().map_err(fail)?;
        Ok(Self { batches, uri: uri.to_owned(), key, waiting: Names::default(), at: 0, rows })
    }

    /// Gives a block the names of its rows.
    pub(crate) fn name(&mut self, block: &mut VectorBlock) -> Result<(), VectorFileError> {
        let (mut uids, mut keys) = (Vec::new(), Vec::new());
        let mut missing = block.rows;
        while missing > 0 {
            let waiting = [&self.waiting.uids, &self.waiting.keys].into_iter().flatten().map(Vec::len).next().unwrap_or(0);
            if self.at == waiting {
                let Some(batch) = self.batches.next() else {
                    return Err(VectorFileError::content(&self.uri, "has fewer rows than its vectors"));
                };
                let batch = batch.map_err(|e| VectorFileError::content(&self.uri, e))?;
                self.waiting = names_of(&self.uri, &batch, self.key)?;
                self.at = 0;
                if self.waiting.uids.is_none() && self.waiting.keys.is_none() {
                    return Ok(());
                }
                continue;
            }
            let taken = missing.min(waiting - self.at);
            for (from, to) in [(&mut self.waiting.uids, &mut uids), (&mut self.waiting.keys, &mut keys)] {
                if let Some(from) = from {
                    to.extend(from[self.at..self.at + taken].iter_mut().map(std::mem::take));
                }
            }
            self.at += taken;
            missing -= taken;
        }
        block.uids = (uids.len() == block.rows).then_some(uids);
        block.keys = (keys.len() == block.rows).then_some(keys);
        Ok(())
    }
}
