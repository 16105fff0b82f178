//! One run at a time on an output folder.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trommel_shards::storage::Storage;

use super::LedgerError;

const NAME: &str = "_trommel/lock";
/// A lease in an object store that was not renewed for this long belongs to a run that is dead.
const LEASE: Duration = Duration::from_secs(120);

/// Held for the length of a run. In a folder it is a lock of the operating system, which a killed process gives back; in
/// an object store it is an object that the run renews.
pub struct JobLock {
    _file: Option<File>,
    lease: Option<tokio::task::JoinHandle<()>>,
    storage: Option<Storage>,
}

impl JobLock {
    /// Takes the lock, or says who holds it.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] when another run holds it.
    pub async fn take(storage: &Storage) -> Result<Self, LedgerError> {
        match storage.local_root() {
            Some(root) => {
                // Somebody who only looks holds it for an instant.
                for _ in 0..5 {
                    match Self::take_file(root) {
                        Err(LedgerError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(40)).await,
                        other => return other,
                    }
                }
                Self::take_file(root)
            }
            None => Self::take_lease(storage).await,
        }
    }

    fn take_file(root: &std::path::Path) -> Result<Self, LedgerError> {
        let path = root.join(NAME);
        let io = |source| LedgerError::Io { place: path.display().to_string(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io)?;
                return Err(LedgerError::Locked { place: root.display().to_string(), holder: holder.trim().to_owned() });
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(io(e)),
        }
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "process {}", std::process::id()).map_err(io)?;
        Ok(Self { _file: Some(file), lease: None, storage: None })
    }

    async fn take_lease(storage: &Storage) -> Result<Self, LedgerError> {
        let text = || format!("process {} at {}", std::process::id(), now());
        if !storage.put_new(NAME, text()).await? {
            let holder = storage.get(NAME).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let renewed: u64 = holder.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            if now().saturating_sub(renewed) < LEASE.as_secs() {
                return Err(LedgerError::Locked { place: storage.uri().to_owned(), holder });
            }
            storage.put(NAME, text()).await?;
        }
        let renew = storage.clone();
        let lease = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE / 4).await;
                let text = format!("process {} at {}", std::process::id(), now());
                if let Err(error) = renew.put(NAME, text).await {
                    tracing::warn!(%error, "the lease on the output could not be renewed");
                }
            }
        });
        Ok(Self { _file: None, lease: Some(lease), storage: Some(storage.clone()) })
    }

    /// Gives the lock back.
    pub async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.abort();
        }
        if let Some(storage) = self.storage.take()
            && let Err(error) = storage.delete(NAME).await
        {
            tracing::warn!(%error, "the lease on the output could not be given back; it ends by itself");
        }
    }
}

impl Drop for JobLock {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.abort();
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
