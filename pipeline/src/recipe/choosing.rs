//! Settings of the stages that choose: `keep`, `cap`, `sample`, `balance`, `baseline`, each once as recipe table and as flags, and
//! what they become in a selection.

use clap::Args;
use serde::{Deserialize, Serialize};
use trommel_filters::balance::language::LanguageShares;

use super::document::{Placed, StageSettings};
use super::error::RecipeError;
use super::settings::{KeepSettings, truth};
use crate::plan::Keep;
use crate::select::presets::{Assets, baseline};
use crate::select::spec::{
    Cap, ClusterRule, Clusters, Join, Kind, Languages, LexiconLanguage, M4, M4Attribute, M4Label, M4Lexicon, Metaclip, Repeat, Sample,
    SelectStage, Selection, Top,
};

/// `use = "cap"`: at most so many rows of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct CapSettings {
    /// Rows of a group at most.
    #[arg(long = "cap", default_value_t = 0, value_name = "ROWS", help_heading = "Caps")]
    #[serde(rename = "count")]
    pub cap_count: u64,
    /// SQL that makes the group: `url`, `domain(url)`, `text`, a hash, a cluster.
    #[arg(long = "cap-by", value_name = "SQL", help_heading = "Caps")]
    #[serde(rename = "by")]
    pub cap_by: Vec<String>,
    /// SQL: rows with the highest value are kept; a draw by the seed decides without it.
    #[arg(long = "cap-order", value_name = "SQL", help_heading = "Caps")]
    #[serde(rename = "order")]
    pub cap_order: Option<String>,
    /// Rows with the lowest value of `order` are kept instead.
    #[arg(long = "cap-lowest", value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Caps")]
    #[serde(rename = "lowest")]
    pub cap_lowest: bool,
}

/// `use = "sample"`: draws rows; the same ones each time, whatever their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct SampleSettings {
    /// Each row with this probability, 0 to 1: a larger one draws a superset.
    #[arg(long = "sample", value_name = "FRACTION", help_heading = "Samples")]
    #[serde(rename = "fraction")]
    pub sample_fraction: Option<f64>,
    /// Exactly so many rows; with `repeat`, so many draws.
    #[arg(long = "sample-count", value_name = "ROWS", help_heading = "Samples")]
    #[serde(rename = "count")]
    pub sample_count: Option<u64>,
    /// SQL: rows are drawn in proportion to it; with `repeat`, to its exponential.
    #[arg(long = "sample-weight", value_name = "SQL", help_heading = "Samples")]
    #[serde(rename = "weight")]
    pub sample_weight: Option<String>,
    /// `soft_cap` or `hard_cap`: rows may be drawn again.
    #[arg(long = "sample-repeat", help_heading = "Samples")]
    #[serde(rename = "repeat")]
    pub sample_repeat: Option<String>,
    /// What a drawn row loses of its score, for `soft_cap`.
    #[arg(long = "sample-alpha", default_value_t = 0.15, help_heading = "Samples")]
    #[serde(rename = "alpha")]
    pub sample_alpha: f32,
    /// Rows that `soft_cap` draws at a time; a 1,280th of `count` by default.
    #[arg(long = "sample-round", default_value_t = 0, help_heading = "Samples")]
    #[serde(rename = "round")]
    pub sample_round: u64,
    /// Draws of a row at most, for `hard_cap`.
    #[arg(long = "sample-most", default_value_t = 15, help_heading = "Samples")]
    #[serde(rename = "most")]
    pub sample_most: u32,
}

