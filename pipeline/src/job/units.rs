//! Units of the source, as small tables that a pass scans.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use trommel_shards::columns::UNIT;
use trommel_shards::source::SourceFile;
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableError, TableWriter};
use xxhash_rust::xxh3::xxh3_64;

/// Schema of a work list: the unit, the file, the file's identity.
pub(super) fn schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![utf8(UNIT), utf8("path"), utf8("input")]))
}

/// A unit's name: the file's own, shortened, and sixteen characters of a hash over the whole path, so that adding files to
/// a source renames nothing.
pub(super) fn name_of(file: &SourceFile) -> String {
    let base = file.uri.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem: String = base.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(64).collect();
    format!("{stem}-{:016x}", xxh3_64(file.uri.as_bytes()))
}

/// Units of shards that are read again are named as the shards are, where no two of them share a name.
pub(super) fn shard_names(files: &[SourceFile]) -> Vec<String> {
    let stem = |file: &SourceFile| {
        let base = file.uri.rsplit(['/', '\\']).next().unwrap_or_default();
        base.rsplit_once('.').map_or(base, |(stem, _)| stem).to_owned()
    };
    let mut counts = std::collections::HashMap::new();
    for file in files {
        *counts.entry(stem(file)).or_insert(0) += 1;
    }
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let name = |file: &SourceFile| {
        let stem = stem(file);
        if counts.get(&stem) == Some(&1) && plain(&stem) { stem } else { name_of(file) }
    };
    files.iter().map(name).collect()
}

/// Lists that are written at a time: what takes long is the store's answer.
const AT_ONCE: usize = 32;

/// Writes the work lists of units, one for each file.
pub(super) async fn write_all<'a>(
    storage: &Storage,
    folder: &str,
    units: impl Iterator<Item = (&'a str, &'a SourceFile)>,
) -> Result<(), TableError> {
    stream::iter(units.map(|(unit, file)| write(storage, folder, unit, file))).buffer_unordered(AT_ONCE).try_collect().await
}

async fn write(storage: &Storage, folder: &str, unit: &str, file: &SourceFile) -> Result<(), TableError> {
    let mut table = TableWriter::create(storage, &format!("{folder}/{unit}.parquet"), schema(), ROW_GROUP_ROWS).await?;
    let columns: Vec<ArrayRef> =
        [unit.to_owned(), file.uri.clone(), file.identity()].map(|value| Arc::new(StringArray::from(vec![value])) as ArrayRef).to_vec();
    let batch = RecordBatch::try_new(schema(), columns).map_err(|e| TableError::Parquet { place: file.uri.clone(), source: e.into() })?;
    table.write(&batch).await?;
    table.finish().await.map(|_| ())
}
