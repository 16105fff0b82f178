//! Opening a store of each vendor, with the settings that the vendor's own tools read.

mod azure;
mod gcs;
mod http;
mod profile;
mod s3;

use std::path::Path as FsPath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ClientOptions, HeaderValue, RetryConfig};

use super::address::{Address, Vendor};
use super::uploads::OpenUploads;
use super::{Limits, Settings, StorageError};

/// An opened store.
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) limits: Limits,
    /// Finds and aborts multipart uploads, where the vendor keeps them for ever.
    pub(crate) uploads: Option<OpenUploads>,
}

/// Opens the store of an address. Asks nothing of it yet.
pub(super) fn open(address: &Address, settings: &Settings) -> Result<Client, StorageError> {
    match address.vendor {
        Vendor::S3 => s3::open(address, settings),
        Vendor::Gcs => gcs::open(address, settings),
        Vendor::Azure => azure::open(address, settings),
        Vendor::Http => http::open(address, settings),
        Vendor::Memory => Ok(Client { store: Arc::new(InMemory::new()), limits: settings.limits_for("")?, uploads: None }),
    }
}

/// What the HTTP client of every store shares. Time limits are this crate's own, see `client`.
fn options(settings: &Settings) -> Result<ClientOptions, StorageError> {
    const AGENT: &str = "TROMMEL_STORE_USER_AGENT";
    let agent = settings.get(AGENT).unwrap_or(concat!("trommel/", env!("CARGO_PKG_VERSION")));
    let agent = HeaderValue::from_str(agent).map_err(|e| StorageError::settings(AGENT, e.to_string()))?;
    Ok(ClientOptions::new().with_user_agent(agent).with_timeout_disabled())
}

/// What is left to the object-store crate's own retries: bodies that break off, and successes that contain an error.
fn retry(limits: &Limits) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: limits.first_pause, max_backoff: limits.longest_pause.max(limits.first_pause), base: 2.0 },
        max_retries: limits.retries as usize,
        retry_timeout: limits.retry_time,
    }
}

/// Host of an endpoint, for telling the store from services that give out credentials.
fn host_of(name: &str, endpoint: &str) -> Result<String, StorageError> {
    let url = url::Url::parse(endpoint).map_err(|e| StorageError::settings(name, format!("`{endpoint}`: {e}")))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) => Ok(host.to_owned()),
        _ => Err(StorageError::settings(name, format!("`{endpoint}` is no http or https url"))),
    }
}

/// Reads a small file of settings; `None` when it is not there.
fn read_file(path: &FsPath) -> Result<Option<String>, StorageError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StorageError::io(path, e)),
    }
}