/// `use = "balance"`: weights under which a property of the dataset is what it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct BalanceSettings {
    /// `m4`, `metaclip`, `languages`; over stored vectors: `semdedup`, `prototypes`, `density`, `hierarchy`.
    #[arg(long = "balance", value_name = "METHOD", default_value = "", help_heading = "Balance")]
    pub method: String,
    /// m4: `NAME=SHARE` of a lexicon's word list, or `NAME=SHARE: SQL`. May be given more than once.
    #[arg(long = "attribute", value_name = "NAME=SHARE[: SQL]", help_heading = "Balance")]
    pub attributes: Vec<String>,
    /// m4: what the attributes shall not go with: `NAME` of a lexicon's word list, or `NAME: SQL`.
    #[arg(long = "label", value_name = "NAME[: SQL]", help_heading = "Balance")]
    pub labels: Vec<String>,
    /// m4: words by language and name, TOML or JSON.
    #[arg(long, value_name = "FILE", help_heading = "Balance")]
    pub lexicon: Option<String>,
    /// m4: language of all captions; without it the column `language` says it.
    #[arg(long = "lexicon-language", help_heading = "Balance")]
    pub lexicon_language: Option<String>,
    /// m4: SQL, 0 to 1: how useful a row is.
    #[arg(long, value_name = "SQL", help_heading = "Balance")]
    pub utility: Option<String>,
    /// m4: mean weight, the part of the rows that is kept.
    #[arg(long = "target-rate", default_value_t = 0.9, help_heading = "Balance")]
    pub target_rate: f64,
    /// m4: how far the share of an attribute may be off.
    #[arg(long = "epsilon-r", default_value_t = 0.01, help_heading = "Balance")]
    pub epsilon_r: f64,
    /// m4: how large an association moment may be.
    #[arg(long = "epsilon-d", default_value_t = 0.001, help_heading = "Balance")]
    pub epsilon_d: f64,
    /// m4: highest weight of a row; above 1 rows repeat.
    #[arg(long = "max-weight", default_value_t = 1.0, help_heading = "Balance")]
    pub max_weight: f64,
    /// m4: price of breaking a limit.
    #[arg(long, default_value_t = 100.0, help_heading = "Balance")]
    pub enforcement: f64,
    /// m4: targets that cannot be met are an error.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Balance")]
    pub strict: bool,
    /// metaclip: JSON list of entries; for version 2 a folder with one for each language.
    #[arg(long, value_name = "FILE", help_heading = "Balance")]
    pub metadata: Option<String>,
    /// metaclip: the threshold t; for version 2 that of English.
    #[arg(long, help_heading = "Balance")]
    pub t: Option<u64>,
    /// metaclip: share of the matches that tail entries shall have, instead of `t`.
    #[arg(long, help_heading = "Balance")]
    pub tail: Option<f64>,
    /// metaclip: counts of another pool, JSON of entry to count, instead of this one's.
    #[arg(long = "entry-counts", value_name = "FILE", help_heading = "Balance")]
    pub entry_counts: Option<String>,
    /// metaclip: version 1 or 2.
    #[arg(long = "metaclip-version", default_value_t = 1, help_heading = "Balance")]
    pub metaclip_version: u32,
    /// languages: `LANGUAGE=SHARE` of the result; WebLI-100B's seven languages at 1 % each by default.
    #[arg(long = "share", value_name = "LANGUAGE=SHARE", help_heading = "Balance")]
    pub shares: Vec<String>,
    /// By vectors: their key, as `l14_img`; they lie beside the metadata.
    #[arg(long = "vector-key", value_name = "KEY", help_heading = "Balance")]
    pub vectors: Option<String>,
    /// By vectors: clusters; for `hierarchy` those of each level, the lowest first.
    #[arg(long, value_delimiter = ',', help_heading = "Balance")]
    pub clusters: Vec<usize>,
    /// By vectors: iterations of k-means at most.
    #[arg(long, default_value_t = 20, help_heading = "Balance")]
    pub iterations: usize,
    /// semdedup: what is nearer than one less this to a row of its cluster goes.
    #[arg(long, default_value_t = 0.05, help_heading = "Balance")]
    pub epsilon: f64,
    /// prototypes: fraction that is kept.
    #[arg(long = "keep-fraction", help_heading = "Balance")]
    pub keep_fraction: Option<f64>,
    /// prototypes: keep what is near the centroids instead of what is far.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Balance")]
    pub easiest: bool,
    /// density and hierarchy: rows that are taken.
    #[arg(long = "keep-count", help_heading = "Balance")]
    pub keep_count: Option<u64>,
    /// hierarchy: how often a row may be taken.
    #[arg(long = "max-copies", default_value_t = 1, help_heading = "Balance")]
    pub max_copies: u32,
    /// Column of the captions.
    #[arg(long = "caption-column", default_value = "text", help_heading = "Balance")]
    pub text: String,
    /// Column of the language.
    #[arg(long = "language-column", default_value = "lang", help_heading = "Balance")]
    pub language: String,
}

