//! What a selection consists of, as data.

mod near;

use std::collections::BTreeMap;

pub use near::{Decontaminate, Near, NearOf, Preference, Retrieve, RetrieveBy};
use serde::{Deserialize, Serialize};

/// Stages over metadata, in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Seed of every draw.
    pub seed: u64,
    /// The stages.
    pub stages: Vec<SelectStage>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectStage {
    /// Its name in reports and in the exclusion table: `3.keep`.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Keeps rows for which all conditions hold.
    Where {
        /// SQL, each a reason of its own.
        conditions: Vec<String>,
    },
    /// Keeps rows whose caption is in a language, as a fastText model or CLD2 sees it.
    Lid {
        /// A fastText model; CLD2 without one.
        model: Option<String>,
        /// Text column.
        text: String,
        /// The languages that are kept.
        languages: Vec<String>,
    },
    /// Keeps the best rows.
    Top(Top),
    /// Keeps at most so many rows of a group.
    Cap(Cap),
    /// Draws rows.
    Sample(Sample),
    /// Keeps rows that lists of uids hold, or do not hold.
    Subset {
        /// npy, parquet or text files of uids.
        files: Vec<String>,
        /// How they are joined.
        join: Join,
    },
    /// Balances with M4.
    M4(M4),
    /// Counts what captions mention, and drops captions that mention nothing: the first half of MetaCLIP.
    MetaclipMatch(Metaclip),
    /// Draws by the counts of the nearest [`Kind::MetaclipMatch`] before it: the second half.
    MetaclipDraw,
    /// Repeats and thins languages, as WebLI-100B did.
    Languages(Languages),
    /// Chooses by clusters of vectors.
    Clusters(Clusters),
    /// Captions with a word whose first meaning in WordNet is a concept of a list: DataComp's text-based filter.
    TextBased {
        /// Folder of WordNet's `dict`.
        wordnet: String,
        /// File with a WordNet id a line: `n01440764`.
        ids: String,
        /// Text column.
        text: String,
    },
    /// Pictures whose nearest centroid is near a picture of a target set: DataComp's image-based filter.
    ImageBased {
        /// Key of the vectors: `l14_img`.
        vectors: String,
        /// Centroids of the pool: npy, or a tensor of a `.pt` file.
        centroids: String,
        /// Vectors of the target set, in one or more files.
        targets: Vec<String>,
    },
    /// Finds near-duplicates, and keeps the best of each group.
    Near(Near),
    /// Takes out what resembles a reference set.
    Decontaminate(Decontaminate),
    /// Keeps what resembles queries.
    Retrieve(Retrieve),
    /// Captions with more tokens than this, as fastText cuts them.
    Tokens {
        /// Text column.
        text: String,
        /// At least so many.
        at_least: usize,
    },
}

/// The best rows by a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// SQL over the columns; the highest is the best.
    pub by: String,
    /// Fraction, 0 to 1; or
    pub fraction: Option<f64>,
    /// number of rows.
    pub count: Option<u64>,
    /// The lowest is the best.
    pub lowest: bool,
    /// A fraction of the whole pool, not of what is left.
    pub of_pool: bool,
    /// Rows without a score are kept.
    pub keep_nulls: bool,
    /// SQL: the best of each group by itself.
    pub per: Vec<String>,
}

/// At most so many rows of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cap {
    /// SQL that makes the group.
    pub by: Vec<String>,
    /// Rows of a group at most.
    pub most: u64,
    /// Who is kept: the highest value of this SQL; a draw without it.
    pub order: Option<String>,
    /// The lowest value instead.
    pub lowest: bool,
}

/// A draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Each row with this probability; or
    pub fraction: Option<f64>,
    /// so many rows.
    pub count: Option<u64>,
    /// SQL: rows are drawn in proportion to it.
    pub weight: Option<String>,
    /// Draws with repetition by the softmax of `weight`.
    pub repeat: Option<Repeat>,
}

