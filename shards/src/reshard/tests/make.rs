//! Inputs made up, and outputs read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::reshard::{InputShard, Reshard, ReshardError, ReshardOptions, ShardWritten};
use crate::samples::{Sample, Samples};
use crate::storage::Storage;
use crate::subset::{Subset, Uid128};
use crate::tar::member_header;

pub(super) struct Folder {
    pub(super) dir: tempfile::TempDir,
}

/// A tar of members as they are given, of any names.
pub(super) fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        bytes.extend(member_header(name, content.len() as u64).unwrap());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize((bytes.len() + 1024).next_multiple_of(10240), 0);
    bytes
}

/// A picture that no decoder takes, of a length and a content of its own.
pub(super) fn picture(number: u128) -> Vec<u8> {
    format!("no picture at all {number} ").repeat(1 + (number as usize * 7) % 90).into_bytes()
}

pub(super) fn uid(number: u128) -> Uid128 {
    // Spread over both halves.
    Uid128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// The three members that img2dataset writes.
pub(super) fn sample(key: &str, number: u128) -> Vec<(String, Vec<u8>)> {
    vec![
        (format!("{key}.jpg"), picture(number)),
        (format!("{key}.json"), format!("{{\"key\": \"{key}\", \"uid\": \"{}\", \"n\": {number}}}", uid(number)).into_bytes()),
        (format!("{key}.txt"), format!("caption {number}").into_bytes()),
    ]
}

/// A table as it lies beside a tar.
pub(super) fn table(keys: &[String], numbers: &[u128]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("uid", Arc::new(StringArray::from_iter_values(numbers.iter().map(|&number| uid(number).to_string())))),
        ("text", Arc::new(StringArray::from_iter_values(numbers.iter().map(|number| format!("caption {number}"))))),
        ("key", Arc::new(StringArray::from(keys.to_vec()))),
        ("width", Arc::new(Int32Array::from_iter_values(numbers.iter().map(|&number| 100 + (number % 5) as i32 * 100)))),
        ("height", Arc::new(Int32Array::from_iter_values(numbers.iter().map(|_| 200)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

impl Folder {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub(super) fn storage(&self, name: &str) -> Storage {
        Storage::open(&self.path(name)).unwrap()
    }

    /// A shard of samples by their numbers.
    pub(super) fn shard(&self, name: &str, numbers: &[u128], with_table: bool) -> InputShard {
        let keys: Vec<String> = (0..numbers.len()).map(|at| format!("{name}{at:04}")).collect();
        let members: Vec<_> = keys.iter().zip(numbers).flat_map(|(key, &number)| sample(key, number)).collect();
        self.file(&format!("{name}.tar"), &tar(&members));
        let mut shard = InputShard::named(&self.path(&format!("{name}.tar")));
        if with_table {
            let table = table(&keys, numbers);
            let path = self.path(&format!("{name}.parquet"));
            let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), table.schema(), None).unwrap();
            writer.write(&table).unwrap();
            writer.close().unwrap();
            shard.table = Some(path);
        }
        shard
    }

    pub(super) fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    /// Plans and writes everything, the last shard first.
    pub(super) fn run(
        &self,
        out: &str,
        inputs: &[InputShard],
        subset: Option<&[(Uid128, u32)]>,
        options: ReshardOptions,
    ) -> Result<(Reshard, Vec<ShardWritten>), ReshardError> {
        let subset = subset.map(|uids| Arc::new(Subset::of_uids(uids.iter().copied()).unwrap()));
        let storage = self.storage(out);
        run(async {
            let plan = Reshard::plan(inputs.to_vec(), subset, options).await?;
            let mut written = Vec::new();
            for shard in (0..plan.shards()).rev() {
                written.insert(0, plan.write_shard(shard, &storage).await?);
            }
            Ok((plan, written))
        })
    }

    /// All samples of an output, shard by shard.
    pub(super) fn samples(&self, out: &str, plan: &Reshard) -> Vec<Vec<Sample>> {
        let read = |shard| {
            let bytes = std::fs::read(self.dir.path().join(out).join(format!("{}.tar", plan.name(shard)))).unwrap();
            Samples::new(&bytes[..]).map(Result::unwrap).collect()
        };
        (0..plan.shards()).map(read).collect()
    }

    pub(super) fn rows(&self, name: &str) -> RecordBatch {
        let file = std::fs::File::open(self.dir.path().join(name)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        arrow::compute::concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
    }

    /// All files of a folder with their content.
    pub(super) fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(self.dir.path().join(out)).unwrap();
        files.map(Result::unwrap).map(|file| (file.file_name().display().to_string(), std::fs::read(file.path()).unwrap())).collect()
    }
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

/// The numbers of samples, by their pictures.
pub(super) fn number(sample: &Sample) -> u128 {
    let text = String::from_utf8(sample.member("jpg").unwrap().to_vec()).unwrap();
    text.split(' ').nth(4).unwrap().parse().unwrap()
}