/// `use = "baseline"`: a published selection by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct BaselineSettings {
    /// DataComp's baselines: no_filter, basic_filter, clip_score, laion2b, text_based, image_based,
    /// image_based_intersect_clip_score; presets: datacomp_1b, laion_2b, webli_top10, dfn_top15, no_filter_en, no_filter_globe,
    /// no_filter_globe_tl, webli_100b_quality.
    #[arg(long = "baseline", value_name = "NAME", default_value = "", help_heading = "Baselines")]
    #[serde(rename = "name")]
    pub baseline_name: String,
    /// b32 or l14: whose scores and vectors.
    #[arg(long, default_value = "l14", help_heading = "Baselines")]
    pub arch: String,
    /// Score from which on a row is kept.
    #[arg(long, help_heading = "Baselines")]
    pub threshold: Option<f64>,
    /// Best fraction of the pool instead of a threshold.
    #[arg(long, help_heading = "Baselines")]
    pub fraction: Option<f64>,
    /// Column of the score, where it is not DataComp's of the architecture.
    #[arg(long = "score-column", help_heading = "Baselines")]
    pub score: Option<String>,
    /// A fastText language model, DataComp's lid.176.bin; CLD2, which is built in, without one.
    #[arg(long = "lid-model", value_name = "FILE", help_heading = "Baselines")]
    pub lid_model: Option<String>,
    /// Folder of WordNet's `dict`.
    #[arg(long, value_name = "FOLDER", help_heading = "Baselines")]
    pub wordnet: Option<String>,
    /// ids of ImageNet-21k's synsets, a line each.
    #[arg(long = "imagenet-ids", value_name = "FILE", help_heading = "Baselines")]
    pub imagenet_ids: Option<String>,
    /// Centroids of the pool: npy or pt.
    #[arg(long, value_name = "FILE", help_heading = "Baselines")]
    pub centroids: Option<String>,
    /// Vectors of the target pictures: npy or pt, one or more files.
    #[arg(long, value_name = "FILE", help_heading = "Baselines")]
    pub targets: Vec<String>,
}

/// The parts of a stage that chooses; `None` for other stages.
///
/// # Errors
/// [`RecipeError`] with the line of the key that is wrong.
pub fn kinds_of(stage: &Placed<StageSettings>, name: &str) -> Result<Option<Vec<Kind>>, RecipeError> {
    let written = |key: &str| stage.has(key);
    let kinds = match &stage.value {
        StageSettings::Keep(settings) => settings.kinds(name),
        StageSettings::Cap(settings) => settings.kinds(),
        StageSettings::Sample(settings) => settings.kinds(),
        StageSettings::Balance(settings) => settings.kinds(),
        StageSettings::Baseline(settings) => settings.kinds(),
        StageSettings::Near(settings) => settings.kinds(&written),
        StageSettings::Decontaminate(settings) => settings.kinds(&written),
        StageSettings::Retrieve(settings) => settings.kinds(&written),
        _ => return Ok(None),
    };
    kinds.map(Some).map_err(|(key, message)| RecipeError::new(stage.key(key), message))
}

