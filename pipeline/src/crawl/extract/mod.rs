//! Candidates: what a crawl says about pictures (and sound, films, documents), before anything is fetched.
//!
//! [`extract_archive`] reads a WARC, WAT, ARC or HTML file and hands every [`Candidate`] to a [`CandidateSink`];
//! [`extract_html`] does it for one page. From a WAT come the links that Common Crawl kept (`alt` and `title` of
//! `img`, anchor texts, `og:image`). From pages come also `srcset`, lazy-loading attributes, `picture`, `noscript`,
//! captions, labels and JSON-LD.
//!
//! One picture is one url: of a `srcset` the largest candidate is taken, and `src` only where there is no usable
//! `srcset`. One row is one (url, text, source of the text); identical rows of a page are given once.
//!
//! With [`Compat::Cc2dataset`] the rows are those of cc2dataset 1.5, to the letter.

mod candidate;
mod dedupe;
mod emit;
mod entities;
mod error;
mod extensions;
pub mod generate;
mod html;
mod links;
mod opt_out;
mod options;
mod run;
mod stats;
mod wat;

pub use candidate::{Candidate, CandidateKind, CandidateSink, LicenseSource, TextSource};
pub use error::ExtractError;
pub use html::{Page, SrcsetCandidate, decode_html, extract_html, parse_srcset};
pub use links::{PythonValueError, python_urljoin, python_urljoin_or_same};
pub use options::{Compat, ExtractLimits, ExtractOptions, Types};
pub use run::extract_archive;
pub use stats::{ExtractStats, SkipReason};

#[cfg(test)]
mod tests;
