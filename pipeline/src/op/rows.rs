//! Small helpers over batches: units, control rows, exclusions.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, LargeBinaryArray, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use trommel_shards::columns::{CONTROL_ROW, EXCLUDED, REASON, ROW, UNIT, VALUE, is_system};

/// A column by name, as an error of the plan when it is missing.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| DataFusionError::Plan(format!("no column `{name}` in the input")))
}

/// A text column by name.
pub(crate) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| DataFusionError::Plan(format!("column `{name}` is not text")))
}

/// A 64-bit column by name.
pub(crate) fn integers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    column(batch, name)?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| DataFusionError::Plan(format!("column `{name}` is not a 64-bit integer")))
}

/// The columns of an input with others behind its data columns; those of the same names are replaced.
pub(crate) fn with_columns(input: &Schema, added: &[Arc<Field>]) -> SchemaRef {
    let old = |name: &str| added.iter().any(|field| field.name() == name);
    let data = input.fields().iter().filter(|field| !is_system(field.name()) && !old(field.name()));
    let system = input.fields().iter().filter(|field| is_system(field.name()));
    Arc::new(Schema::new(data.chain(added).chain(system).cloned().collect::<Vec<_>>()))
}

/// A column of encoded pictures.
pub(crate) fn encoded(column: &dyn Array) -> Result<LargeBinaryArray> {
    match column.data_type() {
        DataType::LargeBinary => Ok(column.as_binary::<i64>().clone()),
        DataType::Binary => {
            let images: &BinaryArray = column.as_binary::<i32>();
            Ok(images.iter().collect())
        }
        other => Err(DataFusionError::Plan(format!("pictures are not of type {other}"))),
    }
}

/// The runs of rows of one unit in a batch.
pub struct UnitRows {
    /// The unit.
    pub unit: String,
    /// Its data rows in the batch.
    pub rows: Range<usize>,
    /// The row number of its control row, if the batch holds it.
    pub control: Option<usize>,
}

impl UnitRows {
    /// Splits a batch by unit. A control row ends its unit.
    ///
    /// # Errors
    /// When the machinery's columns are missing.
    pub fn split(batch: &RecordBatch) -> Result<Vec<Self>> {
        let units = strings(batch, UNIT)?;
        let rows = integers(batch, ROW)?;
        let mut runs: Vec<Self> = Vec::new();
        let mut start = 0;
        for at in 0..batch.num_rows() {
            let control = rows.value(at) == CONTROL_ROW;
            let last = at + 1 == batch.num_rows() || units.value(at + 1) != units.value(at);
            if control {
                runs.push(Self { unit: units.value(at).to_owned(), rows: start..at, control: Some(at) });
                start = at + 1;
            } else if last {
                runs.push(Self { unit: units.value(at).to_owned(), rows: start..at + 1, control: None });
                start = at + 1;
            }
        }
        Ok(runs)
    }
}

/// The row that ends a unit, with the unit's statistics.
///
/// # Errors
/// When a data column of the schema may not be null.
pub fn control_row(schema: &SchemaRef, unit: &str, stats: &serde_json::Value) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                UNIT => Arc::new(StringArray::from(vec![unit])),
                ROW => Arc::new(Int64Array::from(vec![CONTROL_ROW])),
                VALUE => Arc::new(StringArray::from(vec![stats.to_string()])),
                _ => new_null_array(field.data_type(), 1),
            }
        })
        .collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The machinery's columns for `count` fresh rows of a unit.
pub(crate) fn fresh_system_columns(unit: &str, first_row: i64, count: usize) -> Vec<ArrayRef> {
    let null = || new_null_array(&DataType::Utf8, count);
    vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(unit, count))),
        Arc::new(Int64Array::from_iter_values(first_row..first_row + count as i64)),
        null(),
        null(),
        null(),
    ]
}

/// Marks rows as excluded by a stage, unless an earlier stage has already. `verdicts` holds reason and value for each row.
///
/// # Errors
/// When the machinery's columns are missing.
pub fn exclude(batch: &RecordBatch, stage: &str, verdicts: &[Option<(&str, Option<String>)>]) -> Result<RecordBatch> {
    let excluded = strings(batch, EXCLUDED)?;
    let reason = strings(batch, REASON)?;
    let value = strings(batch, VALUE)?;
    let old = |array: &StringArray, row: usize| array.is_valid(row).then(|| array.value(row).to_owned());
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (row, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Some((why, what)) if excluded.is_null(row) => {
                columns.0.push(Some(stage.to_owned()));
                columns.1.push(Some((*why).to_owned()));
                columns.2.push(what.clone());
            }
            _ => {
                columns.0.push(old(excluded, row));
                columns.1.push(old(reason, row));
                columns.2.push(old(value, row));
            }
        }
    }
    let arrays: [(&str, ArrayRef); 3] = [
        (EXCLUDED, Arc::new(StringArray::from(columns.0))),
        (REASON, Arc::new(StringArray::from(columns.1))),
        (VALUE, Arc::new(StringArray::from(columns.2))),
    ];
    let mut all = batch.columns().to_vec();
    for (name, array) in arrays {
        all[batch.schema().index_of(name)?] = array;
    }
    Ok(RecordBatch::try_new(batch.schema(), all)?)
}
