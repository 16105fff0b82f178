//! Vectors that lie beside a shard already, in `vectors/SHARD.parquet`: read instead of computed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde::{Deserialize, Serialize};
use trommel_shards::columns::UID;

use super::BATCH_ROWS;
use super::columns::open_table;

/// A column of vectors beside the shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredVectors {
    /// Its name there.
    pub stored: String,
    /// Its name in the rows that are read; none where nobody asks for it.
    pub column: Option<String>,
    /// Components of a vector.
    pub dim: i32,
    /// What the field says of the model, in the order of the keys: it is part of a config's hash.
    pub metadata: BTreeMap<String, String>,
}

impl StoredVectors {
    pub(super) fn field(&self) -> Option<Arc<Field>> {
        let item = Arc::new(Field::new("item", DataType::Float16, true));
        let field = |name| {
            Arc::new(
                Field::new(name, DataType::FixedSizeList(item, self.dim), true).with_metadata(self.metadata.clone().into_iter().collect()),
            )
        };
        self.column.as_ref().map(field)
    }
}

fn said_by(field: &Field) -> BTreeMap<String, String> {
    field.metadata().clone().into_iter().collect()
}

/// Where the vectors of a shard are.
fn place(shard: &str) -> String {
    let (folder, name) = shard.rsplit_once('/').map_or(("", shard), |(folder, name)| (folder, name));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if folder.is_empty() { format!("vectors/{stem}.parquet") } else { format!("{folder}/vectors/{stem}.parquet") }
}

/// The vectors beside a shard.
pub(super) fn beside(shard: &str) -> Result<Vec<StoredVectors>> {
    let Some(reader) = open_table(&place(shard))? else { return Ok(Vec::new()) };
    let vectors = reader.schema().fields().iter().filter_map(|field| match field.data_type() {
        DataType::FixedSizeList(item, dim) if *item.data_type() == DataType::Float16 => {
            Some(StoredVectors { stored: field.name().clone(), column: None, dim: *dim, metadata: said_by(field) })
        }
        _ => None,
    });
    Ok(vectors.collect())
}

/// Reads the vectors of one shard, row for row with its table.
pub(super) struct VectorsBeside {
    name: String,
    reader: Option<ParquetRecordBatchReader>,
    wanted: Vec<StoredVectors>,
    batch: Option<RecordBatch>,
    at: usize,
}

impl VectorsBeside {
    /// Opens the file beside a shard. A shard without one has null vectors: they are computed.
    pub(super) fn open(shard: &str, vectors: &[StoredVectors]) -> Result<Option<Self>> {
        let wanted: Vec<StoredVectors> = vectors.iter().filter(|vectors| vectors.column.is_some()).cloned().collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let name = place(shard);
        let reader = match open_table(&name)? {
            None => None,
            Some(builder) => {
                // Another model's vectors, in this one shard, are not those that were asked for.
                let same = |wanted: &StoredVectors| {
                    builder.schema().field_with_name(&wanted.stored).is_ok_and(|field| said_by(field) == wanted.metadata)
                };
                if wanted.iter().all(same) {
                    let names = wanted.iter().map(|wanted| wanted.stored.as_str()).chain([UID]);
                    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
                    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
                    Some(reader.map_err(|e| DataFusionError::Execution(format!("`{name}`: {e}")))?)
                } else {
                    None
                }
            }
        };
        Ok(Some(Self { name, reader, wanted, batch: None, at: 0 }))
    }

    /// The vectors of the next rows, which must be those of `uids`.
    pub(super) fn next(&mut self, uids: &dyn Array) -> Result<Vec<ArrayRef>> {
        let count = uids.len();
        let columns: Vec<Arc<Field>> = self.wanted.iter().filter_map(StoredVectors::field).collect();
        if self.reader.is_none() {
            return Ok(columns.iter().map(|field| new_null_array(field.data_type(), count)).collect());
        }
        let mut pieces = Vec::new();
        let mut missing = count;
        while missing > 0 {
            let batch = match self.batch.take() {
                Some(batch) => batch,
                None => self.read(missing)?,
            };
            let taken = missing.min(batch.num_rows() - self.at);
            pieces.push(batch.slice(self.at, taken));
            missing -= taken;
            self.at += taken;
            if self.at < batch.num_rows() {
                self.batch = Some(batch);
            } else {
                self.at = 0;
            }
        }
        let gathered = |stored: &str| -> Result<ArrayRef> {
            let pieces = pieces.iter().map(|piece| {
                let column = piece.column_by_name(stored);
                column.map(AsRef::as_ref).ok_or_else(|| DataFusionError::Execution(format!("`{}`: no column `{stored}`", self.name)))
            });
            Ok(concat(&pieces.collect::<Result<Vec<&dyn Array>>>()?)?)
        };
        if count > 0 && pieces[0].column_by_name(UID).is_some() {
            let (ours, theirs) = (cast(uids, &DataType::Utf8)?, cast(&gathered(UID)?, &DataType::Utf8)?);
            if let Some(row) = (0..count).find(|&row| ours.as_string::<i32>().value(row) != theirs.as_string::<i32>().value(row)) {
                return Err(DataFusionError::Execution(format!(
                    "`{}` is not row for row with its shard: it has uid `{}` where the shard has `{}`; `recompute` ignores it",
                    self.name,
                    theirs.as_string::<i32>().value(row),
                    ours.as_string::<i32>().value(row)
                )));
            }
        }
        let typed = |(wanted, field): (&StoredVectors, Arc<Field>)| Ok(cast(&gathered(&wanted.stored)?, field.data_type())?);
        self.wanted.iter().zip(columns).map(typed).collect()
    }

    fn read(&mut self, missing: usize) -> Result<RecordBatch> {
        let name = &self.name;
        match self.reader.as_mut().and_then(Iterator::next) {
            Some(batch) => batch.map_err(|e| DataFusionError::Execution(format!("`{name}`: {e}"))),
            None => Err(DataFusionError::Execution(format!(
                "`{name}` has fewer rows than its shard: {missing} more are wanted; `recompute` ignores it"
            ))),
        }
    }

    /// That no vectors are left when the shard has ended.
    pub(super) fn end(mut self) -> Result<()> {
        let left = self.batch.take().map_or(0, |batch| batch.num_rows() - self.at);
        let more = left > 0 || self.reader.as_mut().is_some_and(|reader| reader.next().is_some());
        if more {
            return Err(DataFusionError::Execution(format!("`{}` has more rows than its shard; `recompute` ignores it", self.name)));
        }
        Ok(())
    }
}
