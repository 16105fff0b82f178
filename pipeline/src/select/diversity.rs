//! Who is lost: pass rates of every stage by language, script, domain ending, licence and resolution, so that nobody filters
//! blindly.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::error::{Result, SelectError};
use super::inputs::Inputs;

/// Values of a dimension that are told apart in one batch of counts at most; what comes later is `other`. There are some
/// 1,500 top-level domains and 8,000 languages.
const MOST_VALUES: usize = 16_384;

/// A property that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The column `lang`, or the page's language.
    Language,
    /// Writing of the first letters of the caption.
    Script,
    /// Last label of the url's host.
    TopLevelDomain,
    /// The column `license` or `licence`.
    Licence,
    /// Shorter side of the picture, in steps.
    Resolution,
}

impl Dimension {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Script => "script",
            Self::TopLevelDomain => "top-level domain",
            Self::Licence => "licence",
            Self::Resolution => "resolution",
        }
    }
}

/// Which dimensions the metadata has, and in which columns.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    dimensions: Vec<(Dimension, Vec<String>)>,
}

impl Groups {
    pub(super) fn of_inputs(inputs: &Inputs) -> Self {
        let one = |names: &[&str]| inputs.first_of(names).map(|name| vec![name.to_owned()]);
        let sides = [["original_width", "original_height"], ["width", "height"], ["WIDTH", "HEIGHT"]];
        let sides = sides.into_iter().find(|sides| sides.iter().all(|side| inputs.has(side)));
        let found = [
            (Dimension::Language, one(&["lang", "language", "LANGUAGE", "page_lang"])),
            (Dimension::Script, one(&["text", "caption", "TEXT"])),
            (Dimension::TopLevelDomain, one(&["url", "URL"])),
            (Dimension::Licence, one(&["license", "licence", "LICENSE"])),
            (Dimension::Resolution, sides.map(|sides| sides.map(str::to_owned).to_vec())),
        ];
        Self { dimensions: found.into_iter().filter_map(|(dimension, columns)| Some((dimension, columns?))).collect() }
    }

    pub(super) fn columns(&self) -> Vec<String> {
        self.dimensions.iter().flat_map(|(_, columns)| columns.clone()).collect()
    }

    /// The groups of some rows of a batch: per dimension the number of its value in `rates`.
    pub(super) fn of(&self, batch: &RecordBatch, rows: &[usize], rates: &mut PassRates) -> Result<BatchGroups> {
        let mut all = Vec::new();
        for (dimension, columns) in &self.dimensions {
            let mut ids = vec![u32::MAX; batch.num_rows()];
            let values = rates.values.entry(*dimension).or_default();
            if *dimension == Dimension::Resolution {
                let side = |name: &String| {
                    let column = batch.column_by_name(name).ok_or_else(|| SelectError::stage("report", format!("no column `{name}`")))?;
                    cast(column, &DataType::Int64).map_err(|e| SelectError::stage("report", e))
                };
                let (width, height) = (side(&columns[0])?, side(&columns[1])?);
                let (width, height) = (width.as_primitive::<Int64Type>(), height.as_primitive::<Int64Type>());
                for &row in rows {
                    let known = width.is_valid(row) && height.is_valid(row);
                    ids[row] = values.id(if known { resolution(width.value(row).min(height.value(row))) } else { "unknown" });
                }
            } else {
                let texts = super::expression::text_column(batch, &columns[0], "report")?;
                for &row in rows {
                    let text = if texts.is_valid(row) { texts.value(row) } else { "" };
                    ids[row] = values.id(match dimension {
                        Dimension::Script => script(text),
                        Dimension::TopLevelDomain => top_level(text),
                        _ if text.is_empty() => "unknown",
                        _ => text,
                    });
                }
            }
            all.push((*dimension, ids));
        }
        Ok(BatchGroups { ids: all })
    }
}

/// The groups of a batch's rows.
pub(super) struct BatchGroups {
    ids: Vec<(Dimension, Vec<u32>)>,
}

#[derive(Debug, Clone, Default)]
struct Values {
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

impl Values {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let name = if self.names.len() >= MOST_VALUES { "other" } else { name };
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }
}

