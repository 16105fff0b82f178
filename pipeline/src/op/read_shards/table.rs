//! Parquet shards: the pictures are a column.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trommel_shards::source::Input;

use super::{BATCH_ROWS, Rows};
use crate::op::env::external;

pub(super) fn read(path: &str, column: &str, rows: &mut Rows<'_>) -> Result<()> {
    let fail = |e: &dyn std::fmt::Display| DataFusionError::Execution(format!("`{path}`: {e}"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(Input::open(path).map_err(external)?).map_err(|e| fail(&e))?;
    for batch in reader.with_batch_size(BATCH_ROWS).build().map_err(|e| fail(&e))? {
        let batch = batch.map_err(|e| fail(&e))?;
        let images = batch.column_by_name(column).ok_or_else(|| fail(&format!("no column `{column}`, which the first file has")))?;
        let images = cast(images, &DataType::LargeBinary).map_err(|e| fail(&e))?;
        let images = images.as_binary::<i64>();
        let pictures: Vec<Option<Vec<u8>>> =
            (0..images.len()).map(|row| images.is_valid(row).then(|| images.value(row).to_vec())).collect();
        rows.push(path, &batch, &pictures)?;
    }
    Ok(())
}
