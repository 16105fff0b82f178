//! Settings of the stages about alike rows: `near`, `decontaminate`, `retrieve`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use trommel_embeddings::neighbours::DATACOMP_FLOOR;

use super::belongs::{Owned, belongs};
use super::choosing::{Wrong, wrong};
use super::compile::identity;
use super::settings::truth;
use crate::select::spec::{Decontaminate, Kind, Near, NearOf, Preference, Retrieve, RetrieveBy};

/// `use = "near"`: groups of near-duplicates, of which the best stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct NearSettings {
    /// What is compared: `pictures` (by `near_signature`, see the stage `hash`), `captions`, or `vectors`.
    #[arg(long = "near", value_name = "WHAT", default_value = "", help_heading = "Near-duplicates")]
    #[serde(rename = "of")]
    pub near_of: String,
    /// SQL: who stays, the highest value of the first, then of the second; `-` in front of it: the lowest. By default the largest picture,
    /// the longest caption; in the end the smallest uid.
    #[arg(long = "near-order", value_name = "SQL", allow_hyphen_values = true, help_heading = "Near-duplicates")]
    #[serde(rename = "order")]
    pub near_order: Vec<String>,
    /// Nobody goes: the column `dup_group` and the table of groups are written.
    #[arg(long = "near-keep-all", value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Near-duplicates")]
    #[serde(rename = "keep_all")]
    pub near_keep_all: bool,
    /// pictures: share of the pairs at the largest distance of a hash that are found, where there are too many rows to find all.
    #[arg(long = "near-recall", default_value_t = 0.95, help_heading = "Near-duplicates")]
    #[serde(rename = "recall")]
    pub near_recall: f64,
    /// Every row of a group is at least so alike to the one that stays, 0 to 1: chains are cut.
    #[arg(long = "near-to-best", value_name = "SIMILARITY", help_heading = "Near-duplicates")]
    #[serde(rename = "to_best")]
    pub near_to_best: Option<f32>,
    /// captions: text column.
    #[arg(long = "near-text", default_value = "text", help_heading = "Near-duplicates")]
    #[serde(rename = "text")]
    pub near_text: String,
    /// captions: `captions` (for 5 to 20 words), `datatrove`, `nemo`, `data-juicer`.
    #[arg(long = "near-preset", default_value = "captions", help_heading = "Near-duplicates")]
    #[serde(rename = "preset")]
    pub near_preset: String,
    /// captions: words or characters of a shingle; the preset's by default.
    #[arg(long = "near-shingle", help_heading = "Near-duplicates")]
    #[serde(rename = "shingle")]
    pub near_shingle: Option<usize>,
    /// captions: bands of hashes; the preset's by default.
    #[arg(long = "near-bands", help_heading = "Near-duplicates")]
    #[serde(rename = "bands")]
    pub near_bands: Option<usize>,
    /// captions: hashes of a band; the preset's by default.
    #[arg(long = "near-rows", help_heading = "Near-duplicates")]
    #[serde(rename = "rows")]
    pub near_rows: Option<usize>,
    /// vectors: their key, as `sscd_img`.
    #[arg(long = "near-vectors", value_name = "KEY", help_heading = "Near-duplicates")]
    #[serde(rename = "vectors")]
    pub near_vectors: Option<String>,
    /// vectors: neighbours of a row that are looked at.
    #[arg(long = "near-k", default_value_t = 64, help_heading = "Near-duplicates")]
    #[serde(rename = "k")]
    pub near_k: usize,
    /// vectors: pairs with a larger cosine are alike; 0.6 is DINOv2's for SSCD.
    #[arg(long = "near-above", default_value_t = 0.6, help_heading = "Near-duplicates")]
    #[serde(rename = "above")]
    pub near_above: f32,
    /// Memory of the search, in MiB, besides the hashes themselves.
    #[arg(long = "near-memory-mib", default_value_t = 2048, help_heading = "Near-duplicates")]
    #[serde(rename = "memory_mib")]
    pub near_memory_mib: u64,
}

