//! Cuts a list of urls into units of work.
//!
//! A unit should hold many hosts, so that no host sets its pace, and a host should sit in few units, so that its limits
//! are kept in few places. The rows come sorted by host. A host's rows are cut into pieces of at most `host_rows`; each
//! piece goes into a unit that does not hold that host yet. Inside a unit the hosts take turns.
//!
//! Units form *lanes* by ranges of the host's hash: all rows of a host are in units of one lane. Machines that work on
//! different lanes never meet at a host, so that each keeps the limits of its hosts alone, and the whole run keeps them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{EXCLUDED, REASON, ROW, UNIT, VALUE};

use super::env::{Env, Out};
use super::rows::{control_row, strings};

/// Column with the host; it is consumed here. In sequential mode it is not needed.
pub const HOST: &str = "_host";

/// Units that are being filled at a time; bounds memory to about this many units of rows.
const OPEN_UNITS: usize = 16;

/// How rows are cut into units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    /// Rows in a unit.
    pub unit_rows: usize,
    /// Rows of one host in a unit, at most, as long as there are other hosts; `None` keeps input order.
    pub host_rows: Option<usize>,
    /// Number of the first unit.
    pub first_unit: usize,
    /// Digits of a unit's name.
    pub digits: usize,
    /// Lanes that the units form; 1 in input order. A unit's lane is in the statistics of its marker, as `lane`.
    pub lanes: usize,
}

/// Units of a lane, about: enough that the last ones, which are not full, cost little.
const LANE_UNITS: u64 = 8;

/// Lanes for so many rows. It depends on nothing else, so that units are the same on any engine.
pub fn lanes(rows: u64, unit_rows: usize) -> usize {
    usize::try_from(rows / (unit_rows.max(1) as u64 * LANE_UNITS)).unwrap_or(usize::MAX).clamp(1, 4096)
}

impl Pack {
    pub(super) fn describe(&self) -> String {
        match self.host_rows {
            Some(rows) => format!("unit_rows={} host_rows={rows} lanes={}", self.unit_rows, self.lanes),
            None => format!("unit_rows={} in input order", self.unit_rows),
        }
    }

    pub(super) fn ordering(&self) -> Vec<&'static str> {
        if self.host_rows.is_some() { vec![HOST, UNIT, ROW] } else { vec![UNIT, ROW] }
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        let fields: Vec<_> = input.fields().iter().filter(|field| field.name() != HOST).cloned().collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&env.schema);
        let mut packer =
            Packer { op: self.clone(), schema, open: Vec::new(), next: self.first_unit, host: String::new(), lane: 0, piece: Vec::new() };
        Ok(env.stream(move |out| async move {
            while let Some(batch) = input.next().await {
                packer.push(&batch?, &out).await?;
            }
            packer.finish(&out).await
        }))
    }
}

/// Rows of one host, contiguous in their batches.
struct Piece {
    host: String,
    rows: Vec<RecordBatch>,
    count: usize,
}

#[derive(Default)]
struct OpenUnit {
    pieces: Vec<Piece>,
    count: usize,
}

struct Packer {
    op: Pack,
    schema: SchemaRef,
    open: Vec<OpenUnit>,
    next: usize,
    host: String,
    lane: usize,
    piece: Vec<RecordBatch>,
}

impl Packer {
    async fn push(&mut self, batch: &RecordBatch, out: &Out) -> Result<()> {
        let limit = self.op.host_rows.unwrap_or(self.op.unit_rows).clamp(1, self.op.unit_rows);
        let hosts = self.op.host_rows.map(|_| strings(batch, HOST)).transpose()?;
        let host_of = |row: usize| hosts.map_or("", |hosts| hosts.value(row));
        let mut start = 0;
        while start < batch.num_rows() {
            let host = host_of(start);
            if host != self.host {
                self.place(out).await?;
                let lane = self.lane_of(host);
                if lane != self.lane {
                    self.flush(out).await?;
                    self.lane = lane;
                }
                host.clone_into(&mut self.host);
            }
            let held: usize = self.piece.iter().map(RecordBatch::num_rows).sum();
            let most = (start + limit - held).min(batch.num_rows());
            let mut end = start;
            while end < most && host_of(end) == host {
                end += 1;
            }
            self.piece.push(batch.slice(start, end - start));
            if held + end - start == limit {
                self.place(out).await?;
            }
            start = end;
        }
        Ok(())
    }

