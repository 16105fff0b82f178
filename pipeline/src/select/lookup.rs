//! Metadata for those who search it: names of all rows, rows for which a predicate holds, and what single rows say.

use std::collections::BTreeMap;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use trommel_shards::subset::Uid128;

use super::error::{Result, SelectError};
use super::expression::Expression;
use super::inputs::{Inputs, Piece};
use super::names::name_columns;

/// What one row says, by column; columns that are null are not there.
pub type Said = BTreeMap<String, String>;

/// The names of the rows of one file, in order. Blocks.
///
/// # Errors
/// When the file cannot be read, or a row has no name.
pub fn uids_of(inputs: &Inputs, file: usize) -> Result<Vec<Uid128>> {
    let names = name_columns(inputs)?;
    let mut uids = Vec::new();
    for piece in inputs.pieces.iter().filter(|piece| piece.file == file) {
        let mut reader = inputs.read(piece, &[], &names)?;
        while let Some((batch, names)) = reader.next()? {
            for row in 0..batch.num_rows() {
                uids.push(Uid128(names.uid(row)?));
            }
        }
    }
    Ok(uids)
}

/// Calls for each row, counted over all files, for which a predicate holds. Blocks.
///
/// # Errors
/// When the predicate does not fit the columns, or a file cannot be read.
pub fn rows_where(inputs: &Inputs, context: &SessionContext, sql: &str, mut see: impl FnMut(u64)) -> Result<()> {
    let predicate = Expression::compile(context, "where", sql, &inputs.schema)?;
    let mut row = 0_u64;
    for piece in &inputs.pieces {
        let mut reader = inputs.read(piece, predicate.columns(), &[])?;
        while let Some((batch, _)) = reader.next()? {
            let holds = predicate.truths(&batch)?;
            for at in 0..batch.num_rows() {
                if arrow::array::Array::is_valid(&holds, at) && holds.value(at) {
                    see(row + at as u64);
                }
            }
            row += batch.num_rows() as u64;
        }
    }
    Ok(())
}

/// The piece and the place in it of a row that is counted over all files.
fn place(inputs: &Inputs, row: u64) -> Option<(&Piece, u64)> {
    let mut first = 0;
    for piece in &inputs.pieces {
        if row < first + piece.rows as u64 {
            return Some((piece, row - first));
        }
        first += piece.rows as u64;
    }
    None
}

/// The file of a row that is counted over all files, and its row there.
pub fn file_of(inputs: &Inputs, row: u64) -> Option<(usize, u64)> {
    place(inputs, row).map(|(piece, at)| (piece.file, piece.first + at))
}

/// What some rows say in some columns. Blocks; reads the pieces that hold the rows.
///
/// # Errors
/// When there is no such row, or a file cannot be read.
pub fn rows_at(inputs: &Inputs, rows: &[u64], columns: &[String]) -> Result<BTreeMap<u64, Said>> {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut found = BTreeMap::new();
    let (mut at, mut first) = (0, 0_u64);
    for piece in &inputs.pieces {
        let end = first + piece.rows as u64;
        let wanted = &sorted[at..at + sorted[at..].partition_point(|row| *row < end)];
        at += wanted.len();
        if !wanted.is_empty() {
            let mut reader = inputs.read(piece, columns, &[])?;
            let mut batch_first = first;
            let mut wanted = wanted.iter().peekable();
            while let Some((batch, _)) = reader.next()? {
                let batch_end = batch_first + batch.num_rows() as u64;
                while let Some(&&row) = wanted.peek().filter(|row| ***row < batch_end) {
                    let local = (row - batch_first) as usize;
                    let mut said = Said::new();
                    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                        let fail = |e: arrow::error::ArrowError| SelectError::file(field.name().clone(), e);
                        if column.is_valid(local) {
                            let text = ArrayFormatter::try_new(column.as_ref(), &FormatOptions::default()).map_err(fail)?;
                            said.insert(field.name().clone(), text.value(local).to_string());
                        }
                    }
                    found.insert(row, said);
                    wanted.next();
                }
                batch_first = batch_end;
            }
        }
        first = end;
    }
    match sorted.get(at) {
        Some(row) => Err(SelectError::file("the metadata", format!("there is no row {row}: it has {first}"))),
        None => Ok(found),
    }
}
