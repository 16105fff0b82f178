//! Cuts a list of urls into units of work.
//!
//! A unit should hold many hosts, so that no host sets its pace; a host that is large should lie in many units, so that it is
//! at work during the whole run. Rows come sorted by the places that [`Scatter`](super::Scatter) gave to the pieces of hosts,
//! and fill units as they come. Inside a unit the hosts take turns.
//!
//! Units form *lanes* by ranges of the host's hash: all rows of a host are in units of one lane. Machines that work on
//! different lanes never meet at a host, so that each keeps the limits of its hosts alone, and the whole run keeps them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, UInt64Array, new_null_array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{EXCLUDED, REASON, ROW, UNIT, VALUE};

use super::env::{Env, Out};
use super::rows::{column, control_row, strings};
use super::scatter::{HOST, PLACE};

/// How rows are cut into units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    /// Rows in a unit.
    pub unit_rows: usize,
    /// Whether rows come with hosts and places; they keep the order of the input otherwise.
    pub by_host: bool,
    /// Number of the first unit.
    pub first_unit: usize,
    /// Digits of a unit's name.
    pub digits: usize,
    /// Lanes that the units form; 1 in input order. A unit's lane is in the statistics of its marker, as `lane`. Each lane has
    /// a unit that is being filled: memory is bounded to so many units of rows.
    pub lanes: usize,
}

/// Units of a lane at least: enough that the last ones, which are not full, cost little.
const LANE_UNITS: u64 = 8;
/// Lanes at most, where nothing is said. More would let more machines work side by side, and a large host wait longer between
/// two of its units on a machine that works on all lanes.
const USUAL_LANES: usize = 64;
/// Lanes at most in any case: each holds a unit of rows in memory.
pub const MOST_LANES: usize = 1024;

/// Lanes for so many rows. It depends on nothing else, so that units are the same on any engine.
pub fn lanes(rows: u64, unit_rows: usize) -> usize {
    usize::try_from(rows / (unit_rows.max(1) as u64 * LANE_UNITS)).unwrap_or(usize::MAX).clamp(1, USUAL_LANES)
}

impl Pack {
    pub(super) fn describe(&self) -> String {
        if self.by_host {
            format!("unit_rows={} lanes={}", self.unit_rows, self.lanes)
        } else {
            format!("unit_rows={} in input order", self.unit_rows)
        }
    }

    pub(super) fn ordering(&self) -> Vec<&'static str> {
        if self.by_host { vec![PLACE, HOST, UNIT, ROW] } else { vec![UNIT, ROW] }
    }

    pub(super) fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        let own = [HOST, PLACE];
        let fields: Vec<_> = input.fields().iter().filter(|field| !own.contains(&field.name().as_str())).cloned().collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&env.schema);
        let lanes = std::iter::repeat_with(OpenUnit::default).take(self.lanes.max(1)).collect();
        let mut packer = Packer { op: self.clone(), schema, lanes, next: self.first_unit };
        Ok(env.stream(move |out| async move {
            while let Some(batch) = input.next().await {
                packer.push(&batch?, &out).await?;
            }
            packer.finish(&out).await
        }))
    }
}

/// Rows of one host with one place.
struct Piece {
    /// Host and place; empty in input order.
    key: (String, u64),
    /// Where they lie: batch, first row, rows.
    rows: Vec<(usize, usize, usize)>,
}

#[derive(Default)]
struct OpenUnit {
    batches: Vec<RecordBatch>,
    pieces: Vec<Piece>,
    count: usize,
}

struct Packer {
    op: Pack,
    schema: SchemaRef,
    /// The unit of each lane that is being filled.
    lanes: Vec<OpenUnit>,
    next: usize,
}

