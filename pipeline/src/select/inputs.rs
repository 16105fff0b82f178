//! The metadata that is chosen from: parquet files, in pieces that one thread reads.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use trommel_shards::columns::UID;
use trommel_shards::source::{Input, SourceFile, expand};

use super::error::{Result, SelectError};
use super::names::Names;

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
    /// Finds and opens the metadata of paths, globs, folders or urls.
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
        let opened = tokio::task::spawn_blocking(move || Self::open(found)).await;
        opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
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
            let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).and_then(uids_as_views).map_err(|e| fail(&e))?;
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

    /// Reads the columns of a piece, and those of the rows' names where these are asked for.
    pub(super) fn read(&self, piece: &Piece, columns: &[String], names: &[String]) -> Result<PieceReader> {
        let file = &self.files[piece.file];
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&file.uri, e);
        let wanted: HashSet<&str> = columns.iter().chain(names).map(String::as_str).collect();
        let theirs = file.metadata.schema();
        if let Some(missing) = columns.iter().chain(names).find(|name| theirs.field_with_name(name).is_err()) {
            return Err(fail(&format!("no column `{missing}`, which `{}` has", self.files[0].uri)));
        }
        let roots = theirs.fields().iter().enumerate().filter(|(_, field)| wanted.contains(field.name().as_str())).map(|(at, _)| at);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Input::open(&file.uri)?, file.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let groups = piece.groups.clone().collect();
        let reader = builder.with_projection(mask).with_row_groups(groups).with_batch_size(BATCH_ROWS).build().map_err(|e| fail(&e))?;
        let fields: Vec<_> = columns.iter().filter_map(|name| self.schema.field_with_name(name).ok().cloned()).collect();
        let (uri, first) = (file.uri.clone(), piece.first);
        Ok(PieceReader { uri, reader, schema: Arc::new(Schema::new(fields)), names: names.to_vec(), first })
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

/// Asks for the column `uid` as views of its pages: copying its text costs more than reading most other columns.
fn uids_as_views(metadata: ArrowReaderMetadata) -> parquet::errors::Result<ArrowReaderMetadata> {
    let as_view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 if field.name() == UID => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    let schema = metadata.schema();
    let fields: Vec<_> = schema.fields().iter().map(as_view).collect();
    let hinted = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), ArrowReaderOptions::new().with_schema(hinted))
}

/// Batches of a piece.
pub(super) struct PieceReader {
    uri: String,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    names: Vec<String>,
    /// The next row in the file.
    first: u64,
}

impl PieceReader {
    pub(super) fn next(&mut self) -> Result<Option<(RecordBatch, Names<'_>)>> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let fail = |e: &dyn std::fmt::Display| SelectError::file(&self.uri, e);
        let batch = batch.map_err(|e| fail(&e))?;
        let column = |field: &Arc<Field>| -> Result<ArrayRef> {
            let column = batch.column_by_name(field.name()).ok_or_else(|| fail(&format!("no column `{}`", field.name())))?;
            cast(column, field.data_type()).map_err(|e| fail(&format!("column `{}`: {e}", field.name())))
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let plain = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| fail(&e))?;
        let first = self.first;
        self.first += plain.num_rows() as u64;
        let names = match self.names.as_slice() {
            [] => Names::unread(&self.uri),
            columns => Names::of(&batch, columns, &self.uri, first)?,
        };
        Ok(Some((plain, names)))
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}
