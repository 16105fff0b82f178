//! Words and pairs of words of a corpus, counted.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// How many different things a [`Corpus`] holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusLimits {
    /// Different words; each takes about 100 bytes.
    pub words: usize,
    /// Different pairs; each takes about 40 bytes.
    pub pairs: usize,
}

impl Default for CorpusLimits {
    /// 30 M words and 100 M pairs: about 7 GB when full, which the English Wikipedia does not reach in words.
    fn default() -> Self {
        Self { words: 30_000_000, pairs: 100_000_000 }
    }
}

/// Counts of words and of pairs of neighbouring words.
///
/// Words are what stands between white space, with each punctuation mark and symbol (Unicode `P` and `S`) a word of its own.
/// Texts of a script without spaces have to be segmented before. A pair never reaches over the end of a text given to
/// [`Corpus::add`]; punctuation is a word and so takes part in pairs, and the entry's rules drop what is nothing else.
///
/// Memory is bounded by [`CorpusLimits`]: when there are more different words (pairs), those with a count of at most 1 are dropped,
/// then of at most 2, and so on until a tenth of the room is free. Every count that is left is then too low by
/// [`Corpus::word_error`] ([`Corpus::pair_error`]) at most, and whatever has a true count above it is still there. A pair whose
/// word is dropped goes with it. Note that the pairs with the highest mutual information are rare ones.
#[derive(Debug)]
pub struct Corpus {
    limits: CorpusLimits,
    ids: HashMap<Box<str>, u32>,
    counts: Vec<u64>,
    pairs: HashMap<(u32, u32), u32>,
    words: u64,
    word_error: u64,
    pair_error: u64,
}

/// A pair of neighbouring words.
#[derive(Clone, Debug, PartialEq)]
pub struct Bigram<'a> {
    /// The first word.
    pub first: &'a str,
    /// The word behind it.
    pub second: &'a str,
    /// How often they stand so.
    pub count: u64,
    /// Pointwise mutual information in bits, see [`Corpus::bigrams`].
    pub pmi: f64,
}

static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{P}\p{S}]").ok());

/// Whether a character is punctuation or a symbol, by Unicode.
pub(super) fn is_mark(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    let mut bytes = [0; 4];
    MARK.as_ref().is_some_and(|mark| mark.is_match(c.encode_utf8(&mut bytes)))
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|chunk| {
        let mut rest = chunk;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = if is_mark(first) { first.len_utf8() } else { rest.find(is_mark).unwrap_or(rest.len()) };
            let (word, behind) = rest.split_at(end);
            rest = behind;
            Some(word)
        })
    })
}

impl Corpus {
    /// Nothing counted yet.
    pub fn new(limits: CorpusLimits) -> Self {
        Self { limits, ids: HashMap::new(), counts: Vec::new(), pairs: HashMap::new(), words: 0, word_error: 0, pair_error: 0 }
    }

    /// Counts a text: a paragraph or an article.
    pub fn add(&mut self, text: &str) {
        let mut before = None;
        for word in words(text) {
            let id = match self.ids.get(word) {
                Some(id) => *id,
                None => {
                    let id = self.counts.len() as u32;
                    self.ids.insert(word.into(), id);
                    self.counts.push(0);
                    id
                }
            };
            self.words += 1;
            self.counts[id as usize] += 1;
            if let Some(before) = before.replace(id) {
                let count = self.pairs.entry((before, id)).or_default();
                *count = count.saturating_add(1);
            }
        }
        // Ids change when words are dropped, so never in the middle of a text.
        if self.counts.len() > self.limits.words {
            self.drop_words();
        }
        if self.pairs.len() > self.limits.pairs {
            self.drop_pairs();
        }
    }

    fn drop_words(&mut self) {
        let room = self.limits.words - self.limits.words / 10;
        let mut sorted = self.counts.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let floor = sorted.get(room).copied().unwrap_or(0);
        self.word_error += floor;
        let mut new_ids = vec![None; self.counts.len()];
        let mut counts = Vec::new();
        for (id, &count) in self.counts.iter().enumerate() {
            if count > floor {
                new_ids[id] = Some(counts.len() as u32);
                counts.push(count);
            }
        }
        self.counts = counts;
        self.ids.retain(|_, id| match new_ids[*id as usize] {
            Some(new) => {
                *id = new;
                true
            }
            None => false,
        });
        let renamed = self.pairs.drain().filter_map(|((a, b), count)| Some(((new_ids[a as usize]?, new_ids[b as usize]?), count)));
        let renamed: HashMap<_, _> = renamed.collect();
        self.pairs = renamed;
    }

