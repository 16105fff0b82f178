//! Parquet tables with row groups of a sensible size.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use thiserror::Error;

use crate::storage::{ObjectWriter, Storage, StorageError, Written};

mod reader;

pub use reader::TableReader;

/// Rows in a row group: wide enough for column encodings to pay, small enough to be read a piece at a time.
pub const ROW_GROUP_ROWS: usize = 65_536;

/// A table that cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The rows do not fit the table.
    #[error("`{place}`: {source}")]
    Parquet {
        /// The table.
        place: String,
        /// What parquet said.
        #[source]
        source: ParquetError,
    },
}

/// Writes one parquet file (snappy) through the door.
pub struct TableWriter {
    writer: AsyncArrowWriter<Sink>,
    done: Slot,
    place: String,
    rows: u64,
}

impl TableWriter {
    /// Opens a table for writing. `group_rows` bounds a row group; [`ROW_GROUP_ROWS`] suits rows without pictures.
    ///
    /// # Errors
    /// When the object cannot be opened or the schema not be stored.
    pub async fn create(storage: &Storage, name: &str, schema: SchemaRef, group_rows: usize) -> Result<Self, TableError> {
        let place = storage.uri_of(name);
        let done = Slot::default();
        let sink = Sink { writer: Some(storage.create(name).await?), done: Arc::clone(&done) };
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(group_rows))
            .set_created_by(concat!("trommel ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = AsyncArrowWriter::try_new(sink, schema, Some(properties))
            .map_err(|source| TableError::Parquet { place: place.clone(), source })?;
        Ok(Self { writer, done, place, rows: 0 })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When the store refuses or the batch has another schema.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).await.map_err(|e| self.place_of(e))
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that wait in memory for their row group to end.
    pub fn pending_bytes(&self) -> usize {
        self.writer.in_progress_size()
    }

    /// Ends the row group in hand.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn flush(&mut self) -> Result<(), TableError> {
        self.writer.flush().await.map_err(|e| self.place_of(e))
    }

    /// Ends the table and moves it into place.
    ///
    /// # Errors
    /// When the store refuses; nothing is visible then.
    pub async fn finish(self) -> Result<Written, TableError> {
        let Self { writer, done, place, .. } = self;
        if let Err(e) = writer.close().await {
            return Err(place_of(&place, e));
        }
        let written = done.lock().ok().and_then(|mut slot| slot.take());
        written.ok_or_else(|| TableError::Parquet { place, source: ParquetError::General("the writer was not completed".into()) })
    }

    fn place_of(&self, error: ParquetError) -> TableError {
        place_of(&self.place, error)
    }
}

/// Gives a storage error back its type, which parquet has boxed.
fn place_of(place: &str, error: ParquetError) -> TableError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<StorageError>() {
            Ok(storage) => TableError::Storage(*storage),
            Err(other) => TableError::Parquet { place: place.to_owned(), source: ParquetError::External(other) },
        },
        source => TableError::Parquet { place: place.to_owned(), source },
    }
}

/// Where the digest of a finished file is handed from the sink, which parquet owns, to the table.
type Slot = Arc<std::sync::Mutex<Option<Written>>>;

struct Sink {
    writer: Option<ObjectWriter>,
    done: Slot,
}

impl AsyncFileWriter for Sink {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async move {
            match &mut self.writer {
                Some(writer) => writer.write(bytes).await.map_err(|e| ParquetError::External(Box::new(e))),
                None => Err(ParquetError::General("write after the end".into())),
            }
        })
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async move {
            if let Some(writer) = self.writer.take() {
                let written = writer.finish().await.map_err(|e| ParquetError::External(Box::new(e)))?;
                if let Ok(mut slot) = self.done.lock() {
                    *slot = Some(written);
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[tokio::test]
    async fn a_table_is_read_back_with_its_row_groups() {
        let storage = Storage::in_memory(Arc::default(), "t");
        let schema = Arc::new(Schema::new(vec![Field::new("uid", DataType::Utf8, false), Field::new("n", DataType::Int64, true)]));
        let mut table = TableWriter::create(&storage, "a.parquet", Arc::clone(&schema), 100).await.unwrap();
        let uids = StringArray::from_iter_values((0..250).map(|i| i.to_string()));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(uids), Arc::new(Int64Array::from_iter(0..250))]).unwrap();
        table.write(&batch).await.unwrap();
        let written = table.finish().await.unwrap();
        let bytes = storage.get("a.parquet").await.unwrap().unwrap();
        assert_eq!(bytes.len() as u64, written.bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 3);
        let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 250);
        let mut table = TableReader::open(&storage, "a.parquet").await.unwrap().unwrap();
        let mut read = 0;
        while let Some(batch) = table.next().await.unwrap() {
            read += batch.num_rows();
        }
        assert_eq!(read, 250);
        assert!(TableReader::open(&storage, "b.parquet").await.unwrap().is_none());
        assert_eq!(storage.sha256("a.parquet").await.unwrap(), Some(written.sha256));
    }
}
