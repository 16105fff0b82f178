//! Dataset cards: a Croissant file for machines and a data card for people, both from the same [`Facts`].
//!
//! The caller collects the facts: counts from the ledger, digests from the markers, columns from the tables' schemas, and
//! from a person what no ledger knows (name, licence, creators, dates, purpose). A card says what it was given. An optional
//! fact that is missing stays out of the Croissant file, and the data card says "not known" in its place. Nothing is taken
//! from a clock, and equal facts give equal bytes.
//!
//! ```
//! use trommel_shards::card::{CardOptions, Facts, Party, cards};
//!
//! let facts = Facts {
//!     name: "shapes".into(),
//!     description: "Coloured shapes with captions.".into(),
//!     license: "https://creativecommons.org/licenses/by/4.0/".into(),
//!     url: "https://example.org/shapes".into(),
//!     creators: vec![Party::organization("Example")],
//!     date_published: "2025-01-31".into(),
//!     ..Facts::default()
//! };
//! let cards = cards(&facts, &CardOptions::default())?;
//! assert!(cards.croissant.contains("http://mlcommons.org/croissant/1.1"));
//! assert!(cards.markdown.starts_with("# Data card: shapes\n"));
//! # Ok::<(), trommel_shards::card::CardError>(())
//! ```
//!
//! The formats: [Croissant 1.1](http://mlcommons.org/croissant/1.1), its
//! [RAI extension 1.0](http://mlcommons.org/croissant/RAI/1.0), [PROV-O](https://www.w3.org/TR/prov-o/), and the headings
//! of Data Cards (Pushkarna et al. 2022, arXiv 2204.01075).

mod check;
mod columns;
mod croissant;
mod error;
mod facts;
mod files;
mod markdown;
mod statistics;
mod words;

pub use columns::{Column, ColumnKind, columns_of};
pub use croissant::{CardOptions, CroissantVersion, croissant};
pub use error::CardError;
pub use facts::{Facts, Model, Notes, Party, PartyKind, Run, Source, SourceKind, Table, Threshold, ThresholdRule};
pub use files::{DataFile, FileFormat, manifest};
pub use markdown::markdown;
pub use statistics::{
    Balancing, Bin, CardFunnel, CardStage, Compared, Comparison, Domains, EvalOverlap, Group, Histogram, OptOuts, PassRates,
};

/// Name under which the Croissant file is written, in the folder of the data files.
pub const CROISSANT_FILE: &str = "croissant.json";
/// Name under which the data card is written.
pub const MARKDOWN_FILE: &str = "DATACARD.md";
/// Name under which [`Cards::manifest`] is written.
pub const MANIFEST_FILE: &str = "SHA256SUMS";

/// The files that make up a dataset's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cards {
    /// The text of [`CROISSANT_FILE`].
    pub croissant: String,
    /// The text of [`MARKDOWN_FILE`].
    pub markdown: String,
    /// The text of [`MANIFEST_FILE`]; to be written beside the other two when it is there, because the Croissant file then
    /// names it with its digest instead of every data file.
    pub manifest: Option<String>,
}

/// Makes all files of a card.
///
/// # Errors
/// [`CardError`] when a fact that Croissant requires is missing or has the wrong form.
pub fn cards(facts: &Facts, options: &CardOptions) -> Result<Cards, CardError> {
    let value = croissant(facts, options)?;
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    let manifest = (facts.files.len() > options.listed_files).then(|| manifest(facts));
    Ok(Cards { croissant: text, markdown: markdown(facts), manifest })
}

#[cfg(test)]
mod tests;
