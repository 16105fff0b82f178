//! A whole file at a time.

use crate::crawl::archive::{ArchiveInput, Container, HttpResponse, Record, RecordKind, RecordReader};

use super::emit::Emitter;
use super::html::{PageInput, page};
use super::wat::Wat;
use super::{CandidateSink, ExtractError, ExtractOptions, ExtractStats, SkipReason};

/// Extracts the candidates of a WAT, WARC, ARC or HTML file, compressed or not.
///
/// `name` is what `warc_file` says for pages of a WARC; for an HTML file it is also the page's url, unless the page names
/// its own (`link rel=canonical`). A WACZ is opened with [`open_wacz`](crate::crawl::archive::open_wacz) and extracted member by member.
///
/// Memory does not grow with the file: it is bounded by the limits in `options`.
///
/// # Errors
/// When the input cannot be read, or is nothing that can be. Broken records and pages are counted in the result instead.
pub fn extract_archive(
    input: ArchiveInput,
    name: &str,
    options: &ExtractOptions,
    sink: &mut dyn CandidateSink,
) -> Result<ExtractStats, ExtractError> {
    let mut reader = RecordReader::new(input, name, options.archive)?;
    let mut emitter = Emitter::new(options, sink);
    match reader.format().container {
        Container::Wacz => {
            return Err(ExtractError::Unknown { name: name.to_owned() });
        }
        Container::Html => {
            let Some(bytes) = reader.read_rest(options.limits.html_bytes)? else {
                return Err(ExtractError::PageTooLarge { name: name.to_owned(), limit: options.limits.html_bytes });
            };
            emitter.stats.records += 1;
            if options.compat.is_none() {
                page(
                    &PageInput { bytes: &bytes, content_type: None, url: name, warc_file: Some(name), warc_offset: None, warc_date: None },
                    None,
                    &mut emitter,
                );
            }
        }
        Container::Warc | Container::Arc | Container::Unknown => {
            let mut wat = Wat::default();
            while let Some(record) = reader.next()? {
                emitter.stats.records += 1;
                one(&record, name, &mut wat, &mut emitter);
            }
            if reader.format().container == Container::Unknown && emitter.stats.records == 0 && reader.stats().bytes_read > 0 {
                return Err(ExtractError::Unknown { name: name.to_owned() });
            }
        }
    }
    emitter.stats.archive = reader.stats().clone();
    Ok(emitter.stats)
}

fn one(record: &Record<'_>, name: &str, wat: &mut Wat, emitter: &mut Emitter<'_>) {
    match record.kind {
        RecordKind::Metadata => wat.record(record.payload, emitter),
        RecordKind::Response | RecordKind::Resource if emitter.options.compat.is_none() => response(record, name, emitter),
        _ => emitter.stats.skip(SkipReason::NotAPage),
    }
}

fn response(record: &Record<'_>, name: &str, emitter: &mut Emitter<'_>) {
    let Some(url) = record.target_uri() else {
        emitter.stats.skip(SkipReason::NotAPage);
        return;
    };
    let http = record.http();
    let content_type = match &http {
        Some(http) => http.header("Content-Type"),
        None => record.content_type(),
    };
    let status_good = http.as_ref().is_none_or(|http| (200..300).contains(&http.status));
    if !status_good || !is_html(content_type.as_deref(), http.as_ref().map_or(&*record.payload, |http| http.raw_body)) {
        emitter.stats.skip(SkipReason::NotAPage);
        return;
    }
    let decoded;
    let body: &[u8] = match &http {
        Some(http) => match http.body(emitter.options.archive.body_bytes) {
            Ok((body, _)) => {
                decoded = body;
                &decoded
            }
            Err(_) => {
                emitter.stats.skip(SkipReason::BadBody);
                return;
            }
        },
        None => record.payload,
    };
    if body.len() > emitter.options.limits.html_bytes {
        emitter.stats.skip(SkipReason::HtmlTooLarge);
        return;
    }
    let date = record.date();
    let input = PageInput {
        bytes: body,
        content_type: content_type.as_deref(),
        url: &url,
        warc_file: Some(name),
        warc_offset: Some(record.offset),
        warc_date: date.as_deref(),
    };
    page(&input, http.as_ref(), emitter);
}

/// Whether a body is a page: by its type, or, where the type is missing or says nothing, by how it begins.
fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" | "application/vnd.wap.xhtml+xml" => true,
        "" | "unk" | "unknown/unknown" | "application/unknown" | "*/*" | "no-type" => {
            let head = body[..body.len().min(512)].trim_ascii_start().to_ascii_lowercase();
            [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<!--", b"<title", b"<meta"].iter().any(|start| head.starts_with(start))
        }
        _ => false,
    }
}

/// Directives in the headers of a response.
pub(crate) fn header_opt_outs(http: &HttpResponse<'_>, emitter: &mut Emitter<'_>) {
    for name in ["X-Robots-Tag", "TDM-Reservation"] {
        for value in http.header_all(name) {
            emitter.opt_outs.header(name, &value);
        }
    }
}
