//! What to extract.

use crate::crawl::archive::ArchiveLimits;

use super::CandidateKind;

/// A set of [`CandidateKind`]s.
///
/// `image` asks for pictures with a text, `image_only` for all pictures, those without a text included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Types(u8);

impl Types {
    /// No kinds.
    pub const NONE: Self = Self(0);

    /// The set with `kind` added.
    #[must_use]
    pub const fn with(self, kind: CandidateKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in the set.
    pub const fn has(self, kind: CandidateKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether the set asks for pictures.
    pub const fn pictures(self) -> bool {
        self.has(CandidateKind::Image) || self.has(CandidateKind::ImageOnly)
    }

    /// Whether the set asks for links to files.
    pub const fn files(self) -> bool {
        self.has(CandidateKind::Audio) || self.has(CandidateKind::Video) || self.has(CandidateKind::Text)
    }
}

impl FromIterator<CandidateKind> for Types {
    fn from_iter<I: IntoIterator<Item = CandidateKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Another program whose rows are wanted exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// cc2dataset 1.5.0: `IMG@/src` links only, nothing trimmed or unescaped, urls joined as Python's `urllib.parse.urljoin`
    /// does, duplicates kept. Only WAT records give rows. Its `uid` is the MD5 of text and url, in that order.
    Cc2dataset,
}

/// Limits on what a page may bring. Each one that is hit is counted in [`ExtractStats`](super::ExtractStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// Longest text in bytes of UTF-8. A longer text is not cut: the row is left out.
    pub text_bytes: usize,
    /// Longest url in bytes.
    pub url_bytes: usize,
    /// Largest page, decoded to UTF-8, in bytes.
    pub html_bytes: usize,
    /// Largest JSON of a WAT record in bytes.
    pub json_bytes: usize,
    /// Most candidates of one page.
    pub page_candidates: usize,
    /// Largest JSON-LD block in bytes.
    pub jsonld_bytes: usize,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self {
            text_bytes: 64 << 10,
            url_bytes: 8 << 10,
            html_bytes: 32 << 20,
            json_bytes: 64 << 20,
            page_candidates: 50_000,
            jsonld_bytes: 4 << 20,
        }
    }
}

/// Options of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractOptions {
    /// What to look for.
    pub types: Types,
    /// Another program to be equal to. Limits on text, url and number of candidates do not apply then.
    pub compat: Option<Compat>,
    /// Limits on pages.
    pub limits: ExtractLimits,
    /// Limits on archives.
    pub archive: ArchiveLimits,
}

impl Default for ExtractOptions {
    /// Pictures with a text.
    fn default() -> Self {
        Self {
            types: Types::NONE.with(CandidateKind::Image),
            compat: None,
            limits: ExtractLimits::default(),
            archive: ArchiveLimits::default(),
        }
    }
}
