//! Collects what rows are compared by: for each row some numbers, which say who is better, and a payload.

mod vectors;

use std::path::Path;

use arrow::array::Array;

use crate::select::error::Result;
use crate::select::expression::Expression;
use crate::select::ordered::{Ordered, Records};
use crate::select::scan::{Fit, Judging};
pub(in crate::select) use vectors::{GatheredVectors, VectorPayload, searched};

/// What rows are compared by.
pub(in crate::select) trait Payload: Sync {
    /// What it reads.
    fn columns(&self) -> Vec<String>;

    /// Calls for each of these rows that has a payload; the others are counted.
    fn each(&self, rows: &Judging<'_>, living: &[usize], see: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<u64>;
}

/// One thread's share.
pub(in crate::select) struct GatherFit<'a> {
    payload: &'a dyn Payload,
    order: &'a [Expression],
    records: Records,
    buffer: Vec<u8>,
    pub(in crate::select) without: u64,
}

impl<'a> GatherFit<'a> {
    pub(in crate::select) fn new(payload: &'a dyn Payload, order: &'a [Expression], spill: &Path) -> Result<Self> {
        let records = Records::new(spill)?;
        Ok(Self { payload, order, records, buffer: Vec::new(), without: 0 })
    }

    pub(in crate::select) fn into_records(self) -> Records {
        self.records
    }
}

impl Fit for GatherFit<'_> {
    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let living = rows.living();
        if living.is_empty() {
            return Ok(());
        }
        let numbers = self.order.iter().map(|by| by.numbers(rows.batch)).collect::<Result<Vec<_>>>()?;
        let (records, buffer) = (&mut self.records, &mut self.buffer);
        self.without += self.payload.each(rows, &living, &mut |row, payload| {
            buffer.clear();
            for numbers in &numbers {
                let number = if numbers.is_valid(row) { numbers.value(row) } else { f64::NAN };
                buffer.extend(number.to_le_bytes());
            }
            buffer.extend_from_slice(payload);
            records.push(rows.uid(row)?, rows.piece, rows.first + row, buffer)
        })?;
        Ok(())
    }
}

/// The rows with their numbers and payloads, in the order of their uids.
pub(in crate::select) struct Gathered {
    pub(in crate::select) rows: Ordered,
    numbers: usize,
    /// Rows that had no payload.
    pub(in crate::select) without: u64,
}

impl Gathered {
    pub(in crate::select) fn of(stage: &str, fits: Vec<GatherFit<'_>>, numbers: usize, spill: &Path) -> Result<Self> {
        let without = fits.iter().map(|fit| fit.without).sum();
        let rows = Ordered::of(stage, fits.into_iter().map(GatherFit::into_records).collect(), spill)?;
        Ok(Self { rows, numbers, without })
    }

    pub(in crate::select) fn len(&self) -> usize {
        self.rows.entries().len()
    }

    /// The numbers of a row by which it is compared with its group.
    pub(in crate::select) fn keys(&self, row: usize) -> Vec<f64> {
        let bytes = &self.rows.record(row)[..self.numbers * 8];
        bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight)).collect()
    }

    pub(in crate::select) fn payload(&self, row: usize) -> &[u8] {
        &self.rows.record(row)[self.numbers * 8..]
    }
}