/// `use = "decontaminate"`: rows that resemble a reference set go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct DecontaminateSettings {
    /// Name of the reference set, for reports.
    #[arg(long = "decontaminate", value_name = "NAME", default_value = "", help_heading = "Decontamination")]
    #[serde(rename = "name")]
    pub reference_name: String,
    /// Reference pictures: image files, tars, folders of them, or tables with `near_signature`. The rows need `near_signature`.
    #[arg(long = "reference-pictures", value_name = "PATH", num_args = 1.., help_heading = "Decontamination")]
    #[serde(rename = "pictures")]
    pub reference_pictures: Vec<String>,
    /// Reference captions: text files with one a line, or tables with `text` or `caption`.
    #[arg(long = "reference-captions", value_name = "PATH", num_args = 1.., help_heading = "Decontamination")]
    #[serde(rename = "captions")]
    pub reference_captions: Vec<String>,
    /// Text column of the rows.
    #[arg(long = "reference-text", default_value = "text", help_heading = "Decontamination")]
    #[serde(rename = "text")]
    pub reference_text: String,
    /// Reference vectors: npy, npz or parquet files.
    #[arg(long = "reference-vectors", value_name = "PATH", num_args = 1.., help_heading = "Decontamination")]
    #[serde(rename = "vectors")]
    pub reference_vectors: Vec<String>,
    /// Key of the rows' vectors.
    #[arg(long = "reference-key", value_name = "KEY", default_value = "", help_heading = "Decontamination")]
    #[serde(rename = "key")]
    pub reference_key: String,
    /// Least cosine of a leak; the default is DataComp's for ISC descriptors.
    #[arg(long = "reference-at-least", default_value_t = DATACOMP_FLOOR, help_heading = "Decontamination")]
    #[serde(rename = "at_least")]
    pub reference_at_least: f32,
    /// Whole groups of near-duplicates that hold a reference go, as DINOv2 does it (with 0.45 for SSCD).
    #[arg(long = "reference-whole-groups", value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Decontamination")]
    #[serde(rename = "whole_groups")]
    pub reference_whole_groups: bool,
}

/// `use = "retrieve"`: rows that resemble queries stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct RetrieveSettings {
    /// How: `sample` (the nearest of each query), `clusters` (of those that hold enough queries), `floor` (near enough to any).
    #[arg(long = "retrieve", value_name = "HOW", default_value = "", help_heading = "Retrieval")]
    #[serde(rename = "by")]
    pub retrieve_by: String,
    /// Vectors of the queries: npy, npz or parquet files.
    #[arg(long = "query-vectors", value_name = "PATH", num_args = 1.., help_heading = "Retrieval")]
    #[serde(rename = "queries")]
    pub query_vectors: Vec<String>,
    /// Key of the rows' vectors.
    #[arg(long = "query-key", value_name = "KEY", default_value = "", help_heading = "Retrieval")]
    #[serde(rename = "key")]
    pub query_key: String,
    /// sample: rows of each query. DINOv2 takes 4, and 32 for ImageNet-1k.
    #[arg(long = "retrieve-k", default_value_t = 4, help_heading = "Retrieval")]
    #[serde(rename = "k")]
    pub retrieve_k: usize,
    /// clusters: how many. DINOv2 has 100,000.
    #[arg(long = "retrieve-clusters", default_value_t = 100_000, help_heading = "Retrieval")]
    #[serde(rename = "clusters")]
    pub retrieve_clusters: usize,
    /// clusters: those with more queries than this give rows.
    #[arg(long = "retrieve-more-than", default_value_t = 3, help_heading = "Retrieval")]
    #[serde(rename = "more_than")]
    pub retrieve_more_than: usize,
    /// clusters: rows of one at most.
    #[arg(long = "retrieve-per-cluster", default_value_t = 10_000, help_heading = "Retrieval")]
    #[serde(rename = "per_cluster")]
    pub retrieve_per_cluster: usize,
    /// clusters: rows in all at most.
    #[arg(long = "retrieve-cap", default_value_t = 1_000_000, help_heading = "Retrieval")]
    #[serde(rename = "cap")]
    pub retrieve_cap: usize,
    /// floor: least cosine with any query.
    #[arg(long = "retrieve-at-least", value_name = "COSINE", help_heading = "Retrieval")]
    #[serde(rename = "at_least")]
    pub retrieve_at_least: Option<f32>,
}

