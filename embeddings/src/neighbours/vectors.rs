//! The vectors of a search, and which of them have a direction.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::NeighbourError;
use crate::clusters::matrix::inner;
use crate::clusters::parallel::share;
use crate::scores::VectorSource;

/// A length further than this from 1 counts as not normalised: a unit vector in half precision is off by less than 1e-3.
const UNIT_TOLERANCE: f64 = 0.01;

/// Vectors with the model that made them.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    /// Where they lie. Null rows are left out of every search.
    pub source: &'a dyn VectorSource,
    /// Id of the model and its preprocessing; vectors of different models are never compared. Empty when unknown, which
    /// goes with every other.
    pub model: &'a str,
}

impl<'a> Vectors<'a> {
    /// Vectors of a model.
    pub fn new(source: &'a dyn VectorSource, model: &'a str) -> Self {
        Self { source, model }
    }

    pub(super) fn check(&self, base: &Vectors<'_>) -> Result<(), NeighbourError> {
        if !self.model.is_empty() && !base.model.is_empty() && self.model != base.model {
            return Err(NeighbourError::Models { queries: self.model.to_owned(), base: base.model.to_owned() });
        }
        if self.source.dim() != base.source.dim() {
            return Err(NeighbourError::Dimensions {
                queries: self.source.dim(),
                base: base.source.dim(),
                query_model: self.model.to_owned(),
                base_model: base.model.to_owned(),
            });
        }
        Ok(())
    }
}

/// What was found in a set of vectors before it was searched. The first four numbers sum to `rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survey {
    /// Rows, all of them.
    pub rows: u64,
    /// Rows that take part.
    pub usable: u64,
    /// Null rows, left out.
    pub null: u64,
    /// Zero vectors, left out: they have no direction.
    pub zero: u64,
    /// Vectors with a component that is NaN or infinite, left out.
    pub not_finite: u64,
    /// Of the usable ones those whose length is further than 0.01 from 1. All are normalised before they are compared.
    pub unnormalised: u64,
}

/// The rows that take part, in order.
pub(crate) struct Usable {
    pub(crate) rows: Vec<u32>,
    pub(crate) survey: Survey,
}

/// Reads every vector once.
pub(crate) fn survey(source: &dyn VectorSource, threads: usize) -> Result<Usable, NeighbourError> {
    const SPAN: usize = 16_384;
    let count = source.len();
    if count >= u32::MAX as usize {
        return Err(NeighbourError::TooManyRows(count));
    }
    let counts: [AtomicU64; 4] = Default::default();
    let spans = Mutex::new(Vec::new());
    let add = |at: usize| counts[at].fetch_add(1, Ordering::Relaxed);
    share(
        threads,
        0..count.div_ceil(SPAN),
        || vec![0.0; source.dim()],
        |vector, span| {
            let mut rows = Vec::with_capacity(SPAN);
            for row in span * SPAN..count.min((span + 1) * SPAN) {
                if !source.is_valid(row) {
                    add(0);
                    continue;
                }
                source.copy(row, vector);
                let length = length(vector);
                if !length.is_finite() {
                    add(1);
                } else if length == 0.0 {
                    add(2);
                } else {
                    if (length - 1.0).abs() > UNIT_TOLERANCE {
                        add(3);
                    }
                    rows.push(row as u32);
                }
            }
            spans.lock().push((span, rows));
            Ok::<(), NeighbourError>(())
        },
    )?;
    let mut spans = spans.into_inner();
    spans.sort_unstable_by_key(|&(span, _)| span);
    let mut rows = Vec::with_capacity(spans.iter().map(|(_, rows)| rows.len()).sum());
    spans.into_iter().for_each(|(_, part)| rows.extend(part));
    let [null, not_finite, zero, unnormalised] = counts.map(AtomicU64::into_inner);
    let survey = Survey { rows: count as u64, usable: rows.len() as u64, null, zero, not_finite, unnormalised };
    Ok(Usable { rows, survey })
}

/// The length of a vector: NaN or infinite only when a component is.
fn length(vector: &[f32]) -> f64 {
    let square = inner(vector, vector);
    if square.is_normal() && square > 1e-30 && square < 1e30 {
        return square.sqrt();
    }
    // Squares of very large or very small components leave single precision.
    vector.iter().map(|&component| f64::from(component).powi(2)).sum::<f64>().sqrt()
}

/// Copies a usable vector, brought to length 1.
pub(crate) fn unit_into(source: &dyn VectorSource, row: usize, out: &mut [f32]) {
    source.copy(row, out);
    unit(out);
}

/// Brings a vector that has a direction to length 1.
pub(crate) fn unit(vector: &mut [f32]) {
    let length = length(vector);
    if (1e-15..1e15).contains(&length) {
        let factor = (1.0 / length) as f32;
        vector.iter_mut().for_each(|component| *component *= factor);
    } else {
        vector.iter_mut().for_each(|component| *component = (f64::from(*component) / length) as f32);
    }
}

/// Two sources, one after the other.
pub(super) struct Joined<'a>(pub(super) &'a dyn VectorSource, pub(super) &'a dyn VectorSource);

impl VectorSource for Joined<'_> {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn is_valid(&self, row: usize) -> bool {
        match row.checked_sub(self.0.len()) {
            Some(row) => self.1.is_valid(row),
            None => self.0.is_valid(row),
        }
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        match row.checked_sub(self.0.len()) {
            Some(row) => self.1.copy(row, out),
            None => self.0.copy(row, out),
        }
    }
}
