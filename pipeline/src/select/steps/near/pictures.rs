//! Near-duplicates by what pictures show: codes of pictures and of views that copies may be, joined, then verified on thumbnails.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Value, json};
use trommel_filters::hashes::{CODE_DISTANCE, FlatPictures, Signature, verify};
use trommel_filters::near::components::DisjointSet;
use trommel_filters::near::hamming::{Codes, Options, Report, group};
use trommel_shards::columns::NEAR_SIGNATURE;

use crate::select::error::{Result, SelectError};
use crate::select::scan::Judging;
use crate::select::steps::gathered::{Gathered, Payload};

/// The column `near_signature`.
pub(in crate::select) struct SignaturePayload {
    pub(in crate::select) stage: String,
    /// Of flat pictures those are looked at that are like one of these.
    pub(in crate::select) flat: Arc<FlatPictures>,
}

pub(super) fn binary(column: &ArrayRef) -> std::result::Result<ArrayRef, String> {
    match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            cast(column, &DataType::LargeBinary).map_err(|e| e.to_string())
        }
        other => Err(format!("`{NEAR_SIGNATURE}` is not binary but {other}")),
    }
}

impl Payload for SignaturePayload {
    fn columns(&self) -> Vec<String> {
        vec![NEAR_SIGNATURE.to_owned()]
    }

    fn each(&self, rows: &Judging<'_>, living: &[usize], see: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<u64> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let column = rows.batch.column_by_name(NEAR_SIGNATURE).ok_or_else(|| fail(&format!("no column `{NEAR_SIGNATURE}`")))?;
        let column = binary(column).map_err(|e| fail(&e))?;
        let signatures = column.as_binary::<i64>();
        let mut without = 0;
        for &row in living {
            if signatures.is_null(row) {
                without += 1;
                continue;
            }
            let bytes = signatures.value(row);
            let signature = Signature::from_bytes(bytes).map_err(|e| fail(&format!("row {}: {e}", rows.first + row)))?;
            if !signature.is_flat() || self.flat.most_alike(&signature).is_some() {
                see(row, bytes)?;
            } else if self.flat.is_empty() || signature.is_blank() {
                without += 1;
            }
        }
        Ok(without)
    }
}

pub(super) fn signature(rows: &Gathered, row: usize) -> Option<Signature> {
    Signature::from_bytes(rows.payload(row)).ok()
}

/// How alike the pictures of two rows are, 0 to 1; `None` when they are not near-copies.
pub(super) fn similarity(rows: &Gathered, a: usize, b: usize) -> Option<f32> {
    verify(&signature(rows, a)?, &signature(rows, b)?)
}

/// Codes with the row and the role of each.
#[derive(Default)]
pub(super) struct CodeList {
    codes: Vec<[u64; 1]>,
    rows: Vec<u32>,
    roles: Vec<u8>,
}

impl CodeList {
    pub(super) fn push(&mut self, code: [u64; 1], row: u32, role: u8) {
        self.codes.push(code);
        self.rows.push(row);
        self.roles.push(role);
    }

    pub(super) fn codes(&self) -> std::result::Result<Codes<'_, 1>, trommel_filters::near::hamming::HammingError> {
        Codes::of(&self.codes).with_rows(&self.rows)?.with_roles(&self.roles)
    }
}

/// Joins the rows whose pictures are near-copies.
pub(super) fn join(stage: &str, rows: &Gathered, recall: f64, means: (u64, usize, u64)) -> Result<(DisjointSet<u32>, Value)> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
    let (seed, threads, memory_bytes) = means;
    let groups = DisjointSet::<u32>::new(rows.len()).map_err(|e| fail(&e))?;
    let mut list = CodeList::default();
    for row in 0..rows.len() {
        let Some(signature) = signature(rows, row) else { continue };
        signature.full().iter().for_each(|code| list.push(code.words(), row as u32, 0));
        signature.views().enumerate().for_each(|(view, code)| list.push(code.words(), row as u32, view as u8 + 1));
    }
    let options = Options { recall, threads, memory_bytes, seed, ..Options::new(CODE_DISTANCE) };
    let codes = list.codes().map_err(|e| fail(&e))?;
    let edge = |pair: &trommel_filters::near::hamming::Pair| similarity(rows, pair.a.row as usize, pair.b.row as usize).is_some();
    let report = group(&codes, &options, &groups, edge).map_err(|e| fail(&e))?;
    Ok((groups, json!({ "codes": searched(&report) })))
}

/// How a search went, for the report; nothing that differs from run to run.
pub(super) fn searched(report: &Report) -> Value {
    json!({ "plan": report.plan, "codes": report.codes, "identical": report.identical, "crowds": report.crowds, "capped_pairs": report.capped_pairs })
}