impl Packer {
    /// Deals rows to lanes. A unit is sent as soon as it is full, so that units are numbered by their rows' places, however the rows
    /// come in batches.
    async fn push(&mut self, batch: &RecordBatch, out: &Out) -> Result<()> {
        if !self.op.by_host || self.lanes.len() == 1 {
            return self.fill(0, batch, out).await;
        }
        let hosts = strings(batch, HOST)?;
        let mut dealt: Vec<Vec<u64>> = vec![Vec::new(); self.lanes.len()];
        for row in 0..batch.num_rows() {
            let lane = self.lane_of(hosts.value(row))?;
            dealt[lane].push(row as u64);
            if self.lanes[lane].count + dealt[lane].len() == self.op.unit_rows {
                self.deal(lane, batch, std::mem::take(&mut dealt[lane]), out).await?;
            }
        }
        for (lane, rows) in dealt.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            self.deal(lane, batch, rows, out).await?;
        }
        Ok(())
    }

    /// Copies the rows of a lane, so that what waits in it does not hold on to the rows of all others.
    async fn deal(&mut self, lane: usize, batch: &RecordBatch, rows: Vec<u64>, out: &Out) -> Result<()> {
        let rows = take_record_batch(batch, &UInt64Array::from(rows))?;
        self.fill(lane, &rows, out).await
    }

    /// Puts rows into the unit of a lane, and sends what becomes full.
    async fn fill(&mut self, lane: usize, batch: &RecordBatch, out: &Out) -> Result<()> {
        let keys = match self.op.by_host {
            true => Some((strings(batch, HOST)?, column(batch, PLACE)?.as_primitive::<UInt64Type>())),
            false => None,
        };
        let key_of = |row: usize| keys.map_or(("", 0), |(hosts, places)| (hosts.value(row), places.value(row)));
        let mut start = 0;
        while start < batch.num_rows() {
            let unit = &mut self.lanes[lane];
            let first = start;
            let end = (start + self.op.unit_rows.max(1) - unit.count).min(batch.num_rows());
            unit.batches.push(batch.slice(first, end - first));
            let held = unit.batches.len() - 1;
            while start < end {
                let key = key_of(start);
                let rows = (start..end).take_while(|&row| key_of(row) == key).count();
                let place = (held, start - first, rows);
                match unit.pieces.last_mut() {
                    // A piece may go on in the next batch.
                    Some(piece) if (piece.key.0.as_str(), piece.key.1) == key => piece.rows.push(place),
                    _ => unit.pieces.push(Piece { key: (key.0.to_owned(), key.1), rows: vec![place] }),
                }
                start += rows;
            }
            unit.count += end - first;
            if unit.count >= self.op.unit_rows {
                let unit = std::mem::take(unit);
                self.emit(lane, unit, out).await?;
            }
        }
        Ok(())
    }

    /// The lane of a host's hash.
    fn lane_of(&self, host: &str) -> Result<usize> {
        let hash = u64::from_str_radix(host, 16).map_err(|_| DataFusionError::Internal(format!("`{host}` is no hash of a host")))?;
        Ok(((u128::from(hash) * self.lanes.len() as u128) >> 64) as usize)
    }

    /// Sends what is left.
    async fn finish(mut self, out: &Out) -> Result<()> {
        for (lane, unit) in std::mem::take(&mut self.lanes).into_iter().enumerate() {
            if unit.count > 0 {
                self.emit(lane, unit, out).await?;
            }
        }
        Ok(())
    }

    /// Sends a unit: hosts take turns, the machinery's columns are new.
    async fn emit(&mut self, lane: usize, unit: OpenUnit, out: &Out) -> Result<()> {
        let name = format!("{:0width$}", self.next, width = self.op.digits);
        self.next += 1;
        let sources = &unit.batches;
        // (turn, piece) orders rows; (source, row) says where each lies.
        let mut order: Vec<(usize, usize, (usize, usize))> = Vec::with_capacity(unit.count);
        for (number, piece) in unit.pieces.iter().enumerate() {
            let rows = piece.rows.iter().flat_map(|&(source, first, rows)| (first..first + rows).map(move |row| (source, row)));
            // Input order is that of the pieces; hosts take turns.
            let key = |turn| if self.op.by_host { (turn, number) } else { (number, turn) };
            order.extend(rows.enumerate().map(|(turn, place)| (key(turn).0, key(turn).1, place)));
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
                            let arrays = sources.iter().map(|batch| column(batch, other).map(AsRef::as_ref)).collect::<Result<Vec<_>>>()?;
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
        let end = control_row(&self.schema, &name, &serde_json::json!({ "lane": lane }))?;
        let _ = out.send(Ok(end)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use arrow::array::Array;
    use arrow::datatypes::Field;
    use trommel_shards::columns::CONTROL_ROW;

    use super::*;
    use crate::op::rows::integers;

    /// Units by their names, as `(lane, urls)`.
    type Units = BTreeMap<String, (u64, Vec<String>)>;

    /// Packs `(host, place, url)` in batches of so many rows.
    fn pack(op: &Pack, rows: &[(u64, u64, String)], batch: usize) -> Units {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let input = Arc::new(Schema::new(vec![text("url"), text(HOST), Field::new(PLACE, DataType::UInt64, false)]));
        let output = Schema::new(
            [text("url"), text(UNIT), Field::new(ROW, DataType::Int64, true), text(EXCLUDED), text(REASON), text(VALUE)].to_vec(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (out, mut packed) = tokio::sync::mpsc::channel(10_000);
        runtime.block_on(async {
            let lanes = std::iter::repeat_with(OpenUnit::default).take(op.lanes).collect();
            let mut packer = Packer { op: op.clone(), schema: Arc::new(output), lanes, next: op.first_unit };
            for rows in rows.chunks(batch) {
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, _, url)| url))),
                    Arc::new(StringArray::from_iter_values(rows.iter().map(|(host, ..)| format!("{host:016x}")))),
                    Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, place, _)| *place))),
                ];
                packer.push(&RecordBatch::try_new(Arc::clone(&input), columns).unwrap(), &out).await.unwrap();
            }
            packer.finish(&out).await.unwrap();
        });
        drop(out);
        let mut units = Units::new();
        while let Ok(batch) = packed.try_recv() {
            let batch = batch.unwrap();
            let (names, numbers, urls) = (strings(&batch, UNIT).unwrap(), integers(&batch, ROW).unwrap(), strings(&batch, "url").unwrap());
            for row in 0..batch.num_rows() {
                let unit = units.entry(names.value(row).to_owned()).or_default();
                if numbers.value(row) == CONTROL_ROW {
                    let stats: serde_json::Value = serde_json::from_str(strings(&batch, VALUE).unwrap().value(row)).unwrap();
                    unit.0 = stats["lane"].as_u64().unwrap();
                } else {
                    assert_eq!(numbers.value(row), unit.1.len() as i64);
                    assert!(urls.is_valid(row));
                    unit.1.push(urls.value(row).to_owned());
                }
            }
        }
        units
    }

    #[test]
    fn every_row_is_in_one_unit_and_every_host_in_one_lane() {
        // Hosts of 1 to 90 rows in pieces of 10, by their places.
        let mut rows: Vec<(u64, u64, String)> = Vec::new();
        for host in 0..90_u64 {
            let hash = host.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            rows.extend((0..=host).map(|row| (hash, (hash ^ (row / 10)).wrapping_mul(0xbf58_476d_1ce4_e5b9), format!("{host}/{row}"))));
        }
        rows.sort_by_key(|(host, place, _)| (*place, *host));
        let op = Pack { unit_rows: 100, by_host: true, first_unit: 5, digits: 3, lanes: 4 };
        let units = pack(&op, &rows, 7);
        for batch in [1, 100, 10_000] {
            assert_eq!(pack(&op, &rows, batch), units, "in batches of {batch}");
        }
        let names: Vec<String> = (5..5 + units.len()).map(|number| format!("{number:03}")).collect();
        assert_eq!(units.keys().cloned().collect::<Vec<_>>(), names);
        let all: BTreeSet<&String> = units.values().flat_map(|(_, urls)| urls).collect();
        assert_eq!((all.len(), units.values().map(|(_, urls)| urls.len()).sum::<usize>()), (rows.len(), rows.len()));
        assert_eq!(units.values().filter(|(_, urls)| urls.len() < 100).count(), 4, "one unit of each lane is not full");
        let mut lanes: BTreeMap<&str, u64> = BTreeMap::new();
        for (lane, urls) in units.values() {
            for url in urls {
                assert_eq!(lanes.entry(url.split('/').next().unwrap()).or_insert(*lane), lane, "{url}");
            }
        }
        assert_eq!(lanes.values().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn hosts_take_turns_inside_a_unit_and_pieces_go_on_over_batches() {
        let rows: Vec<_> = (0..10).map(|row| (1, 1, format!("a{row}"))).chain((0..2).map(|row| (2, 2, format!("b{row}")))).collect();
        let units = pack(&Pack { unit_rows: 12, by_host: true, first_unit: 0, digits: 1, lanes: 1 }, &rows, 7);
        let order: Vec<&str> = units["0"].1.iter().map(String::as_str).collect();
        assert_eq!(order, ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"]);
        let sequential = pack(&Pack { unit_rows: 5, by_host: false, first_unit: 0, digits: 1, lanes: 1 }, &rows, 7);
        assert_eq!(sequential["0"].1, ["a0", "a1", "a2", "a3", "a4"]);
        assert_eq!(sequential["2"].1, ["b0", "b1"]);
    }
}
