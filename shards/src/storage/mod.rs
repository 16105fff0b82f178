//! The one door to storage: a folder, `s3://`, `gs://`, `az://` or `memory://`, behind one type.
//!
//! What a caller may rely on, on every kind of store:
//!
//! - a name is visible only when its content is complete. On a disk: temporary name in the same folder, `fsync`,
//!   rename, `fsync` of the folder. In an object store: one put or a completed multipart upload;
//! - a write that is given up (error, drop, crash) leaves nothing under the final name; temporary files on a disk are
//!   swept by [`Storage::sweep_temporaries`], multipart uploads are aborted on drop;
//! - writing a name again replaces it.

mod error;
mod writer;

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};
use url::Url;

pub use error::StorageError;
pub use writer::{ObjectWriter, Written};

/// A folder or an object-store prefix. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    local_root: Option<PathBuf>,
    uri: String,
    registration: Option<Url>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Storage").field(&self.uri).finish()
    }
}

/// One object under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the storage's root.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

impl Storage {
    /// Opens a folder (made when missing) or a url.
    ///
    /// Credentials and endpoints of object stores come from the environment, under the names that the vendors' own
    /// tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
    ///
    /// # Errors
    /// [`StorageError`] names the folder or url when it cannot be made, read or parsed.
    pub fn open(uri: &str) -> Result<Self, StorageError> {
        if let Some(url) = remote_url(uri) {
            let (store, prefix) = open_url(&url)?;
            return Ok(Self {
                store,
                prefix,
                local_root: None,
                uri: uri.trim_end_matches('/').to_owned(),
                registration: Some(base_of(&url)),
            });
        }
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        std::fs::create_dir_all(path).map_err(|e| StorageError::io(path, e))?;
        let root = std::fs::canonicalize(path).map_err(|e| StorageError::io(path, e))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(&root).map_err(|e| StorageError::store(path, e))?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::default(),
            uri: root.display().to_string(),
            local_root: Some(root),
            registration: None,
        })
    }

    /// A store that lives in memory, for tests of code that must not care where bytes lie.
    pub fn in_memory(store: Arc<InMemory>, name: &str) -> Self {
        let uri = format!("memory://{name}");
        let registration = Url::parse(&format!("{uri}/")).ok();
        Self { store, prefix: Path::default(), local_root: None, uri, registration }
    }

    /// The folder or url, without a trailing slash.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The folder on this machine, if it is one.
    pub fn local_root(&self) -> Option<&FsPath> {
        self.local_root.as_deref()
    }

    /// The store and the url to register it under in a query engine; `None` for local folders, which every engine knows.
    pub fn registration(&self) -> Option<(Url, Arc<dyn ObjectStore>)> {
        self.registration.clone().map(|url| (url, Arc::clone(&self.store)))
    }

    /// Full uri of a name, for messages and for query engines.
    pub fn uri_of(&self, name: &str) -> String {
        format!("{}/{}", self.uri, name)
    }

    /// A folder below this one, made when something is written into it. An empty name is the storage itself.
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return self.clone();
        }
        Self {
            store: Arc::clone(&self.store),
            prefix: self.path(name),
            // Its parent is the root of the store, which other names of this one lie in too.
            local_root: self.local_root.as_ref().map(|root| root.join(name)),
            uri: self.uri_of(name),
            registration: self.registration.clone(),
        }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Writes a whole object at once, atomically and durably.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<Written, StorageError> {
        let mut writer = self.create(name).await?;
        writer.write(bytes.into()).await?;
        writer.finish().await
    }

    /// Opens a new object for writing; it becomes visible with [`ObjectWriter::finish`].
    ///
    /// # Errors
    /// When the folder or the temporary file cannot be made.
    pub async fn create(&self, name: &str) -> Result<ObjectWriter, StorageError> {
        match &self.local_root {
            Some(root) => ObjectWriter::local(root, name),
            None => Ok(ObjectWriter::remote(Arc::clone(&self.store), self.path(name), self.uri_of(name))),
        }
    }

    /// Writes an object only if the name is free; `false` when it is taken.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn put_new(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool, StorageError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(name), PutPayload::from_bytes(bytes.into()), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(e) => Err(StorageError::store(self.uri_of(name), e)),
        }
    }

    /// Reads a whole object; `None` when there is none.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, StorageError> {
        let result = match self.store.get(&self.path(name)).await {
            Ok(result) => result.bytes().await,
            Err(e) => Err(e),
        };
        match result {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StorageError::store(self.uri_of(name), e)),
        }
    }

    /// The store and the path of a name in it, for readers that fetch ranges.
    pub(crate) fn object(&self, name: &str) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.store), self.path(name))
    }

    /// SHA-256 of an object as hexadecimal characters, read a piece at a time; `None` when there is none.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn sha256(&self, name: &str) -> Result<Option<String>, StorageError> {
        let fail = |e| StorageError::store(self.uri_of(name), e);
        let mut pieces = match self.store.get(&self.path(name)).await {
            Ok(result) => result.into_stream(),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let mut digest = Sha256::new();
        while let Some(piece) = pieces.try_next().await.map_err(fail)? {
            digest.update(&piece);
        }
        Ok(Some(writer::hex(&digest.finalize())))
    }

    /// Size of an object in bytes; `None` when there is none.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        match self.store.head(&self.path(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StorageError::store(self.uri_of(name), e)),
        }
    }

    /// All objects below a prefix (a folder name, or `""` for all), sorted by name. Temporary files are left out.
    ///
    /// # Errors
    /// Whatever the store says, with the prefix.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StorageError> {
        let path = self.path(prefix);
        let root = self.prefix.as_ref().to_owned();
        let mut entries: Vec<Entry> = self
            .store
            .list(Some(&path))
            .map_ok(|meta| {
                let full = meta.location.as_ref();
                let name = full.strip_prefix(root.as_str()).unwrap_or(full).trim_start_matches('/').to_owned();
                Entry { name, size: meta.size }
            })
            .try_collect()
            .await
            .map_err(|e| StorageError::store(self.uri_of(prefix), e))?;
        entries.retain(|entry| !writer::is_temporary(&entry.name));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn delete(&self, name: &str) -> Result<(), StorageError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StorageError::store(self.uri_of(name), e)),
        }
    }

    /// Removes the temporary files that a killed run left in a local folder. To be called only while the caller holds
    /// the folder's lock. Returns how many were removed.
    ///
    /// # Errors
    /// When a folder cannot be read or a file not be removed.
    pub fn sweep_temporaries(&self) -> Result<usize, StorageError> {
        self.local_root.as_deref().map_or(Ok(0), writer::sweep)
    }
}

/// The url of an object store, or `None` for a path on this machine.
pub(crate) fn remote_url(uri: &str) -> Option<Url> {
    let (scheme, _) = uri.split_once("://")?;
    (scheme != "file" && scheme.len() > 1).then(|| Url::parse(uri).ok()).flatten()
}

/// Opens the store of a url with the settings that the environment gives.
pub(crate) fn open_url(url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), StorageError> {
    let (store, prefix) = object_store::parse_url_opts(url, std::env::vars()).map_err(|e| StorageError::store(url.as_str(), e))?;
    Ok((Arc::from(store), prefix))
}

fn base_of(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_path("/");
    base.set_query(None);
    base
}

#[cfg(test)]
mod tests;
