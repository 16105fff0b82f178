//! Writing one output shard.

mod keys;
mod members;
mod tar;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use super::options::ShardFormat;
use super::plan::{Inner, Reshard};
use super::schema::RowOf;
use super::store::{Content, Sample};
use super::{ReshardError, ShardWritten};
use crate::storage::{Storage, Written};
use crate::table::{ROW_GROUP_ROWS, TableWriter};
use keys::KeyMaker;
use members::{Item, Reader};

/// Bytes of members that are laid out and written at a time: few enough to stay in a core's cache while they are read,
/// hashed and written.
const WINDOW_BYTES: u64 = 1 << 20;
/// Room for the sample that ends a window.
const WINDOW_ROOM: usize = 2 << 20;
/// Samples that are laid out at a time.
const WINDOW_SAMPLES: usize = 4096;
/// Rows of parquet shards that are laid out at a time, whose lengths the plan may not know.
const WINDOW_ROWS: usize = 256;
/// Rows that are made for a table at a time.
const TABLE_ROWS: usize = 8192;
/// Bytes of pictures in a row group of parquet output.
const GROUP_BYTES: usize = 64 << 20;
const BLOCK: usize = 512;

impl Reshard {
    /// Writes one output shard through the door: `{name}.tar` with `{name}.parquet` beside it, or `{name}.parquet` alone, and
    /// `{name}_stats.json`. The statistics come last.
    ///
    /// May run for any shards at the same time, in any order, and again: the same plan gives the same bytes. Reading and
    /// writing happen on a blocking thread of the runtime. Memory: some MiB (what two hundred rows have, for parquet), and 150 bytes for each sample of the shard.
    ///
    /// # Errors
    /// With the input shard and the sample that could not be copied; what was written under a final name by then is whole,
    /// and is written over by the next try.
    pub async fn write_shard(&self, shard: usize, storage: &Storage) -> Result<ShardWritten, ReshardError> {
        if shard >= self.shards() {
            return Err(ReshardError::Options(format!("shard {shard} is not in the plan, which has {}", self.shards())));
        }
        let (plan, storage, handle) = (self.clone(), storage.clone(), Handle::current());
        let work = tokio::task::spawn_blocking(move || {
            let _guard = handle.enter();
            Writing { plan: &plan, inner: &plan.inner, storage: &storage, handle: &handle, shard }.run()
        });
        work.await.map_err(|e| ReshardError::Plan(std::io::Error::other(e)))?
    }
}

struct Writing<'a> {
    plan: &'a Reshard,
    inner: &'a Inner,
    storage: &'a Storage,
    handle: &'a Handle,
    shard: usize,
}