/// What changes when the content of files, or of the files of folders, does.
fn identity_below(paths: &[&[String]]) -> String {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.iter().flat_map(|paths| paths.iter()).map(PathBuf::from).collect();
    while let Some(path) = waiting.pop() {
        // What cannot be read has its error when it is opened.
        match std::fs::read_dir(&path) {
            Ok(folder) => waiting.extend(folder.filter_map(Result::ok).map(|entry| entry.path())),
            Err(_) => files.push(path.display().to_string()),
        }
    }
    files.sort();
    identity(&files)
}

impl NearSettings {
    /// The keys that one `of` has for itself.
    fn owned(&self) -> [Owned; 9] {
        let default = Self::default();
        let owned = |of, key, flag, changed| Owned { key, flag, of, changed };
        [
            owned("pictures", "recall", "--near-recall", self.near_recall != default.near_recall),
            owned("captions", "text", "--near-text", self.near_text != default.near_text),
            owned("captions", "preset", "--near-preset", self.near_preset != default.near_preset),
            owned("captions", "shingle", "--near-shingle", self.near_shingle != default.near_shingle),
            owned("captions", "bands", "--near-bands", self.near_bands != default.near_bands),
            owned("captions", "rows", "--near-rows", self.near_rows != default.near_rows),
            owned("vectors", "vectors", "--near-vectors", self.near_vectors != default.near_vectors),
            owned("vectors", "k", "--near-k", self.near_k != default.near_k),
            owned("vectors", "above", "--near-above", self.near_above != default.near_above),
        ]
    }

    /// What the stage becomes; `written` says which keys a recipe has.
    ///
    /// # Errors
    /// The key that is wrong, or that belongs to another `of`.
    pub fn kinds(&self, written: &dyn Fn(&str) -> bool) -> Result<Vec<Kind>, Wrong> {
        if self.near_to_best.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return wrong("to_best", "`to_best` is a similarity, 0 to 1");
        }
        let of = match self.near_of.as_str() {
            "pictures" => {
                if !(self.near_recall > 0.0 && self.near_recall < 1.0) {
                    return wrong("recall", format!("`recall` is a share between 0 and 1, not {}", self.near_recall));
                }
                NearOf::Pictures { recall: self.near_recall }
            }
            "captions" => NearOf::Captions {
                text: self.near_text.clone(),
                preset: self.near_preset.clone(),
                shingle: self.near_shingle,
                bands: self.near_bands,
                rows: self.near_rows,
            },
            "vectors" => {
                let Some(vectors) = self.near_vectors.clone() else {
                    return wrong("vectors", "`near` of vectors needs `vectors`: their key, as `sscd_img`");
                };
                if !(-1.0..1.0).contains(&self.near_above) || self.near_k == 0 {
                    return wrong("above", "`above` is a cosine, from -1 to under 1, and `k` at least 1");
                }
                NearOf::Vectors { vectors, k: self.near_k, above: self.near_above }
            }
            other => {
                let hint = super::nearest(other, ["pictures", "captions", "vectors"]).map(|near| format!("; did you mean `{near}`?"));
                return wrong(
                    "of",
                    format!("`{other}` is not compared{}; there are `pictures`, `captions`, `vectors`", hint.unwrap_or_default()),
                );
            }
        };
        belongs("of", &self.near_of, &self.owned(), written)?;
        let order = self.near_order.iter().map(|text| match text.trim().strip_prefix('-') {
            Some(sql) => Preference { sql: sql.trim().to_owned(), lowest: true },
            None => Preference { sql: text.trim().to_owned(), lowest: false },
        });
        Ok(vec![Kind::Near(Near {
            of,
            order: order.collect(),
            to_best: self.near_to_best,
            keep_all: self.near_keep_all,
            memory_bytes: self.near_memory_mib.saturating_mul(1 << 20),
        })])
    }
}

