//! Responses of an archive by url.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::format::SNIFF_BYTES;
use super::wacz::open_wacz;
use super::{ArchiveError, ArchiveInput, ArchiveLimits, Container, ReadStats, Record, RecordKind, RecordReader, sniff};

/// Redirects (and revisits) followed for one look-up.
const HOPS: usize = 10;

/// A response from the archive, its body decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedResponse {
    /// HTTP status; 200 for resources, which have none.
    pub status: u16,
    /// Headers in order, as archived. A resource has its `Content-Type` alone.
    pub headers: Vec<(String, String)>,
    /// The body with its codings undone.
    pub body: Vec<u8>,
    /// The url that answered, after the archived redirects.
    pub url: String,
    /// `WARC-Date` of the record.
    pub date: Option<String>,
    /// The archive is known not to hold the whole body.
    pub truncated: bool,
}

impl ArchivedResponse {
    /// The first header of that name, without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What indexing found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Urls that can be looked up.
    pub urls: u64,
    /// Bytes copied to the temporary file.
    pub spilled_bytes: u64,
    /// Records that would have been copied and were over `spill_bytes`.
    pub spill_refused: u64,
    /// What the readers counted.
    pub read: ReadStats,
}

/// How good an entry is; a better one for the same url takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Rank {
    Failure,
    Revisit,
    Redirect,
    Found,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u64,
    file: u32,
    rank: Rank,
}

/// An index from url to the place of a response, over WARC, ARC and WACZ files.
///
/// Memory holds a 16-byte hash, a file number and an offset for each url; bodies are read when asked for, and any
/// number of threads may ask. Records that begin a gzip member or a zstd frame, or lie in a file without compression,
/// are read where they lie. Where that is not possible (one gzip member or zstd frame around the whole file, bzip2,
/// zstd with a dictionary), indexing copies to a temporary file what a picture look-up needs: responses and resources whose
/// type is `image/*`, unknown or `application/octet-stream`, redirects, and revisits. Other records of such files are not found.
///
/// Of several captures of a url the first with status 200 to 299 is given, then a redirect, then a revisit.
pub struct ArchiveImages {
    files: Vec<Source>,
    index: HashMap<[u8; 16], Entry>,
    limits: ArchiveLimits,
    stats: IndexStats,
}

struct Source {
    name: String,
    file: Arc<File>,
    start: u64,
    length: Option<u64>,
}

impl ArchiveImages {
    /// Indexes local files. WARC, ARC and WACZ may be mixed.
    ///
    /// # Errors
    /// When a file cannot be opened or read. Broken records are counted in [`stats`](Self::stats).
    pub fn open<P: AsRef<Path>>(paths: &[P], limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let mut builder = Builder {
            images: Self { files: Vec::new(), index: HashMap::new(), limits, stats: IndexStats::default() },
            spill: None,
            spilled: 0,
        };
        for path in paths {
            builder.add_path(path.as_ref())?;
        }
        builder.finish()
    }

    /// What indexing found and lost.
    pub fn stats(&self) -> &IndexStats {
        &self.stats
    }

    /// Number of urls that can be looked up.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing can be looked up.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The archived response for a url, archived redirects followed (ten at most). `None` when the archive has none, or
    /// when the record cannot be read any more.
    pub fn get(&self, url: &str) -> Option<ArchivedResponse> {
        let mut url = url.to_owned();
        for _ in 0..=HOPS {
            let entry = *self.index.get(&key(&url))?;
            match self.read(&entry, &url)? {
                Answer::Response(response) => return Some(response),
                Answer::Elsewhere(next) if key(&next) == key(&url) => return None,
                Answer::Elsewhere(next) => url = next,
            }
        }
        None
    }