/// A selection of stages that all choose.
///
/// # Errors
/// [`RecipeError`] for a stage that does something else, and for a key that is wrong.
pub fn selection_of(seed: u64, stages: &[Placed<StageSettings>]) -> Result<Selection, RecipeError> {
    let mut selection = Selection { seed, stages: Vec::new() };
    for (at, stage) in stages.iter().enumerate() {
        let name = format!("{}.{}", at + 1, stage.value.name());
        let Some(kinds) = kinds_of(stage, &name)? else {
            let message = format!(
                "`{}` does not choose: a selection has {}",
                stage.value.name(),
                super::document::CHOOSING.map(|name| format!("`{name}`")).join(", ")
            );
            return Err(RecipeError::new(&stage.place, message));
        };
        selection.stages.extend(named_parts(&name, kinds));
    }
    Ok(selection)
}

/// The parts of one stage. Their names are the stage's; a second part has a letter more, so that draws differ.
pub(super) fn named_parts(name: &str, kinds: Vec<Kind>) -> impl Iterator<Item = SelectStage> {
    let single = kinds.len() < 2;
    let of = move |at: usize| if single { String::new() } else { format!("{}", (b'a' + at.min(25) as u8) as char) };
    let name = name.to_owned();
    kinds.into_iter().enumerate().map(move |(at, kind)| {
        let (number, rest) = name.split_once('.').unwrap_or(("", &name));
        SelectStage { name: format!("{number}{}.{rest}", of(at)), kind }
    })
}

/// What is wrong, and with which key.
pub type Wrong = (&'static str, String);

pub(super) fn wrong<T>(key: &'static str, message: impl Into<String>) -> Result<T, Wrong> {
    Err((key, message.into()))
}

impl KeepSettings {
    /// Whether the stage needs to see all rows, or files beside the rows.
    pub fn is_global(&self) -> bool {
        self.top.is_some() || self.count.is_some() || !self.uids.is_empty()
    }

    /// The parts of the stage, in the order in which they judge.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn kinds(&self, stage: &str) -> Result<Vec<Kind>, Wrong> {
        let mut kinds = Vec::new();
        if !self.predicate.trim().is_empty() {
            let keep = Keep::parse(stage, &self.predicate).map_err(|e| ("where", e.to_string()))?;
            kinds.push(Kind::Where { conditions: keep.conditions });
        }
        if !self.uids.is_empty() {
            kinds.push(Kind::Subset { files: self.uids.clone(), join: self.join });
        } else if self.join != Join::All {
            return wrong("join", "`join` says how several files of `uids` are joined: name them");
        }
        match (self.top, self.count, &self.by) {
            (None, None, None) => {
                if self.lowest || self.of_pool || self.nulls || !self.per.is_empty() {
                    return wrong("by", "`per`, `lowest`, `of_pool` and `nulls` go with `top` or `count`, and `by`");
                }
            }
            (None, None, Some(_)) => return wrong("by", "`by` needs `top`, a fraction, or `count`, a number of rows"),
            (_, _, None) => return wrong("top", "`top` and `count` need `by`: SQL whose highest values are the best"),
            (fraction, count, Some(by)) => kinds.push(Kind::Top(Top {
                by: by.clone(),
                fraction,
                count,
                lowest: self.lowest,
                of_pool: self.of_pool,
                keep_nulls: self.nulls,
                per: self.per.clone(),
            })),
        }
        if kinds.is_empty() {
            return wrong("where", "`keep` needs `where`: a predicate over the columns; or `top` and `by`; or `uids`");
        }
        Ok(kinds)
    }
}

impl CapSettings {
    /// What the stage becomes.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn kinds(&self) -> Result<Vec<Kind>, Wrong> {
        if self.cap_count == 0 {
            return wrong("count", "`cap` needs `count`: rows of a group at most");
        }
        if self.cap_by.is_empty() {
            return wrong("by", "`cap` needs `by`: what makes a group, as `url` or `domain(url)`");
        }
        if self.cap_lowest && self.cap_order.is_none() {
            return wrong("lowest", "`lowest` goes with `order`");
        }
        let (by, order) = (self.cap_by.clone(), self.cap_order.clone());
        Ok(vec![Kind::Cap(Cap { by, most: self.cap_count, order, lowest: self.cap_lowest })])
    }
}

