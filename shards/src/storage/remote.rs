//! Writing one object of an object store: small ones at once, large ones in parts that travel side by side.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload};
use tokio::task::JoinSet;

use super::{Limits, StorageError, janitor};

/// Metadata under which a write leaves its mark. Azure allows letters and digits only, and no capital survives S3.
const MARK: &str = "trommelwrite";

/// An object on its way. Dropped before [`RemoteWrite::finish`], its upload is aborted in the background.
pub(super) struct RemoteWrite {
    store: Arc<dyn ObjectStore>,
    path: Path,
    place: String,
    part_bytes: usize,
    in_flight: usize,
    mark: String,
    buffer: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<object_store::Result<()>>,
    failed: bool,
}

impl RemoteWrite {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path, place: String, limits: &Limits) -> Self {
        Self {
            store,
            path,
            place,
            part_bytes: limits.part_bytes.max(1),
            in_flight: limits.parts_in_flight.max(1),
            mark: mark(),
            buffer: Vec::new(),
            upload: None,
            parts: JoinSet::new(),
            failed: false,
        }
    }

    /// Appends bytes. Parts leave in the background; what went wrong with an earlier one is said here or at the end.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.still_whole()?;
        match self.try_write(bytes).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    async fn try_write(&mut self, mut bytes: &[u8]) -> Result<(), object_store::Error> {
        while self.buffer.len() + bytes.len() >= self.part_bytes {
            let (head, rest) = bytes.split_at(self.part_bytes - self.buffer.len());
            self.buffer.extend_from_slice(head);
            bytes = rest;
            let part = std::mem::take(&mut self.buffer);
            self.send(part).await?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), object_store::Error> {
        while let Some(done) = self.parts.try_join_next() {
            flat(done)?;
        }
        while self.parts.len() >= self.in_flight {
            match self.parts.join_next().await {
                Some(done) => flat(done)?,
                None => break,
            }
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let options = PutMultipartOptions { attributes: attributes(&self.mark), ..PutMultipartOptions::default() };
                self.upload.insert(self.store.put_multipart_opts(&self.path, options).await?)
            }
        };
        let part = upload.put_part(PutPayload::from(part));
        self.parts.spawn(part);
        Ok(())
    }

    /// Makes the object visible, whole.
    pub(super) async fn finish(mut self) -> Result<(), StorageError> {
        self.still_whole()?;
        match self.try_finish().await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    async fn try_finish(&mut self) -> Result<(), object_store::Error> {
        let rest = std::mem::take(&mut self.buffer);
        if self.upload.is_none() {
            // Written again on a lost answer it is the same object, so nothing has to be looked up.
            self.store.put_opts(&self.path, PutPayload::from(rest), PutOptions::default()).await?;
            return Ok(());
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while let Some(done) = self.parts.join_next().await {
            flat(done)?;
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if let Err(error) = upload.complete().await {
            // The answer may have been lost after the deed; asked again, the store then knows of no such upload.
            if !holds(&self.store, &self.path, &self.mark).await {
                return Err(error);
            }
        }
        self.upload = None;
        Ok(())
    }

    fn still_whole(&self) -> Result<(), StorageError> {
        if !self.failed {
            return Ok(());
        }
        let source = std::io::Error::other("an earlier part could not be written, and the object was given up");
        Err(StorageError::Io { place: self.place.clone(), source })
    }

    /// Aborts the upload before the error is told, so that who hears of it finds nothing left.
    async fn give_up(&mut self, error: object_store::Error) -> StorageError {
        self.failed = true;
        self.buffer = Vec::new();
        self.parts.shutdown().await;
        if let Some(upload) = self.upload.take() {
            // An error here means that the janitor is gone; it has said so.
            let _ = janitor::abort(upload, self.place.clone()).await;
        }
        StorageError::store(self.place.clone(), error)
    }
}

impl Drop for RemoteWrite {
    fn drop(&mut self) {
        self.parts.abort_all();
        if let Some(upload) = self.upload.take() {
            drop(janitor::abort(upload, self.place.clone()));
        }
    }
}

fn flat(done: Result<object_store::Result<()>, tokio::task::JoinError>) -> object_store::Result<()> {
    done.unwrap_or_else(|source| Err(object_store::Error::JoinError { source }))
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The name was free, and is now ours.
    ByUs,
    /// Somebody else's object is there.
    ByOthers,
}

/// Writes an object if the name is free. A mark in its metadata tells our own write from another's when the store's
/// answer is lost.
pub(super) async fn put_new(store: &Arc<dyn ObjectStore>, path: &Path, place: &str, bytes: Bytes) -> Result<Taken, StorageError> {
    let mark = mark();
    let mut lost = None;
    // A lost answer with nothing written is tried once more; after that the store is not to be trusted.
    for _ in 0..2 {
        let options = PutOptions { mode: object_store::PutMode::Create, attributes: attributes(&mark), ..PutOptions::default() };
        let error = match store.put_opts(path, PutPayload::from_bytes(bytes.clone()), options).await {
            Ok(_) => return Ok(Taken::ByUs),
            Err(object_store::Error::AlreadyExists { .. }) => {
                return Ok(if holds(store, path, &mark).await { Taken::ByUs } else { Taken::ByOthers });
            }
            Err(error) => StorageError::store(place, error),
        };
        if error.is_not_supported() {
            return put_if_absent(store, path, place, bytes).await;
        }
        if !matches!(error, StorageError::Unknown { .. }) {
            return Err(error);
        }
        match mark_of(store, path).await {
            Ok(Some(found)) => return Ok(if found == mark { Taken::ByUs } else { Taken::ByOthers }),
            Ok(None) => lost = Some(error),
            Err(_) => return Err(error),
        }
    }
    Err(lost.unwrap_or_else(|| StorageError::Unknown { place: place.to_owned(), said: "no answer".to_owned() }))
}

/// Looking first and writing then: the best there is on a store without conditional writes.
async fn put_if_absent(store: &Arc<dyn ObjectStore>, path: &Path, place: &str, bytes: Bytes) -> Result<Taken, StorageError> {
    tracing::warn!(place, "the store has no conditional writes; two runs that start within a second may not see each other");
    let fail = |e| StorageError::store(place, e);
    match store.get_opts(path, GetOptions { head: true, ..GetOptions::default() }).await {
        Ok(_) => return Ok(Taken::ByOthers),
        Err(object_store::Error::NotFound { .. }) => {}
        Err(e) => return Err(fail(e)),
    }
    store.put_opts(path, PutPayload::from_bytes(bytes), PutOptions::default()).await.map_err(fail)?;
    Ok(Taken::ByUs)
}

async fn holds(store: &Arc<dyn ObjectStore>, path: &Path, mark: &str) -> bool {
    matches!(mark_of(store, path).await, Ok(Some(found)) if found == mark)
}

/// The mark of an object: empty when it has none, `None` when there is no object.
async fn mark_of(store: &Arc<dyn ObjectStore>, path: &Path) -> object_store::Result<Option<String>> {
    match store.get_opts(path, GetOptions { head: true, ..GetOptions::default() }).await {
        Ok(found) => Ok(Some(found.attributes.get(&Attribute::Metadata(MARK.into())).map(|value| value.to_string()).unwrap_or_default())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

fn attributes(mark: &str) -> Attributes {
    Attributes::from_iter([(Attribute::Metadata(MARK.into()), mark.to_owned())])
}

/// A word that no other write of any process has.
fn mark() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let draw = || RandomState::new().build_hasher().finish();
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    format!("{:016x}{:016x}{time:x}{:x}", draw(), draw(), std::process::id())
}