    fn drop_pairs(&mut self) {
        let room = self.limits.pairs - self.limits.pairs / 10;
        let mut floor = 0;
        while self.pairs.len() > room {
            floor += 1;
            self.pairs.retain(|_, count| *count > floor);
        }
        self.pair_error += u64::from(floor);
    }

    /// All words counted, repetitions included: the `N` of [`Corpus::bigrams`].
    pub fn words(&self) -> u64 {
        self.words
    }

    /// How much too low a word's count may be; 0 unless the limit was reached.
    pub fn word_error(&self) -> u64 {
        self.word_error
    }

    /// How much too low a pair's count may be, words dropped aside; 0 unless the limit was reached.
    pub fn pair_error(&self) -> u64 {
        self.pair_error
    }

    /// The different words and their counts, in no order.
    pub fn unigrams(&self) -> impl Iterator<Item = (&str, u64)> {
        self.ids.iter().map(|(word, id)| (&**word, self.counts[*id as usize]))
    }

    /// The different pairs with their pointwise mutual information as nltk's `BigramAssocMeasures.pmi` has it, in no order:
    /// `PMI(x, y) = log2(c_xy · N / (c_x · c_y))`, where `N` is the number of words of the corpus ([`Corpus::words`]).
    ///
    /// So PMI is `log2(N)` at most, for two words that are there once and together: MetaCLIP's bound of 30 bits cannot be reached
    /// below `N = 2³⁰`, and a small corpus needs a smaller bound.
    pub fn bigrams(&self) -> impl Iterator<Item = Bigram<'_>> {
        let mut names = vec![""; self.counts.len()];
        self.ids.iter().for_each(|(word, id)| names[*id as usize] = word);
        self.pairs.iter().map(move |(&(first, second), &count)| {
            let (x, y) = (self.counts[first as usize] as f64, self.counts[second as usize] as f64);
            let pmi = (f64::from(count) * self.words as f64 / (x * y)).log2();
            Bigram { first: names[first as usize], second: names[second as usize], count: u64::from(count), pmi }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_words_of_their_own() {
        let cut = |text| words(text).collect::<Vec<_>>();
        assert_eq!(cut("St. Louis's (east)  3.5€"), ["St", ".", "Louis", "'", "s", "(", "east", ")", "3", ".", "5", "€"]);
        assert_eq!(cut("हिन्दी, 日本語。"), ["हिन्दी", ",", "日本語", "。"]);
        assert_eq!(cut(" \n"), [""; 0]);
    }

    #[test]
    fn mutual_information_is_that_of_nltk() {
        let mut corpus = Corpus::new(CorpusLimits::default());
        corpus.add("a b a b c");
        corpus.add("c a");
        assert_eq!(corpus.words(), 7);
        let mut pairs: Vec<_> = corpus.bigrams().map(|pair| (pair.first, pair.second, pair.count, pair.pmi)).collect();
        pairs.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        // log2(n_ii * n_xx / (n_ix * n_xi)), as nltk computes it from these numbers.
        let pmi = |xy: f64, x: f64, y: f64| (xy * 7.0 / (x * y)).log2();
        assert_eq!(
            pairs,
            [
                ("a", "b", 2, pmi(2.0, 3.0, 2.0)),
                ("b", "a", 1, pmi(1.0, 2.0, 3.0)),
                ("b", "c", 1, pmi(1.0, 2.0, 2.0)),
                ("c", "a", 1, pmi(1.0, 2.0, 3.0))
            ]
        );
    }

    #[test]
    fn counts_stay_within_their_limits_and_say_by_how_much_they_are_off() {
        let mut corpus = Corpus::new(CorpusLimits { words: 50, pairs: 60 });
        for i in 0..2000u32 {
            corpus.add(&format!("often here x{} y{}", i, i % 7));
        }
        assert!(corpus.unigrams().count() <= 50 && corpus.bigrams().count() <= 60);
        let often = corpus.unigrams().find(|word| word.0 == "often").unwrap().1;
        assert!(often <= 2000 && often + corpus.word_error() >= 2000, "{often} {}", corpus.word_error());
        let pair = corpus.bigrams().find(|pair| pair.first == "often").unwrap();
        assert!(pair.second == "here" && pair.count <= 2000 && pair.count + corpus.pair_error() >= 2000);
        assert!(corpus.word_error() > 0);
    }
}
