//! Writing one object so that it is whole or not there.

use std::fs::File;
use std::io::Write;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::StorageError;
use super::remote::RemoteWrite;

const TEMPORARY: &str = ".trommel-tmp-";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
}

/// An object that is being written. Dropped without [`ObjectWriter::finish`], it leaves nothing behind.
pub struct ObjectWriter {
    sink: Sink,
    hasher: Sha256,
    bytes: u64,
}

enum Sink {
    Local { file: Option<File>, temporary: PathBuf, target: PathBuf },
    Remote(Box<RemoteWrite>),
    Done,
}

impl ObjectWriter {
    pub(super) fn local(root: &FsPath, name: &str) -> Result<Self, StorageError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let target = root.join(name);
        let folder = target.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).map_err(|e| StorageError::io(folder, e))?;
        let file_name = target.file_name().unwrap_or_default().to_string_lossy();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("{TEMPORARY}{}-{number}-{file_name}", std::process::id()));
        let file = File::create(&temporary).map_err(|e| StorageError::io(&temporary, e))?;
        Ok(Self { sink: Sink::Local { file: Some(file), temporary, target }, hasher: Sha256::new(), bytes: 0 })
    }

    pub(super) fn remote(write: RemoteWrite) -> Self {
        Self { sink: Sink::Remote(Box::new(write)), hasher: Sha256::new(), bytes: 0 }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Whatever the disk or the store says, with the name; the object is then lost and must be written anew.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.hasher.update(&bytes);
        self.bytes += bytes.len() as u64;
        match &mut self.sink {
            Sink::Local { file: Some(file), target, .. } => file.write_all(&bytes).map_err(|e| StorageError::io(&*target, e)),
            Sink::Remote(write) => write.write(&bytes).await,
            Sink::Local { file: None, .. } | Sink::Done => Ok(()),
        }
    }

    /// Makes the object durable and moves it into place.
    ///
    /// # Errors
    /// Whatever the disk or the store says, with the name; nothing is visible then.
    pub async fn finish(mut self) -> Result<Written, StorageError> {
        match std::mem::replace(&mut self.sink, Sink::Done) {
            Sink::Local { file, temporary, target } => {
                let guard = Sweep(temporary.clone());
                let place = target.clone();
                tokio::task::spawn_blocking(move || commit(file, &temporary, &target))
                    .await
                    .map_err(|e| StorageError::io(&place, std::io::Error::other(e)))?
                    .map_err(|e| StorageError::io(&place, e))?;
                std::mem::forget(guard);
            }
            Sink::Remote(write) => write.finish().await?,
            Sink::Done => {}
        }
        let hasher = std::mem::take(&mut self.hasher);
        Ok(Written { bytes: self.bytes, sha256: hex(&hasher.finalize()) })
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.sink, Sink::Done) {
            Sink::Local { temporary, .. } => drop(Sweep(temporary)),
            // What is under way remotely is given up by its own drop.
            Sink::Remote(_) | Sink::Done => {}
        }
    }
}

/// Removes a temporary file when dropped.
struct Sweep(PathBuf);

impl Drop for Sweep {
    fn drop(&mut self) {
        // A file that cannot be removed now is swept by the next run.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn commit(file: Option<File>, temporary: &FsPath, target: &FsPath) -> std::io::Result<()> {
    if let Some(file) = file {
        file.sync_all()?;
    }
    std::fs::rename(temporary, target)?;
    // Without this the rename itself may be lost with the power (OSDI'14, "All File Systems Are Not Created Equal").
    if let Some(folder) = target.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

pub(super) fn is_temporary(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|file| file.starts_with(TEMPORARY))
}

pub(super) fn sweep(root: &FsPath) -> Result<usize, StorageError> {
    let mut removed = 0;
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| StorageError::io(&folder, e))? {
            let entry = entry.map_err(|e| StorageError::io(&folder, e))?;
            let kind = entry.file_type().map_err(|e| StorageError::io(entry.path(), e))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if is_temporary(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path()).map_err(|e| StorageError::io(entry.path(), e))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
