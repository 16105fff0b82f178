//! Subsets as tables and as lists.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use arrow::array::{Array, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, UInt32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{SubsetError, Uid128};
use crate::columns::UID;

/// Column of a subset table that says how often a uid is wanted.
pub const COPIES: &str = "copies";
/// Rows that are read at a time.
const READ_ROWS: usize = 8192;
/// Longest line of a list: a uid, and room for blanks.
const MAX_LINE: u64 = 4096;

/// Whether a file without any known first bytes is a list: by its name, or because it begins with a uid and a line end.
pub(super) fn is_text(bytes: &[u8], path: &str) -> bool {
    let named = path.to_ascii_lowercase().ends_with(".txt");
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    named || (first.len() == 32 && std::str::from_utf8(first).is_ok_and(|text| Uid128::parse(text).is_some()))
}

/// Reads a uid per line. Blank lines are passed over.
pub(super) fn read_text(
    uri: &str,
    source: &mut dyn Read,
    take: &mut dyn FnMut(Uid128, u32) -> Result<(), SubsetError>,
) -> Result<(), SubsetError> {
    let mut source = BufReader::with_capacity(1 << 20, source);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let count = source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|e| SubsetError::io(uri, e))?;
        if count == 0 {
            break;
        }
        let text = String::from_utf8_lossy(line.trim_ascii());
        if !text.is_empty() {
            let uid: Uid128 = text.parse().map_err(|e| SubsetError::content(uri, format!("line {number}: {e}")))?;
            take(uid, 1)?;
        }
    }
    Ok(())
}

/// Reads the columns `uid` and, where it is there, `copies`.
pub(super) fn read_table(uri: &str, file: &File, take: &mut dyn FnMut(Uid128, u32) -> Result<(), SubsetError>) -> Result<(), SubsetError> {
    let fail = |e: &dyn std::fmt::Display| SubsetError::content(uri, e);
    let file = file.try_clone().map_err(|e| SubsetError::io(uri, e))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fail(&e))?;
    if builder.schema().index_of(UID).is_err() {
        return Err(fail(&"has no column `uid`"));
    }
    let roots: Vec<usize> = [UID, COPIES].iter().filter_map(|name| builder.schema().index_of(name).ok()).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let mut row = 0_u64;
    for batch in builder.with_projection(mask).with_batch_size(READ_ROWS).build().map_err(|e| fail(&e))? {
        let batch = batch.map_err(|e| fail(&e))?;
        let typed = |name: &str, wanted: &DataType| {
            let column = batch.column_by_name(name)?;
            Some(cast_with_options(column, wanted, &strict).map_err(|e| fail(&format!("column `{name}`: {e}"))))
        };
        let Some(uids) = typed(UID, &DataType::Utf8).transpose()? else { continue };
        let uids = uids.as_string::<i32>();
        let copies = typed(COPIES, &DataType::UInt32).transpose()?;
        let copies = copies.as_ref().map(|copies| copies.as_primitive::<UInt32Type>());
        for at in 0..batch.num_rows() {
            let text = if uids.is_valid(at) { uids.value(at) } else { "" };
            let uid: Uid128 = text.parse().map_err(|e| fail(&format!("row {}: {e}", row + at as u64)))?;
            take(uid, copies.filter(|copies| copies.is_valid(at)).map_or(1, |copies| copies.value(at)))?;
        }
        row += batch.num_rows() as u64;
    }
    Ok(())
}