impl DecontaminateSettings {
    /// What the stage becomes; `written` says which keys a recipe has.
    ///
    /// # Errors
    /// The key that is wrong, or that is about references of which there are none.
    pub fn kinds(&self, written: &dyn Fn(&str) -> bool) -> Result<Vec<Kind>, Wrong> {
        if self.reference_pictures.is_empty() && self.reference_captions.is_empty() && self.reference_vectors.is_empty() {
            return wrong("pictures", "`decontaminate` needs a reference set: `pictures`, `captions` or `vectors`");
        }
        if self.reference_vectors.is_empty() != self.reference_key.is_empty() {
            return wrong("key", "`vectors`, the references', and `key`, of the rows' vectors, go together");
        }
        let default = Self::default();
        let about = [
            ("text", "--reference-text", "captions", &self.reference_captions, self.reference_text != default.reference_text),
            ("at_least", "--reference-at-least", "vectors", &self.reference_vectors, self.reference_at_least != default.reference_at_least),
            ("whole_groups", "--reference-whole-groups", "vectors", &self.reference_vectors, self.reference_whole_groups),
        ];
        for (key, flag, of, references, changed) in about {
            if references.is_empty() && (changed || written(key)) {
                return wrong(key, format!("`{key}` (`{flag}`) is about `{of}`, and there are no reference {of}"));
            }
        }
        Ok(vec![Kind::Decontaminate(Decontaminate {
            name: if self.reference_name.is_empty() { "references".to_owned() } else { self.reference_name.clone() },
            pictures: self.reference_pictures.clone(),
            captions: self.reference_captions.clone(),
            text: self.reference_text.clone(),
            vectors: self.reference_vectors.clone(),
            key: self.reference_key.clone(),
            at_least: self.reference_at_least,
            whole_groups: self.reference_whole_groups,
            identity: identity_below(&[&self.reference_pictures, &self.reference_captions, &self.reference_vectors]),
        })])
    }
}

impl RetrieveSettings {
    /// The keys that one `by` has for itself.
    fn owned(&self) -> [Owned; 6] {
        let default = Self::default();
        let owned = |of, key, flag, changed| Owned { key, flag, of, changed };
        [
            owned("sample", "k", "--retrieve-k", self.retrieve_k != default.retrieve_k),
            owned("clusters", "clusters", "--retrieve-clusters", self.retrieve_clusters != default.retrieve_clusters),
            owned("clusters", "more_than", "--retrieve-more-than", self.retrieve_more_than != default.retrieve_more_than),
            owned("clusters", "per_cluster", "--retrieve-per-cluster", self.retrieve_per_cluster != default.retrieve_per_cluster),
            owned("clusters", "cap", "--retrieve-cap", self.retrieve_cap != default.retrieve_cap),
            owned("floor", "at_least", "--retrieve-at-least", self.retrieve_at_least != default.retrieve_at_least),
        ]
    }

    /// What the stage becomes; `written` says which keys a recipe has.
    ///
    /// # Errors
    /// The key that is wrong, or that belongs to another `by`.
    pub fn kinds(&self, written: &dyn Fn(&str) -> bool) -> Result<Vec<Kind>, Wrong> {
        if self.query_vectors.is_empty() || self.query_key.is_empty() {
            return wrong("queries", "`retrieve` needs `queries`, files of vectors, and `key`, of the rows' vectors");
        }
        let by = match self.retrieve_by.as_str() {
            "sample" if self.retrieve_k == 0 => return wrong("k", "`k` is at least 1"),
            "sample" => RetrieveBy::Sample { k: self.retrieve_k },
            "clusters" => RetrieveBy::Clusters {
                clusters: self.retrieve_clusters,
                more_than: self.retrieve_more_than,
                per_cluster: self.retrieve_per_cluster,
                cap: self.retrieve_cap,
            },
            "floor" => match self.retrieve_at_least {
                Some(at_least) => RetrieveBy::Floor { at_least },
                None => return wrong("at_least", "`floor` needs `at_least`, a cosine"),
            },
            other => return wrong("by", format!("no such way `{other}`: `sample`, `clusters` or `floor`")),
        };
        belongs("by", &self.retrieve_by, &self.owned(), written)?;
        Ok(vec![Kind::Retrieve(Retrieve {
            key: self.query_key.clone(),
            queries: self.query_vectors.clone(),
            identity: identity_below(&[&self.query_vectors]),
            by,
        })])
    }
}
