//! Input files, named by path, glob or url, on this machine or in an object store.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::storage::{StorageError, open_url, remote_url};

/// Bytes that a remote reader asks for at a time.
const RANGE_BYTES: u64 = 8 << 20;

/// An input that cannot be found or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing is there.
    #[error("`{0}` matches no file")]
    NoMatch(String),
    /// The pattern itself is wrong.
    #[error("`{0}` is no valid pattern: {1}")]
    Pattern(String, String),
    /// The file is there and empty.
    #[error("`{0}` is empty")]
    Empty(String),
    /// The store or the disk refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl SourceError {
    /// Whether nothing is there, rather than something that cannot be read.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoMatch(_) => true,
            Self::Storage(error) => error.is_not_found(),
            _ => false,
        }
    }
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path or url.
    pub uri: String,
    /// Length in bytes.
    pub size: u64,
    /// What changes when the content does: etag, or time of last modification in nanoseconds.
    pub version: String,
}

impl SourceFile {
    /// Identity for commit markers: a changed file is read again.
    pub fn identity(&self) -> String {
        format!("{}@{}+{}", self.uri, self.version, self.size)
    }
}

/// Finds the files of a pattern, sorted by name. A folder stands for all files in it, at any depth.
///
/// # Errors
/// [`SourceError::NoMatch`] when there are none, with the pattern.
pub async fn expand(pattern: &str) -> Result<Vec<SourceFile>, SourceError> {
    let mut files = match remote_url(pattern) {
        Some(url) => {
            let (store, path) = open_url(&url)?;
            let base = url.as_str().strip_suffix(path.as_ref()).unwrap_or(url.as_str()).to_owned();
            expand_remote(pattern, &base, store, path).await?
        }
        None => expand_local(pattern)?,
    };
    if files.is_empty() {
        return Err(SourceError::NoMatch(pattern.to_owned()));
    }
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    Ok(files)
}

pub(crate) fn expand_local(pattern: &str) -> Result<Vec<SourceFile>, SourceError> {
    let mut files = Vec::new();
    let bad = |e: glob::PatternError| SourceError::Pattern(pattern.to_owned(), e.to_string());
    let literal = FsPath::new(pattern);
    let roots: Vec<std::path::PathBuf> =
        if literal.exists() { vec![literal.to_path_buf()] } else { glob::glob(pattern).map_err(bad)?.filter_map(Result::ok).collect() };
    for root in roots {
        if root.is_dir() {
            walk(&root, &mut files)?;
        } else {
            files.push(local_file(&root)?);
        }
    }
    Ok(files)
}

fn walk(folder: &FsPath, files: &mut Vec<SourceFile>) -> Result<(), SourceError> {
    for entry in std::fs::read_dir(folder).map_err(|e| StorageError::io(folder, e))? {
        let path = entry.map_err(|e| StorageError::io(folder, e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(local_file(&path)?);
        }
    }
    Ok(())
}

fn local_file(path: &FsPath) -> Result<SourceFile, SourceError> {
    let meta = std::fs::metadata(path).map_err(|e| StorageError::io(path, e))?;
    let modified = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |age| age.as_nanos());
    Ok(SourceFile { uri: path.display().to_string(), size: meta.len(), version: modified.to_string() })
}

async fn expand_remote(pattern: &str, base: &str, store: Arc<dyn ObjectStore>, path: Path) -> Result<Vec<SourceFile>, SourceError> {
    let version = |meta: &object_store::ObjectMeta| meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_millis().to_string());
    let failed = |e| StorageError::store(pattern, e);
    let is_glob = path.as_ref().contains(['*', '?', '[']);
    if !is_glob {
        match store.head(&path).await {
            Ok(meta) => return Ok(vec![SourceFile { uri: pattern.to_owned(), size: meta.size, version: version(&meta) }]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed(e).into()),
        }
    }
    let matcher = glob::Pattern::new(path.as_ref()).map_err(|e| SourceError::Pattern(pattern.to_owned(), e.to_string()))?;
    let fixed: Path = path.parts().take_while(|part| !part.as_ref().contains(['*', '?', '['])).collect();
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let metas: Vec<_> = store.list(Some(&fixed)).try_collect().await.map_err(failed)?;
    Ok(metas
        .into_iter()
        .filter(|meta| !is_glob || matcher.matches_with(meta.location.as_ref(), options))
        .map(|meta| SourceFile { uri: format!("{base}{}", meta.location), size: meta.size, version: version(&meta) })
        .collect())
}

