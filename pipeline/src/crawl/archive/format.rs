//! Telling formats apart by their first bytes, and by name where the bytes do not say.

use std::io::Read;

/// How the file is packed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not packed.
    Plain,
    /// Gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
    /// Bzip2.
    Bzip2,
    /// LZ4 frames; known and refused.
    Lz4,
}

/// What is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// WARC 0.x, 1.0 or 1.1; a WAT or a WET is one too.
    Warc,
    /// ARC version 1 or 2.
    Arc,
    /// A zip with WARC files in `archive/`.
    Wacz,
    /// One HTML page.
    Html,
    /// None of these. The record reader looks for records in it all the same.
    Unknown,
}

/// What [`sniff`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// What is in the file.
    pub container: Container,
    /// How it is packed.
    pub compression: Compression,
}

/// Bytes of the file that [`sniff`] can make use of.
pub(crate) const SNIFF_BYTES: usize = 64 << 10;

/// Tells what a file is from its first bytes (the more the better, up to 64 KiB) and its name.
///
/// The bytes decide; the name decides only between HTML and nothing known. A name may be a url with a query.
pub fn sniff(bytes: &[u8], name: &str) -> Format {
    let bytes = &bytes[..bytes.len().min(SNIFF_BYTES)];
    let compression = match bytes {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
        _ => Compression::Plain,
    };
    let inflated;
    let inner: &[u8] = match compression {
        Compression::Plain => bytes,
        Compression::Lz4 => &[],
        Compression::Gzip => {
            inflated = head(flate2::read::GzDecoder::new(bytes));
            &inflated
        }
        Compression::Bzip2 => {
            inflated = head(bzip2::read::BzDecoder::new(bytes));
            &inflated
        }
        Compression::Zstd => {
            inflated = zstd::stream::read::Decoder::new(bytes).map(head).unwrap_or_default();
            &inflated
        }
    };
    Format { container: container(inner, name), compression }
}

fn head(reader: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    // What came before an error is still worth a look.
    let _ = reader.take(4096).read_to_end(&mut out);
    out
}

fn container(bytes: &[u8], name: &str) -> Container {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Container::Wacz;
    }
    let trimmed = bytes.trim_ascii_start();
    if trimmed.starts_with(b"WARC/") {
        return Container::Warc;
    }
    if super::arc::parse_line(trimmed).is_some() {
        return Container::Arc;
    }
    let path = name.split(['?', '#']).next().unwrap_or(name).to_ascii_lowercase();
    let path = [".gz", ".zst", ".bz2"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(&path);
    if [".warc", ".wat", ".wet"].iter().any(|end| path.ends_with(end)) {
        return Container::Warc;
    }
    if path.ends_with(".arc") {
        return Container::Arc;
    }
    if [".html", ".htm", ".xhtml", ".shtml"].iter().any(|end| path.ends_with(end)) || looks_like_html(trimmed) {
        return Container::Html;
    }
    Container::Unknown
}

fn looks_like_html(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let mut low = [0u8; 16];
    let n = bytes.len().min(16);
    low[..n].copy_from_slice(&bytes[..n]);
    low.make_ascii_lowercase();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<!--", b"<title", b"<meta", b"<div", b"<p>", b"<a ", b"<img"]
        .iter()
        .any(|start| low[..n].starts_with(start))
}
