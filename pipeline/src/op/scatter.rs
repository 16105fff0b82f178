//! Gives every piece of a host's rows its place in the run.
//!
//! A host is asked at its own pace, however many machines there are. So a large host must be at work from the first unit
//! to the last, and a small one should be visited once: its rows are cut into pieces, and each piece goes to a place that
//! is a hash of host and piece. Sorted by it, every unit holds many hosts, and a large host lies all over the run.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::{ROW, UNIT};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Need;
use super::env::Env;
use super::rows::strings;

/// Column with the hash of the host, 16 hexadecimal digits.
pub const HOST: &str = "_host";
/// Column with the place of a row's piece.
pub const PLACE: &str = "_place";

/// Adds [`PLACE`] to rows that are sorted by [`HOST`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scatter {
    /// Rows of a piece, at least 1.
    pub host_rows: usize,
}

impl Scatter {
    pub(super) fn describe(&self) -> String {
        format!("host_rows={}", self.host_rows)
    }

    pub(super) fn need() -> Need {
        Need::Hash(vec![HOST.to_owned()])
    }

    pub(super) fn ordering() -> Vec<&'static str> {
        // Which rows make a piece must not depend on how they came.
        vec![HOST, UNIT, ROW]
    }

    pub(super) fn output_schema(input: &Schema) -> Result<SchemaRef> {
        input.field_with_name(HOST)?;
        let place = Arc::new(Field::new(PLACE, DataType::UInt64, false));
        Ok(Arc::new(Schema::new(input.fields().iter().cloned().chain([place]).collect::<Vec<_>>())))
    }

    pub(super) fn run(&self, mut input: SendableRecordBatchStream, env: Env) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&env.schema);
        let mut places = Places::new(self.host_rows);
        Ok(env.stream(move |out| async move {
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let hosts = strings(&batch, HOST)?;
                let column = UInt64Array::from_iter_values((0..batch.num_rows()).map(|row| places.next(hosts.value(row))));
                let columns = batch.columns().iter().cloned().chain([Arc::new(column) as ArrayRef]).collect();
                if out.send(Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

/// Counts the rows of a host.
struct Places {
    host_rows: usize,
    host: Option<String>,
    row: usize,
    place: u64,
}

impl Places {
    fn new(host_rows: usize) -> Self {
        Self { host_rows: host_rows.max(1), host: None, row: 0, place: 0 }
    }

    /// The place of the next row, which is of this host.
    fn next(&mut self, host: &str) -> u64 {
        if self.host.as_deref() == Some(host) {
            self.row += 1;
        } else {
            (self.host, self.row) = (Some(host.to_owned()), 0);
        }
        if self.row.is_multiple_of(self.host_rows) {
            self.place = xxh3_64_with_seed(host.as_bytes(), (self.row / self.host_rows) as u64);
        }
        self.place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn small_hosts_stay_together_and_large_ones_lie_all_over() {
        let mut places = Places::new(100);
        let small: BTreeSet<u64> = (0..100).map(|_| places.next("00")).collect();
        assert_eq!(small.len(), 1);
        let large: Vec<u64> = (0..10_000).map(|_| places.next("01")).collect();
        assert!(large.chunks(100).all(|piece| piece.iter().all(|place| *place == piece[0])));
        let places: BTreeSet<u64> = large.iter().copied().collect();
        assert_eq!(places.len(), 100);
        // A hundred draws: a tenth of the run holds about ten of them.
        for tenth in 0..10_u128 {
            let held = places.iter().filter(|place| (u128::from(**place) * 10) >> 64 == tenth).count();
            assert!((2..=22).contains(&held), "{held} in tenth {tenth}");
        }
    }

    #[test]
    fn a_place_depends_on_nothing_but_host_and_piece() {
        let (mut one, mut other) = (Places::new(3), Places::new(3));
        other.next("ff");
        let (a, b): (Vec<u64>, Vec<u64>) = (0..7).map(|_| (one.next("0a"), other.next("0a"))).unzip();
        assert_eq!(a, b);
        assert_eq!(a.iter().collect::<BTreeSet<_>>().len(), 3);
    }
}
