//! The web as WARC/1.0 files: one gzip member for each record, as Common Crawl writes them.
//!
//! No clock is read: a record's date is made from its number, so equal webs give equal files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use super::MiniWeb;
use super::digest::warc_digest;
use super::draw::Draw;
use super::error::MiniWebError;
use super::html::PageDocument;
use super::truth::Fate;

/// One of the files that a web is cut into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// `miniweb-0-00003.warc.gz`
    pub(crate) warc_name: String,
    /// `miniweb-0-00003.warc.wat.gz`
    pub(crate) wat_name: String,
    pub(crate) pages: Range<u64>,
}

/// A WARC record before it is compressed.
pub(crate) struct Record {
    /// The header fields after `WARC/1.0`, in order. Length and digests are among them.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) block: Vec<u8>,
}

impl Record {
    pub(crate) fn new(id: String, date: String, kind: &'static str, content_type: &str, block: Vec<u8>) -> Self {
        let fields = vec![
            ("WARC-Type", kind.to_owned()),
            ("WARC-Date", date),
            ("WARC-Record-ID", id),
            ("Content-Type", content_type.to_owned()),
            ("Content-Length", block.len().to_string()),
        ];
        Self { fields, block }
    }

    pub(crate) fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    pub(crate) fn id(&self) -> &str {
        self.field("WARC-Record-ID")
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    /// The version line, the fields and the empty line.
    pub(crate) fn header(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        ["WARC/1.0\r\n".to_owned()].into_iter().chain(fields).chain(["\r\n".to_owned()]).collect()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.header().as_bytes(), &self.block, b"\r\n\r\n"].concat()
    }

    /// The record as a gzip member without name and time.
    pub(crate) fn to_member(&self) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(6));
        // Writing into a vector cannot fail.
        let _ = encoder.write_all(&self.to_bytes());
        encoder.finish().unwrap_or_default()
    }
}

/// An HTTP message as WARC stores it, and how long its header is.
struct HttpMessage {
    bytes: Vec<u8>,
    header_length: usize,
}

impl HttpMessage {
    fn response(headers: impl IntoIterator<Item = (&'static str, String)>, body: &[u8]) -> Self {
        let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        Self { header_length: head.len(), bytes: [head.as_bytes(), body].concat() }
    }
}

impl MiniWeb {
    /// Writes the whole web into one WARC file: a `warcinfo`, then a request and a response for each page. With images,
    /// a response follows for each picture that a polite crawler could have had (see [`Fate::Ok`]), once for each address.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_warc(&self, path: &Path, with_images: bool) -> Result<(), MiniWebError> {
        self.parts(1).iter().try_for_each(|part| self.write_warc_part(part, path, with_images))
    }

    /// Writes the web into `files` WARC files (at least one) in `dir`, and returns their paths.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_warcs(&self, dir: &Path, files: u64, with_images: bool) -> Result<Vec<PathBuf>, MiniWebError> {
        let write = |part: &Part| {
            let path = dir.join(&part.warc_name);
            self.write_warc_part(part, &path, with_images).map(|()| path)
        };
        self.parts(files).iter().map(write).collect()
    }

    pub(crate) fn parts(&self, files: u64) -> Vec<Part> {
        let files = files.max(1);
        let cut = |k: u64| (u128::from(self.config.pages) * u128::from(k) / u128::from(files)) as u64;
        let part = |k: u64| {
            let stem = format!("miniweb-{}-{k:05}", self.config.seed);
            Part { warc_name: format!("{stem}.warc.gz"), wat_name: format!("{stem}.warc.wat.gz"), pages: cut(k)..cut(k + 1) }
        };
        (0..files).map(part).collect()
    }

    fn write_warc_part(&self, part: &Part, path: &Path, with_images: bool) -> Result<(), MiniWebError> {
        let mut out = Members::create(path)?;
        out.write(&self.warcinfo(part))?;
        for index in part.pages.clone() {
            let [request, response] = self.page_records(index);
            out.write(&request)?;
            out.write(&response)?;
        }
        // Behind the pages, so that the offsets in a WAT hold for both kinds of files.
        let slots = u64::from(self.config.images_per_page);
        for n in part.pages.start * slots..if with_images { part.pages.end * slots } else { 0 } {
            if let Some(record) = self.image_record(n)? {
                out.write(&record)?;
            }
        }
        out.finish()
    }

    /// The record that a WARC file starts with.
    pub(crate) fn warcinfo(&self, part: &Part) -> Record {
        let block = "isPartOf: MINIWEB\r\nsoftware: miniweb\r\nrobots: obeyed\r\nformat: WARC File Format 1.0\r\n";
        let id = self.record_id("warcinfo", part.pages.start);
        Record::new(id, date(part.pages.start), "warcinfo", "application/warc-fields", block.into())
            .with("WARC-Filename", part.warc_name.clone())
    }

    /// The request for a page and the response to it.
    pub(crate) fn page_records(&self, index: u64) -> [Record; 2] {
        let page: PageDocument = self.page(index).to_document();
        let host = self.origin(self.page_host(index)).trim_start_matches("http://").to_owned();
        let request = format!("GET /pages/{index}.html HTTP/1.1\r\nHost: {host}\r\nUser-Agent: miniweb\r\n\r\n");
        let (request_id, response_id) = (self.record_id("request", index), self.record_id("response", index));
        let request = Record::new(request_id.clone(), date(index), "request", "application/http; msgtype=request", request.into())
            .with("WARC-Target-URI", page.url.clone())
            .with("WARC-Concurrent-To", response_id.clone());
        let message = HttpMessage::response(page.headers, &page.html);
        let response = response_record(response_id, date(index), &page.url, message)
            .with("WARC-Concurrent-To", request_id)
            .with("WARC-Identified-Payload-Type", "text/html");
        [request, response]
    }

    fn image_record(&self, n: u64) -> Result<Option<Record>, MiniWebError> {
        let slot = self.slot(n);
        let opted_out = self.page(n / u64::from(self.config.images_per_page.max(1))).opted_out;
        if slot.hostile.is_some() || slot.has_borrowed_url() || opted_out || self.slot_fate(&slot) != Fate::Ok {
            return Ok(None);
        }
        let url = self.slot_url(&slot);
        let body = self.picture(&slot).map_err(|source| MiniWebError::Encode { url: url.clone(), source })?;
        let media_type = slot.look.format.media_type();
        let headers = [("Content-Type", media_type.to_owned()), ("Content-Length", body.len().to_string())];
        let message = HttpMessage::response(headers, &body);
        let record = response_record(self.record_id("image", n), date(n), &url, message);
        Ok(Some(record.with("WARC-Identified-Payload-Type", media_type)))
    }

    /// A name that no other record of any miniature web has; it has the form of a random UUID (RFC 9562, version 4).
    pub(crate) fn record_id(&self, kind: &str, n: u64) -> String {
        let mut draw = Draw::new(self.config.seed, kind, n);
        let (a, b) = (draw.next(), draw.next());
        let (a, b) = ((a & !0xf000) | 0x4000, (b & !(3 << 62)) | (2 << 62));
        format!("<urn:uuid:{:08x}-{:04x}-{:04x}-{:04x}-{:012x}>", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffff_ffff_ffff)
    }
}

