//! `decontaminate`: rows that resemble a reference set, an evaluation set mostly, go.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use trommel_embeddings::neighbours::{Floor, NeighbourOptions, Vectors, nearest_reference, relative_dedup};
use trommel_embeddings::scores::VectorSource;
use trommel_filters::hashes::FlatPictures;
use trommel_shards::source::Input;
use xxhash_rust::xxh3::xxh3_128;

use super::gathered::{GatherFit, Gathered, GatheredVectors, searched};
use super::near::PictureReferences;
use crate::hashes::PIXELS_SHA256;
use crate::select::error::{Result, SelectError};
use crate::select::expression::{text_at, text_column};
use crate::select::inputs::Inputs;
use crate::select::references::ReferenceVectors;
use crate::select::scan::{Judging, Step};
use crate::select::spec::Decontaminate;

/// Reference captions of fewer words are no evidence: half of the web says "a dog".
const LEAST_WORDS: usize = 4;
/// Longest line of a file of captions, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// Pairs that the report shows.
const SHOWN: usize = 24;

/// What was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Picture,
    Vector,
    Group,
}

/// A row that resembles a reference.
#[derive(Debug, Clone, Copy)]
struct Match {
    row: u32,
    by: By,
    /// Number of the reference in its set.
    reference: u32,
    /// 0 to 1; NaN for a row that shares a group with one that resembles.
    similarity: f32,
}

/// Takes out what resembles a reference.
pub(in crate::select) struct DecontaminateStep {
    stage: String,
    matches: HashMap<u32, Vec<Match>>,
    pictures: Option<PictureReferences>,
    vectors: Option<ReferenceVectors>,
    captions: Option<Captions>,
    text: String,
    /// Rows have `pixels_sha256`, by which pictures are found that are blank.
    pixels: bool,
    by_pixels: Arc<str>,
    by_picture: Arc<str>,
    by_vector: Arc<str>,
    by_group: Arc<str>,
    by_caption: Arc<str>,
}

/// Reference captions, simplified: what they hash to, and where each is from.
struct Captions {
    known: HashMap<u128, u32>,
    files: Vec<(String, u32)>,
    short: u64,
}

/// Letters of scripts that put no spaces between words: Thai and its neighbours, kana, Han, Hangul is not among them.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// Lower case; all but letters and digits is one space. With the number of its words; two letters of a script without spaces count as one.
fn simplified(text: &str) -> (u128, usize) {
    let mut plain = String::with_capacity(text.len());
    let (mut words, mut unspaced) = (0, 0);
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if words > 0 {
            plain.push(' ');
        }
        unspaced += word.chars().filter(|&c| is_unspaced(c)).count();
        plain.extend(word.chars().flat_map(char::to_lowercase));
        words += 1;
    }
    (xxh3_128(plain.as_bytes()), words.max(unspaced / 2))
}

