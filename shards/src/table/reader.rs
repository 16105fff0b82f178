//! Reading a stored table a row group at a time, from any store.

use std::ops::Range;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::TableError;
use crate::storage::Storage;

/// Rows that a reader gives at a time.
const READ_ROWS: usize = 8192;

/// The batches of a stored table.
pub struct TableReader {
    stream: ParquetRecordBatchStream<Object>,
    place: String,
}

impl TableReader {
    /// Opens a table; `None` when there is none.
    ///
    /// # Errors
    /// When the store refuses or the file is no parquet.
    pub async fn open(storage: &Storage, name: &str) -> Result<Option<Self>, TableError> {
        let place = storage.uri_of(name);
        let Some(size) = storage.size(name).await? else { return Ok(None) };
        let (store, path) = storage.object(name);
        let object = Object { store, path, size };
        let stream = async { ParquetRecordBatchStreamBuilder::new(object).await?.with_batch_size(READ_ROWS).build() }.await;
        let stream = stream.map_err(|source| TableError::Parquet { place: place.clone(), source })?;
        Ok(Some(Self { stream, place }))
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// When the store refuses or the file is damaged.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        self.stream.try_next().await.map_err(|source| TableError::Parquet { place: self.place.clone(), source })
    }
}

/// One object, read by ranges.
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

fn refused(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Object {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.store.get_range(&self.path, range).map_err(refused).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(refused) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
