//! What the stages about alike rows consist of: near-duplicates, leaks of evaluation sets, retrieval.

use serde::{Deserialize, Serialize};

/// Near-duplicates: groups of alike rows, of which the best stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// What is compared.
    pub of: NearOf,
    /// Who stays: the first number decides, then the second; the smallest uid in the end.
    pub order: Vec<Preference>,
    /// Every row of a group is as alike as this to the one that stays, 0 to 1: chains are cut. Without it they hold.
    pub to_best: Option<f32>,
    /// Nobody goes: the groups are only named.
    pub keep_all: bool,
    /// Bytes that the search may take; part of the plan, since it decides how pairs are searched.
    pub memory_bytes: u64,
}

/// A number by which the best row of a group is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// SQL over the columns.
    pub sql: String,
    /// The lowest is the best.
    pub lowest: bool,
}

/// What near-duplicates are alike in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearOf {
    /// The picture, by the column `near_signature`.
    Pictures {
        /// Share of the pairs at the largest distance of a hash that are found where not all of them can be.
        recall: f64,
    },
    /// The caption, by MinHash.
    Captions {
        /// Text column.
        text: String,
        /// `captions`, `datatrove`, `nemo` or `data-juicer`.
        preset: String,
        /// Words, or characters, of a shingle; the preset's without it.
        shingle: Option<usize>,
        /// Bands; the preset's without it.
        bands: Option<usize>,
        /// Hashes of a band; the preset's without it.
        rows: Option<usize>,
    },
    /// Stored vectors, by their cosine.
    Vectors {
        /// Key of the vectors.
        vectors: String,
        /// Neighbours of a row that are looked at.
        k: usize,
        /// Pairs with a larger cosine are alike.
        above: f32,
    },
}

/// Rows that resemble a reference set, an evaluation set mostly, go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decontaminate {
    /// Name of the reference set, for reports.
    pub name: String,
    /// Pictures: image files, tars or folders of them, or tables with `near_signature`.
    pub pictures: Vec<String>,
    /// Captions: text files with one a line, or tables with a column `text` or `caption`. Equal after simplification.
    pub captions: Vec<String>,
    /// Text column of the rows.
    pub text: String,
    /// Vectors in npy, npz or parquet files.
    pub vectors: Vec<String>,
    /// Key of the rows' vectors.
    pub key: String,
    /// Least cosine of a leak.
    pub at_least: f32,
    /// Whole groups of near-duplicates that hold a reference go (DINOv2), not just the rows that are alike themselves.
    pub whole_groups: bool,
    /// What changes when the content of the references' files does.
    pub identity: String,
}

/// Rows that resemble queries stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrieve {
    /// Key of the rows' vectors.
    pub key: String,
    /// Vectors of the queries.
    pub queries: Vec<String>,
    /// What changes when their content does.
    pub identity: String,
    /// How.
    pub by: RetrieveBy,
}

/// How rows are retrieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrieveBy {
    /// The nearest rows of each query.
    Sample {
        /// So many.
        k: usize,
    },
    /// Rows of clusters that hold enough queries.
    Clusters {
        /// Clusters of the rows.
        clusters: usize,
        /// More queries than this.
        more_than: usize,
        /// Rows of a cluster at most.
        per_cluster: usize,
        /// Rows in all at most.
        cap: usize,
    },
    /// Rows whose best cosine with any query reaches a floor.
    Floor {
        /// The floor.
        at_least: f32,
    },
}
