//! The metadata that is chosen from: parquet files, in pieces that one thread reads.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use trommel_shards::columns::UID;
use trommel_shards::source::{Input, SourceFile, expand};

use super::error::{Result, SelectError};

/// Rows that a piece has at most, where row groups allow it: enough to keep a thread busy, few enough to share out.
const PIECE_ROWS: usize = 1 << 18;
/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// A file of the metadata.
#[derive(Debug, Clone)]
pub struct MetaFile {
    /// Path or url.
    pub uri: String,
    /// Identity and size, for provenance.
    pub identity: String,
    /// Rows in it.
    pub rows: u64,
    metadata: ArrowReaderMetadata,
}

/// A run of row groups of one file.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which file.
    pub file: usize,
    /// Its first row in the file.
    pub first: u64,
    /// Its rows.
    pub rows: usize,
    groups: Range<usize>,
}

/// All metadata of a selection.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The files, in the order of their names.
    pub files: Vec<MetaFile>,
    /// The pieces, in the order of the rows.
    pub pieces: Vec<Piece>,
    /// Columns of the first file, as they are read: plain text instead of views.
    pub schema: SchemaRef,
}

impl Inputs {
    /// Finds and opens the metadata of paths, globs, folders or urls. Blocks.
    ///
    /// # Errors
    /// When nothing is there, or a file is no parquet file.
    pub async fn find(patterns: &[String]) -> Result<Self> {
        let mut found: Vec<SourceFile> = Vec::new();
        for pattern in patterns {
            found.extend(expand(pattern).await?);
        }
        found.sort_by(|a, b| a.uri.cmp(&b.uri));
        found.dedup();
        let count = found.len();
        let mut found = crate::job::finished_files(found);
        found.retain(|file| file.uri.to_ascii_lowercase().ends_with(".parquet"));
        if found.is_empty() {
            let what = patterns.join(", ");
            return Err(SelectError::file(what, format!("none of the {count} files is a table of metadata: a `.parquet`")));
        }
        Self::open(found)
    }

    /// Opens files of metadata, in this order. Blocks.
    ///
    /// # Errors
    /// As [`Inputs::find`].
    pub fn open(found: Vec<SourceFile>) -> Result<Self> {
        let mut files = Vec::new();
        let mut pieces = Vec::new();
        for source in found {
            let fail = |e: &dyn std::fmt::Display| SelectError::file(&source.uri, e);
            let input = Input::open(&source.uri)?;
            let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).map_err(|e| fail(&e))?;
            let mut first = 0;
            let mut piece: Option<Piece> = None;
            for (group, said) in metadata.metadata().row_groups().iter().enumerate() {
                let rows = usize::try_from(said.num_rows()).map_err(|e| fail(&e))?;
                match &mut piece {
                    Some(open) if open.rows + rows <= PIECE_ROWS => {
                        open.rows += rows;
                        open.groups.end = group + 1;
                    }
                    open => {
                        let fresh = Piece { file: files.len(), first, rows, groups: group..group + 1 };
                        pieces.extend(open.replace(fresh));
                    }
                }
                first += rows as u64;
            }
            pieces.extend(piece);
            files.push(MetaFile { identity: source.identity(), uri: source.uri, rows: first, metadata });
        }
        let Some(one) = files.first() else { return Err(SelectError::file("the metadata", "no file")) };
        let schema = Arc::new(plain(one.metadata.schema()));
        Ok(Self { files, pieces, schema })
    }

    /// Rows in all.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Whether there is such a column.
    pub fn has(&self, name: &str) -> bool {
        self.schema.field_with_name(name).is_ok()
    }

    /// The first of these columns that is there.
    pub fn first_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Reads the columns of a piece.
    pub(super) fn read(&self, piece: &Piece, columns: &[String]) -> Result<PieceReader> {
        let file = &self.files[piece.file];
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&file.uri, e);
        let wanted: HashSet<&str> = columns.iter().map(String::as_str).collect();
        let theirs = file.metadata.schema();
        if let Some(missing) = columns.iter().find(|name| theirs.field_with_name(name).is_err()) {
            return Err(fail(&format!("no column `{missing}`, which `{}` has", self.files[0].uri)));
        }
        let roots = theirs.fields().iter().enumerate().filter(|(_, field)| wanted.contains(field.name().as_str())).map(|(at, _)| at);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Input::open(&file.uri)?, file.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let groups = piece.groups.clone().collect();
        let reader = builder.with_projection(mask).with_row_groups(groups).with_batch_size(BATCH_ROWS).build().map_err(|e| fail(&e))?;
        let fields: Vec<_> = columns.iter().filter_map(|name| self.schema.field_with_name(name).ok().cloned()).collect();
        Ok(PieceReader { uri: file.uri.clone(), reader, schema: Arc::new(Schema::new(fields)) })
    }
}

