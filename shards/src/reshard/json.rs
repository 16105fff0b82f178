//! Rows as JSON objects.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};

/// The row as a JSON object, columns in order. Types without a JSON counterpart become their display text.
pub(super) fn object(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema();
    schema.fields().iter().zip(batch.columns()).map(|(field, column)| (field.name().clone(), value(column, row))).collect()
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let one = array.slice(row, 1);
    let as_type = |wanted: &DataType| cast(&one, wanted).ok();
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            as_type(&DataType::Int64).map_or(Value::Null, |one| Value::from(one.as_primitive::<Int64Type>().value(0)))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            as_type(&DataType::UInt64).map_or(Value::Null, |one| Value::from(one.as_primitive::<UInt64Type>().value(0)))
        }
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        // Through the shortest text, so that 0.1 does not become 0.10000000149011612.
        DataType::Float32 | DataType::Float16 => display(&one).parse().map_or(Value::Null, float),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            Value::Array((0..list.len()).map(|at| value(&list, at)).collect())
        }
        _ => Value::String(display(&one)),
    }
}

fn display(one: &ArrayRef) -> String {
    ArrayFormatter::try_new(one.as_ref(), &FormatOptions::default()).map_or_else(|_| String::new(), |text| text.value(0).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Int32Array, StringArray, UInt8Array};
    use std::sync::Arc;

    #[test]
    fn a_row_is_an_object() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec![Some("a \"b\""), None]))),
            ("score", Arc::new(Float32Array::from(vec![0.1, f32::NAN]))),
            ("width", Arc::new(Int32Array::from(vec![-5, 5]))),
            ("bucket", Arc::new(UInt8Array::from(vec![1, 2]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = |row| serde_json::to_string(&object(&batch, row)).unwrap();
        assert_eq!(text(0), r#"{"text":"a \"b\"","score":0.1,"width":-5,"bucket":1}"#);
        assert_eq!(text(1), r#"{"text":null,"score":null,"width":5,"bucket":2}"#);
    }
}
