//! Reading one object of a store, or one file of a web server, at any place.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::storage::StorageError;

/// Bytes of a reader's first range. Who reads a footer or a header needs no more.
const FIRST_RANGE: u64 = 256 << 10;
/// Bytes of its later ranges; each is four times the one before.
const RANGE_BYTES: u64 = 8 << 20;

/// A file in an object store or on a web server, as it was when it was opened.
#[derive(Clone)]
pub struct RemoteInput {
    object: Arc<Object>,
    handle: Handle,
}

struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    uri: String,
    size: u64,
    e_tag: Option<String>,
}

/// Size and version of a file. Some web servers refuse HEAD, and a signed url may be good for GET alone; a GET of one byte
/// says the same.
pub(super) async fn look(store: &Arc<dyn ObjectStore>, path: &Path) -> object_store::Result<ObjectMeta> {
    let error = match store.head(path).await {
        Ok(meta) => return Ok(meta),
        Err(error @ object_store::Error::NotFound { .. }) => return Err(error),
        Err(error) => error,
    };
    let options = GetOptions { range: Some((0..1).into()), ..GetOptions::default() };
    match store.get_opts(path, options).await {
        Ok(found) => Ok(found.meta),
        Err(object_store::Error::NotSupported { .. }) => store.get(path).await.map(|found| found.meta),
        Err(_) => Err(error),
    }
}

impl RemoteInput {
    pub(super) fn open(uri: &str, store: Arc<dyn ObjectStore>, path: Path, handle: Handle) -> Result<Self, StorageError> {
        let is_http = uri.starts_with("http://") || uri.starts_with("https://");
        let found = handle.block_on(async { if is_http { look(&store, &path).await } else { store.head(&path).await } });
        let meta = found.map_err(|e| StorageError::store(uri, e))?;
        let object = Object { store, path, uri: uri.to_owned(), size: meta.size, e_tag: meta.e_tag };
        Ok(Self { object: Arc::new(object), handle })
    }

    pub(super) fn size(&self) -> u64 {
        self.object.size
    }

    pub(super) fn read_from(&self, position: u64) -> RemoteRead {
        RemoteRead { input: self.clone(), position, length: FIRST_RANGE, chunk: Bytes::new(), ahead: None, stream: None }
    }

    pub(super) fn range(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self.handle.block_on(self.object.range(range.clone()))? {
            Some(bytes) => Ok(bytes),
            // A server without ranges: from the start, and away with what comes before.
            None => {
                let mut reader = self.read_from(0);
                reader.stream = Some(self.stream()?);
                io::copy(&mut reader.by_ref().take(range.start), &mut io::sink())?;
                let mut bytes = Vec::new();
                reader.take(range.end - range.start).read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    fn stream(&self) -> io::Result<BoxStream<'static, object_store::Result<Bytes>>> {
        let found = self.handle.block_on(self.object.store.get(&self.object.path)).map_err(|e| self.object.failed(e))?;
        self.object.unchanged(&found.meta)?;
        Ok(found.into_stream())
    }
}

impl Object {
    fn failed(&self, error: object_store::Error) -> io::Error {
        io::Error::other(StorageError::store(self.uri.clone(), error))
    }

    fn unchanged(&self, now: &ObjectMeta) -> io::Result<()> {
        let other = matches!((&self.e_tag, &now.e_tag), (Some(then), Some(now)) if then != now);
        if other || now.size != self.size {
            return Err(io::Error::other(StorageError::Changed { place: self.uri.clone() }));
        }
        Ok(())
    }

    /// The bytes of a range, all of them; `None` when the server gives no ranges.
    async fn range(&self, range: Range<u64>) -> io::Result<Option<Bytes>> {
        let wanted = range.end - range.start;
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let found = match self.store.get_opts(&self.path, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotSupported { .. }) => return Ok(None),
            Err(e) => return Err(self.failed(e)),
        };
        self.unchanged(&found.meta)?;
        let bytes = found.bytes().await.map_err(|e| self.failed(e))?;
        if bytes.len() as u64 != wanted {
            let said = format!("{} bytes came instead of {wanted}", bytes.len());
            return Err(io::Error::other(StorageError::BrokeOff { place: self.uri.clone(), said }));
        }
        Ok(Some(bytes))
    }
}

/// Reads an object in ranges of some MiB, so that a file of any size costs the same memory. Once the first range is used
/// up, the next is fetched while the last is read.
pub struct RemoteRead {
    input: RemoteInput,
    /// Of the first byte that is not yet in a range.
    position: u64,
    /// Of the next range.
    length: u64,
    chunk: Bytes,
    /// A range under way, with its first byte.
    ahead: Option<(u64, JoinHandle<io::Result<Option<Bytes>>>)>,
    /// The whole body, from a server without ranges.
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
}

impl RemoteRead {
    /// The next bytes; none at the end.
    fn next_chunk(&mut self) -> io::Result<Bytes> {
        if self.stream.is_some() {
            return self.next_of_stream();
        }
        let Some((start, ahead)) = self.ahead.take().or_else(|| self.fetch()) else { return Ok(Bytes::new()) };
        let Some(chunk) = self.input.handle.block_on(ahead).map_err(io::Error::other)?? else {
            // The server gives no ranges: everything from the start, and away with what comes before.
            let mut whole = self.input.read_from(0);
            whole.stream = Some(self.input.stream()?);
            io::copy(&mut whole.by_ref().take(start), &mut io::sink())?;
            (self.stream, self.position) = (whole.stream.take(), whole.position);
            let rest = std::mem::take(&mut whole.chunk);
            return if rest.is_empty() { self.next_of_stream() } else { Ok(rest) };
        };
        if self.length > FIRST_RANGE * 4 {
            self.ahead = self.fetch();
        }
        Ok(chunk)
    }

    fn next_of_stream(&mut self) -> io::Result<Bytes> {
        let object = &self.input.object;
        while let Some(stream) = &mut self.stream {
            let Some(bytes) = self.input.handle.block_on(stream.next()) else { break };
            let bytes = bytes.map_err(|e| object.failed(e))?;
            self.position += bytes.len() as u64;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
        }
        if self.position == object.size {
            return Ok(Bytes::new());
        }
        let said = format!("{} bytes came instead of {}", self.position, object.size);
        Err(io::Error::other(StorageError::BrokeOff { place: object.uri.clone(), said }))
    }

    /// Starts fetching the next range; `None` at the end.
    fn fetch(&mut self) -> Option<(u64, JoinHandle<io::Result<Option<Bytes>>>)> {
        let start = self.position;
        let range = self.position..(self.position + self.length).min(self.input.object.size);
        if range.is_empty() {
            return None;
        }
        self.position = range.end;
        self.length = (self.length * 4).min(RANGE_BYTES);
        let object = Arc::clone(&self.input.object);
        Some((start, self.input.handle.spawn(async move { object.range(range).await })))
    }
}

impl Read for RemoteRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.next_chunk()?;
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

impl Drop for RemoteRead {
    fn drop(&mut self) {
        if let Some((_, ahead)) = &self.ahead {
            ahead.abort();
        }
    }
}