impl Captions {
    fn load(stage: &str, files: &[String]) -> Result<Self> {
        let fail = |file: &str, e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{file}`: {e}"));
        let mut all = Self { known: HashMap::new(), files: Vec::new(), short: 0 };
        let mut row = 0_u32;
        for file in files {
            all.files.push((file.clone(), row));
            if file.to_ascii_lowercase().ends_with(".parquet") {
                let input = Input::open(file).map_err(|e| fail(file, &e))?;
                let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(|e| fail(file, &e))?;
                let name = ["text", "caption"].into_iter().find(|name| builder.schema().field_with_name(name).is_ok());
                let name = name.ok_or_else(|| fail(file, &"it has neither a column `text` nor `caption`"))?;
                let mask = ProjectionMask::columns(builder.parquet_schema(), [name]);
                for batch in builder.with_projection(mask).build().map_err(|e| fail(file, &e))? {
                    let batch = batch.map_err(|e| fail(file, &e))?;
                    let texts = cast(batch.column(0), &DataType::Utf8).map_err(|e| fail(file, &e))?;
                    for text in texts.as_string::<i32>().iter() {
                        all.add(text.unwrap_or(""), row);
                        row += 1;
                    }
                }
                continue;
            }
            let mut lines = BufReader::new(Input::open(file).map_err(|e| fail(file, &e))?.into_read());
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = std::io::Read::take(&mut lines, MAX_LINE).read_until(b'\n', &mut line).map_err(|e| fail(file, &e))?;
                if read == 0 {
                    break;
                }
                if read as u64 == MAX_LINE {
                    return Err(fail(
                        file,
                        &format!("line {} is longer than {MAX_LINE} bytes", row - all.files.last().map_or(0, |(_, first)| *first) + 1),
                    ));
                }
                all.add(&String::from_utf8_lossy(&line), row);
                row += 1;
            }
        }
        match row {
            0 => Err(SelectError::stage(stage, format!("no caption is in {}", files.join(", ")))),
            _ => Ok(all),
        }
    }

    fn add(&mut self, text: &str, row: u32) {
        match simplified(text) {
            (_, words) if words < LEAST_WORDS => self.short += 1,
            (key, _) => {
                self.known.entry(key).or_insert(row);
            }
        }
    }

    fn name(&self, row: u32) -> String {
        let at = self.files.partition_point(|(_, first)| *first <= row).saturating_sub(1);
        self.files.get(at).map_or_else(String::new, |(file, first)| format!("{file}#{}", row - first))
    }
}

/// What the search may use.
pub(in crate::select) struct Means<'a> {
    pub(in crate::select) spill: &'a Path,
    pub(in crate::select) seed: u64,
    pub(in crate::select) threads: usize,
}

impl DecontaminateStep {
    /// A step that has looked at nothing yet but the references.
    pub(in crate::select) fn load(stage: &str, spec: &Decontaminate, inputs: &Inputs) -> Result<(Self, Value)> {
        let some = |files: &[String]| !files.is_empty();
        let pictures = some(&spec.pictures).then(|| PictureReferences::load(stage, &spec.pictures)).transpose()?;
        let vectors = some(&spec.vectors).then(|| ReferenceVectors::open(stage, &spec.vectors, &spec.key)).transpose()?;
        let captions = some(&spec.captions).then(|| Captions::load(stage, &spec.captions)).transpose()?;
        let report = json!({
            "references": spec.name,
            "reference_pictures": pictures.as_ref().map(PictureReferences::report),
            "reference_vectors": vectors.as_ref().map(VectorSource::len),
            "reference_captions": captions.as_ref().map(|captions| captions.known.len()),
            "reference_captions_too_short": captions.as_ref().map(|captions| captions.short),
        });
        let reason = |what: &str| -> Arc<str> { format!("resembles {} by its {what}", spec.name).into() };
        let step = Self {
            stage: stage.to_owned(),
            matches: HashMap::new(),
            pictures,
            vectors,
            captions,
            text: spec.text.clone(),
            pixels: some(&spec.pictures) && inputs.has(PIXELS_SHA256),
            by_pixels: format!("has the pixels of a picture of {}", spec.name).into(),
            by_picture: reason("picture"),
            by_vector: reason("vector"),
            by_group: format!("in a group of near-duplicates with one that resembles {}", spec.name).into(),
            by_caption: reason("caption"),
        };
        Ok((step, report))
    }

    fn add(&mut self, rows: &Gathered, found: impl IntoIterator<Item = (u32, By, u32, f32)>) {
        for (row, by, reference, similarity) in found {
            let entry = &rows.rows.entries()[row as usize];
            self.matches.entry(entry.piece).or_default().push(Match { row: entry.row, by, reference, similarity });
        }
    }

    /// The references' pictures that have little in them.
    pub(in crate::select) fn flat_references(&self) -> Arc<FlatPictures> {
        self.pictures.as_ref().map(PictureReferences::flat).unwrap_or_default()
    }

    /// Looks for the references' pictures among the rows'.
    pub(in crate::select) fn look_at_pictures(&mut self, fits: Vec<GatherFit<'_>>, means: &Means<'_>) -> Result<Value> {
        let rows = Gathered::of(&self.stage, fits, 0, means.spill)?;
        let Some(references) = &self.pictures else { return Ok(Value::Null) };
        let (leaks, said) = references.leaks(&self.stage, &rows, means.seed, means.threads)?;
        let shown = self.shown(&rows, leaks.iter().map(|&(row, reference, similarity)| (row, references.name(reference), similarity)));
        let report = json!({ "rows": rows.len(), "not_compared": rows.without, "leaked": leaks.len(), "pairs": shown, "went": said });
        self.add(&rows, leaks.into_iter().map(|(row, reference, similarity)| (row, By::Picture, reference, similarity)));
        Ok(report)
    }

    /// Looks for rows whose vectors, of a length and a model, are near the references'.
    pub(in crate::select) fn look_at_vectors(
        &mut self,
        fits: Vec<GatherFit<'_>>,
        (dim, model): (usize, String),
        spec: &Decontaminate,
        means: &Means<'_>,
    ) -> Result<Value> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let rows = Gathered::of(&self.stage, fits, 0, means.spill)?;
        let Some(references) = &self.vectors else { return Ok(Value::Null) };
        let pool = GatheredVectors { rows: &rows, dim };
        let (pool, reference_vectors) = (Vectors::new(&pool, &model), Vectors::new(references, &references.model));
        let options =
            |k: usize, floor: Floor| NeighbourOptions { seed: means.seed, threads: means.threads, ..NeighbourOptions::new(k, floor) };
        let mut found = Vec::new();
        let said = if spec.whole_groups {
            let made = relative_dedup(&pool, &reference_vectors, &options(64, Floor::Above(spec.at_least))).map_err(|e| fail(&e))?;
            for (row, _) in made.discarded.iter().enumerate().filter(|(_, discarded)| **discarded) {
                found.push(match made.nearest[row] {
                    Some((reference, similarity)) => (row as u32, By::Vector, reference, similarity),
                    None => (row as u32, By::Group, u32::MAX, f32::NAN),
                });
            }
            json!({ "among_rows": searched(&made.report), "among_references": searched(&made.reference_report) })
        } else {
            let (nearest, report) =
                nearest_reference(&pool, &reference_vectors, &options(1, Floor::AtLeast(spec.at_least))).map_err(|e| fail(&e))?;
            for (row, nearest) in nearest.iter().enumerate() {
                if let Some(nearest) = nearest {
                    found.push((row as u32, By::Vector, nearest.row, nearest.similarity));
                }
            }
            searched(&report)
        };
        let pairs = found.iter().filter(|(_, by, ..)| *by == By::Vector);
        let shown = self.shown(&rows, pairs.map(|&(row, _, reference, similarity)| (row, references.name(reference as usize), similarity)));
        let report = json!({ "rows": rows.len(), "without_a_vector": rows.without, "leaked": found.len(), "pairs": shown, "went": said });
        self.add(&rows, found);
        Ok(report)
    }

    /// The pairs that are most alike.
    fn shown(&self, rows: &Gathered, pairs: impl Iterator<Item = (u32, String, f32)>) -> Vec<Value> {
        let mut pairs: Vec<(u32, String, f32)> = pairs.collect();
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        let uid = |row: u32| format!("{:032x}", rows.rows.entries()[row as usize].uid);
        pairs
            .into_iter()
            .take(SHOWN)
            .map(|(row, reference, similarity)| json!({ "uid": uid(row), "reference": reference, "similarity": similarity }))
            .collect()
    }

    /// Ready to judge.
    pub(in crate::select) fn ready(mut self) -> Self {
        // Of a row that was found twice the first finding stands, pictures before vectors.
        self.matches.values_mut().for_each(|rows| rows.sort_by_key(|found| found.row));
        self
    }
}

impl Step for DecontaminateStep {
    fn columns(&self) -> Vec<String> {
        let pixels = self.pixels.then(|| PIXELS_SHA256.to_owned());
        self.captions.iter().map(|_| self.text.clone()).chain(pixels).collect()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        if let Some(found) = self.matches.get(&(rows.piece as u32)) {
            let (from, to) = (rows.first as u32, (rows.first + rows.batch.num_rows()) as u32);
            let start = found.partition_point(|found| found.row < from);
            for found in found[start..].iter().take_while(|found| found.row < to) {
                let (reason, name) = match found.by {
                    By::Picture => (&self.by_picture, self.pictures.as_ref().map(|pictures| pictures.name(found.reference))),
                    By::Vector => (&self.by_vector, self.vectors.as_ref().map(|vectors| vectors.name(found.reference as usize))),
                    By::Group => (&self.by_group, None),
                };
                let value = name.map(|name| format!("{name}: {}", found.similarity));
                rows.exclude((found.row - from) as usize, reason, value);
            }
        }
        if let Some(pictures) = self.pictures.as_ref().filter(|_| self.pixels) {
            let digests = text_column(rows.batch, PIXELS_SHA256, &self.stage)?.clone();
            for row in rows.living() {
                if let Some(reference) = pictures.same_pixels(text_at(&digests, row)) {
                    rows.exclude(row, &self.by_pixels, Some(pictures.name(reference)));
                }
            }
        }
        if let Some(captions) = &self.captions {
            let texts = text_column(rows.batch, &self.text, &self.stage)?.clone();
            for row in rows.living() {
                if let Some(&reference) = captions.known.get(&simplified(text_at(&texts, row)).0) {
                    rows.exclude(row, &self.by_caption, Some(captions.name(reference)));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_the_same_whatever_their_case_and_stops() {
        assert_eq!(simplified("A red fox, in the SNOW!"), simplified("a red fox in the snow"));
        assert_ne!(simplified("a red fox in the snow").0, simplified("a redfox in the snow").0);
        assert_eq!(simplified("  Ein Hund. "), (xxh3_128(b"ein hund"), 2));
        assert_eq!(simplified("雪の中で眠る赤い狐").1, 4, "scripts without spaces have words too");
    }

    #[test]
    fn short_captions_are_no_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("captions.txt");
        std::fs::write(&file, "a dog\na dog sleeps on a mat\n").unwrap();
        let captions = Captions::load("1.decontaminate", &[file.display().to_string()]).unwrap();
        assert_eq!((captions.known.len(), captions.short), (1, 1));
        let found = captions.known[&simplified("A dog sleeps on a mat.").0];
        assert!(captions.name(found).ends_with("captions.txt#1"));
    }
}
