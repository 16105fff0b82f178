//! Everything that a card says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::columns::Column;
use super::files::DataFile;
use super::statistics::{Balancing, CardFunnel, Domains, EvalOverlap, Histogram, OptOuts, PassRates};

/// Everything that a card says, filled by the caller.
///
/// Text that is empty, an option that is `None` and a list that is empty mean "not known"; maps of counts are options, so
/// that "counted, none found" can be told from "not counted". Dates are ISO 8601 (`2025-01-31` or
/// `2025-01-31T12:00:00Z`) and always the caller's: a card never looks at the clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The dataset's name. Required by Croissant.
    pub name: String,
    /// What the dataset is, in a few sentences. Required by Croissant.
    pub description: String,
    /// Licence of the dataset: a url (best, say one of spdx.org's), or a name. Required by Croissant.
    pub license: String,
    /// Web page of the dataset, http or https. Required by Croissant.
    pub url: String,
    /// Who made it. At least one is required by Croissant.
    pub creators: Vec<Party>,
    /// Date of publication. Required by Croissant.
    pub date_published: String,
    /// Who publishes it.
    pub publisher: Option<Party>,
    /// Version, `MAJOR.MINOR.PATCH`: a new major one when data is changed or removed, a new minor one when data is only
    /// added, a new patch when the same data is packed anew.
    pub version: Option<String>,
    /// Date on which the dataset was made.
    pub date_created: Option<String>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// How to cite it, BibTeX if possible.
    pub cite_as: Option<String>,
    /// Url of the git repository that holds the files (a dataset on the Hugging Face hub, say). `None` when the card lies
    /// beside the files and goes where they go.
    pub repository: Option<String>,
    /// The run that made the dataset.
    pub run: Run,
    /// What was read.
    pub sources: Vec<Source>,
    /// Rows through the stages.
    pub funnel: Option<CardFunnel>,
    /// What was done to pictures and texts, a sentence each (`pictures were resized to at most 512 pixels`).
    pub processing: Vec<String>,
    /// Kept rows by language of the caption, as the language stage names it.
    pub languages: Option<BTreeMap<String, u64>>,
    /// Kept rows by the language that the page declares.
    pub page_languages: Option<BTreeMap<String, u64>>,
    /// Kept rows by script of the caption.
    pub scripts: Option<BTreeMap<String, u64>>,
    /// Kept rows by top-level domain of the picture's url.
    pub top_level_domains: Option<BTreeMap<String, u64>>,
    /// Kept rows by what the page says of the licence.
    pub license_signals: Option<BTreeMap<String, u64>>,
    /// Kept rows by domain, the largest.
    pub domains: Option<Domains>,
    /// Kept rows by shorter side of the picture, in pixels.
    pub resolution: Option<Histogram>,
    /// Kept rows by longer side over shorter side.
    pub aspect: Option<Histogram>,
    /// Kept rows by length of the caption.
    pub caption_length: Option<Histogram>,
    /// Rows left out because the owner of page or picture asked for it.
    pub opt_outs: OptOuts,
    /// Rows that rules for personal data removed.
    pub pii_removed: Option<u64>,
    /// Rows that rules for unsafe content removed.
    pub nsfw_removed: Option<u64>,
    /// Rows removed because they are in evaluation sets.
    pub eval_overlap: Option<EvalOverlap>,
    /// Models that scored or embedded the rows.
    pub models: Vec<Model>,
    /// Cuts on columns of numbers.
    pub thresholds: Vec<Threshold>,
    /// What balancing did.
    pub balancing: Vec<Balancing>,
    /// Whom cuts fell on.
    pub pass_rates: Vec<PassRates>,
    /// The data files, in any order.
    pub files: Vec<DataFile>,
    /// Ending of the pictures inside tar shards, `jpg`, `png` or `webp`; `None` when there are none.
    pub image_ending: Option<String>,
    /// The tables inside parquet files.
    pub tables: Vec<Table>,
    /// What only a person can say.
    pub notes: Notes,
}

/// Person or organisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartyKind {
    /// A human being.
    Person,
    /// A company, a university, a project.
    #[default]
    Organization,
}

/// Someone who makes or publishes datasets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// Person or organisation.
    pub kind: PartyKind,
    /// The name.
    pub name: String,
    /// A web page.
    pub url: Option<String>,
    /// A mail address.
    pub email: Option<String>,
}

