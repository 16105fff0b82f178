//! Shingles, permutations and bands; presets.

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum MinHashError {
    /// A number that must be at least 1 is 0.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// More permutations than make sense.
    #[error("{bands} bands of {rows} rows are more than {most} permutations")]
    TooMany {
        /// Bands.
        bands: usize,
        /// Rows of a band.
        rows: usize,
        /// The most.
        most: usize,
    },
    /// A similarity outside 0 to 1.
    #[error("a Jaccard similarity of {0} is not between 0 and 1")]
    Similarity(f64),
    /// More texts than the groups have rows.
    #[error("row {row} is outside the {rows} rows of the groups")]
    NoSuchRow {
        /// The row.
        row: u64,
        /// Rows of the groups.
        rows: usize,
    },
    /// The temporary files of band keys could not be written or read.
    #[error("band keys on disk")]
    Io(#[from] std::io::Error),
}

/// What a text is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shingle {
    /// So many words in a row, joined by one space. Words are what white space separates after [`Normalise`].
    Words(usize),
    /// So many characters (Unicode scalar values) in a row, spaces included.
    Chars(usize),
}

/// What is done to a text before it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Lower case; every run of characters that are neither letters, marks nor digits becomes one space.
    #[default]
    Caption,
    /// datatrove's `simplify_text`: lower case, numbers to `0`, listed punctuation to spaces, white space collapsed, NFD without non-spacing marks.
    Datatrove,
    /// Lower case, and white space collapsed.
    Lower,
    /// Nothing.
    Nothing,
}

/// What happens to texts with fewer words or characters than a shingle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortTexts {
    /// The whole text is its one shingle, so short texts group if they are equal after [`Normalise`]. A text that is empty then has no signature.
    #[default]
    Whole,
    /// They have no signature and are never grouped, as in datatrove.
    Skip,
}

/// How signatures are made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What a text is cut into.
    pub shingle: Shingle,
    /// What is done to it before.
    pub normalise: Normalise,
    /// What happens to short texts.
    pub short_texts: ShortTexts,
    /// Bands: texts that agree in one are candidates.
    pub bands: usize,
    /// Permutations of a band.
    pub rows: usize,
    /// Seeds the permutations.
    pub seed: u32,
}

/// At most so many permutations.
const MOST: usize = 4096;

impl Options {
    /// For captions: 5-grams of characters, 16 bands of 6. A pair of similarity .5 is a candidate with probability .22, of .6 with .53, of .7 with .87, of .8 with .992.
    pub fn captions() -> Self {
        Self { shingle: Shingle::Chars(5), normalise: Normalise::Caption, short_texts: ShortTexts::Whole, bands: 16, rows: 6, seed: 1 }
    }

    /// For captions by words: 3-word shingles, 20 bands of 4, because one changed word costs three shingles.
    pub fn words() -> Self {
        Self { shingle: Shingle::Words(3), bands: 20, rows: 4, ..Self::captions() }
    }

    /// datatrove's `MinhashConfig`: 5-word shingles, 14 bands of 8, 64-bit signatures equal to its own where its word tokenizer splits at spaces
    /// (spaCy's also splits a few English contractions and units; [`super::MinHasher::words`] takes the words of any tokenizer).
    pub fn datatrove() -> Self {
        Self { shingle: Shingle::Words(5), normalise: Normalise::Datatrove, short_texts: ShortTexts::Skip, bands: 14, rows: 8, seed: 1 }
    }

    /// NeMo Curator's fuzzy deduplication: 24 characters, 20 bands of 13. The same parameters, with permutations of our own.
    pub fn nemo() -> Self {
        Self { shingle: Shingle::Chars(24), normalise: Normalise::Nothing, short_texts: ShortTexts::Whole, bands: 20, rows: 13, seed: 42 }
    }

    /// data-juicer's `document_minhash_deduplicator`: 5 words, 256 permutations cut for a similarity of .7 by [`bands_for`]. The same
    /// parameters, with permutations of our own.
    pub fn data_juicer() -> Self {
        let (bands, rows) = bands_for(0.7, 256);
        Self { shingle: Shingle::Words(5), normalise: Normalise::Lower, short_texts: ShortTexts::Whole, bands, rows, seed: 42 }
    }

    /// Permutations.
    pub fn permutations(&self) -> usize {
        self.bands * self.rows
    }

    pub(super) fn check(&self) -> Result<(), MinHashError> {
        let (Shingle::Words(n) | Shingle::Chars(n)) = self.shingle;
        for (name, value) in [("shingle", n), ("bands", self.bands), ("rows", self.rows)] {
            if value == 0 {
                return Err(MinHashError::Zero(name));
            }
        }
        if self.bands.saturating_mul(self.rows) > MOST {
            return Err(MinHashError::TooMany { bands: self.bands, rows: self.rows, most: MOST });
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::captions()
    }
}

/// The probability that a pair of Jaccard similarity `s` agrees in at least one band.
pub fn candidate_probability(s: f64, bands: usize, rows: usize) -> f64 {
    1.0 - (1.0 - s.powi(rows as i32)).powi(bands as i32)
}

/// Bands and rows of at most `permutations` for which false positives below `similarity` and false negatives above it are fewest together, as
/// datasketch and data-juicer choose them: the sum of the two integrals of [`candidate_probability`], weighted equally.
pub fn bands_for(similarity: f64, permutations: usize) -> (usize, usize) {
    const STEP: f64 = 0.001;
    let integral = |from: f64, to: f64, f: &dyn Fn(f64) -> f64| {
        let steps = ((to - from) / STEP) as usize;
        (0..steps).map(|i| f(from + (i as f64 + 0.5) * STEP) * STEP).sum::<f64>()
    };
    let mut best = (f64::INFINITY, (1, 1));
    for bands in 1..=permutations {
        for rows in 1..=permutations / bands {
            let wrong = 0.5 * integral(0.0, similarity, &|s| candidate_probability(s, bands, rows))
                + 0.5 * integral(similarity, 1.0, &|s| 1.0 - candidate_probability(s, bands, rows));
            if wrong < best.0 {
                best = (wrong, (bands, rows));
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_that_data_juicer_chooses() {
        // datasketch 2.0: _optimal_param(0.7, 256, 0.5, 0.5).
        assert_eq!(bands_for(0.7, 256), (25, 10));
    }

    #[test]
    fn the_documented_probabilities_are_those_of_the_formula() {
        let Options { bands, rows, .. } = Options::captions();
        for (s, p) in [(0.5, 0.22), (0.6, 0.53), (0.7, 0.87), (0.8, 0.992)] {
            assert!((candidate_probability(s, bands, rows) - p).abs() < 0.006, "{s}: {}", candidate_probability(s, bands, rows));
        }
        assert!((candidate_probability(0.8, 14, 8) - 0.924).abs() < 0.0005);
    }
}
