//! Exact deduplication over 128-bit keys, in bounded memory.
//!
//! A key is XXH3-128 over the values of the chosen columns; among *n* rows two different values share a key with a
//! probability of about n² / 2¹²⁹ (10⁻¹⁸ for ten billion rows), so equal keys count as equal values. Rows of one key
//! meet in one partition by a hash shuffle. There they are cut by the key's bits into buckets; a bucket beyond the memory
//! budget goes to disk. Each bucket is then read twice: once for the best row of each key, once to list all others. So the
//! time grows with the rows, and memory with the distinct keys of one bucket.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{BufReader, BufWriter, Read, Seek, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ROW, UID, UNIT, VALUE};

use super::Need;
use super::env::{Env, Out, external};
use super::rows::{column, integers, strings};

/// Column with the key: fixed-size binary of 16 bytes.
pub const KEY: &str = "_key";
/// Column with the order among rows of one key, as bytes that compare; the smallest is kept.
pub const ORDER: &str = "_order";

const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Key bits that recursion may use up before it gives in.
const MAX_DEPTH: u32 = 8;
/// Bytes that a partition asks the pool for at a time.
const STEP_BYTES: usize = 4 << 20;
/// Least that a partition may hold when the pool is short.
const FLOOR_BYTES: usize = 8 << 20;

/// Lists the rows that are duplicates of a better one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dedupe {
    /// What the keys were made of, for people.
    pub by: Vec<String>,
    /// Whether rows bring an [`ORDER`]; without one the first in input order (unit, row) is kept.
    pub ordered: bool,
}

/// Schema of the list of duplicates: unit, row, uid that was kept.
pub fn dedupe_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(UNIT, DataType::Utf8, false),
        Field::new(ROW, DataType::Int64, false),
        Field::new(VALUE, DataType::Utf8, true),
    ]))
}

impl Dedupe {
    pub(super) fn describe(&self) -> String {
        format!("by=[{}] keep={}", self.by.join(", "), if self.ordered { "by order" } else { "first" })
    }

    pub(super) fn need(&self) -> Need {
        Need::Hash(vec![KEY.to_owned()])
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        for name in [UNIT, ROW, UID, KEY] {
            input.field_with_name(name)?;
        }
        Ok(dedupe_schema())
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let ordered = self.ordered;
        let inner = env.clone();
        Ok(env.stream(move |out| async move {
            let reservation = MemoryConsumer::new(format!("Dedupe[{}]", inner.partition)).with_can_spill(true).register(&inner.pool);
            let mut buckets = Buckets::new(inner.services.spill_folder.clone(), 0, reservation);
            let mut units = Units::default();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let count = batch.num_rows() as u64;
                push_batch(&mut buckets, &mut units, &batch, ordered).map_err(external)?;
                inner.services.progress.rows(count);
            }
            tokio::task::spawn_blocking(move || {
                let mut losers = Losers {
                    out,
                    units: units.names,
                    unit: StringBuilder::new(),
                    row: Int64Builder::new(),
                    kept: StringBuilder::new(),
                    count: 0,
                };
                buckets.resolve(&mut losers)?;
                losers.flush()
            })
            .await
            .map_err(external)?
        }))
    }
}

fn push_batch(buckets: &mut Buckets, units: &mut Units, batch: &RecordBatch, ordered: bool) -> std::io::Result<()> {
    let plan = |e: DataFusionError| std::io::Error::other(e.to_string());
    let keys = column(batch, KEY).map_err(plan)?;
    let keys = keys.as_fixed_size_binary_opt().ok_or_else(|| std::io::Error::other("the key column is not fixed-size binary"))?;
    let unit = strings(batch, UNIT).map_err(plan)?;
    let row = integers(batch, ROW).map_err(plan)?;
    let uid = strings(batch, UID).map_err(plan)?;
    let order = if ordered { column(batch, ORDER).map_err(plan)?.as_binary_opt::<i32>() } else { None };
    for at in 0..batch.num_rows() {
        let mut key = [0_u8; 16];
        key.copy_from_slice(keys.value(at));
        buckets.push(&Record {
            key: u128::from_be_bytes(key),
            uid: u128::from_str_radix(if uid.is_valid(at) { uid.value(at) } else { "0" }, 16).unwrap_or(0),
            unit: units.number(unit.value(at)),
            row: row.value(at),
            order: order.map_or(&[][..], |order| order.value(at)),
        })?;
    }
    Ok(())
}

