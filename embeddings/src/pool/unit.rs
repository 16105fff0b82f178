//! How a unit's rows become batches: by themselves, and always the same ones.

use super::config::Batching;
use super::row::{Batch, Class, Kind, Row};

/// Cuts the rows of a unit into batches that depend on nothing but the rows and the settings.
///
/// Rows are sorted by class and length (a stable sort), so that rows of similar length share a batch, and cut every
/// `size` rows and where two neighbours cannot be mixed. `seq` is given when a batch is queued.
pub(super) fn cut(model: usize, kind: Kind, rows: Vec<Row>, batching: &Batching) -> Vec<Batch> {
    let size = match kind {
        Kind::Image => batching.images,
        Kind::Text => batching.texts,
    };
    let mut rows: Vec<(Class, Row)> = rows.into_iter().map(|row| (row.input.class(batching), row)).collect();
    rows.sort_by_key(|(class, _)| *class);
    let mut batches: Vec<Batch> = Vec::new();
    let mut last = None::<Class>;
    for (class, row) in rows {
        match batches.last_mut() {
            Some(batch) if batch.rows.len() < size && last.is_some_and(|last| last.mixes_with(class)) => batch.rows.push(row),
            _ => batches.push(Batch { model, kind, rows: vec![row], seq: 0, deaths: 0, suspect: false }),
        }
        last = Some(class);
    }
    batches
}