    fn read(&self, entry: &Entry, url: &str) -> Option<Answer> {
        let source = self.files.get(entry.file as usize)?;
        let input =
            ReadAt { file: Arc::clone(&source.file), at: source.start + entry.offset, end: source.length.map(|n| source.start + n) };
        let mut reader = RecordReader::for_one(Box::new(input), &source.name, self.limits).ok()?;
        let record = reader.next().ok()??;
        let target = record.target_uri()?.into_owned();
        if key(&target) != key(url) {
            return None;
        }
        let date = record.date().map(|date| date.into_owned());
        let truncated = record.truncated || record.field("WARC-Truncated").is_some();
        if record.kind == RecordKind::Revisit {
            let refers = record.field("WARC-Refers-To-Target-URI")?.into_owned();
            return Some(Answer::Elsewhere(refers.trim_matches(['<', '>']).to_owned()));
        }
        let Some(http) = record.http() else {
            let content_type = record.content_type().unwrap_or_default().into_owned();
            return Some(Answer::Response(ArchivedResponse {
                status: 200,
                headers: vec![("Content-Type".to_owned(), content_type)],
                body: record.payload.to_vec(),
                url: target,
                date,
                truncated,
            }));
        };
        if is_redirect(http.status)
            && let Some(next) = http.header("Location").and_then(|location| Url::parse(&target).ok()?.join(&location).ok())
        {
            return Some(Answer::Elsewhere(next.into()));
        }
        let (body, whole) = http.body(self.limits.body_bytes).ok()?;
        Some(Answer::Response(ArchivedResponse {
            status: http.status,
            headers: http.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            body: body.into_owned(),
            url: target,
            date,
            truncated: truncated || !whole,
        }))
    }
}

enum Answer {
    Response(ArchivedResponse),
    Elsewhere(String),
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Hash of the url as the URL standard writes it, without its fragment.
fn key(url: &str) -> [u8; 16] {
    match Url::parse(url) {
        Ok(mut parsed) => {
            parsed.set_fragment(None);
            xxh3_128(parsed.as_str().as_bytes()).to_le_bytes()
        }
        Err(_) => xxh3_128(url.as_bytes()).to_le_bytes(),
    }
}

struct Builder {
    images: ArchiveImages,
    spill: Option<File>,
    spilled: u64,
}

/// File number of records in the spill until it is known.
const SPILL: u32 = u32::MAX;

impl Builder {
    fn add_path(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let name = path.display().to_string();
        let read_error = |source| ArchiveError::Read { name: name.clone(), offset: 0, source };
        let mut file = File::open(path).map_err(read_error)?;
        let mut head = vec![0; SNIFF_BYTES];
        let mut n = 0;
        while n < head.len() {
            match file.read(&mut head[n..]).map_err(read_error)? {
                0 => break,
                more => n += more,
            }
        }
        file.seek(SeekFrom::Start(0)).map_err(read_error)?;
        if sniff(&head[..n], &name).container != Container::Wacz {
            return self.add(Source { name, file: Arc::new(file), start: 0, length: None });
        }
        let shared = Arc::new(file.try_clone().map_err(read_error)?);
        let mut wacz = open_wacz(file, &name, &self.images.limits)?;
        for entry in wacz.entries().to_vec() {
            let inner = format!("{name}!{}", entry.name);
            let source = match entry.stored {
                Some((start, length)) => Source { name: inner, file: Arc::clone(&shared), start, length: Some(length) },
                None => Source { name: inner, file: Arc::new(wacz.unpack(&entry)?), start: 0, length: None },
            };
            self.add(source)?;
        }
        Ok(())
    }

    fn add(&mut self, source: Source) -> Result<(), ArchiveError> {
        let number = self.images.files.len() as u32;
        let input: ArchiveInput =
            Box::new(ReadAt { file: Arc::clone(&source.file), at: source.start, end: source.length.map(|n| source.start + n) });
        let mut reader = RecordReader::new(input, &source.name, self.images.limits)?;
        while let Some(record) = reader.next()? {
            self.record(&record, number, &source.name)?;
        }
        self.images.stats.read.add(reader.stats());
        self.images.files.push(source);
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>, file: u32, name: &str) -> Result<(), ArchiveError> {
        let Some(url) = record.target_uri() else {
            return Ok(());
        };
        let http = record.http();
        let rank = match (record.kind, &http) {
            (RecordKind::Revisit, _) if record.field("WARC-Refers-To-Target-URI").is_some() => Rank::Revisit,
            (RecordKind::Resource, _) => Rank::Found,
            (RecordKind::Response, Some(http)) if (200..300).contains(&http.status) => Rank::Found,
            (RecordKind::Response, Some(http)) if is_redirect(http.status) => Rank::Redirect,
            (RecordKind::Response, Some(_)) => Rank::Failure,
            _ => return Ok(()),
        };
        let hash = key(&url);
        if self.images.index.get(&hash).is_some_and(|entry| entry.rank >= rank) {
            return Ok(());
        }
        let entry = if record.seekable {
            Entry { offset: record.offset, file, rank }
        } else {
            let content_type = match &http {
                Some(http) => http.header("Content-Type"),
                None => record.content_type(),
            };
            let content_type = content_type.unwrap_or_default().trim().to_ascii_lowercase();
            let wanted = rank < Rank::Found
                || content_type.is_empty()
                || content_type.starts_with("image/")
                || content_type.starts_with("application/octet-stream");
            if !wanted {
                return Ok(());
            }
            match self.spill(record, name)? {
                Some(offset) => Entry { offset, file: SPILL, rank },
                None => return Ok(()),
            }
        };
        self.images.index.insert(hash, entry);
        Ok(())
    }

