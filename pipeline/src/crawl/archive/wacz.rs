//! WACZ: a zip with WARC files in `archive/` (Webrecorder, *WACZ 1.1.1*).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use zip::CompressionMethod;

use super::{ArchiveError, ArchiveInput, ArchiveLimits};

/// One WARC inside a WACZ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaczMember {
    pub(crate) name: String,
    /// Where its bytes lie in the zip, when they are stored as they are (as the standard asks).
    pub(crate) stored: Option<(u64, u64)>,
    pub(crate) index: usize,
    pub(crate) bytes: u64,
}

/// An open WACZ: its WARC files can be read one after the other.
pub struct Wacz {
    name: String,
    zip: zip::ZipArchive<File>,
    file: File,
    members: Vec<WaczMember>,
}

/// Opens a WACZ that lies in a local file.
///
/// # Errors
/// When it is no zip, or its directory or the files in it are over the limits.
pub fn open_wacz(file: File, name: &str, limits: &ArchiveLimits) -> Result<Wacz, ArchiveError> {
    let zip_error = |source| ArchiveError::Zip { name: name.to_owned(), source };
    let shared = file.try_clone().map_err(|source| ArchiveError::Read { name: name.to_owned(), offset: 0, source })?;
    let mut zip = zip::ZipArchive::new(file).map_err(zip_error)?;
    if zip.len() > limits.wacz_entries {
        return Err(ArchiveError::Limit {
            name: name.to_owned(),
            what: "the number of files in the zip",
            limit: limits.wacz_entries as u64,
        });
    }
    let mut members = Vec::new();
    let mut total = 0u64;
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(zip_error)?;
        let Ok(entry_name) = entry.name().map(|name| name.into_owned()) else {
            continue;
        };
        let low = entry_name.to_ascii_lowercase();
        let is_warc = [".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz"].iter().any(|end| low.ends_with(end));
        if !low.starts_with("archive/") || !is_warc {
            continue;
        }
        let bytes = entry.size();
        total = total.saturating_add(bytes);
        if total > limits.wacz_bytes {
            return Err(ArchiveError::Limit { name: name.to_owned(), what: "the size of the files in the zip", limit: limits.wacz_bytes });
        }
        let stored = (entry.compression() == CompressionMethod::Stored && !entry.encrypted())
            .then(|| entry.data_start().map(|start| (start, entry.compressed_size())))
            .flatten();
        members.push(WaczMember { name: entry_name, stored, index, bytes });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Wacz { name: name.to_owned(), zip, file: shared, members })
}

impl Wacz {
    /// Names of the WARC files inside, sorted.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    pub(crate) fn entries(&self) -> &[WaczMember] {
        &self.members
    }

    /// Opens the file at this place in [`members`](Self::members). A file that is compressed by the zip is unpacked to
    /// a temporary file first; more bytes than the directory promises are an error.
    pub fn open(&mut self, member: usize) -> Result<ArchiveInput, ArchiveError> {
        let name = self.name.clone();
        let read_error = |source| ArchiveError::Read { name: name.clone(), offset: 0, source };
        let Some(entry) = self.members.get(member).cloned() else {
            return Err(read_error(io::Error::from(io::ErrorKind::NotFound)));
        };
        if let Some((start, length)) = entry.stored {
            let file = super::images::ReadAt::new(self.file.try_clone().map_err(read_error)?, start, Some(length));
            return Ok(Box::new(file));
        }
        Ok(Box::new(self.unpack(&entry)?))
    }

    pub(crate) fn unpack(&mut self, entry: &WaczMember) -> Result<File, ArchiveError> {
        let name = self.name.clone();
        let read_error = |source| ArchiveError::Read { name: name.clone(), offset: 0, source };
        let packed = self.zip.by_index(entry.index).map_err(|source| ArchiveError::Zip { name: name.clone(), source })?;
        let mut out = tempfile::tempfile().map_err(read_error)?;
        let copied = io::copy(&mut packed.take(entry.bytes.saturating_add(1)), &mut out).map_err(read_error)?;
        if copied > entry.bytes {
            return Err(ArchiveError::Limit { name, what: "the size of a file against the zip's directory", limit: entry.bytes });
        }
        out.seek(SeekFrom::Start(0)).map_err(read_error)?;
        Ok(out)
    }
}
