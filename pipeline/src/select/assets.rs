//! Stages that stand on files of their own: lists of uids, WordNet, centroids.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};
use trommel_embeddings::clusters::{in_marked, mark_centroids, read_torch_matrix};
use trommel_embeddings::scores::Rows;
use trommel_filters::concepts::wordnet::{Memo, Morphy, SynsetIds, TextRule, WordNet};
use trommel_shards::subset::{Subset, Uid128};
use trommel_shards::vectors::open_vectors;

use super::error::{Result, SelectError};
use super::expression::{text_at, text_column};
use super::inputs::Inputs;
use super::scan::{Judging, Step};
use super::spec::{Join, Kind, SelectStage};
use super::vectors::{BLOCK_ROWS, VectorsOfRows};

/// Checks what can be checked without loading anything large.
pub(super) fn check(stage: &SelectStage, schema: &SchemaRef) -> Result<()> {
    let there = |path: &str| match Path::new(path).exists() {
        true => Ok(()),
        false => Err(SelectError::stage(&stage.name, format!("`{path}` is not there"))),
    };
    let column = |name: &str| match schema.field_with_name(name).is_ok() {
        true => Ok(()),
        false => Err(SelectError::stage(&stage.name, format!("no column `{name}` in the metadata"))),
    };
    match &stage.kind {
        Kind::Subset { files, .. } => files.iter().try_for_each(|file| there(file)),
        Kind::TextBased { wordnet, ids, text } => [wordnet, ids].into_iter().try_for_each(|path| there(path)).and_then(|()| column(text)),
        Kind::ImageBased { centroids, targets, .. } => std::iter::once(centroids).chain(targets).try_for_each(|path| there(path)),
        _ => Ok(()),
    }
}

/// The step of a stage that needs no scan of its own, and what it found out while loading.
pub(super) fn step(stage: &str, kind: &Kind, inputs: &Inputs) -> Result<(Arc<dyn Step>, Option<Value>)> {
    match kind {
        Kind::Subset { files, join } => {
            let open = |file: &String| Subset::open(file).map_err(|e| SelectError::stage(stage, e));
            let subsets = files.iter().map(open).collect::<Result<Vec<_>>>()?;
            let found =
                json!(files.iter().zip(&subsets).map(|(file, subset)| json!({ "file": file, "uids": subset.len() })).collect::<Vec<_>>());
            let reason = match join {
                Join::All => format!("not in all of {}", files.join(", ")),
                Join::Any => format!("in none of {}", files.join(", ")),
                Join::None => format!("in one of {}", files.join(", ")),
            };
            Ok((Arc::new(SubsetStep { subsets, join: *join, reason: reason.into() }), Some(found)))
        }
        Kind::Tokens { text, at_least } => {
            let reason = format!("fewer than {at_least} tokens").into();
            Ok((Arc::new(TokensStep { stage: stage.to_owned(), text: text.clone(), at_least: *at_least, reason }), None))
        }
        Kind::TextBased { wordnet, ids, text } => {
            let dictionary = WordNet::load(wordnet, Morphy::UntilFound).map_err(|e| SelectError::stage(stage, e))?;
            let rule = TextRule::new(dictionary, SynsetIds::load(ids).map_err(|e| SelectError::stage(stage, e))?);
            let reason = "no word whose first meaning is a concept of the list".into();
            Ok((Arc::new(TextBasedStep { stage: stage.to_owned(), text: text.clone(), rule, reason }), None))
        }
        Kind::ImageBased { vectors, centroids, targets } => {
            let step = ImageBasedStep::load(stage, vectors, centroids, targets, inputs)?;
            let found = json!({ "centroids": step.marked.len(), "marked": step.marked.iter().filter(|marked| **marked).count() });
            Ok((Arc::new(step), Some(found)))
        }
        _ => Err(SelectError::stage(stage, "this stage needs all rows")),
    }
}

/// Keeps rows by lists of uids.
struct SubsetStep {
    subsets: Vec<Subset>,
    join: Join,
    reason: Arc<str>,
}

impl Step for SubsetStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        for row in rows.living() {
            let uid = Uid128(rows.uid(row)?);
            let has = |subset: &Subset| subset.multiplicity(uid) > 0;
            let kept = match self.join {
                Join::All => self.subsets.iter().all(has),
                Join::Any => self.subsets.iter().any(has),
                Join::None => !self.subsets.iter().any(has),
            };
            if !kept {
                rows.exclude(row, &self.reason, None);
            }
        }
        Ok(())
    }
}

/// Keeps captions of so many of fastText's tokens.
struct TokensStep {
    stage: String,
    text: String,
    at_least: usize,
    reason: Arc<str>,
}

