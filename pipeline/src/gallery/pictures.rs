//! The pictures of single rows, out of the shards beside their metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use trommel_shards::samples::{IMAGE_ENDINGS, Sample, Samples};
use trommel_shards::source::Input;

/// Pictures that are found, by file of metadata and row in it: ending and bytes.
#[derive(Debug, Default)]
pub struct Pictures(BTreeMap<(String, u64), (String, Vec<u8>)>);

impl Pictures {
    /// Looks for the pictures of rows, given as file of metadata and row in it: in the file itself, or in the tar of the same name. What is
    /// not there is not found; that is no error, since metadata need not have pictures. Blocks.
    pub fn find(wanted: &[(String, u64)]) -> Self {
        let mut files: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for (file, row) in wanted {
            files.entry(file).or_default().insert(*row);
        }
        let mut found = BTreeMap::new();
        for (file, rows) in files {
            let pictures = in_table(file, &rows).or_else(|| in_tar(file, &rows)).unwrap_or_default();
            found.extend(pictures.into_iter().map(|(row, picture)| ((file.to_owned(), row), picture)));
        }
        Self(found)
    }

    /// A picture: the ending that fits it, and its bytes.
    pub fn get(&self, file: &str, row: u64) -> Option<(&str, &[u8])> {
        self.0.get(&(file.to_owned(), row)).map(|(ending, bytes)| (ending.as_str(), bytes.as_slice()))
    }
}

type Found = BTreeMap<u64, (String, Vec<u8>)>;

/// Rows of a table, read alone.
fn only(rows: &BTreeSet<u64>) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for &row in rows {
        selectors.push(RowSelector::skip((row - next) as usize));
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    selectors.into()
}

fn in_table(file: &str, rows: &BTreeSet<u64>) -> Option<Found> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(file).ok()?).ok()?;
    let binary = |name: &str| {
        let field = builder.schema().field_with_name(name);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView))
    };
    let column = IMAGE_ENDINGS.iter().copied().find(|name| binary(name))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let mut found = Found::new();
    let mut rows_left = rows.iter();
    for batch in builder.with_projection(mask).with_row_selection(only(rows)).build().ok()? {
        let pictures = cast(batch.ok()?.column(0), &DataType::LargeBinary).ok()?;
        for picture in pictures.as_binary::<i64>().iter() {
            let row = *rows_left.next()?;
            if let Some(bytes) = picture {
                found.insert(row, (column.to_owned(), bytes.to_vec()));
            }
        }
    }
    Some(found)
}

fn in_tar(file: &str, rows: &BTreeSet<u64>) -> Option<Found> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(file).ok()?).ok()?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["key"]);
    let mut keys: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows_left = rows.iter();
    for batch in builder.with_projection(mask).with_row_selection(only(rows)).build().ok()? {
        let texts = cast(batch.ok()?.column_by_name("key")?, &DataType::Utf8).ok()?;
        for key in texts.as_string::<i32>().iter() {
            let row = *rows_left.next()?;
            if let Some(key) = key {
                keys.insert(key.to_owned(), row);
            }
        }
    }
    let tar = Input::open(&format!("{}.tar", file.strip_suffix(".parquet")?)).ok()?;
    let mut found = Found::new();
    for sample in Samples::new(BufReader::with_capacity(1 << 20, tar.into_read())) {
        let mut sample = sample.ok()?;
        let base = sample.key.rsplit('/').next().unwrap_or(&sample.key);
        if let Some(row) = keys.remove(base)
            && let Some((ending, bytes)) = Sample::take_image(&mut sample)
        {
            found.insert(row, (ending.to_string(), bytes));
        }
        if keys.is_empty() {
            break;
        }
    }
    Some(found)
}