impl Party {
    /// An organisation with nothing but a name.
    pub fn organization(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A person with nothing but a name.
    pub fn person(name: &str) -> Self {
        Self { kind: PartyKind::Person, ..Self::organization(name) }
    }
}

/// The run that made the dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The program and its version, `trommel 0.1.0`.
    pub software: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// Hash over the recipe and all that shapes the output.
    pub config_hash: Option<String>,
    /// Seed of every draw.
    pub seed: Option<u64>,
    /// When the run began.
    pub started: Option<String>,
    /// When the run ended.
    pub ended: Option<String>,
}

/// What kind of files was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Metadata of a web crawl.
    Wat,
    /// Records of a web crawl.
    Warc,
    /// Packed web archives.
    Wacz,
    /// Pages.
    Html,
    /// Lists of urls.
    Urls,
    /// Shards of an existing dataset.
    Shards,
    /// Metadata of an existing dataset.
    Metadata,
}

/// Files of one kind that were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What they are.
    pub kind: SourceKind,
    /// How many.
    pub files: u64,
    /// Name or url of the collection they belong to (`CC-MAIN-2025-05`).
    #[serde(default)]
    pub origin: Option<String>,
    /// Date of the first record.
    #[serde(default)]
    pub crawled_from: Option<String>,
    /// Date of the last record.
    #[serde(default)]
    pub crawled_to: Option<String>,
}

/// A model that scored or embedded the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Hub id or folder name.
    pub id: String,
    /// Revision on the hub.
    pub revision: Option<String>,
    /// SHA-256 of the weights, hexadecimal.
    pub weights_sha256: Option<String>,
    /// Id of the preprocessing.
    pub preprocessing: Option<String>,
    /// Precision that it ran in: `f32`, `bf16`, `f16`.
    pub precision: Option<String>,
    /// Columns that it made.
    pub columns: Vec<String>,
}

/// Which side of a threshold was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// Values of the threshold or more.
    AtLeast,
    /// Values over the threshold.
    Above,
    /// Values of the threshold or less.
    AtMost,
    /// Values under the threshold.
    Below,
}

/// A cut on a column of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The stage that cut.
    #[serde(default)]
    pub stage: Option<String>,
    /// The group that it holds for, when each group has its own (`lang = de`).
    #[serde(default)]
    pub group: Option<String>,
    /// The column.
    pub column: String,
    /// What was kept.
    pub rule: ThresholdRule,
    /// The threshold, in the column's unit.
    pub value: f64,
    /// Share of rows below the threshold, 0 to 100.
    #[serde(default)]
    pub percentile: Option<f64>,
}

/// A table inside parquet files: files with the same columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Its name, to which [`DataFile::table`] refers.
    pub name: String,
    /// What a row is.
    pub description: Option<String>,
    /// Column whose value no two rows share.
    pub key: Option<String>,
    /// The columns, in the order of the files.
    pub columns: Vec<Column>,
}

/// What only a person can say. Each part that is `None` is a heading of the data card that asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Who paid for it.
    pub funding: Option<String>,
    /// How sensitive content is handled after release, and its risks.
    pub sensitivity: Option<String>,
    /// Who keeps the dataset up, how often, and how errors are reported.
    pub maintenance: Option<String>,
    /// A typical row.
    pub typical_example: Option<String>,
    /// A row that is not typical.
    pub atypical_example: Option<String>,
    /// What the dataset was made for.
    pub purpose: Option<String>,
    /// What it is fit for.
    pub suitable_use: Option<String>,
    /// What it is not fit for.
    pub unsuitable_use: Option<String>,
    /// Who gets it and how.
    pub access: Option<String>,
    /// How long it is kept, and how rows are taken out.
    pub retention: Option<String>,
    /// How this dataset relates to its source.
    pub relation_to_source: Option<String>,
    /// Human attributes that are in the data on purpose or not, and their risks.
    pub human_attributes: Option<String>,
    /// Use together with other data.
    pub extended_use: Option<String>,
    /// Known limits.
    pub limitations: Option<String>,
    /// Annotation by people.
    pub annotation: Option<String>,
    /// How the data was checked by people.
    pub validation: Option<String>,
    /// Known applications and benchmarks.
    pub applications: Option<String>,
    /// Terms of art, explained.
    pub terms: Option<String>,
    /// What the makers would do otherwise.
    pub reflections: Option<String>,
    /// What the dataset may do to society.
    pub social_impact: Option<String>,
}