/// Names of units, numbered. Number 0 is the empty name: rows of earlier outputs, which always win and are never listed.
struct Units {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    last: u32,
}

impl Default for Units {
    fn default() -> Self {
        Self { names: vec![String::new()], numbers: HashMap::from([(String::new(), 0)]), last: 0 }
    }
}

impl Units {
    fn number(&mut self, name: &str) -> u32 {
        // Rows of a unit come in runs: most look-ups end here.
        if self.names[self.last as usize] == name {
            return self.last;
        }
        self.last = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = self.names.len() as u32;
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), number);
                number
            }
        };
        self.last
    }
}

/// One row, as it lies in a bucket.
struct Record<'a> {
    key: u128,
    uid: u128,
    unit: u32,
    row: i64,
    order: &'a [u8],
}

const FIXED_BYTES: usize = 16 + 16 + 4 + 8 + 4;

impl Record<'_> {
    fn append(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.key.to_le_bytes());
        buffer.extend_from_slice(&self.uid.to_le_bytes());
        buffer.extend_from_slice(&self.unit.to_le_bytes());
        buffer.extend_from_slice(&self.row.to_le_bytes());
        buffer.extend_from_slice(&(self.order.len() as u32).to_le_bytes());
        buffer.extend_from_slice(self.order);
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[derive(Default)]
struct Bucket {
    memory: Vec<u8>,
    spilled: Option<Spill>,
}

struct Spill {
    file: BufWriter<File>,
    path: PathBuf,
    bytes: u64,
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Left behind only when the folder itself is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Rows cut by some bits of their keys.
struct Buckets {
    buckets: Vec<Bucket>,
    depth: u32,
    held: usize,
    reservation: MemoryReservation,
    folder: PathBuf,
}

impl Buckets {
    fn new(folder: PathBuf, depth: u32, reservation: MemoryReservation) -> Self {
        Self { buckets: std::iter::repeat_with(Bucket::default).take(BUCKETS).collect(), depth, held: 0, reservation, folder }
    }

    fn push(&mut self, record: &Record<'_>) -> std::io::Result<()> {
        let shift = 128 - BUCKET_BITS * (self.depth + 1);
        let index = (record.key >> shift) as usize % BUCKETS;
        record.append(&mut self.buckets[index].memory);
        self.held += FIXED_BYTES + record.order.len();
        if self.held > self.reservation.size() && self.reservation.try_grow(STEP_BYTES).is_err() && self.held > FLOOR_BYTES {
            self.spill_largest()?;
        }
        Ok(())
    }

    fn spill_largest(&mut self) -> std::io::Result<()> {
        let Some(bucket) = self.buckets.iter_mut().max_by_key(|bucket| bucket.memory.len()) else { return Ok(()) };
        let spill = match &mut bucket.spilled {
            Some(spill) => spill,
            None => bucket.spilled.insert(new_spill(&self.folder)?),
        };
        spill.file.write_all(&bucket.memory)?;
        spill.bytes += bucket.memory.len() as u64;
        self.held -= bucket.memory.len();
        bucket.memory = Vec::new();
        Ok(())
    }

