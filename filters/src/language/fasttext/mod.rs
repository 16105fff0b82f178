//! Supervised fastText models, read and run without fastText.
//!
//! Reads the `.bin` and `.ftz` files that fastText 0.9 writes (format versions 11 and 12) and predicts as its Python
//! binding does: all four losses, dense and quantised matrices, pruned dictionaries, subwords and word n-grams.

mod bytes;
mod dictionary;
mod loss;
mod matrix;
mod product_quantizer;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Cursor;
use dictionary::Dictionary;
use loss::Loss;
use matrix::Matrix;

use super::{Detection, LanguageDetector, prefix};

/// First four bytes of every fastText model, little-endian.
const MAGIC: i32 = 793_712_314;
/// The newest format version, that of fastText 0.1 to 0.9.
const VERSION: i32 = 12;
/// `model_name::sup` in fastText's `args.h`.
const SUPERVISED: i32 = 3;
/// The prefix of labels; fastText does not save it, so a model trained with another one is not understood.
const LABEL_PREFIX: &str = "__label__";
/// How many bytes of a text are looked at; a language is told long before.
const WINDOW_BYTES: usize = 16 * 1024;

/// Why a fastText model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum FastTextError {
    /// The file could not be read.
    #[error("cannot read fastText model `{path}`", path = path.display())]
    Read {
        /// The model file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a supervised fastText model, or it is damaged.
    #[error("`{path}` is not a usable fastText model: {reason} at byte {offset}", path = path.display())]
    Format {
        /// The model file, `<memory>` where it came as bytes.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
}

/// What is wrong with the bytes of a model.
#[derive(Debug)]
struct Malformed {
    offset: usize,
    reason: &'static str,
}

/// The settings of a model that prediction needs, from its header.
#[derive(Debug, Clone, Copy)]
struct Settings {
    dim: usize,
    word_ngrams: usize,
    loss: i32,
    bucket: u32,
    min_chars: usize,
    max_chars: usize,
}

/// A supervised fastText model, used to tell languages.
///
/// Newlines in the text count as spaces, as in DataComp's filters, and texts longer than 16 KiB are judged by their
/// first 16 KiB. Cloning is not needed: prediction takes `&self` from any number of threads.
///
/// fastText reports the probability plus 1e-5, so that its scores can exceed 1; here they are cut at 1.
#[derive(Debug)]
pub struct FastText {
    id: String,
    settings: Settings,
    dictionary: Dictionary,
    input: Matrix,
    output: Matrix,
    loss: Loss,
}

/// Buffers that prediction reuses, one set for each thread.
#[derive(Default)]
struct Scratch {
    hidden: Vec<f32>,
    output: Vec<f32>,
    token: Vec<u8>,
    word_hashes: Vec<i32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl FastText {
    /// Loads a `.bin` or `.ftz` model; all of it is kept in memory.
    ///
    /// # Errors
    /// [`FastTextError`] with the path, where the file cannot be read, is damaged, or is not a supervised model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FastTextError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| FastTextError::Read { path: path.into(), source })?;
        Self::parse(&bytes, path)
    }

    /// The model in `bytes`.
    ///
    /// # Errors
    /// [`FastTextError::Format`] where the bytes are damaged or are not a supervised model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FastTextError> {
        Self::parse(bytes, Path::new("<memory>"))
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, FastTextError> {
        Self::decode(bytes).map_err(|malformed| FastTextError::Format {
            path: path.into(),
            offset: malformed.offset,
            reason: malformed.reason,
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let settings = read_settings(&mut cursor)?;
        let dictionary = Dictionary::read(&mut cursor)?;
        let quantised = cursor.flag()?;
        if !quantised && dictionary.is_pruned() {
            return Err(cursor.error("a pruned dictionary without a quantised matrix"));
        }
        let input = Matrix::read(&mut cursor, quantised)?;
        if input.columns() != settings.dim || input.rows() < dictionary.rows_needed(&settings) {
            return Err(cursor.error("an input matrix that does not fit the dictionary"));
        }
        let output_quantised = cursor.flag()?;
        let output = Matrix::read(&mut cursor, quantised && output_quantised)?;
        if output.columns() != settings.dim || output.rows() < dictionary.labels().len() {
            return Err(cursor.error("an output matrix that does not fit the labels"));
        }
        let loss = Loss::new(settings.loss, dictionary.label_counts()).ok_or_else(|| cursor.error("an unknown loss"))?;
        let id = format!("fasttext:{}", blake3::hash(bytes).to_hex().split_at(16).0);
        Ok(Self { id, settings, dictionary, input, output, loss })
    }

    /// The labels of the model without their prefix, in the order of the file.
    pub fn labels(&self) -> &[Box<str>] {
        self.dictionary.labels()
    }

    /// The top label without its prefix and its probability, as fastText's own `predict(text, k=1)` gives them: of the whole
    /// text, letters or not. Nothing where no word or subword of it is known.
    ///
    /// A text is one line there: what holds line ends is to be made one by the caller, as DataComp's baselines do.
    pub fn predict(&self, text: &str) -> Option<(&str, f32)> {
        let (label, score) = self.best(text)?;
        Some((&self.dictionary.labels()[label], score))
    }

    /// The most likely label and its probability, or nothing where no word of the text is known.
    fn best(&self, text: &str) -> Option<(usize, f32)> {
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch { hidden, output, token, word_hashes } = scratch;
            hidden.clear();
            hidden.resize(self.settings.dim, 0.0);
            let mut rows = 0u32;
            self.dictionary.for_each_row(text, &self.settings, token, word_hashes, |row| {
                self.input.add_row(row, hidden);
                rows += 1;
            });
            if rows == 0 {
                return None;
            }
            let scale = 1.0 / rows as f32;
            hidden.iter_mut().for_each(|x| *x *= scale);
            self.loss.best(&self.output, hidden, output)
        })
    }
}

impl LanguageDetector for FastText {
    /// The top label, as `predict(text, k=1)` gives it; undetermined where the text has no letter, or no word or
    /// subword that the model knows.
    fn detect(&self, text: &str) -> Detection<'_> {
        if !super::has_letter(text) {
            return Detection::UNDETERMINED;
        }
        match self.best(prefix(text, WINDOW_BYTES)) {
            Some((label, score)) => Detection { lang: &self.dictionary.labels()[label], score: score.clamp(0.0, 1.0) },
            None => Detection::UNDETERMINED,
        }
    }

    /// `fasttext:` and the first 16 hex digits of the BLAKE3 of the file.
    fn id(&self) -> &str {
        &self.id
    }
}