impl SampleSettings {
    /// What the stage becomes.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn kinds(&self) -> Result<Vec<Kind>, Wrong> {
        let repeat = match self.sample_repeat.as_deref() {
            None => None,
            Some("soft_cap") => Some(Repeat::SoftCap { alpha: self.sample_alpha, round: self.sample_round }),
            Some("hard_cap") => Some(Repeat::HardCap { most: self.sample_most }),
            Some(other) => return wrong("repeat", format!("`{other}`: `soft_cap` or `hard_cap`")),
        };
        if self.sample_fraction.is_none() == self.sample_count.is_none() {
            return wrong("fraction", "`sample` needs one of `fraction` and `count`");
        }
        let (fraction, count, weight) = (self.sample_fraction, self.sample_count, self.sample_weight.clone());
        Ok(vec![Kind::Sample(Sample { fraction, count, weight, repeat })])
    }
}

/// `NAME: SQL`, or a name alone.
fn named(text: &str) -> (&str, Option<String>) {
    match text.split_once(':') {
        Some((name, sql)) => (name.trim(), Some(sql.trim().to_owned())),
        None => (text.trim(), None),
    }
}

fn share_of(key: &'static str, text: &str) -> Result<(String, f64), Wrong> {
    let pair = text.split_once('=').and_then(|(name, share)| Some((name.trim().to_owned(), share.trim().parse::<f64>().ok()?)));
    pair.ok_or_else(|| (key, format!("`{text}` is not NAME=SHARE, a share being a number from 0 to 1")))
}

fn digest(key: &'static str, path: &str) -> Result<String, Wrong> {
    if std::path::Path::new(path).is_dir() {
        // A folder's digest is that of its files' names and digests.
        let mut names: Vec<_> = std::fs::read_dir(path)
            .map_err(|e| (key, format!("{key} `{path}`: {e}")))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        names.sort();
        let mut text = String::new();
        for name in names.iter().filter(|name| name.is_file()) {
            text.push_str(&format!("{} {}\n", name.display(), digest(key, &name.display().to_string())?));
        }
        return Ok(crate::ledger::short_hash(text.as_bytes()));
    }
    let bytes = std::fs::read(path).map_err(|e| (key, format!("{key} `{path}`: {e}")))?;
    Ok(crate::ledger::short_hash(&bytes))
}

impl BalanceSettings {
    /// What the stage becomes.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn kinds(&self) -> Result<Vec<Kind>, Wrong> {
        match self.method.as_str() {
            "m4" => Ok(vec![Kind::M4(self.m4()?)]),
            "languages" => {
                let shares = match self.shares.is_empty() {
                    true => LanguageShares::webli_100b().shares,
                    false => self.shares.iter().map(|text| share_of("shares", text)).collect::<Result<_, _>>()?,
                };
                Ok(vec![Kind::Languages(Languages { column: self.language.clone(), shares })])
            }
            "metaclip" => self.metaclip(),
            "semdedup" | "prototypes" | "density" | "hierarchy" => Ok(vec![Kind::Clusters(self.by_clusters()?)]),
            other => {
                const METHODS: [&str; 7] = ["m4", "metaclip", "languages", "semdedup", "prototypes", "density", "hierarchy"];
                let hint = super::nearest(other, METHODS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                wrong("method", format!("no method `{other}`{hint}; there are {}", METHODS.map(|name| format!("`{name}`")).join(", ")))
            }
        }
    }

