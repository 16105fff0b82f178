//! One row of what extraction gives.

/// What the url points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateKind {
    /// A picture with a text.
    Image,
    /// A picture without a text. With [`Compat::Cc2dataset`](super::Compat::Cc2dataset): any row of its `image_only`.
    ImageOnly,
    /// A link to a sound file.
    Audio,
    /// A link to a film.
    Video,
    /// A link to a document.
    Text,
}

impl CandidateKind {
    /// All kinds, in the order of [`index`](Self::index).
    pub const ALL: [Self; 5] = [Self::Image, Self::ImageOnly, Self::Audio, Self::Video, Self::Text];

    /// cc2dataset's name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::ImageOnly => "image_only",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Text => "text",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Where the text of a candidate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TextSource {
    /// No text.
    None,
    /// `alt` of an `img`.
    Alt,
    /// `title` of an `img` or a link.
    Title,
    /// The `figcaption` of the `figure` around the picture.
    Figcaption,
    /// `aria-label`, or the elements that `aria-labelledby` names.
    AriaLabel,
    /// `data-image-title`, `data-caption` and their like.
    DataAttribute,
    /// `og:image:alt` or `twitter:image:alt`.
    Og,
    /// Name, caption or description of a JSON-LD `ImageObject`.
    JsonLd,
    /// Text of the link.
    Anchor,
}

impl TextSource {
    /// The value of the column `text_source`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Alt => "alt",
            Self::Title => "title",
            Self::Figcaption => "figcaption",
            Self::AriaLabel => "aria_label",
            Self::DataAttribute => "data_attribute",
            Self::Og => "og",
            Self::JsonLd => "jsonld",
            Self::Anchor => "anchor",
        }
    }
}

/// Where a licence was stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LicenseSource {
    /// `license` of the picture's own JSON-LD object.
    JsonLd,
    /// A link with `rel="license"` on the page.
    Rel,
    /// A link to a Creative Commons deed on the page.
    CcLink,
}

impl LicenseSource {
    /// The value of the column `license_source`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonLd => "jsonld",
            Self::Rel => "rel",
            Self::CcLink => "cc_link",
        }
    }
}

/// A url with a text and where both were found. All text is valid UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// What the url points at.
    pub kind: CandidateKind,
    /// Absolute url, `http` or `https`.
    pub url: &'a str,
    /// The text; empty for pictures without one.
    pub text: &'a str,
    /// Where the text comes from.
    pub text_source: TextSource,
    /// Url of the page.
    pub page_url: &'a str,
    /// `title` of the page.
    pub page_title: Option<&'a str>,
    /// `lang` of the page's root element, else `Content-Language`. As written.
    pub page_lang: Option<&'a str>,
    /// Url of the licence. The page's licence is a hint, not a statement about this picture; see `license_source`.
    pub license: Option<&'a str>,
    /// Where the licence was stated.
    pub license_source: Option<LicenseSource>,
    /// Whom to credit (`creditText` or `creator` of the picture's JSON-LD object).
    pub credit: Option<&'a str>,
    /// Opt-out directives of the page from `meta robots`, `X-Robots-Tag` and TDM reservation, lower case, sorted, joined with commas.
    pub robots: Option<&'a str>,
    /// The WARC file that holds the page: the file read, or for a WAT the one that it describes.
    pub warc_file: Option<&'a str>,
    /// Offset of the page's record in that file.
    pub warc_offset: Option<u64>,
    /// When the page was captured, as the archive writes it.
    pub warc_date: Option<&'a str>,
}

/// Takes candidates.
///
/// Called on the thread that extracts, in document order within a page and in file order over pages. What the candidate
/// borrows is gone after the call.
pub trait CandidateSink {
    /// Takes one candidate.
    fn candidate(&mut self, candidate: &Candidate<'_>);
}

impl<F: FnMut(&Candidate<'_>)> CandidateSink for F {
    fn candidate(&mut self, candidate: &Candidate<'_>) {
        self(candidate);
    }
}