/// Tokens as `fasttext.tokenize` counts them: words between ASCII white space and zero bytes, and each end of a line, which is
/// a token of its own.
fn tokens(text: &str) -> usize {
    let words = text.split([' ', '\n', '\r', '\t', '\u{b}', '\u{c}', '\0']).filter(|word| !word.is_empty()).count();
    words + text.matches('\n').count()
}

impl Step for TokensStep {
    fn columns(&self) -> Vec<String> {
        vec![self.text.clone()]
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let texts = text_column(rows.batch, &self.text, &self.stage)?;
        for row in rows.living() {
            let count = tokens(text_at(texts, row));
            if count < self.at_least {
                rows.exclude(row, &self.reason, Some(count.to_string()));
            }
        }
        Ok(())
    }
}

/// Keeps captions that name a concept.
struct TextBasedStep {
    stage: String,
    text: String,
    rule: TextRule,
    reason: Arc<str>,
}

impl Step for TextBasedStep {
    fn columns(&self) -> Vec<String> {
        vec![self.text.clone()]
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let texts = text_column(rows.batch, &self.text, &self.stage)?;
        let mut memo = Memo::default();
        for row in rows.living() {
            if !self.rule.text_based(text_at(texts, row), &mut memo) {
                rows.exclude(row, &self.reason, None);
            }
        }
        Ok(())
    }
}

/// Keeps pictures near the pictures of a target set.
struct ImageBasedStep {
    stage: String,
    centroids: Vec<f32>,
    dim: usize,
    marked: Vec<bool>,
    vectors: VectorsOfRows,
    reason: Arc<str>,
    no_vector: Arc<str>,
}

/// All vectors of a file: npy, npz, parquet, or a tensor of a torch file.
fn load(stage: &str, file: &str) -> Result<(Vec<f32>, usize)> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
    if [".pt", ".pth", ".bin"].iter().any(|ending| file.ends_with(ending)) {
        let matrix = read_torch_matrix(Path::new(file)).map_err(|e| fail(&e))?;
        return Ok((matrix.data, matrix.dim));
    }
    let mut reader = open_vectors(file, None, BLOCK_ROWS).map_err(|e| fail(&e))?;
    let (dim, mut data) = (reader.dim(), Vec::new());
    while let Some(block) = reader.next_block().map_err(|e| fail(&e))? {
        data.extend_from_slice(block.rows().map_err(|e| fail(&e))?.data());
    }
    Ok((data, dim))
}

impl ImageBasedStep {
    fn load(stage: &str, key: &str, centroids: &str, targets: &[String], inputs: &Inputs) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let vectors = VectorsOfRows::open(stage, key, inputs)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (data, dim) = load(stage, centroids)?;
        let rows = Rows::new(&data, dim, None).map_err(|e| fail(&e))?;
        let mut marked = vec![false; rows.len()];
        for target in targets {
            let (target, dim) = load(stage, target)?;
            let target = Rows::new(&target, dim, None).map_err(|e| fail(&e))?;
            mark_centroids(&target, &rows, &mut marked, threads).map_err(|e| fail(&e))?;
        }
        let (reason, no_vector) = ("nearest centroid is near no target".into(), format!("no vector `{key}`").into());
        Ok(Self { stage: stage.to_owned(), centroids: data, dim, marked, vectors, reason, no_vector })
    }
}

impl Step for ImageBasedStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let living = rows.living();
        if living.is_empty() {
            return Ok(());
        }
        let (data, valid) = self.vectors.of(rows)?;
        let (mut wanted, mut there) = (Vec::with_capacity(living.len() * self.dim), Vec::with_capacity(living.len()));
        let dim = data.len() / valid.len().max(1);
        for &row in &living {
            wanted.extend_from_slice(&data[row * dim..(row + 1) * dim]);
            there.push(valid[row]);
        }
        let vectors = Rows::new(&wanted, dim, Some(&there)).map_err(|e| fail(&e))?;
        let centroids = Rows::new(&self.centroids, self.dim, None).map_err(|e| fail(&e))?;
        for (&row, kept) in living.iter().zip(in_marked(&vectors, &centroids, &self.marked, 1).map_err(|e| fail(&e))?) {
            match kept {
                Some(true) => {}
                Some(false) => rows.exclude(row, &self.reason, None),
                None => rows.exclude(row, &self.no_vector, None),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn tokens_are_counted_as_fasttext_does() {
        assert_eq!(["", "one", "two  words", " a\tb ", "a\nb", "a\u{a0}b"].map(tokens), [0, 1, 2, 2, 3, 1]);
    }
}