    fn m4(&self) -> Result<M4, Wrong> {
        let attribute = |text: &String| {
            let (head, sql) = named(text);
            let (name, target) = share_of("attributes", head)?;
            Ok(M4Attribute { name, sql, target })
        };
        let label = |text: &String| {
            let (name, sql) = named(text);
            M4Label { name: name.to_owned(), sql }
        };
        let lexicon = match &self.lexicon {
            None => None,
            Some(file) => Some(M4Lexicon {
                file: file.clone(),
                sha256: digest("lexicon", file)?,
                text: self.text.clone(),
                language: match &self.lexicon_language {
                    Some(language) => LexiconLanguage::Fixed(language.clone()),
                    None => LexiconLanguage::Column(self.language.clone()),
                },
            }),
        };
        Ok(M4 {
            attributes: self.attributes.iter().map(attribute).collect::<Result<_, Wrong>>()?,
            labels: self.labels.iter().map(label).collect(),
            lexicon,
            utility: self.utility.clone(),
            target_rate: self.target_rate,
            epsilon_r: self.epsilon_r,
            epsilon_d: self.epsilon_d,
            most: self.max_weight,
            enforcement: self.enforcement,
            strict: self.strict,
        })
    }

    fn by_clusters(&self) -> Result<Clusters, Wrong> {
        let Some(vectors) = self.vectors.clone() else { return wrong("vectors", "this method needs `vectors`: their key, as `l14_img`") };
        if self.clusters.is_empty() || (self.clusters.len() > 1 && self.method != "hierarchy") {
            return wrong("clusters", "this method needs `clusters`: their number; several levels are for `hierarchy`");
        }
        let count = || self.keep_count.map_or_else(|| wrong("keep_count", "this method needs `keep_count`: rows that are taken"), Ok);
        let rule = match self.method.as_str() {
            "semdedup" => ClusterRule::Semdedup { epsilon: self.epsilon },
            "prototypes" => match self.keep_fraction {
                Some(fraction) => ClusterRule::Prototypes { fraction, easiest: self.easiest },
                None => return wrong("keep_fraction", "`prototypes` needs `keep_fraction`"),
            },
            "density" => ClusterRule::Density { keep: count()? },
            _ => ClusterRule::Hierarchy { target: count()?, most: self.max_copies },
        };
        Ok(Clusters { vectors, levels: self.clusters.clone(), iterations: self.iterations, rule })
    }

    fn metaclip(&self) -> Result<Vec<Kind>, Wrong> {
        let Some(metadata) = &self.metadata else { return wrong("metadata", "`metaclip` needs `metadata`: a JSON list of entries") };
        if self.t.is_some() == self.tail.is_some() {
            return wrong("t", "`metaclip` needs one of `t`, the threshold, and `tail`, the share of tail matches");
        }
        if self.tail.is_some_and(|tail| !(0.0..=1.0).contains(&tail)) {
            return wrong("tail", "`tail` is a share, 0 to 1");
        }
        let spec = Metaclip {
            metadata: metadata.clone(),
            sha256: digest("metadata", metadata)?,
            text: self.text.clone(),
            language: (self.metaclip_version == 2).then(|| self.language.clone()),
            t: self.t,
            tail: self.tail,
            counts: self.entry_counts.clone(),
        };
        match self.metaclip_version {
            1 => Ok(vec![Kind::MetaclipMatch(spec), Kind::MetaclipDraw]),
            // One of the matched texts of a picture, then the draw.
            2 => {
                let one = Cap { by: vec!["url".to_owned()], most: 1, order: None, lowest: false };
                Ok(vec![Kind::MetaclipMatch(spec), Kind::Cap(one), Kind::MetaclipDraw])
            }
            other => wrong("metaclip_version", format!("there is version 1 and version 2, not {other}")),
        }
    }
}

impl BaselineSettings {
    /// What the stage becomes.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn kinds(&self) -> Result<Vec<Kind>, Wrong> {
        let assets = Assets {
            arch: self.arch.clone(),
            score: self.score.clone(),
            threshold: self.threshold,
            fraction: self.fraction,
            lid_model: self.lid_model.clone(),
            wordnet: self.wordnet.clone(),
            imagenet_ids: self.imagenet_ids.clone(),
            centroids: self.centroids.clone(),
            targets: self.targets.clone(),
        };
        baseline(&self.baseline_name, &assets)
    }
}
