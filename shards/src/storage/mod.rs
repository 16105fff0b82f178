//! The one door to storage: a folder, `s3://`, `gs://`, `az://`, `memory://`, or `https://` to read from, behind one type.
//!
//! What a caller may rely on, on every kind of store:
//!
//! - a name is visible only when its content is complete. On a disk: temporary name in the same folder, `fsync`,
//!   rename, `fsync` of the folder. In an object store: one put or a completed multipart upload;
//! - a write that is given up (error, drop, crash) leaves nothing under the final name; temporary files on a disk are
//!   swept by [`Storage::sweep_temporaries`], multipart uploads are aborted on drop;
//! - writing a name again replaces it;
//! - a request that a store refuses for the moment is made again, with growing pauses and within [`Limits`]; what is left
//!   is a [`StorageError`] that says why, and whether trying later makes sense.
//!
//! A store has one client in a process, however often it is opened with the same [`Settings`]: its connections are bounded
//! together, and a wish to be left alone for a while is heeded by all. A connection counts until its body is read.

mod address;
mod client;
mod clients;
mod error;
mod janitor;
mod limits;
mod remote;
mod settings;
mod uploads;
mod vendors;
mod writer;

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};
use url::Url;

use address::key_of;
use remote::{RemoteWrite, Taken};
use vendors::Client;

pub(crate) use address::{Address, Vendor};
pub use error::StorageError;
pub use janitor::settle;
pub use limits::Limits;
pub use settings::Settings;
pub use writer::{ObjectWriter, Written};

/// Bytes that are asked for at a time when a whole object is read and not kept. Each range has its own retries, so that an
/// object of any size is read over a line that breaks now and then.
const RANGE_BYTES: u64 = 64 << 20;

/// A folder or an object-store prefix. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Behind a remote store; none for a folder.
    client: Option<Arc<Client>>,
    read_only: bool,
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
    /// Opens a folder (made when missing) or a url, with the credentials, endpoints and limits that the environment gives,
    /// see [`Storage::open_with`]. A remote store is asked nothing yet.
    ///
    /// # Errors
    /// [`StorageError`] names the folder, url or variable that cannot be used.
    pub fn open(uri: &str) -> Result<Self, StorageError> {
        Self::open_with(uri, &Settings::from_environment())
    }

    /// Opens a folder or a url with these settings: credentials and endpoints under the names that the vendors' own tools
    /// use (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
    /// `AZURE_STORAGE_CONNECTION_STRING`, …), and [`Limits`].
    ///
    /// # Errors
    /// [`StorageError`] names the folder, url or variable that cannot be used.
    pub fn open_with(uri: &str, settings: &Settings) -> Result<Self, StorageError> {
        if let Some(address) = Address::parse(uri)? {
            let client = clients::client(&address, settings)?;
            return Ok(Self {
                store: Arc::clone(&client.store),
                client: Some(client),
                read_only: address.vendor == Vendor::Http,
                registration: address.registration(),
                prefix: address.key,
                local_root: None,
                uri: uri.trim_end_matches('/').to_owned(),
            });
        }
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        std::fs::create_dir_all(path).map_err(|e| StorageError::io(path, e))?;
        let root = std::fs::canonicalize(path).map_err(|e| StorageError::io(path, e))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(&root).map_err(|e| StorageError::store(path, e))?;
        Ok(Self {
            store: Arc::new(store),
            client: None,
            read_only: false,
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
        Self { store, client: None, read_only: false, prefix: Path::default(), local_root: None, uri, registration }
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
            client: self.client.clone(),
            read_only: self.read_only,
            prefix: self.path(name),
            // Its parent is the root of the store, which other names of this one lie in too.
            local_root: self.local_root.as_ref().map(|root| root.join(name)),
            uri: self.uri_of(name),
            registration: self.registration.clone(),
        }
    }

    /// The name as it is written; only what no store could hold (control characters, `..`) is spelled otherwise.
    fn path(&self, name: &str) -> Path {
        let encoded = || name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part));
        key_of(&format!("{}/{name}", self.prefix)).unwrap_or_else(|_| encoded())
    }

    fn writable(&self, name: &str) -> Result<(), StorageError> {
        if self.read_only { Err(StorageError::ReadOnly { place: self.uri_of(name) }) } else { Ok(()) }
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
        self.writable(name)?;
        if let Some(root) = &self.local_root {
            return ObjectWriter::local(root, name);
        }
        let limits = self.client.as_ref().map(|client| client.limits.clone()).unwrap_or_default();
        Ok(ObjectWriter::remote(RemoteWrite::new(Arc::clone(&self.store), self.path(name), self.uri_of(name), &limits)))
    }

    /// Writes an object only if the name is free; `false` when it is taken. Of several that try at once, one gets `true`, as
    /// far as the store has conditional writes: S3, Google's, Azure's and folders have. An answer that is lost is looked up.
    ///
    /// # Errors
    /// Whatever the store says, with the name.
    pub async fn put_new(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool, StorageError> {
        self.writable(name)?;
        if self.local_root.is_none() {
            return Ok(remote::put_new(&self.store, &self.path(name), &self.uri_of(name), bytes.into()).await? == Taken::ByUs);
        }
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
        let path = self.path(name);
        let whole = match self.store.head(&path).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let mut digest = Sha256::new();
        let mut start = 0;
        while start < whole.size {
            let end = (start + RANGE_BYTES).min(whole.size);
            let options = GetOptions { range: Some((start..end).into()), ..GetOptions::default() };
            let piece = self.store.get_opts(&path, options).await.map_err(fail)?;
            if piece.meta.size != whole.size || piece.meta.e_tag != whole.e_tag {
                return Err(StorageError::Changed { place: self.uri_of(name) });
            }
            let mut bytes = piece.into_stream();
            while let Some(bytes) = bytes.try_next().await.map_err(fail)? {
                start += bytes.len() as u64;
                digest.update(&bytes);
            }
            if start != end {
                return Err(StorageError::BrokeOff { place: self.uri_of(name), said: format!("{start} bytes came instead of {end}") });
            }
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
        self.writable(name)?;
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StorageError::store(self.uri_of(name), e)),
        }
    }

    /// Aborts the multipart uploads below this url that nobody finished: what a killed run left, or one whose begin was
    /// answered into the void. To be called only while the caller holds the folder's lock. Returns how many there were;
    /// always zero for folders, and for Azure, which forgets unfinished blobs after a week.
    ///
    /// # Errors
    /// Whatever the store says; a store that cannot list uploads says so, which is no reason not to go on.
    pub async fn sweep_uploads(&self) -> Result<usize, StorageError> {
        let Some(uploads) = self.client.as_ref().and_then(|client| client.uploads.as_ref()) else { return Ok(0) };
        let prefix = if self.prefix.as_ref().is_empty() { String::new() } else { format!("{}/", self.prefix) };
        uploads.abort_all(&prefix, &self.uri).await
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

/// What a url of a store names, or `None` for a path on this machine and for what no store is known for.
pub(crate) fn remote_url(uri: &str) -> Option<Address> {
    Address::parse(uri).ok().flatten()
}

/// The store of an address.
pub(crate) fn open_address(address: &Address, settings: &Settings) -> Result<Arc<dyn ObjectStore>, StorageError> {
    Ok(Arc::clone(&clients::client(address, settings)?.store))
}

#[cfg(test)]
mod tests;