    /// Lists the losers of every bucket.
    fn resolve(mut self, losers: &mut Losers) -> Result<()> {
        for mut bucket in std::mem::take(&mut self.buckets) {
            let on_disk = bucket.spilled.as_ref().map_or(0, |spill| spill.bytes);
            if on_disk > (self.reservation.size().max(FLOOR_BYTES) as u64) && self.depth + 1 < MAX_DEPTH {
                let mut finer = Buckets::new(self.folder.clone(), self.depth + 1, self.reservation.new_empty());
                for_each(&mut bucket, |record| finer.push(&record))?;
                drop(bucket);
                finer.resolve(losers)?;
                continue;
            }
            let mut best: HashMap<u128, Best, BuildHasherDefault<KeyHasher>> = HashMap::default();
            for_each(&mut bucket, |record| {
                let candidate = (record.unit != 0, record.order, record.unit, record.row);
                match best.get_mut(&record.key) {
                    Some(held) => {
                        if better(losers, candidate, held) {
                            *held = Best::of(&record);
                        }
                    }
                    None => {
                        best.insert(record.key, Best::of(&record));
                    }
                }
                Ok(())
            })?;
            for_each(&mut bucket, |record| {
                if let Some(held) = best.get(&record.key)
                    && record.unit != 0
                    && (record.unit, record.row) != (held.unit, held.row)
                {
                    losers.push(record.unit, record.row, held.uid).map_err(|e| std::io::Error::other(e.to_string()))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

struct Best {
    order: Box<[u8]>,
    unit: u32,
    row: i64,
    uid: u128,
}

impl Best {
    fn of(record: &Record<'_>) -> Self {
        Self { order: record.order.into(), unit: record.unit, row: record.row, uid: record.uid }
    }
}

/// Whether a row beats the one held: rows of earlier outputs first, then the stated order, then input order. Units are
/// compared by name: their numbers depend on arrival.
fn better(losers: &Losers, (fresh, order, unit, row): (bool, &[u8], u32, i64), held: &Best) -> bool {
    let name = |number: u32| losers.units.get(number as usize).map_or("", String::as_str);
    (fresh, order, name(unit), row) < (held.unit != 0, &held.order, name(held.unit), held.row)
}

fn new_spill(folder: &Path) -> std::io::Result<Spill> {
    std::fs::create_dir_all(folder)?;
    let (file, path) = tempfile::Builder::new().prefix("dedupe-").tempfile_in(folder)?.keep().map_err(|e| e.error)?;
    Ok(Spill { file: BufWriter::with_capacity(1 << 18, file), path, bytes: 0 })
}

/// Reads a bucket from the start: first what lies on disk, then what is in memory.
fn for_each(bucket: &mut Bucket, mut each: impl FnMut(Record<'_>) -> std::io::Result<()>) -> Result<()> {
    let mut visit = |bytes: &[u8]| -> std::io::Result<usize> {
        let mut at = 0;
        while bytes.len() - at >= FIXED_BYTES {
            let order_bytes = u32::from_le_bytes(take(bytes, at + 44)) as usize;
            let end = at + FIXED_BYTES + order_bytes;
            let Some(order) = bytes.get(at + FIXED_BYTES..end) else { break };
            each(Record {
                key: u128::from_le_bytes(take(bytes, at)),
                uid: u128::from_le_bytes(take(bytes, at + 16)),
                unit: u32::from_le_bytes(take(bytes, at + 32)),
                row: i64::from_le_bytes(take(bytes, at + 36)),
                order,
            })?;
            at = end;
        }
        Ok(at)
    };
    let mut read = || -> std::io::Result<()> {
        if let Some(spill) = &mut bucket.spilled {
            spill.file.flush()?;
            let mut file = File::open(&spill.path)?;
            file.rewind()?;
            let mut reader = BufReader::with_capacity(1 << 20, file);
            let mut window = Vec::new();
            let mut chunk = vec![0; 1 << 20];
            loop {
                let count = reader.read(&mut chunk)?;
                window.extend_from_slice(&chunk[..count]);
                let used = visit(&window)?;
                window.drain(..used);
                if count == 0 {
                    break;
                }
            }
        }
        visit(&bucket.memory).map(|_| ())
    };
    read().map_err(DataFusionError::from)
}

/// Keys are hashes already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// Collects the losers into batches.
struct Losers {
    out: Out,
    units: Vec<String>,
    unit: StringBuilder,
    row: Int64Builder,
    kept: StringBuilder,
    count: usize,
}

impl Losers {
    fn push(&mut self, unit: u32, row: i64, kept: u128) -> Result<()> {
        self.unit.append_value(&self.units[unit as usize]);
        self.row.append_value(row);
        // A uid that is not 32 hexadecimal characters is not carried through the shuffle.
        self.kept.append_option((kept != 0).then(|| format!("{kept:032x}")));
        self.count += 1;
        if self.count >= 8192 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        self.count = 0;
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(self.unit.finish()), Arc::new(self.row.finish()), Arc::new(self.kept.finish())];
        let batch = RecordBatch::try_new(dedupe_schema(), columns)?;
        // Nobody reads any more: the run is being given up.
        self.out.blocking_send(Ok(batch)).map_err(|_| DataFusionError::Execution("cancelled".into()))
    }
}
