//! Rows of a source as an index takes them.

use super::{IndexMetric, LeftOut};
use crate::clusters::matrix::inner;
use crate::neighbours::unit;
use crate::scores::VectorSource;

/// Reads some rows, leaves out what cannot be compared, and brings the others to length 1 where the metric is the cosine.
/// Gives the numbers of the rows that are there.
pub(super) fn read(
    source: &dyn VectorSource,
    rows: impl Iterator<Item = usize>,
    metric: IndexMetric,
    left_out: &mut LeftOut,
    out: &mut Vec<f32>,
) -> Vec<usize> {
    let dim = source.dim();
    let mut kept = Vec::new();
    let mut vector = vec![0.0; dim];
    for row in rows {
        if !source.is_valid(row) {
            left_out.null += 1;
            continue;
        }
        source.copy(row, &mut vector);
        if !vector.iter().all(|component| component.is_finite()) {
            left_out.not_finite += 1;
            continue;
        }
        if metric == IndexMetric::Cosine && vector.iter().all(|&component| component == 0.0) {
            left_out.zero += 1;
            continue;
        }
        left_out.unnormalised += u64::from((inner(&vector, &vector).sqrt() - 1.0).abs() > 0.01);
        if metric == IndexMetric::Cosine {
            unit(&mut vector);
        }
        out.extend_from_slice(&vector);
        kept.push(row);
    }
    kept
}
