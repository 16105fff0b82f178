//! Rows that are near-copies of references.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::Value;
use trommel_filters::hashes::{CODE_DISTANCE, verify};
use trommel_filters::near::hamming::{Options, pairs};

use super::pictures::{CodeList, searched, signature};
use super::references::References;
use crate::select::error::{Result, SelectError};
use crate::select::steps::gathered::Gathered;

/// Bytes that the search may take for references, besides the codes.
const MEMORY: u64 = 1 << 30;

/// Who has a code.
enum Holders {
    Rows(Vec<u32>),
    References(Vec<u32>),
}

/// Codes of rows that meet codes of references, each code once.
#[derive(Default)]
struct Meeting {
    rows: BTreeMap<[u64; 1], Vec<u32>>,
    references: BTreeMap<[u64; 1], Vec<u32>>,
}

impl Meeting {
    fn row(&mut self, code: [u64; 1], row: u32) {
        let rows = self.rows.entry(code).or_default();
        // A row may have a code twice.
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }

    fn reference(&mut self, code: [u64; 1], reference: u32) {
        self.references.entry(code).or_default().push(reference);
    }

    /// The codes, those of rows as views, which are compared with the references' only; and who has each.
    fn list(self) -> (CodeList, Vec<Holders>) {
        let (mut list, mut holders) = (CodeList::default(), Vec::new());
        for (code, rows) in self.rows {
            list.push(code, holders.len() as u32, 1);
            holders.push(Holders::Rows(rows));
        }
        for (code, references) in self.references {
            list.push(code, holders.len() as u32, 0);
            holders.push(Holders::References(references));
        }
        (list, holders)
    }
}

/// A row, the reference that it resembles most, and how much, 0 to 1.
pub(in crate::select) type Leak = (u32, u32, f32);

impl References {
    /// The rows that are near-copies of references: row, the reference that is most alike, and how much. Every row is compared with every reference
    /// whose codes are near, and a flat one with the flat references, never with other rows.
    pub(in crate::select) fn leaks(&self, stage: &str, rows: &Gathered, seed: u64, threads: usize) -> Result<(Vec<Leak>, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let flat = self.flat();
        let best: Mutex<BTreeMap<u32, (u32, f32)>> = Mutex::default();
        let found = |row: u32, reference: u32, similarity: f32| {
            let mut best = best.lock();
            let known = best.entry(row).or_insert((reference, similarity));
            if similarity > known.1 || (similarity == known.1 && reference < known.0) {
                *known = (reference, similarity);
            }
        };
        let compare = |row: u32, reference: u32| {
            let similarity = signature(rows, row as usize).and_then(|row| verify(&row, &self.signatures[reference as usize]));
            similarity.into_iter().for_each(|similarity| found(row, reference, similarity));
        };
        // Every code once, with all that have it: so that no number of equal pictures hides one from a reference.
        let (mut one, mut two) = (Meeting::default(), Meeting::default());
        for (at, reference) in self.signatures.iter().enumerate() {
            reference.full().iter().for_each(|code| one.reference(code.words(), at as u32));
            reference.views().for_each(|code| two.reference(code.words(), at as u32));
        }
        for row in 0..rows.len() {
            let Some(signature) = signature(rows, row) else { continue };
            for code in signature.full() {
                one.row(code.words(), row as u32);
                two.row(code.words(), row as u32);
            }
            signature.views().for_each(|code| one.row(code.words(), row as u32));
            let like_a_flat_one = flat.most_alike(&signature);
            like_a_flat_one.into_iter().for_each(|(reference, similarity)| found(row as u32, reference, similarity));
        }
        let options = Options { threads, seed, memory_bytes: MEMORY, ..Options::new(CODE_DISTANCE) };
        let mut went = Vec::new();
        for meeting in [one, two] {
            let (list, holders) = meeting.list();
            let see = |pair: &trommel_filters::near::hamming::Pair| {
                // The rows' codes come first in the list, the references' behind them.
                match (&holders[pair.a.row as usize], &holders[pair.b.row as usize]) {
                    (Holders::Rows(rows), Holders::References(references)) => {
                        rows.iter().for_each(|&row| references.iter().for_each(|&reference| compare(row, reference)));
                        true
                    }
                    _ => false,
                }
            };
            let report = pairs(&list.codes().map_err(|e| fail(&e))?, &options, see).map_err(|e| fail(&e))?;
            went.push(searched(&report));
        }
        let leaks = best.into_inner().into_iter().map(|(row, (reference, similarity))| (row, reference, similarity)).collect();
        Ok((leaks, Value::from(went)))
    }
}
