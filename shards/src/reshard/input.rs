//! The shards that are read.

use std::fs::File;
use std::io;
use std::ops::Range;

use parquet::file::reader::{ChunkReader, Length};

use super::ReshardError;
use crate::source::{Input, SourceFile};
use crate::tar::ReadAt;

/// Bytes that a scan asks a store for at a time: it reads the shard from front to back.
const REMOTE_WINDOW: usize = 8 << 20;
/// Bytes that a scan reads from a disk at a time: a header, and the short members behind it.
const LOCAL_WINDOW: usize = 4 << 10;
/// Ranges that are asked of a store at a time.
const REMOTE_READS: usize = 16;

/// One input shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputShard {
    /// Path or url of the tar or the parquet file.
    pub uri: String,
    /// Length and version, where they are known: part of the plan's identity.
    pub version: String,
    /// The table beside a tar, if there is one: `key`, `uid` and the rest of the metadata.
    pub table: Option<String>,
    /// Whether the pictures are a column of a parquet file.
    pub is_parquet: bool,
}

impl InputShard {
    /// The shards among some files, by name: tars, each with the parquet file of the same stem beside it, and parquet
    /// files that stand alone. Other files (statistics, vectors) are passed over.
    pub fn among(files: &[SourceFile]) -> Vec<Self> {
        let has = |uri: &str| files.iter().any(|file| file.uri == uri);
        let tables: std::collections::HashSet<&str> =
            files.iter().map(|file| file.uri.as_str()).filter(|uri| uri.ends_with(".parquet")).collect();
        let mut shards: Vec<Self> = files
            .iter()
            .filter_map(|file| {
                let uri = &file.uri;
                let version = format!("{}+{}", file.version, file.size);
                if let Some(stem) = uri.strip_suffix(".tar") {
                    let table = format!("{stem}.parquet");
                    let table = tables.contains(table.as_str()).then_some(table);
                    return Some(Self { uri: uri.clone(), version, table, is_parquet: false });
                }
                // A compressed tar is a shard that cannot be read, not a file to be passed over.
                if [".tar.gz", ".tgz", ".tar.zst", ".tar.bz2"].iter().any(|ending| uri.ends_with(ending)) {
                    return Some(Self { uri: uri.clone(), version, table: None, is_parquet: false });
                }
                let stem = uri.strip_suffix(".parquet")?;
                (!has(&format!("{stem}.tar"))).then(|| Self { uri: uri.clone(), version, table: None, is_parquet: true })
            })
            .collect();
        shards.sort_by(|a, b| a.uri.cmp(&b.uri));
        shards
    }

    /// A shard by its name alone, which may be missing: then it is a failed unit of the plan.
    pub fn named(uri: &str) -> Self {
        Self { uri: uri.to_owned(), version: String::new(), table: None, is_parquet: uri.ends_with(".parquet") }
    }
}

/// An input shard that is open.
pub(super) enum Source {
    Local(File),
    Remote(Input),
}

impl Source {
    pub(super) fn open(uri: &str) -> Result<(Self, u64), ReshardError> {
        let input = Input::open(uri)?;
        let length = input.len();
        Ok(match input {
            Input::Local(file) => (Self::Local(file), length),
            remote @ Input::Remote(_) => (Self::Remote(remote), length),
        })
    }

    pub(super) fn window(&self) -> usize {
        match self {
            Self::Local(_) => LOCAL_WINDOW,
            Self::Remote(_) => REMOTE_WINDOW,
        }
    }

    /// Reads ranges of the shard into ranges of a buffer; gives the first job that failed.
    pub(super) fn read_all(&self, jobs: &[Read], buffer: &mut [u8]) -> Result<(), (usize, io::Error)> {
        match self {
            Self::Local(file) => {
                for (at, job) in jobs.iter().enumerate() {
                    std::os::unix::fs::FileExt::read_exact_at(file, &mut buffer[job.to.clone()], job.from).map_err(|e| (at, e))?;
                }
                Ok(())
            }
            Self::Remote(input) => {
                for (group, some) in jobs.chunks(REMOTE_READS).enumerate() {
                    let handle = tokio::runtime::Handle::try_current().map_err(|e| (0, io::Error::other(e)))?;
                    let fetched: Vec<io::Result<bytes::Bytes>> = std::thread::scope(|scope| {
                        let threads: Vec<_> = some
                            .iter()
                            .map(|job| {
                                let handle = &handle;
                                scope.spawn(move || {
                                    let _guard = handle.enter();
                                    input.get_bytes(job.from, job.to.len()).map_err(io::Error::other)
                                })
                            })
                            .collect();
                        let lost = || Err(io::Error::other("a reading thread was lost"));
                        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
                    });
                    for (at, (job, bytes)) in some.iter().zip(fetched).enumerate() {
                        let at = group * REMOTE_READS + at;
                        let bytes = bytes.map_err(|e| (at, e))?;
                        if bytes.len() != job.to.len() {
                            return Err((at, io::ErrorKind::UnexpectedEof.into()));
                        }
                        buffer[job.to.clone()].copy_from_slice(&bytes);
                    }
                }
                Ok(())
            }
        }
    }
}

/// A range of a shard, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) from: u64,
    pub(super) to: Range<usize>,
}

impl ReadAt for Source {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => ReadAt::read_at(file, offset, buffer),
            Self::Remote(input) => {
                let rest = input.len().saturating_sub(offset);
                let count = rest.min(buffer.len() as u64) as usize;
                if count == 0 {
                    return Ok(0);
                }
                let bytes = input.get_bytes(offset, count).map_err(io::Error::other)?;
                let count = bytes.len().min(count);
                buffer[..count].copy_from_slice(&bytes[..count]);
                Ok(count)
            }
        }
    }
}
