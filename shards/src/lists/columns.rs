//! Which columns of a list are taken, under which names.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::FormatOptions;
use serde::{Deserialize, Serialize};

use super::ListError;

/// A value that does not fit its column is an error, not a null.
const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The columns to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChoice {
    /// Column that holds the image url.
    pub url: String,
    /// Column that holds the caption.
    pub caption: Option<String>,
    /// Other columns to carry along: named ones, or all for `None`.
    pub additional: Option<Vec<String>>,
}

impl ColumnChoice {
    /// The columns that are text whatever they look like.
    pub fn texts(&self) -> Vec<&str> {
        [Some(self.url.as_str()), self.caption.as_deref(), Some("uid")].into_iter().flatten().collect()
    }
}

/// A choice, resolved against the schema of the first file: every later file is brought to the same shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// `(name in the file, field that comes out)`, additional columns first, then the caption, then the url.
    pub taken: Vec<(String, FieldRef)>,
}

impl Columns {
    /// Resolves a choice. `text` is the name under which the caption comes out.
    ///
    /// # Errors
    /// [`ListError::NoColumn`] with the nearest name.
    pub fn resolve(file: &str, schema: &Schema, choice: &ColumnChoice, text: &str) -> Result<Self, ListError> {
        let find = |column: &str| {
            schema.field_with_name(column).map_err(|_| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let near = names.iter().find(|name| name.contains(column) || column.contains(**name)).or_else(|| {
                    let distance = |name: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), &column.to_lowercase());
                    names.iter().min_by_key(distance).filter(|name| distance(name) <= 1 + name.len().max(column.len()) / 4)
                });
                ListError::NoColumn {
                    file: file.to_owned(),
                    column: column.to_owned(),
                    present: names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                    hint: near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default(),
                }
            })
        };
        let main = [Some(choice.url.as_str()), choice.caption.as_deref()];
        let additional: Vec<String> = match &choice.additional {
            Some(names) => names.clone(),
            None => schema.fields().iter().map(|field| field.name().clone()).filter(|name| !main.contains(&Some(name.as_str()))).collect(),
        };
        let mut taken = Vec::new();
        for name in additional {
            let field = find(&name)?;
            let reserved = name == "url" || name == text || name == "key" || name == "error_code" || name.starts_with('_');
            // A name that means something else here is kept apart, not lost.
            let out = if reserved { format!("source_{name}") } else { name.clone() };
            let data_type = if name == "uid" { DataType::Utf8 } else { plain(field.data_type()) };
            taken.push((name, Arc::new(Field::new(out, data_type, true))));
        }
        if let Some(caption) = &choice.caption {
            find(caption)?;
            taken.push((caption.clone(), Arc::new(Field::new(text, DataType::Utf8, true))));
        }
        find(&choice.url)?;
        taken.push((choice.url.clone(), Arc::new(Field::new("url", DataType::Utf8, true))));
        Ok(Self { taken })
    }

    /// The fields that come out.
    pub fn fields(&self) -> Vec<FieldRef> {
        self.taken.iter().map(|(_, field)| Arc::clone(field)).collect()
    }

    /// Brings a batch to the resolved shape: casts types, fills additional columns that this file lacks with nulls.
    ///
    /// # Errors
    /// [`ListError`] when the url column is missing or a column cannot be cast.
    pub fn apply(&self, file: &str, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ListError> {
        self.taken
            .iter()
            .map(|(name, field)| match batch.column_by_name(name) {
                Some(column) => cast_with_options(column, field.data_type(), &STRICT)
                    .map_err(|e| ListError::content(file, format!("column `{name}`: {e}"))),
                None if field.name() == "url" => Err(ListError::NoColumn {
                    file: file.to_owned(),
                    column: name.clone(),
                    present: batch.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", "),
                    hint: String::new(),
                }),
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            })
            .collect()
    }
}

/// Views and dictionaries are brought to plain types, which every engine and reader takes.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => plain(value),
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    }
}