    /// Puts the piece in hand into a unit.
    async fn place(&mut self, out: &Out) -> Result<()> {
        let rows = std::mem::take(&mut self.piece);
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if count == 0 {
            return Ok(());
        }
        let room = self.op.unit_rows - count;
        let fits = |unit: &OpenUnit| unit.count <= room;
        // Rows come sorted by host, so a unit holds this host only if its latest piece does.
        let holds = |unit: &OpenUnit| unit.pieces.last().is_some_and(|piece| piece.host == self.host);
        let free = self.open.iter().position(|unit| fits(unit) && !holds(unit));
        let index = match free {
            Some(index) => index,
            None if self.open.len() < OPEN_UNITS => {
                self.open.push(OpenUnit::default());
                self.open.len() - 1
            }
            // Every open unit holds this host or is nearly full. There are no other hosts to wait for: fill the emptiest.
            None if self.open.iter().any(fits) => {
                let room = self.open.iter().enumerate().filter(|(_, unit)| fits(unit));
                room.min_by_key(|(index, unit)| (unit.count, *index)).map_or(0, |(index, _)| index)
            }
            None => {
                let fullest = (0..self.open.len()).max_by_key(|&index| (self.open[index].count, usize::MAX - index)).unwrap_or(0);
                let unit = self.open.remove(fullest);
                self.emit(unit, out).await?;
                self.open.push(OpenUnit::default());
                self.open.len() - 1
            }
        };
        let unit = &mut self.open[index];
        unit.count += count;
        unit.pieces.push(Piece { host: self.host.clone(), rows, count });
        if unit.count == self.op.unit_rows {
            let unit = self.open.remove(index);
            self.emit(unit, out).await?;
        }
        Ok(())
    }

    /// The lane of a host's hash: hosts come sorted by it, so each lane is one run of them.
    fn lane_of(&self, host: &str) -> usize {
        match (self.op.host_rows, u64::from_str_radix(host, 16)) {
            (Some(_), Ok(hash)) => ((u128::from(hash) * self.op.lanes.max(1) as u128) >> 64) as usize,
            _ => 0,
        }
    }

    async fn finish(mut self, out: &Out) -> Result<()> {
        self.place(out).await?;
        self.flush(out).await
    }

    /// Sends all open units.
    async fn flush(&mut self, out: &Out) -> Result<()> {
        // What is left is joined, first fit, so that no run of small units stands at the end.
        let mut joined: Vec<OpenUnit> = Vec::new();
        for unit in std::mem::take(&mut self.open) {
            match joined.iter_mut().find(|held| held.count + unit.count <= self.op.unit_rows) {
                Some(held) => {
                    held.count += unit.count;
                    held.pieces.extend(unit.pieces);
                }
                None => joined.push(unit),
            }
        }
        for unit in joined {
            self.emit(unit, out).await?;
        }
        Ok(())
    }

    /// Sends a unit: hosts take turns, the machinery's columns are new.
    async fn emit(&mut self, unit: OpenUnit, out: &Out) -> Result<()> {
        let name = format!("{:0width$}", self.next, width = self.op.digits);
        self.next += 1;
        let sources: Vec<&RecordBatch> = unit.pieces.iter().flat_map(|piece| &piece.rows).collect();
        // (turn, piece) orders rows; (source, row) says where each lies.
        let mut order: Vec<(usize, usize, (usize, usize))> = Vec::with_capacity(unit.count);
        let mut source = 0;
        for (number, piece) in unit.pieces.iter().enumerate() {
            let mut turn = 0;
            for batch in &piece.rows {
                for row in 0..batch.num_rows() {
                    // Sequential units have one piece per batch: their order is that of the pieces.
                    let key = if self.op.host_rows.is_some() { (turn, number) } else { (number, turn) };
                    order.push((key.0, key.1, (source, row)));
                    turn += 1;
                }
                source += 1;
            }
            debug_assert_eq!(turn, piece.count);
        }
        order.sort_unstable();
        for (chunk_number, chunk) in order.chunks(8192).enumerate() {
            let places: Vec<(usize, usize)> = chunk.iter().map(|&(_, _, place)| place).collect();
            let columns = self
                .schema
                .fields()
                .iter()
                .map(|field| -> Result<ArrayRef> {
                    let first = (chunk_number * 8192) as i64;
                    Ok(match field.name().as_str() {
                        UNIT => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&name, chunk.len()))),
                        ROW => Arc::new(Int64Array::from_iter_values(first..first + chunk.len() as i64)),
                        EXCLUDED | REASON | VALUE => new_null_array(&DataType::Utf8, chunk.len()),
                        other => {
                            let arrays = sources
                                .iter()
                                .map(|batch| super::rows::column(batch, other).map(AsRef::as_ref))
                                .collect::<Result<Vec<_>>>()?;
                            interleave(&arrays, &places)?
                        }
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
            if out.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        let end = control_row(&self.schema, &name, &serde_json::json!({ "lane": self.lane }))?;
        let _ = out.send(Ok(end)).await;
        Ok(())
    }
}