fn read_settings(cursor: &mut Cursor<'_>) -> Result<Settings, Malformed> {
    if cursor.i32()? != MAGIC {
        return Err(Malformed { offset: 0, reason: "no fastText magic number" });
    }
    let version = cursor.i32()?;
    if !(11..=VERSION).contains(&version) {
        return Err(cursor.error("an unsupported format version"));
    }
    let dim = cursor.i32()?;
    // ws, epoch, minCount, neg: of training only.
    for _ in 0..4 {
        cursor.i32()?;
    }
    let word_ngrams = cursor.i32()?;
    let loss = cursor.i32()?;
    let model = cursor.i32()?;
    let bucket = cursor.i32()?;
    let min_chars = cursor.i32()?;
    let max_chars = cursor.i32()?;
    // lrUpdateRate, t: of training only.
    cursor.i32()?;
    cursor.take(8)?;
    if model != SUPERVISED {
        return Err(cursor.error("a model that was not trained as a classifier"));
    }
    if !(1..=100_000).contains(&dim) || bucket < 0 {
        return Err(cursor.error("impossible settings"));
    }
    // Version 11 classifiers ignored the subword setting (fasttext.cc, loadModel).
    let max_chars = if version == 11 { 0 } else { max_chars.max(0) };
    Ok(Settings {
        dim: dim as usize,
        word_ngrams: word_ngrams.max(1) as usize,
        loss,
        bucket: bucket as u32,
        min_chars: min_chars.max(0) as usize,
        max_chars: max_chars as usize,
    })
}

#[cfg(test)]
mod tests;