/// Views and large texts are a matter of layout in memory: here text is text.
fn plain(schema: &Schema) -> Schema {
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    let fields = schema.fields().iter().map(|field| Arc::new(Field::new(field.name(), plain(field.data_type()), true)));
    Schema::new(fields.collect::<Vec<_>>())
}

/// Batches of a piece.
pub(super) struct PieceReader {
    uri: String,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
}

impl PieceReader {
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&self.uri, e);
        let batch = batch.map_err(|e| fail(&e))?;
        let column = |field: &Arc<Field>| -> Result<ArrayRef> {
            let column = batch.column_by_name(field.name()).ok_or_else(|| fail(&format!("no column `{}`", field.name())))?;
            cast(column, field.data_type()).map_err(|e| fail(&format!("column `{}`: {e}", field.name())))
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(Some).map_err(|e| fail(&e))
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

/// The columns that a row's name is made of.
pub(super) fn uid_columns(inputs: &Inputs) -> Result<Vec<String>> {
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

/// The names of a batch's rows, 128 bits each: the column `uid`, or the digest of url and text as everywhere.
pub(super) fn uids(batch: &RecordBatch, columns: &[String], place: &str, first: u64) -> Result<Vec<u128>> {
    let text = |name: &String| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let of = |at: usize| columns.get(at).and_then(text);
    let Some(first_column) = of(0) else {
        return Err(SelectError::file(place, format!("column `{}` is not text", columns.first().map_or("uid", String::as_str))));
    };
    let texts = of(1);
    let mut uids = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let value = if first_column.is_valid(row) { first_column.value(row) } else { "" };
        if columns[0] == UID {
            let wrong = || {
                let at = first + row as u64;
                SelectError::file(place, format!("row {at}: uid `{value}` is not 32 hexadecimal digits"))
            };
            uids.push(parse_uid(value).ok_or_else(wrong)?);
        } else {
            let text = texts.filter(|texts| texts.is_valid(row)).map_or("", |texts| texts.value(row));
            uids.push(u128::from_be_bytes(trommel_filters::uid_bytes(value, text)));
        }
    }
    Ok(uids)
}

/// 32 hexadecimal digits as a number.
pub(super) fn parse_uid(text: &str) -> Option<u128> {
    let bytes: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut halves = [0_u64; 2];
    let mut seen = 0;
    for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks::<16>().0) {
        for &byte in bytes {
            let digit = DIGITS[usize::from(byte)];
            seen |= digit;
            *half = *half << 4 | u64::from(digit & 15);
        }
    }
    (seen < 16).then_some(u128::from(halves[0]) << 64 | u128::from(halves[1]))
}

/// The value of each hexadecimal digit; 255 for any other byte. A table, since half of a selection's time would go into
/// comparing bytes otherwise.
static DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_32_hexadecimal_digits() {
        assert_eq!(parse_uid("139e4a9b22a614771f06c700a8ebe150"), Some(0x139e_4a9b_22a6_1477_1f06_c700_a8eb_e150));
        assert_eq!(parse_uid("139E4A9B22A614771F06C700A8EBE150"), parse_uid("139e4a9b22a614771f06c700a8ebe150"));
        for wrong in ["", "139e", "139e4a9b22a614771f06c700a8ebe15g", "139e4a9b22a614771f06c700a8ebe1500"] {
            assert_eq!(parse_uid(wrong), None, "{wrong}");
        }
    }
}
