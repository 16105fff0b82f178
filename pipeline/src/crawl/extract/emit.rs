//! The last steps of every candidate that is not in a compatibility mode: undo references, tidy, join, check, dedupe, give.

use std::collections::HashMap;

use super::dedupe::Seen;
use super::entities::{Place, decode};
use super::extensions::kind_of;
use super::links::{Base, UrlFault};
use super::opt_out::OptOuts;
use super::{Candidate, CandidateKind, CandidateSink, ExtractOptions, ExtractStats, LicenseSource, SkipReason, TextSource};

/// What is the same for all candidates of a page.
#[derive(Debug, Default)]
pub(crate) struct PageFacts {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    pub(crate) lang: Option<String>,
    pub(crate) license: Option<(String, LicenseSource)>,
    pub(crate) robots: Option<String>,
    pub(crate) warc_file: Option<String>,
    pub(crate) warc_offset: Option<u64>,
    pub(crate) warc_date: Option<String>,
}

/// Facts about one picture beyond its texts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rights<'a> {
    pub(crate) license: Option<&'a str>,
    pub(crate) credit: Option<&'a str>,
}

/// Gives candidates to the sink. One for a whole file: its buffers are kept from page to page.
pub(crate) struct Emitter<'s> {
    pub(crate) options: &'s ExtractOptions,
    pub(crate) stats: ExtractStats,
    pub(crate) facts: PageFacts,
    pub(crate) base: Base,
    pub(crate) opt_outs: OptOuts,
    sink: &'s mut dyn CandidateSink,
    seen: Seen,
    given: usize,
    /// What JSON-LD says of pictures, by absolute url.
    rights: HashMap<String, (Option<String>, Option<String>)>,
    url: String,
    decoded: String,
    text: String,
}

impl<'s> Emitter<'s> {
    pub(crate) fn new(options: &'s ExtractOptions, sink: &'s mut dyn CandidateSink) -> Self {
        Self {
            options,
            stats: ExtractStats::default(),
            facts: PageFacts::default(),
            base: Base::default(),
            opt_outs: OptOuts::default(),
            sink,
            seen: Seen::default(),
            given: 0,
            rights: HashMap::new(),
            url: String::new(),
            decoded: String::new(),
            text: String::new(),
        }
    }

    pub(crate) fn sink(&mut self) -> &mut dyn CandidateSink {
        self.sink
    }

    /// Forgets the rows of the page before.
    pub(crate) fn begin_page(&mut self) {
        self.seen.clear();
        self.given = 0;
        self.stats.pages += 1;
    }

    /// Joins a url as it stands on the page (references not undone) and leaves it in `self.url`.
    fn resolve(&mut self, raw: &str) -> Result<(), SkipReason> {
        let link = decode(raw, Place::Attribute, &mut self.decoded).unwrap_or(raw);
        if link.len() > self.options.limits.url_bytes && !link.starts_with("data:") {
            return Err(SkipReason::UrlTooLong);
        }
        match self.base.join(link, &mut self.url) {
            Ok(()) if self.url.len() > self.options.limits.url_bytes => Err(SkipReason::UrlTooLong),
            Ok(()) => Ok(()),
            Err(UrlFault::Bad) => Err(SkipReason::BadUrl),
            Err(UrlFault::Scheme) => Err(SkipReason::OtherScheme),
        }
    }

    /// A url as it stands on the page, absolute. For licences.
    pub(crate) fn absolute(&mut self, raw: &str) -> Option<String> {
        self.resolve(raw).ok().map(|()| self.url.clone())
    }

    /// Forgets what JSON-LD said on the page before.
    pub(crate) fn clear_rights(&mut self) {
        self.rights.clear();
    }

    /// Notes licence and credit of the picture at a url, for all rows that have this url.
    pub(crate) fn add_rights(&mut self, raw_url: &str, license: Option<&str>, credit: Option<&str>) {
        if (license.is_some() || credit.is_some()) && self.resolve(raw_url).is_ok() {
            self.rights.entry(self.url.clone()).or_insert_with(|| (license.map(str::to_owned), credit.map(str::to_owned)));
        }
    }

    /// A picture with the texts that stand for it. `raw_url` and the texts are as on the page; empty texts are passed over.
    pub(crate) fn picture(&mut self, raw_url: &str, texts: &[(TextSource, &str)], rights: Rights<'_>) {
        let texted = texts.iter().any(|(_, text)| !is_blank(text));
        let all = self.options.types.has(CandidateKind::ImageOnly);
        if !texted && !all {
            self.stats.skip(SkipReason::NoText);
            return;
        }
        if raw_url.bytes().all(|byte| byte <= b' ') {
            self.stats.skip(SkipReason::NoUrl);
            return;
        }
        if let Err(reason) = self.resolve(raw_url) {
            self.stats.skip(reason);
            return;
        }
        if !texted {
            self.give(CandidateKind::ImageOnly, "", TextSource::None, rights);
            return;
        }
        for (source, text) in texts {
            if !is_blank(text) {
                self.give_text(CandidateKind::Image, text, *source, rights);
            }
        }
    }