fn response_record(id: String, date: String, url: &str, message: HttpMessage) -> Record {
    let payload = warc_digest(&message.bytes[message.header_length..]);
    let block = warc_digest(&message.bytes);
    Record::new(id, date, "response", "application/http; msgtype=response", message.bytes)
        .with("WARC-Target-URI", url)
        .with("WARC-IP-Address", "127.0.0.1")
        .with("WARC-Payload-Digest", payload)
        .with("WARC-Block-Digest", block)
}

/// The date of record `n`: a second after the one before, in January 2026 from the first to the 28th, then again.
pub(crate) fn date(n: u64) -> String {
    let (day, second) = (n / 86_400 % 28 + 1, n % 86_400);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A file of gzip members.
pub(crate) struct Members {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Members {
    pub(crate) fn create(path: &Path) -> Result<Self, MiniWebError> {
        let file = File::create(path).map_err(|source| MiniWebError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), out: BufWriter::with_capacity(1 << 18, file) })
    }

    pub(crate) fn write(&mut self, record: &Record) -> Result<(), MiniWebError> {
        let written = self.out.write_all(&record.to_member());
        written.map_err(|source| MiniWebError::Write { path: self.path.clone(), source })
    }

    pub(crate) fn finish(mut self) -> Result<(), MiniWebError> {
        self.out.flush().map_err(|source| MiniWebError::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    fn web(seed: u64) -> MiniWeb {
        MiniWeb::new(MiniWebConfig { seed, pages: 30, port: 8099, refusing: 0.2, ..MiniWebConfig::default() })
    }

    fn inflated(path: &Path) -> Vec<u8> {
        let mut out = Vec::new();
        let file = File::open(path).unwrap();
        std::io::copy(&mut flate2::read::MultiGzDecoder::new(file), &mut out).unwrap();
        out
    }

    /// The records of a file, by nothing but their lengths.
    fn records(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let header = String::from_utf8(bytes[..end].to_vec()).unwrap();
            assert!(header.starts_with("WARC/1.0\r\n"));
            let length = header.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
            let length: usize = length.parse().unwrap();
            all.push((header, bytes[end..end + length].to_vec()));
            assert_eq!(&bytes[end + length..end + length + 4], b"\r\n\r\n");
            bytes = &bytes[end + length + 4..];
        }
        all
    }

    #[test]
    fn a_warc_holds_every_page_and_is_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        web(3).write_warc(&one, false).unwrap();
        web(3).write_warc(&two, false).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        let records = records(&inflated(&one));
        assert_eq!(records.len(), 1 + 2 * 30);
        for (n, page) in web(3).pages().enumerate() {
            let (header, block) = &records[2 + 2 * n];
            assert!(header.contains(&format!("WARC-Target-URI: {}\r\n", page.url)));
            assert!(block.ends_with(&page.html));
        }
    }

    #[test]
    fn with_images_a_warc_holds_the_pictures_that_the_server_gives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.warc.gz");
        let config = web(3).config().clone();
        let web = MiniWeb::new(MiniWebConfig { pages: 8, ..config });
        web.write_warc(&path, true).unwrap();
        let records = records(&inflated(&path));
        let images = &records[17..];
        assert!(images.len() > 20, "{}", images.len());
        for (header, block) in images {
            let url = header.split("WARC-Target-URI: ").nth(1).unwrap().split('\r').next().unwrap();
            let number = web.slot_number(url).unwrap();
            assert!(block.ends_with(&web.picture(&web.slot(number)).unwrap()), "{url}");
        }
    }

    #[test]
    fn several_files_hold_together_what_one_holds() {
        let dir = tempfile::tempdir().unwrap();
        let paths = web(3).write_warcs(dir.path(), 4, false).unwrap();
        let pages: usize = paths.iter().map(|path| (records(&inflated(path)).len() - 1) / 2).sum();
        assert_eq!((paths.len(), pages), (4, 30));
    }
}
