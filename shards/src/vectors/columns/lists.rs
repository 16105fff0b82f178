//! Lists of floats as vectors.

use arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};

use super::super::Precision;

/// The precision and, where the type fixes it, the length of the vectors in a column; `None` for another type.
pub(crate) fn vector_type(data_type: &DataType) -> Option<(Precision, Option<usize>)> {
    let (item, dim) = match data_type {
        DataType::FixedSizeList(item, dim) => (item, Some(usize::try_from(*dim).ok()?)),
        DataType::List(item) | DataType::LargeList(item) => (item, None),
        _ => return None,
    };
    let precision = match item.data_type() {
        DataType::Float16 => Precision::F16,
        DataType::Float32 => Precision::F32,
        DataType::Float64 => Precision::F64,
        _ => return None,
    };
    Some((precision, dim))
}

/// The rows of a list array as spans of one array of components.
pub(crate) struct Lists {
    array: ArrayRef,
    values: Float32Array,
}

impl Lists {
    pub(crate) fn new(array: &ArrayRef) -> Result<Self, String> {
        let values = match array.data_type() {
            DataType::FixedSizeList(..) => array.as_fixed_size_list().values(),
            DataType::List(_) => array.as_list::<i32>().values(),
            DataType::LargeList(_) => array.as_list::<i64>().values(),
            other => return Err(format!("{other} is no list")),
        };
        let values = cast(values, &DataType::Float32).map_err(|e| e.to_string())?;
        Ok(Self { array: ArrayRef::clone(array), values: values.as_primitive::<Float32Type>().clone() })
    }

    /// The components of a row; `None` when it is null.
    pub(crate) fn row(&self, row: usize) -> Result<Option<&[f32]>, String> {
        if self.array.is_null(row) {
            return Ok(None);
        }
        let (start, end) = match self.array.data_type() {
            DataType::FixedSizeList(..) => {
                let list = self.array.as_fixed_size_list();
                let start = list.value_offset(row) as usize;
                (start, start + list.value_length() as usize)
            }
            DataType::List(_) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                (offsets[row] as usize, offsets[row + 1] as usize)
            }
            _ => {
                let offsets = self.array.as_list::<i64>().value_offsets();
                (offsets[row] as usize, offsets[row + 1] as usize)
            }
        };
        if self.values.null_count() > 0
            && let Some(at) = (start..end).find(|&at| self.values.is_null(at))
        {
            return Err(format!("component {} is null", at - start));
        }
        self.values.values().get(start..end).map(Some).ok_or_else(|| "its list ends after the column".to_owned())
    }
}