    /// A link; gives a row when it points at a file of a wanted kind.
    pub(crate) fn link(&mut self, raw_url: &str, anchor: &str, title: &str) {
        let Some(kind) = kind_of(raw_url.trim_ascii().as_bytes()) else {
            return;
        };
        if !self.options.types.has(kind) {
            return;
        }
        if let Err(reason) = self.resolve(raw_url) {
            self.stats.skip(reason);
            return;
        }
        if is_blank(anchor) && is_blank(title) {
            self.give(kind, "", TextSource::None, Rights::default());
        } else if is_blank(anchor) {
            self.give_text(kind, title, TextSource::Title, Rights::default());
        } else {
            self.give_text(kind, anchor, TextSource::Anchor, Rights::default());
        }
    }

    fn give_text(&mut self, kind: CandidateKind, raw: &str, source: TextSource, rights: Rights<'_>) {
        // Taken out for the time of the call, as `give` borrows the rest.
        let (mut text, mut decoded) = (std::mem::take(&mut self.text), std::mem::take(&mut self.decoded));
        let tidied = tidy(raw, source.place(), &mut decoded, &mut text);
        if tidied.len() > self.options.limits.text_bytes {
            self.stats.skip(SkipReason::TextTooLong);
        } else if tidied.is_empty() {
            self.stats.skip(SkipReason::NoText);
        } else {
            self.give(kind, tidied, source, rights);
        }
        self.text = text;
        self.decoded = decoded;
    }

    fn give(&mut self, kind: CandidateKind, text: &str, text_source: TextSource, rights: Rights<'_>) {
        if !self.seen.first(&self.url, text, text_source) {
            self.stats.skip(SkipReason::Duplicate);
            return;
        }
        if self.given >= self.options.limits.page_candidates {
            self.stats.skip(SkipReason::TooMany);
            return;
        }
        self.given += 1;
        self.stats.give(kind);
        let facts = &self.facts;
        let noted = if self.rights.is_empty() { None } else { self.rights.get(&self.url) };
        let rights =
            Rights { license: rights.license.or_else(|| noted?.0.as_deref()), credit: rights.credit.or_else(|| noted?.1.as_deref()) };
        let (license, license_source) = match rights.license {
            Some(license) => (Some(license), Some(LicenseSource::JsonLd)),
            None => match &facts.license {
                Some((license, source)) => (Some(license.as_str()), Some(*source)),
                None => (None, None),
            },
        };
        self.sink.candidate(&Candidate {
            kind,
            url: &self.url,
            text,
            text_source,
            page_url: &facts.url,
            page_title: facts.title.as_deref(),
            page_lang: facts.lang.as_deref(),
            license,
            license_source,
            credit: rights.credit,
            robots: facts.robots.as_deref(),
            warc_file: facts.warc_file.as_deref(),
            warc_offset: facts.warc_offset,
            warc_date: facts.warc_date.as_deref(),
        });
    }
}

impl TextSource {
    /// Where such a text stands, for the references in it.
    fn place(self) -> Place {
        match self {
            Self::Figcaption | Self::Anchor | Self::JsonLd => Place::Text,
            _ => Place::Attribute,
        }
    }
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte <= b' ')
}

/// References undone, white space at the ends dropped and inside made one blank, control characters dropped.
pub(crate) fn tidy<'a>(raw: &'a str, place: Place, decoded: &'a mut String, out: &'a mut String) -> &'a str {
    let text = decode(raw, place, decoded).unwrap_or(raw);
    let trimmed = text.trim_matches(|c: char| c <= ' ' || c == '\u{a0}');
    if is_tidy(trimmed.as_bytes()) {
        return trimmed;
    }
    out.clear();
    let mut blank = false;
    for c in trimmed.chars() {
        if c == '\t' || c == '\n' || c == '\r' || c == '\u{c}' || c == ' ' {
            blank = true;
        } else if !c.is_control() {
            if blank {
                out.push(' ');
                blank = false;
            }
            out.push(c);
        }
    }
    out
}

fn is_tidy(bytes: &[u8]) -> bool {
    let mut previous = 0u8;
    for &byte in bytes {
        // 0xc2 may begin one of the C1 control characters.
        if byte < b' ' || byte == 0x7f || byte == 0xc2 || (byte == b' ' && previous == b' ') {
            return false;
        }
        previous = byte;
    }
    true
}

/// [`tidy`] into a string of its own; `None` when nothing is left, or more than `most` bytes are.
pub(crate) fn tidied(raw: &str, place: Place, most: usize) -> Option<String> {
    let (mut decoded, mut out) = (String::new(), String::new());
    let text = tidy(raw, place, &mut decoded, &mut out);
    (!text.is_empty() && text.len() <= most).then(|| text.to_owned())
}
