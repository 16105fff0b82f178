//! One record.

use std::borrow::Cow;

use super::http::{HttpResponse, split};
use super::lines::{field, text};

/// The type of a record. ARC records are [`RecordKind::Response`] (or `Warcinfo` for the file's own description).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// Describes the file.
    Warcinfo,
    /// What a server answered.
    Response,
    /// A resource without the protocol around it.
    Resource,
    /// What was asked of a server.
    Request,
    /// Facts about another record. The records of a WAT are of this kind.
    Metadata,
    /// An answer that was seen before.
    Revisit,
    /// Another record's content in another form. The records of a WET are of this kind.
    Conversion,
    /// The rest of a record that was cut.
    Continuation,
    /// A type that the standard does not know.
    Other,
}

impl RecordKind {
    pub(crate) fn parse(value: &[u8]) -> Self {
        const KINDS: [(&str, RecordKind); 8] = [
            ("response", RecordKind::Response),
            ("metadata", RecordKind::Metadata),
            ("request", RecordKind::Request),
            ("resource", RecordKind::Resource),
            ("revisit", RecordKind::Revisit),
            ("warcinfo", RecordKind::Warcinfo),
            ("conversion", RecordKind::Conversion),
            ("continuation", RecordKind::Continuation),
        ];
        KINDS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(value)).map_or(Self::Other, |(_, kind)| *kind)
    }
}

/// Where the header fields of a record come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Head<'a> {
    /// Version line and fields.
    Warc(&'a [u8]),
    /// The line of an ARC record.
    Arc(super::arc::ArcLine<'a>),
}

/// A record, borrowed from the reader until the next one is asked for.
#[derive(Debug)]
pub struct Record<'a> {
    /// Type of the record.
    pub kind: RecordKind,
    /// Offset in the file. With [`seekable`](Self::seekable) a reader that starts there reads this record;
    /// otherwise the offset counts inflated bytes.
    pub offset: u64,
    /// Whether the record begins a compressed member, or the file is not compressed.
    pub seekable: bool,
    /// The block is shorter than the header says: the file ends, or `Content-Length` was wrong.
    pub truncated: bool,
    pub(crate) head: Head<'a>,
    /// The block. Lent mutably so that a parser may unescape in place.
    pub payload: &'a mut [u8],
}

impl<'a> Record<'a> {
    /// A field of the record's header, by name without regard to case. ARC records have none.
    pub fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.head {
            Head::Warc(block) => field(block, name).map(text),
            Head::Arc(_) => None,
        }
    }

    /// The url, without the `<>` that wget and others put around it.
    pub fn target_uri(&self) -> Option<Cow<'a, str>> {
        let raw = match self.head {
            Head::Warc(block) => field(block, "WARC-Target-URI")?,
            Head::Arc(line) => line.url,
        };
        let raw = raw.strip_prefix(b"<").and_then(|raw| raw.strip_suffix(b">")).unwrap_or(raw);
        (!raw.is_empty()).then(|| text(raw))
    }

    /// `WARC-Date` as written; the date of an ARC record in the same form.
    pub fn date(&self) -> Option<Cow<'a, str>> {
        match self.head {
            Head::Warc(block) => field(block, "WARC-Date").map(text),
            Head::Arc(line) => Some(super::arc::warc_date(line.date)),
        }
    }

    /// `Content-Type` of the block (for a response that is `application/http`), or the ARC content type.
    pub fn content_type(&self) -> Option<Cow<'a, str>> {
        match self.head {
            Head::Warc(block) => field(block, "Content-Type").map(text),
            Head::Arc(line) => Some(text(line.content_type)),
        }
    }

    /// Whether the record comes from an ARC file.
    pub fn is_arc(&self) -> bool {
        matches!(self.head, Head::Arc(_))
    }

    /// The HTTP response in the block, split into status, headers and body.
    ///
    /// `None` for records of other kinds, and for blocks that do not begin with a status line
    /// (`dns:` records, resources).
    pub fn http(&self) -> Option<HttpResponse<'_>> {
        matches!(self.kind, RecordKind::Response | RecordKind::Revisit).then(|| split(self.payload)).flatten()
    }
}