    /// Writes the record to the temporary file, as a WARC record without compression.
    fn spill(&mut self, record: &Record<'_>, name: &str) -> Result<Option<u64>, ArchiveError> {
        let mut head = String::from("WARC/1.1\r\n");
        let kind = match record.kind {
            RecordKind::Revisit => "revisit",
            RecordKind::Resource => "resource",
            _ => "response",
        };
        let mut push = |field: &str, value: Option<std::borrow::Cow<'_, str>>| {
            if let Some(value) = value {
                head.push_str(field);
                head.push_str(": ");
                head.push_str(&value.replace(['\r', '\n'], " "));
                head.push_str("\r\n");
            }
        };
        push("WARC-Type", Some(kind.into()));
        push("WARC-Target-URI", record.target_uri());
        push("WARC-Date", record.date());
        push("Content-Type", record.content_type());
        push("WARC-Refers-To-Target-URI", record.field("WARC-Refers-To-Target-URI"));
        let cut = record.truncated.then(|| "unspecified".into());
        push("WARC-Truncated", record.field("WARC-Truncated").or(cut));
        push("Content-Length", Some(record.payload.len().to_string().into()));
        head.push_str("\r\n");
        let bytes = (head.len() + record.payload.len() + 4) as u64;
        if self.spilled + bytes > self.images.limits.spill_bytes {
            self.images.stats.spill_refused += 1;
            return Ok(None);
        }
        let write_error = |source| ArchiveError::Read { name: format!("temporary copy of {name}"), offset: 0, source };
        if self.spill.is_none() {
            self.spill = Some(tempfile::tempfile().map_err(write_error)?);
        }
        let Some(out) = self.spill.as_mut() else {
            return Ok(None);
        };
        out.write_all(head.as_bytes()).map_err(write_error)?;
        out.write_all(record.payload).map_err(write_error)?;
        out.write_all(b"\r\n\r\n").map_err(write_error)?;
        let offset = self.spilled;
        self.spilled += bytes;
        Ok(Some(offset))
    }

    fn finish(self) -> Result<ArchiveImages, ArchiveError> {
        let mut images = self.images;
        if let Some(file) = self.spill {
            let number = images.files.len() as u32;
            images.files.push(Source { name: "temporary copy".to_owned(), file: Arc::new(file), start: 0, length: None });
            for entry in images.index.values_mut().filter(|entry| entry.file == SPILL) {
                entry.file = number;
            }
        }
        images.stats.spilled_bytes = self.spilled;
        images.stats.urls = images.index.len() as u64;
        images.index.shrink_to_fit();
        Ok(images)
    }
}

/// Reads a part of a file that others read too, without moving the file's own position.
pub(crate) struct ReadAt {
    file: Arc<File>,
    at: u64,
    end: Option<u64>,
}

impl ReadAt {
    pub(crate) fn new(file: File, start: u64, length: Option<u64>) -> Self {
        Self { file: Arc::new(file), at: start, end: length.map(|n| start.saturating_add(n)) }
    }
}

impl Read for ReadAt {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = self.end.map_or(out.len(), |end| out.len().min(usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX)));
        let n = std::os::unix::fs::FileExt::read_at(&*self.file, &mut out[..most], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
