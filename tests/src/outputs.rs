//! Reading what a run has left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

/// A parquet file in memory.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its columns.
    pub schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let schema = builder.schema().clone();
        let batches = builder.build().and_then(|reader| Ok(reader.collect::<Result<Vec<_>, _>>()?));
        Self { schema, batches: batches.unwrap_or_else(|error| panic!("{}: {error}", path.display())) }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Names of the columns in order.
    pub fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// The values of a text column; what is null is empty.
    pub fn text(&self, name: &str) -> Vec<String> {
        self.column(name, |column, row| match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
            DataType::LargeUtf8 => column.as_string::<i64>().value(row).to_owned(),
            other => panic!("column `{name}` is {other}"),
        })
    }

    /// The values of a 32-bit column.
    pub fn integers(&self, name: &str) -> Vec<Option<i32>> {
        self.column(name, |column, row| Some(column.as_primitive::<arrow::datatypes::Int32Type>().value(row)))
    }

    /// The values of a binary column; what is null is empty.
    pub fn binary(&self, name: &str) -> Vec<Vec<u8>> {
        self.column(name, |column, row| column.as_binary::<i32>().value(row).to_vec())
    }

    /// The values of a 32-bit float column.
    pub fn floats(&self, name: &str) -> Vec<Option<f32>> {
        self.column(name, |column, row| Some(column.as_primitive::<arrow::datatypes::Float32Type>().value(row)))
    }

    /// The vectors of a fixed-size list of float16.
    pub fn vectors(&self, name: &str) -> Vec<Option<Vec<f32>>> {
        self.column(name, |column, row| {
            let vector = column.as_fixed_size_list().value(row);
            Some(vector.as_primitive::<arrow::datatypes::Float16Type>().values().iter().map(|value| value.to_f32()).collect())
        })
    }

    fn column<T: Default>(&self, name: &str, value: impl Fn(&dyn Array, usize) -> T) -> Vec<T> {
        let mut values = Vec::new();
        for batch in &self.batches {
            let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}` in {:?}", self.names()));
            values.extend((0..column.len()).map(|row| if column.is_null(row) { T::default() } else { value(column.as_ref(), row) }));
        }
        values
    }
}

/// All files below a folder, by their name in it.
pub fn all_files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry of a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                files.insert(name.display().to_string(), path);
            }
        }
    }
    files
}

/// The files of an output folder that are the dataset: all but the ledger.
pub fn data_files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = all_files(folder);
    files.retain(|name, _| !name.starts_with("_trommel/"));
    files
}

/// Digest of each file of the dataset, by name.
pub fn fingerprint(folder: &Path) -> BTreeMap<String, String> {
    fingerprint_of(data_files(folder))
}

/// Digest of each of these files, by name.
pub fn fingerprint_of(files: BTreeMap<String, PathBuf>) -> BTreeMap<String, String> {
    let digest = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    files.into_iter().map(|(name, path)| (name, digest(path))).collect()
}

/// The parquet files at the top of an output folder: one per shard, in order.
pub fn tables(folder: &Path) -> Vec<Table> {
    let top = data_files(folder).into_iter().filter(|(name, _)| name.ends_with(".parquet") && !name.contains('/'));
    top.map(|(_, path)| Table::read(&path)).collect()
}

/// The members of all tars at the top of an output folder, in order: name and content.
pub fn tar_members(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    for (name, path) in data_files(folder).into_iter().filter(|(name, _)| name.ends_with(".tar")) {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let read = trommel_shards::tar::read_members(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        members.extend(read.into_iter().map(|member| (member.name.to_owned(), member.content.to_vec())));
    }
    members
}

/// The keys of the samples of members, one for each run of members with the same key.
pub fn sample_keys(members: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut keys: Vec<String> = members.iter().map(|(name, _)| name.split('.').next().unwrap_or_default().to_owned()).collect();
    keys.dedup();
    keys
}
