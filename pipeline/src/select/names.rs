//! The rows' names, read as late as possible: most rows of a selection are judged without being called by name.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use trommel_shards::columns::UID;
use trommel_shards::subset::Uid128;

use super::error::{Result, SelectError};
use super::inputs::Inputs;

/// The columns that a row's name is made of.
pub(super) fn name_columns(inputs: &Inputs) -> Result<Vec<String>> {
    if inputs.has(UID) {
        return Ok(vec![UID.to_owned()]);
    }
    let url = inputs.first_of(&["url", "URL"]);
    let text = inputs.first_of(&["text", "TEXT", "caption"]);
    match (url, text) {
        (Some(url), text) => Ok([Some(url), text].into_iter().flatten().map(str::to_owned).collect()),
        (None, _) => Err(SelectError::file(&inputs.files[0].uri, "its rows have no names: there is neither `uid` nor `url`")),
    }
}

/// The names of a batch's rows, 128 bits each.
#[derive(Debug)]
pub(super) struct Names<'a> {
    source: Source,
    /// Where the rows are from, for errors.
    place: &'a str,
    /// The batch's first row in its file.
    first: u64,
}

#[derive(Debug)]
enum Source {
    /// Nobody has asked for names in this scan.
    Unread,
    /// The column `uid`, as views of its pages.
    Uid(StringViewArray),
    /// The digest of url and text, as everywhere.
    UrlAndText(StringArray, Option<StringArray>),
}

impl<'a> Names<'a> {
    /// Names that are not read.
    pub(super) fn unread(place: &'a str) -> Self {
        Self { source: Source::Unread, place, first: 0 }
    }

    /// Of the rows of a batch that has `columns`, as [`name_columns`] names them.
    pub(super) fn of(batch: &RecordBatch, columns: &[String], place: &'a str, first: u64) -> Result<Self> {
        let fail = |name: &str, e: &dyn std::fmt::Display| SelectError::file(place, format!("column `{name}`: {e}"));
        let column = |name: &String| -> Result<&ArrayRef> { batch.column_by_name(name).ok_or_else(|| fail(name, &"is not there")) };
        let text = |name: &String| -> Result<StringArray> {
            let texts = cast(column(name)?, &DataType::Utf8).map_err(|e| fail(name, &e))?;
            texts.as_string_opt::<i32>().cloned().ok_or_else(|| fail(name, &"is not text"))
        };
        let source = match columns {
            [uid] if uid == UID => {
                let found = column(uid)?;
                if matches!(found.data_type(), DataType::FixedSizeBinary(_)) || found.data_type().is_numeric() {
                    return Err(fail(uid, &format!("is not text but {}", found.data_type())));
                }
                let views = cast(found, &DataType::Utf8View).map_err(|e| fail(uid, &e))?;
                Source::Uid(views.as_string_view_opt().cloned().ok_or_else(|| fail(uid, &"is not text"))?)
            }
            [url, rest @ ..] => Source::UrlAndText(text(url)?, rest.first().map(text).transpose()?),
            [] => Source::Unread,
        };
        Ok(Self { source, place, first })
    }

    /// The name of a row of the batch.
    ///
    /// # Errors
    /// When the file says something that is no uid, with the row.
    pub(super) fn uid(&self, row: usize) -> Result<u128> {
        match &self.source {
            Source::Uid(uids) => {
                let value = if uids.is_valid(row) { uids.value(row) } else { "" };
                Uid128::parse(value).map(|uid| uid.0).ok_or_else(|| {
                    let (at, value) = (self.first + row as u64, value.chars().take(64).collect::<String>());
                    SelectError::file(self.place, format!("row {at}: uid `{value}` is not 32 hexadecimal digits"))
                })
            }
            Source::UrlAndText(urls, texts) => {
                let url = if urls.is_valid(row) { urls.value(row) } else { "" };
                let text = texts.as_ref().filter(|texts| texts.is_valid(row)).map_or("", |texts| texts.value(row));
                Ok(u128::from_be_bytes(trommel_filters::uid_bytes(url, text)))
            }
            Source::Unread => Err(SelectError::file(self.place, "the names of its rows were not read")),
        }
    }
}
