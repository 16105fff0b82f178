//! The Croissant file: JSON-LD after [Croissant 1.1](http://mlcommons.org/croissant/1.1) with the
//! [RAI extension](http://mlcommons.org/croissant/RAI/1.0).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::{check, is_web_url};
use super::error::CardError;
use super::facts::{Facts, Party, PartyKind};

mod context;
mod distribution;
mod ids;
mod provenance;
mod rai;
mod records;

use context::context;
use distribution::Distribution;
use ids::Ids;

/// The version of Croissant that a file follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CroissantVersion {
    /// 1.0: for readers that do not know 1.1. Arrays have no shape.
    #[serde(rename = "1.0")]
    V1_0,
    /// 1.1.
    #[default]
    #[serde(rename = "1.1")]
    V1_1,
}

/// How a Croissant file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardOptions {
    /// The version.
    pub version: CroissantVersion,
    /// Data files that are listed one by one, at most. Of a dataset with more, the file names sets of files, and one list
    /// of all digests.
    pub listed_files: usize,
}

impl Default for CardOptions {
    fn default() -> Self {
        Self { version: CroissantVersion::default(), listed_files: 1000 }
    }
}

/// The dataset as a Croissant file. The order of its keys and lists follows from the facts alone.
///
/// The files lie beside it, or in [`Facts::repository`]. Up to [`CardOptions::listed_files`] of them are a `cr:FileObject`
/// each, with size and digest. The parquet files of a table are a `cr:FileSet` with a `cr:RecordSet` over it, and the
/// pictures in tar shards too. Columns that Croissant has no type for are left out of the record set.
///
/// # Errors
/// [`CardError`] when a fact that Croissant requires is missing or has the wrong form.
pub fn croissant(facts: &Facts, options: &CardOptions) -> Result<Value, CardError> {
    check(facts)?;
    let mut ids = Ids::default();
    let distribution = Distribution::of(facts, options, &mut ids);
    let record_sets = records::record_sets(facts, &distribution, options.version, &mut ids);
    let mut card = Map::new();
    card.insert("@context".into(), context(options.version));
    card.insert("@type".into(), "sc:Dataset".into());
    card.insert("conformsTo".into(), conforms_to(options.version));
    card.insert("name".into(), facts.name.as_str().into());
    card.insert("description".into(), facts.description.as_str().into());
    card.insert("license".into(), license(&facts.license));
    card.insert("url".into(), facts.url.as_str().into());
    many(&mut card, "creator", facts.creators.iter().map(party).collect());
    if let Some(publisher) = &facts.publisher {
        card.insert("publisher".into(), party(publisher));
    }
    card.insert("datePublished".into(), facts.date_published.as_str().into());
    text(&mut card, "dateCreated", facts.date_created.as_deref());
    text(&mut card, "version", facts.version.as_deref());
    text(&mut card, "citeAs", facts.cite_as.as_deref());
    texts(&mut card, "keywords", facts.keywords.clone());
    texts(&mut card, "inLanguage", languages(facts));
    provenance::dataset(facts, &mut card);
    rai::rai(facts, &mut card);
    card.insert("distribution".into(), Value::Array(distribution.nodes));
    if !record_sets.is_empty() {
        card.insert("recordSet".into(), Value::Array(record_sets));
    }
    Ok(Value::Object(card))
}

fn conforms_to(version: CroissantVersion) -> Value {
    match version {
        CroissantVersion::V1_0 => json!("http://mlcommons.org/croissant/1.0"),
        CroissantVersion::V1_1 => json!(["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]),
    }
}

/// A url as it is, a name as a work of that name.
fn license(license: &str) -> Value {
    if is_web_url(license) { license.into() } else { json!({ "@type": "sc:CreativeWork", "name": license }) }
}

fn party(party: &Party) -> Value {
    let kind = match party.kind {
        PartyKind::Person => "sc:Person",
        PartyKind::Organization => "sc:Organization",
    };
    let mut node = Map::new();
    node.insert("@type".into(), kind.into());
    node.insert("name".into(), party.name.as_str().into());
    text(&mut node, "url", party.url.as_deref());
    text(&mut node, "email", party.email.as_deref());
    Value::Object(node)
}

/// Languages of captions that are named by a language tag (BCP 47); classifiers name what they do not know otherwise.
fn languages(facts: &Facts) -> Vec<String> {
    let tag = |name: &&String| {
        let mut parts = name.split(['-', '_']);
        let primary = parts.next().unwrap_or_default();
        let letters = (2..=3).contains(&primary.len()) && primary.bytes().all(|c| c.is_ascii_lowercase());
        letters
            && !matches!(primary, "un" | "und" | "unk" | "zxx" | "xx")
            && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric()))
    };
    let counted = facts.languages.iter().flatten().filter(|(_, rows)| **rows > 0);
    counted.map(|(name, _)| name).filter(tag).map(|name| name.replace('_', "-")).collect()
}

/// Adds a text that is known.
fn text(node: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
        node.insert(key.into(), value.into());
    }
}

/// Adds texts, none of them twice.
fn texts(node: &mut Map<String, Value>, key: &str, mut values: Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    values.retain(|value| !value.trim().is_empty() && seen.insert(value.clone()));
    many(node, key, values.into_iter().map(Value::String).collect());
}

/// Adds a property with as many values as there are: JSON-LD has no list of one.
fn many(node: &mut Map<String, Value>, key: &str, mut values: Vec<Value>) {
    match values.len() {
        0 => {}
        1 => {
            node.insert(key.into(), values.remove(0));
        }
        _ => {
            node.insert(key.into(), Value::Array(values));
        }
    }
}