/// A file open for reading, front to back or at any place. Made for blocking threads: remote reads wait on the runtime.
pub enum Input {
    /// On this machine.
    Local(std::fs::File),
    /// In an object store.
    Remote(RemoteInput),
}

/// A file in an object store.
#[derive(Clone)]
pub struct RemoteInput {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    handle: Handle,
}

impl Input {
    /// Opens a file. Must be called inside a tokio runtime, and read outside its async threads.
    ///
    /// # Errors
    /// [`SourceError`] with the name; an empty file is an error.
    pub fn open(uri: &str) -> Result<Self, SourceError> {
        match remote_url(uri) {
            None => {
                let path = FsPath::new(uri);
                let file = std::fs::File::open(path).map_err(|e| StorageError::io(path, e))?;
                let meta = file.metadata().map_err(|e| StorageError::io(path, e))?;
                if meta.is_file() && meta.len() == 0 {
                    return Err(SourceError::Empty(uri.to_owned()));
                }
                Ok(Self::Local(file))
            }
            Some(url) => {
                let (store, path) = open_url(&url)?;
                let handle = Handle::current();
                let meta = handle.block_on(store.head(&path)).map_err(|e| StorageError::store(uri, e))?;
                if meta.size == 0 {
                    return Err(SourceError::Empty(uri.to_owned()));
                }
                Ok(Self::Remote(RemoteInput { store, path, size: meta.size, handle }))
            }
        }
    }

    /// A reader from the first byte on.
    pub fn into_read(self) -> Box<dyn Read + Send> {
        match self {
            Self::Local(file) => Box::new(file),
            Self::Remote(remote) => Box::new(remote.read_from(0)),
        }
    }
}

impl RemoteInput {
    fn read_from(&self, position: u64) -> RemoteRead {
        RemoteRead { input: self.clone(), position, chunk: Bytes::new() }
    }

    fn range(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.handle.block_on(self.store.get_range(&self.path, range)).map_err(io::Error::other)
    }
}

/// Reads an object in ranges of some MiB, so that a file of any size costs the same memory.
pub struct RemoteRead {
    input: RemoteInput,
    position: u64,
    chunk: Bytes,
}

impl Read for RemoteRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let end = (self.position + RANGE_BYTES).min(self.input.size);
            if self.position >= end {
                return Ok(0);
            }
            self.chunk = self.input.range(self.position..end)?;
            self.position = end;
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => file.metadata().map_or(0, |meta| meta.len()),
            Self::Remote(remote) => remote.size,
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Self::Local(file) => Box::new(file.get_read(start)?),
            Self::Remote(remote) => Box::new(remote.read_from(start)),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Local(file) => file.get_bytes(start, length),
            Self::Remote(remote) => remote.range(start..start + length as u64).map_err(|e| ParquetError::External(Box::new(e))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_glob_a_folder_and_a_path_find_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::fs::write(dir.path().join("in/a.txt"), "x").unwrap();
        std::fs::write(dir.path().join("in/.hidden"), "x").unwrap();
        let root = dir.path().display().to_string();
        for pattern in [format!("{root}/in"), format!("{root}/*/a.*"), format!("{root}/in/a.txt")] {
            let files = expand(&pattern).await.unwrap();
            assert_eq!(files.len(), 1, "{pattern}");
            assert!(files[0].uri.ends_with("in/a.txt"));
        }
    }

    #[tokio::test]
    async fn a_pattern_without_a_match_is_named() {
        let error = expand("/nowhere/*.wat.gz").await.unwrap_err();
        assert_eq!(error.to_string(), "`/nowhere/*.wat.gz` matches no file");
    }

    #[tokio::test]
    async fn an_empty_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.wat");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Input::open(&path.display().to_string()), Err(SourceError::Empty(_))));
    }
}
