//! Near-duplicates by their captions.

use std::borrow::Cow;
use std::path::Path;

use arrow::array::Array;
use serde_json::{Value, json};
use trommel_filters::near::components::DisjointSet;
use trommel_filters::near::minhash::{GroupOptions, MinHasher, Options, Scratch, Shingle, candidate_probability, group_texts, jaccard};

use crate::select::error::{Result, SelectError};
use crate::select::expression::text_column;
use crate::select::scan::Judging;
use crate::select::steps::gathered::{Gathered, Payload};

/// Least Jaccard similarity of the shingles of captions that are joined by our own presets.
const LEAST: f64 = 0.7;

/// The text itself.
pub(super) struct TextPayload {
    pub(super) stage: String,
    pub(super) column: String,
}

impl Payload for TextPayload {
    fn columns(&self) -> Vec<String> {
        vec![self.column.clone()]
    }

    fn each(&self, rows: &Judging<'_>, living: &[usize], see: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<u64> {
        let texts = text_column(rows.batch, &self.column, &self.stage)?;
        let mut without = 0;
        for &row in living {
            match texts.is_valid(row) && !texts.value(row).trim().is_empty() {
                true => see(row, texts.value(row).as_bytes())?,
                false => without += 1,
            }
        }
        Ok(without)
    }
}

/// How captions are compared.
pub(super) struct CaptionRule {
    hasher: MinHasher,
    /// Candidates below this are not joined; `None` joins all, as datatrove does.
    least: Option<f64>,
}

impl CaptionRule {
    /// From a preset and what is set over it.
    pub(super) fn new(stage: &str, preset: &str, shingle: Option<usize>, bands: Option<usize>, rows: Option<usize>) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let (mut options, least) = match preset {
            "captions" => (Options::captions(), Some(LEAST)),
            "words" => (Options::words(), Some(LEAST)),
            "datatrove" => (Options::datatrove(), None),
            "nemo" => (Options::nemo(), None),
            "data-juicer" => (Options::data_juicer(), None),
            other => {
                const KNOWN: [&str; 5] = ["captions", "words", "datatrove", "nemo", "data-juicer"];
                let known = KNOWN.map(|name| format!("`{name}`")).join(", ");
                return Err(fail(&format!("no preset `{other}`; there are {known}")));
            }
        };
        if let Some(count) = shingle {
            options.shingle = match options.shingle {
                Shingle::Words(_) => Shingle::Words(count),
                Shingle::Chars(_) => Shingle::Chars(count),
            };
        }
        options.bands = bands.unwrap_or(options.bands);
        options.rows = rows.unwrap_or(options.rows);
        Ok(Self { hasher: MinHasher::new(options).map_err(|e| fail(&e))?, least })
    }

    /// Joins rows whose captions are near-duplicates.
    pub(super) fn join(
        &self,
        stage: &str,
        rows: &Gathered,
        threads: usize,
        memory: u64,
        spill: &Path,
    ) -> Result<(DisjointSet<u32>, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let groups = DisjointSet::<u32>::new(rows.len()).map_err(|e| fail(&e))?;
        let options = GroupOptions { min_jaccard: self.least, threads, memory_bytes: memory, folder: Some(spill.to_path_buf()) };
        let report = group_texts(&self.hasher, rows.len(), |row| text(rows, row), &options, &groups).map_err(|e| fail(&e))?;
        let of = self.hasher.options();
        let found: Vec<Value> = [0.5, 0.6, 0.7, 0.8, 0.9]
            .map(|s| json!({ "jaccard": s, "found": (candidate_probability(s, of.bands, of.rows) * 1e4).round() / 1e4 }))
            .to_vec();
        let said = json!({ "minhash": of, "least_jaccard": self.least, "share_found": found, "went": report });
        Ok((groups, said))
    }

    /// The similarity from which on captions are alike; where all candidates are joined, that at which half of the pairs become candidates.
    pub(super) fn alike(&self) -> f32 {
        let of = self.hasher.options();
        let half = (0..100).map(|percent| f64::from(percent) / 100.0).find(|&s| candidate_probability(s, of.bands, of.rows) >= 0.5);
        self.least.or(half).unwrap_or(1.0) as f32
    }

    /// The Jaccard similarity of two captions' shingles.
    pub(super) fn similarity(&self, rows: &Gathered, a: usize, b: usize) -> f32 {
        let (mut one, mut two) = (Scratch::default(), Scratch::default());
        let (a, b) = (text(rows, a), text(rows, b));
        jaccard(self.hasher.shingles(&a, &mut one), self.hasher.shingles(&b, &mut two)) as f32
    }
}

fn text(rows: &Gathered, row: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(rows.payload(row))
}