/// How rows may be drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Soft-cap sampling: a row that was drawn loses `alpha` of its score.
    SoftCap {
        /// Loss of score per draw.
        alpha: f32,
        /// Rows drawn at a time.
        round: u64,
    },
    /// Hard-cap sampling: a row is drawn so often at most.
    HardCap {
        /// Draws of a row at most.
        most: u32,
    },
}

/// How lists of uids are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// In all of them.
    #[default]
    All,
    /// In one of them at least.
    Any,
    /// In none of them.
    None,
}

/// An attribute of M4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct M4Attribute {
    /// Its name.
    pub name: String,
    /// SQL; a name of the lexicon without it.
    pub sql: Option<String>,
    /// Its share in the target.
    pub target: f64,
}

/// A label of M4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct M4Label {
    /// Its name.
    pub name: String,
    /// SQL; a name of the lexicon without it.
    pub sql: Option<String>,
}

/// Multi-modal moment matching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct M4 {
    /// Sensitive attributes.
    pub attributes: Vec<M4Attribute>,
    /// Labels whose association with the attributes is removed.
    pub labels: Vec<M4Label>,
    /// A lexicon of words by language, and the columns that it looks at.
    pub lexicon: Option<M4Lexicon>,
    /// SQL: how useful a row is, at least 0; 1 without it.
    pub utility: Option<String>,
    /// Mean weight of the result, 0 to 1.
    pub target_rate: f64,
    /// Limit of the representation bias.
    pub epsilon_r: f64,
    /// Limit of the association moments.
    pub epsilon_d: f64,
    /// Highest weight of a row.
    pub most: f64,
    /// Enforcement level.
    pub enforcement: f64,
    /// Fail when the targets cannot be met, instead of coming near.
    pub strict: bool,
}

/// Where attributes and labels are looked for in captions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct M4Lexicon {
    /// TOML or JSON.
    pub file: String,
    /// Its digest.
    pub sha256: String,
    /// Text column.
    pub text: String,
    /// Language column, or one language for all rows.
    pub language: LexiconLanguage,
}

/// The language of a caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LexiconLanguage {
    /// In a column.
    Column(String),
    /// The same everywhere.
    Fixed(String),
}

/// MetaCLIP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metaclip {
    /// Metadata: a JSON list of entries, or, for version 2, a folder of them by language.
    pub metadata: String,
    /// Its digest.
    pub sha256: String,
    /// Text column.
    pub text: String,
    /// Language column: version 2.
    pub language: Option<String>,
    /// The threshold; of English, for version 2.
    pub t: Option<u64>,
    /// Instead of `t`: share of the matches that are to be of tail entries.
    pub tail: Option<f64>,
    /// Counts of a larger pool instead of this one's: JSON, entry to count.
    pub counts: Option<String>,
}

/// Clusters of stored vectors, and what they decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// Key of the vectors.
    pub vectors: String,
    /// Clusters; for a hierarchy those of each level, the lowest first.
    pub levels: Vec<usize>,
    /// Iterations of k-means at most.
    pub iterations: usize,
    /// What they decide.
    pub rule: ClusterRule,
}

/// What clusters decide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterRule {
    /// SemDeDup: out goes what is nearer than `1 - epsilon` to a row before it in its cluster.
    Semdedup {
        /// Tolerance.
        epsilon: f64,
    },
    /// The hardest rows: those farthest from their centroid.
    Prototypes {
        /// Fraction that is kept.
        fraction: f64,
        /// The easiest instead.
        easiest: bool,
    },
    /// Density-based pruning.
    Density {
        /// Rows that are kept.
        keep: u64,
    },
    /// Balanced sampling over a hierarchy.
    Hierarchy {
        /// Rows that are taken.
        target: u64,
        /// How often a row may be taken.
        most: u32,
    },
}

/// Language rebalancing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Languages {
    /// Language column.
    pub column: String,
    /// Shares of the result, by language.
    pub shares: BTreeMap<String, f64>,
}
