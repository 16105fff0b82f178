//! Extraction over made-up pages and WATs, and over the shared fixtures where they are.

mod compat;
mod fixtures;
mod pages;
mod wat;

use super::*;
use crate::crawl::archive::ArchiveInput;

/// kind, url, text, source
pub(crate) type Row = (CandidateKind, String, String, &'static str);

pub(crate) fn input(bytes: &[u8]) -> ArchiveInput {
    Box::new(std::io::Cursor::new(bytes.to_vec()))
}

pub(crate) fn all() -> ExtractOptions {
    ExtractOptions { types: CandidateKind::ALL.into_iter().collect(), ..ExtractOptions::default() }
}

pub(crate) fn rows(bytes: &[u8], options: &ExtractOptions) -> (Vec<Row>, ExtractStats) {
    let mut rows = Vec::new();
    let stats = extract_archive(input(bytes), "test", options, &mut |c: &Candidate<'_>| {
        rows.push((c.kind, c.url.to_owned(), c.text.to_owned(), c.text_source.as_str()));
    })
    .unwrap();
    (rows, stats)
}

pub(crate) fn page_rows(html: &str, options: &ExtractOptions) -> Vec<Row> {
    let mut rows = Vec::new();
    let page = Page {
        bytes: html.as_bytes(),
        content_type: Some("text/html; charset=utf-8"),
        url: "https://example.com/a/b",
        warc_file: None,
        warc_offset: None,
        warc_date: None,
    };
    extract_html(&page, options, &mut |c: &Candidate<'_>| rows.push((c.kind, c.url.to_owned(), c.text.to_owned(), c.text_source.as_str())));
    rows
}

/// A WAT record around a piece of `HTML-Metadata`, and whatever else stands in the envelope.
pub(crate) fn wat(html_metadata: &str) -> Vec<u8> {
    wat_json(&format!(
        "{{\"Container\":{{\"Filename\":\"f.warc.gz\",\"Offset\":\"77\"}},\"Envelope\":{{\"WARC-Header-Metadata\":{{\"WARC-Target-URI\":\"http://example.com/a/b\",\"WARC-Date\":\"2024-01-01T00:00:00Z\"}},\"Payload-Metadata\":{{\"HTTP-Response-Metadata\":{{\"Headers\":{{\"X-Robots-Tag\":\"noindex, otherwise\"}},\"HTML-Metadata\":{{{html_metadata}}}}}}}}}}}"
    ))
}

pub(crate) fn wat_json(json: &str) -> Vec<u8> {
    format!("WARC/1.0\r\nWARC-Type: metadata\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}\r\n\r\n", json.len())
        .into_bytes()
}
