//! Input files, named by path, glob or url, on this machine or in an object store.

mod remote;

use std::io::Read;
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

use crate::storage::{Address, Settings, StorageError, Vendor, open_address};
pub use remote::{RemoteInput, RemoteRead};

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

/// Finds the files of a pattern, sorted by name. A folder stands for all files in it, at any depth. A web server has
/// neither folders nor patterns: an `http://` or `https://` url is one file.
///
/// # Errors
/// [`SourceError::NoMatch`] when there are none, with the pattern.
pub async fn expand(pattern: &str) -> Result<Vec<SourceFile>, SourceError> {
    expand_with(pattern, &Settings::from_environment()).await
}

/// As [`expand`], with settings for object stores that are not those of the environment.
///
/// # Errors
/// As [`expand`].
pub async fn expand_with(pattern: &str, settings: &Settings) -> Result<Vec<SourceFile>, SourceError> {
    let mut files = match Address::parse(pattern)? {
        Some(address) => expand_remote(pattern, &address, open_address(&address, settings)?).await?,
        None => expand_local(pattern.strip_prefix("file://").unwrap_or(pattern))?,
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

async fn expand_remote(pattern: &str, address: &Address, store: Arc<dyn ObjectStore>) -> Result<Vec<SourceFile>, SourceError> {
    let (base, path) = (&address.base, &address.key);
    let version = |meta: &object_store::ObjectMeta| meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_millis().to_string());
    let failed = |e| StorageError::store(pattern, e);
    if address.vendor == Vendor::Http {
        // Whatever the path contains, it names one file: web servers have no lists.
        return match remote::look(&store, path).await {
            Ok(meta) => Ok(vec![SourceFile { uri: pattern.to_owned(), size: meta.size, version: version(&meta) }]),
            Err(object_store::Error::NotFound { .. }) if path.as_ref().contains('*') => {
                Err(SourceError::Pattern(pattern.to_owned(), "a web server has no lists; name its files one by one".to_owned()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(e) => Err(failed(e).into()),
        };
    }
    let is_glob = path.as_ref().contains(['*', '?', '[']);
    if !path.as_ref().is_empty() {
        // A key may have a star in its name: what is there as it is written is meant.
        match store.head(path).await {
            Ok(meta) if meta.size > 0 || is_glob => {
                return Ok(vec![SourceFile { uri: pattern.to_owned(), size: meta.size, version: version(&meta) }]);
            }
            // An empty object of a folder's name is how some tools make folders.
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed(e).into()),
        }
    }
    let matcher = glob::Pattern::new(path.as_ref()).map_err(|e| SourceError::Pattern(pattern.to_owned(), e.to_string()))?;
    let fixed: Path = path.parts().take_while(|part| !part.as_ref().contains(['*', '?', '['])).collect();
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let metas: Vec<_> = store.list(is_glob.then_some(&fixed).or(Some(path))).try_collect().await.map_err(failed)?;
    let wanted = |key: &str| match is_glob {
        true => matcher.matches_with(key, options),
        // Of a folder all, but what is hidden or a job's own, as on a disk.
        false => !key[path.as_ref().len()..].split('/').any(|part| part.starts_with(['.', '_'])),
    };
    let mut files: Vec<SourceFile> = metas
        .into_iter()
        .filter(|meta| meta.size > 0 && wanted(meta.location.as_ref()))
        .map(|meta| SourceFile { uri: format!("{base}{}", meta.location), size: meta.size, version: version(&meta) })
        .collect();
    if files.is_empty() && !is_glob && !path.as_ref().is_empty() {
        // The folder's own name as an empty object, and nothing in it: the file is there and empty.
        if let Ok(meta) = store.head(path).await {
            files.push(SourceFile { uri: pattern.to_owned(), size: meta.size, version: version(&meta) });
        }
    }
    Ok(files)
}

/// A file open for reading, front to back or at any place. Made for blocking threads: remote reads wait on the runtime.
pub enum Input {
    /// On this machine.
    Local(std::fs::File),
    /// In an object store.
    Remote(RemoteInput),
}

impl Input {
    /// Opens a file. Must be called inside a tokio runtime, and read outside its async threads.
    ///
    /// # Errors
    /// [`SourceError`] with the name; an empty file is an error.
    pub fn open(uri: &str) -> Result<Self, SourceError> {
        Self::open_with(uri, &Settings::from_environment())
    }

    /// As [`Input::open`], with settings for object stores that are not those of the environment.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn open_with(uri: &str, settings: &Settings) -> Result<Self, SourceError> {
        match Address::parse(uri)? {
            None => {
                let path = FsPath::new(uri.strip_prefix("file://").unwrap_or(uri));
                let file = std::fs::File::open(path).map_err(|e| StorageError::io(path, e))?;
                let meta = file.metadata().map_err(|e| StorageError::io(path, e))?;
                if meta.is_file() && meta.len() == 0 {
                    return Err(SourceError::Empty(uri.to_owned()));
                }
                Ok(Self::Local(file))
            }
            Some(address) => {
                let remote = RemoteInput::open(uri, open_address(&address, settings)?, address.key, Handle::current())?;
                if remote.size() == 0 {
                    return Err(SourceError::Empty(uri.to_owned()));
                }
                Ok(Self::Remote(remote))
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

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => file.metadata().map_or(0, |meta| meta.len()),
            Self::Remote(remote) => remote.size(),
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