/// Rows into and out of each stage by group. Merges over pieces.
#[derive(Debug, Clone, Default)]
pub(super) struct PassRates {
    values: HashMap<Dimension, Values>,
    counts: HashMap<(u8, Dimension), Vec<[u64; 2]>>,
}

impl PassRates {
    /// Counts the rows that enter a stage.
    pub(super) fn enter(&mut self, stage: u8, groups: &BatchGroups, is_in: impl Fn(usize) -> bool) {
        for (dimension, ids) in &groups.ids {
            let counts = self.counts.entry((stage, *dimension)).or_default();
            for (row, &id) in ids.iter().enumerate() {
                if id != u32::MAX && is_in(row) {
                    at(counts, id)[0] += 1;
                }
            }
        }
    }

    /// Counts a row that a stage takes out.
    pub(super) fn lose(&mut self, stage: u8, groups: &BatchGroups, row: usize) {
        for (dimension, ids) in &groups.ids {
            if ids[row] != u32::MAX {
                at(self.counts.entry((stage, *dimension)).or_default(), ids[row])[1] += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (&(stage, dimension), counts) in &other.counts {
            let Some(names) = other.values.get(&dimension).map(|values| &values.names) else { continue };
            let values = self.values.entry(dimension).or_default();
            let ours = self.counts.entry((stage, dimension)).or_default();
            for (name, count) in names.iter().zip(counts) {
                let slot = at(ours, values.id(name));
                slot[0] += count[0];
                slot[1] += count[1];
            }
        }
    }

    /// The tables of all stages, the largest groups first.
    pub(super) fn tables(&self, stages: &[String]) -> Vec<PassTable> {
        let mut ordered: BTreeMap<(u8, Dimension), &Vec<[u64; 2]>> = BTreeMap::new();
        ordered.extend(self.counts.iter().map(|(key, counts)| (*key, counts)));
        let mut tables = Vec::new();
        for ((stage, dimension), counts) in ordered {
            let Some(values) = self.values.get(&dimension) else { continue };
            let mut groups: Vec<GroupRate> = values
                .names
                .iter()
                .zip(counts)
                .filter(|(_, count)| count[0] > 0)
                .map(|(name, count)| GroupRate { group: name.clone(), rows: count[0], kept: count[0] - count[1] })
                .collect();
            groups.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.group.cmp(&b.group)));
            tables.push(PassTable { stage: stages.get(usize::from(stage)).cloned().unwrap_or_default(), dimension, groups });
        }
        tables
    }
}

fn at(counts: &mut Vec<[u64; 2]>, id: u32) -> &mut [u64; 2] {
    let id = id as usize;
    if counts.len() <= id {
        counts.resize(id + 1, [0; 2]);
    }
    &mut counts[id]
}

/// How many rows of a group a stage kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRate {
    /// The group.
    pub group: String,
    /// Its rows that came in.
    pub rows: u64,
    /// Those that went on.
    pub kept: u64,
}

impl GroupRate {
    /// Share of the rows that was lost, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { (self.rows - self.kept) as f64 / self.rows as f64 }
    }
}

/// Pass rates of one stage by one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassTable {
    /// The stage.
    pub stage: String,
    /// What the rows are grouped by.
    pub dimension: Dimension,
    /// The groups, the largest first.
    pub groups: Vec<GroupRate>,
}

impl PassTable {
    /// Groups of at least `rows` rows that this stage keeps at less than the average rate divided by `factor`, the hardest
    /// hit first.
    pub fn hit_hard(&self, factor: f64, rows: u64) -> Vec<(&GroupRate, f64)> {
        let (all, kept) = self.groups.iter().fold((0, 0), |(all, kept), group| (all + group.rows, kept + group.kept));
        if kept == 0 {
            return Vec::new();
        }
        let average = kept as f64 / all as f64;
        let mut hit: Vec<(&GroupRate, f64)> = self
            .groups
            .iter()
            .filter(|group| group.rows >= rows)
            .map(|group| (group, (1.0 - group.loss()) / average))
            .filter(|(_, share)| *share * factor < 1.0)
            .collect();
        hit.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.group.cmp(&b.0.group)));
        hit
    }
}

