//! What an extraction saw, gave and left out.

use crate::crawl::archive::ReadStats;

use super::CandidateKind;

/// Why a record, a page or a link gave no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// A record that is no page: requests, pictures, text conversions, failures.
    NotAPage,
    /// A WAT record that is larger than `json_bytes`.
    JsonTooLarge,
    /// A WAT record that is not valid JSON, or not of the shape of a WAT.
    BadJson,
    /// A page larger than `html_bytes`.
    HtmlTooLarge,
    /// A page whose body could not be decoded within its limit.
    BadBody,
    /// A picture without a text, when only pictures with one are wanted.
    NoText,
    /// A picture without a url.
    NoUrl,
    /// A url that cannot be joined or parsed.
    BadUrl,
    /// A url that is neither `http` nor `https` (`data:` for the most part).
    OtherScheme,
    /// A url longer than `url_bytes`.
    UrlTooLong,
    /// A text longer than `text_bytes`.
    TextTooLong,
    /// A row that the page has given already.
    Duplicate,
    /// A candidate beyond `page_candidates`.
    TooMany,
    /// A JSON-LD block that is no JSON, or is larger than `jsonld_bytes`.
    BadJsonLd,
}

impl SkipReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 14] = [
        Self::NotAPage,
        Self::JsonTooLarge,
        Self::BadJson,
        Self::HtmlTooLarge,
        Self::BadBody,
        Self::NoText,
        Self::NoUrl,
        Self::BadUrl,
        Self::OtherScheme,
        Self::UrlTooLong,
        Self::TextTooLong,
        Self::Duplicate,
        Self::TooMany,
        Self::BadJsonLd,
    ];

    /// A short name for counters and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAPage => "not_a_page",
            Self::JsonTooLarge => "json_too_large",
            Self::BadJson => "bad_json",
            Self::HtmlTooLarge => "html_too_large",
            Self::BadBody => "bad_body",
            Self::NoText => "no_text",
            Self::NoUrl => "no_url",
            Self::BadUrl => "bad_url",
            Self::OtherScheme => "other_scheme",
            Self::UrlTooLong => "url_too_long",
            Self::TextTooLong => "text_too_long",
            Self::Duplicate => "duplicate",
            Self::TooMany => "too_many",
            Self::BadJsonLd => "bad_jsonld",
        }
    }
}

/// Counters of an extraction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtractStats {
    /// What the archive reader read and lost.
    pub archive: ReadStats,
    /// Records looked at.
    pub records: u64,
    /// Pages among them (for a WAT: records that describe a page with links that were looked through).
    pub pages: u64,
    candidates: [u64; 5],
    skipped: [u64; 14],
}

impl ExtractStats {
    /// Candidates given of a kind.
    pub fn candidates(&self, kind: CandidateKind) -> u64 {
        self.candidates[kind.index()]
    }

    /// Candidates given of all kinds.
    pub fn candidates_total(&self) -> u64 {
        self.candidates.iter().sum()
    }

    /// Records, pages and links that gave no row, for this reason.
    pub fn skipped(&self, reason: SkipReason) -> u64 {
        self.skipped[reason as usize]
    }

    pub(crate) fn give(&mut self, kind: CandidateKind) {
        self.candidates[kind.index()] += 1;
    }

    pub(crate) fn skip(&mut self, reason: SkipReason) {
        self.skipped[reason as usize] += 1;
    }

    /// Adds the counters of another extraction.
    pub fn add(&mut self, other: &Self) {
        self.archive.add(&other.archive);
        self.records += other.records;
        self.pages += other.pages;
        for (mine, theirs) in self.candidates.iter_mut().zip(other.candidates) {
            *mine += theirs;
        }
        for (mine, theirs) in self.skipped.iter_mut().zip(other.skipped) {
            *mine += theirs;
        }
    }
}
