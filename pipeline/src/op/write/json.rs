//! A row's metadata as the JSON member of a sample.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};
use trommel_shards::columns::NEAR_SIGNATURE;

/// The row as a JSON object, columns in order. Types without a JSON counterpart become their display text.
pub(super) fn object(batch: &RecordBatch, row: usize) -> Value {
    let schema = batch.schema();
    let mut map = Map::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()).filter(|(field, _)| field.name() != NEAR_SIGNATURE) {
        map.insert(field.name().clone(), value(column, row));
    }
    Value::Object(map)
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match array.data_type() {
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        // Through the shortest text, so that 0.1 does not become 0.10000000149011612.
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).to_string().parse().unwrap_or(f64::NAN)),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            Value::Array((0..list.len()).map(|at| value(&list, at)).collect())
        }
        _ => ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())
            .map_or(Value::Null, |text| Value::String(text.value(row).to_string())),
    }
}

/// As img2dataset writes it: `json.dumps(meta, indent=4)`, every character beyond ASCII escaped.
pub(crate) fn python_indented(value: &Value) -> Vec<u8> {
    use serde::Serialize;
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, serde_json::ser::PrettyFormatter::with_indent(b"    "));
    if value.serialize(&mut serializer).is_err() {
        return Vec::new();
    }
    let mut ascii = String::with_capacity(text.len());
    for character in String::from_utf8_lossy(&text).chars() {
        if character.is_ascii() && character != '\u{7f}' {
            ascii.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_escapes_and_indent_are_kept() {
        // python3 -c 'import json; print(json.dumps({"a": "é😀", "b": None}, indent=4))'
        let value = serde_json::json!({ "a": "é😀", "b": null });
        let want = "{\n    \"a\": \"\\u00e9\\ud83d\\ude00\",\n    \"b\": null\n}";
        assert_eq!(String::from_utf8(python_indented(&value)).unwrap(), want);
    }
}