fn resolution(side: i64) -> &'static str {
    match side {
        i64::MIN..128 => "below 128",
        128..256 => "128 to 255",
        256..512 => "256 to 511",
        512..1024 => "512 to 1023",
        _ => "1024 and more",
    }
}

/// Last label of the host, lower case labels only as they stand.
pub(crate) fn top_level(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last.is_empty() || !last.contains(|c: char| c.is_alphabetic()) { "none" } else { last }
}

/// Writing of most of the first letters, by blocks of Unicode: a rough answer, enough to see who is lost.
pub(crate) fn script(text: &str) -> &'static str {
    const SCRIPTS: [(&str, &[(u32, u32)]); 16] = [
        ("Latin", &[(0x41, 0x5a), (0x61, 0x7a), (0xc0, 0x24f), (0x1e00, 0x1eff)]),
        ("Cyrillic", &[(0x400, 0x52f)]),
        ("Han", &[(0x2e80, 0x2fdf), (0x3400, 0x4dbf), (0x4e00, 0x9fff), (0xf900, 0xfaff), (0x2_0000, 0x3_ffff)]),
        ("Kana", &[(0x3040, 0x30ff), (0x31f0, 0x31ff), (0xff66, 0xff9f)]),
        ("Hangul", &[(0x1100, 0x11ff), (0x3130, 0x318f), (0xac00, 0xd7af)]),
        ("Arabic", &[(0x600, 0x6ff), (0x750, 0x77f), (0xfb50, 0xfdff), (0xfe70, 0xfeff)]),
        ("Devanagari", &[(0x900, 0x97f)]),
        ("Bengali", &[(0x980, 0x9ff)]),
        ("Greek", &[(0x370, 0x3ff), (0x1f00, 0x1fff)]),
        ("Hebrew", &[(0x590, 0x5ff)]),
        ("Thai", &[(0xe00, 0xe7f)]),
        ("Tamil", &[(0xb80, 0xbff)]),
        ("Telugu", &[(0xc00, 0xc7f)]),
        ("Georgian", &[(0x10a0, 0x10ff)]),
        ("Armenian", &[(0x530, 0x58f)]),
        ("Ethiopic", &[(0x1200, 0x139f)]),
    ];
    let mut counts = [0_u32; SCRIPTS.len()];
    let mut letters = 0;
    for letter in text.chars().filter(|c| c.is_alphabetic()).take(32) {
        letters += 1;
        let code = letter as u32;
        if let Some(at) = SCRIPTS.iter().position(|(_, blocks)| blocks.iter().any(|&(from, to)| (from..=to).contains(&code))) {
            counts[at] += 1;
        }
    }
    // The first of those with the most letters.
    let most = (0..SCRIPTS.len()).rev().max_by_key(|&at| counts[at]).filter(|&at| counts[at] > 0);
    match most {
        None if letters == 0 => "no letters",
        None => "other",
        Some(at) => SCRIPTS[at].0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_grouped_by_what_is_seen() {
        assert_eq!(
            ["a house", "дом", "一座房子", "いえ", "집", "", "12", "ᚠᚢᚦ"].map(script),
            ["Latin", "Cyrillic", "Han", "Kana", "Hangul", "no letters", "no letters", "other"]
        );
        let urls = ["https://a.example.de:80/x.jpg", "http://10.0.0.1/a.b", "nothing", "http://u:p@x.jp?y.com", "https://x.COM./"];
        assert_eq!(urls.map(top_level), ["de", "none", "nothing", "jp", "COM"]);
    }

    #[test]
    fn a_group_that_is_lost_more_than_others_is_named() {
        let group = |group: &str, rows, kept| GroupRate { group: group.into(), rows, kept };
        let table = PassTable {
            stage: "1.keep".into(),
            dimension: Dimension::Language,
            groups: vec![group("en", 1000, 500), group("bn", 100, 10), group("de", 100, 40), group("xx", 3, 0)],
        };
        let hit = table.hit_hard(2.0, 50);
        assert_eq!(hit.iter().map(|(group, _)| group.group.as_str()).collect::<Vec<_>>(), ["bn"]);
        assert!((hit[0].1 - 0.1 / (550.0 / 1203.0)).abs() < 1e-9);
    }
}