impl Writing<'_> {
    fn run(&self) -> Result<ShardWritten, ReshardError> {
        let name = self.plan.name(self.shard);
        let mut outputs = Vec::new();
        match self.inner.options.format {
            ShardFormat::Webdataset => self.webdataset(&name, &mut outputs)?,
            ShardFormat::Parquet => self.parquet(&name, &mut outputs)?,
        }
        let rows = self.plan.rows(self.shard);
        // As Python's `json.dumps` writes it.
        let stats = format!("{{\"successes\": {rows}}}");
        let file = format!("{name}_stats.json");
        let written = self.handle.block_on(self.storage.put(&file, stats))?;
        outputs.push((file, written));
        Ok(ShardWritten { name, rows, outputs })
    }

    /// The samples of the shard, some at a time, with their keys.
    fn windows(&self, name: &str, mut each: impl FnMut(Vec<(Sample, String)>) -> Result<(), ReshardError>) -> Result<(), ReshardError> {
        let most = (0..self.plan.shards()).map(|shard| self.plan.rows(shard)).max().unwrap_or(0);
        let mut keys = KeyMaker::new(self.inner.options.keys, name, most);
        let start = self.plan.start(self.shard);
        let (mut window, mut bytes, mut rows) = (Vec::new(), 0, 0);
        for at in start..start + self.plan.rows(self.shard) {
            let lost = || ReshardError::Plan(std::io::Error::other("an entry of the plan is missing"));
            let (sample, copy) = self.inner.store.entry(at).ok_or_else(lost)?;
            match &sample.content {
                Content::Members(parts) => bytes += parts.iter().map(|part| part.size + BLOCK as u64).sum::<u64>(),
                Content::Row(_) => rows += 1,
            }
            let key = keys.next(&sample, copy);
            window.push((sample, key));
            if bytes >= WINDOW_BYTES || rows >= WINDOW_ROWS || window.len() >= WINDOW_SAMPLES {
                each(std::mem::take(&mut window))?;
                (bytes, rows) = (0, 0);
            }
        }
        if window.is_empty() { Ok(()) } else { each(window) }
    }

    fn webdataset(&self, name: &str, outputs: &mut Vec<(String, Written)>) -> Result<(), ReshardError> {
        let mut reader = Reader::new(self.inner);
        let mut hook = self.inner.options.hook.as_ref().map(|make| make());
        let file = format!("{name}.tar");
        let mut writer = self.handle.block_on(self.storage.create(&file))?;
        let mut buffer = BytesMut::with_capacity(WINDOW_ROOM);
        let (mut rows, mut length) = (Vec::new(), 0_u64);
        self.windows(name, |samples| {
            let mut items = reader.gather(samples, &mut hook)?;
            for item in &mut items {
                reader.describe(item)?;
            }
            tar::fill(&mut reader, &items, &mut buffer)?;
            // The same memory serves the next piece: it is free again once the piece is written.
            let piece = buffer.split().freeze();
            length += piece.len() as u64;
            self.handle.block_on(writer.write(piece))?;
            buffer.reserve(WINDOW_ROOM);
            if self.inner.options.table {
                rows.extend(items.into_iter().map(row_of));
            }
            Ok(())
        })?;
        // Two zero blocks, padded to 10 KiB as every tar is.
        let end = (length + 2 * BLOCK as u64).next_multiple_of(20 * BLOCK as u64);
        self.handle.block_on(writer.write(Bytes::from(vec![0; (end - length) as usize])))?;
        outputs.push((file, self.handle.block_on(writer.finish())?));
        if self.inner.options.table {
            let file = format!("{name}.parquet");
            let schema = std::sync::Arc::clone(&self.inner.schema.schema);
            let mut table = self.handle.block_on(TableWriter::create(self.storage, &file, schema, ROW_GROUP_ROWS))?;
            for some in rows.chunks(TABLE_ROWS) {
                let batch = self.inner.schema.rows(&file, &self.inner.store.tables, some, |_| Vec::new())?;
                self.handle.block_on(table.write(&batch))?;
            }
            outputs.push((file, self.handle.block_on(table.finish())?));
        }
        Ok(())
    }

    fn parquet(&self, name: &str, outputs: &mut Vec<(String, Written)>) -> Result<(), ReshardError> {
        let mut reader = Reader::new(self.inner);
        let mut hook = self.inner.options.hook.as_ref().map(|make| make());
        let file = format!("{name}.parquet");
        let schema = std::sync::Arc::clone(&self.inner.schema.schema);
        let mut table = self.handle.block_on(TableWriter::create(self.storage, &file, schema, ROW_GROUP_ROWS))?;
        self.windows(name, |samples| {
            let items = reader.gather(samples, &mut hook)?;
            let mut members = std::collections::HashMap::new();
            for column in &self.inner.schema.binaries {
                members.insert(column.clone(), reader.column(&items, column)?);
            }
            for item in &items {
                if let Some((ending, _)) = item.members.iter().find(|(ending, _)| self.is_lost(ending, item)) {
                    return Err(reader.fail(&item.sample, format!("its new picture `{ending}` has no column: no input has this ending")));
                }
            }
            let rows: Vec<RowOf> = items.into_iter().map(row_of).collect();
            let batch =
                self.inner.schema.rows(&file, &self.inner.store.tables, &rows, |column| members.remove(column).unwrap_or_default())?;
            self.handle.block_on(table.write(&batch))?;
            if table.pending_bytes() > GROUP_BYTES {
                self.handle.block_on(table.flush())?;
            }
            Ok(())
        })?;
        outputs.push((file, self.handle.block_on(table.finish())?));
        Ok(())
    }

    /// Whether a member would get lost in parquet output: only `json` and `txt` of samples with a row may.
    fn is_lost(&self, ending: &str, item: &Item) -> bool {
        let said_by_table = item.sample.row.is_some() && matches!(ending, "json" | "txt");
        !said_by_table && !self.inner.schema.binaries.iter().any(|column| column == ending)
    }
}

fn row_of(item: Item) -> RowOf {
    RowOf { shard: item.sample.shard, row: item.sample.row, key: item.key, uid: item.sample.uid }
}
