//! The four sources put together.

use std::collections::HashSet;

use serde::Serialize;

use super::super::{Entries, EntryId};
use super::corpus::{Corpus, is_mark};
use super::pageviews::PageViews;

/// Which entries are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MetaCLIP 1, and English in MetaCLIP 2: the empty string and single ASCII punctuation marks.
    One,
    /// MetaCLIP 2: entries of nothing but punctuation, and entries of more than 256 characters; the empty string too.
    Two,
}

/// Whether `entry` is dropped.
pub fn drops(version: Version, entry: &str) -> bool {
    match version {
        Version::One => entry.is_empty() || (entry.len() == 1 && entry.bytes().all(|byte| byte.is_ascii_punctuation())),
        Version::Two => entry.chars().nth(256).is_some() || entry.chars().all(is_mark),
    }
}

/// Which of a source's candidates are taken, in order of their score; the bounds apply one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Selection {
    /// At least this score.
    pub least: Option<f64>,
    /// More than this score.
    pub above: Option<f64>,
    /// The best share of the candidates, 0 to 1, rounded down.
    pub top: Option<f64>,
    /// So many at most.
    pub cap: Option<usize>,
}

impl Selection {
    /// Of candidates that are sorted by score, the best first, how many are taken.
    fn count<T>(&self, sorted: &[T], score: impl Fn(&T) -> f64) -> usize {
        let passes = |item: &T| {
            let score = score(item);
            self.least.is_none_or(|least| score >= least) && self.above.is_none_or(|above| score > above)
        };
        let passing = sorted.partition_point(passes);
        let top = self.top.map_or(usize::MAX, |top| (sorted.len() as f64 * top) as usize);
        passing.min(top).min(self.cap.unwrap_or(usize::MAX))
    }
}

/// The rules of a language's metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What is dropped.
    pub version: Version,
    /// By count.
    pub unigrams: Selection,
    /// By mutual information, see [`Corpus::bigrams`].
    pub bigrams: Selection,
    /// Bigrams are at most this share of the unigrams that were taken.
    pub bigrams_per_unigram: Option<f64>,
    /// What stands between the words of a bigram: a space; nothing in languages without spaces ([`UNSEGMENTED`](super::UNSEGMENTED)).
    pub joint: String,
    /// By views.
    pub titles: Selection,
}

impl Recipe {
    /// MetaCLIP 1: unigrams with a count of at least 100, bigrams with a PMI of at least 30, titles with at least 70 views.
    pub fn version_1() -> Self {
        let least = |least| Selection { least: Some(least), ..Selection::default() };
        Self {
            version: Version::One,
            unigrams: least(100.0),
            bigrams: least(30.0),
            bigrams_per_unigram: None,
            joint: " ".to_owned(),
            titles: least(70.0),
        }
    }

    /// MetaCLIP 2, for any language but English: the top 10 % of unigrams, at most 251 465; bigrams with a PMI above 30, at most
    /// 100 646 (the code's cap; the paper says 40 % of the unigrams, which is [`Recipe::bigrams_per_unigram`]); the top 76 % of
    /// titles, at most 61 235. The language's code says how bigrams are joined.
    pub fn version_2(language: &str) -> Self {
        let top = |top, cap| Selection { top: Some(top), cap: Some(cap), ..Selection::default() };
        let joint = if super::UNSEGMENTED.contains(&language) { "" } else { " " };
        Self {
            version: Version::Two,
            unigrams: top(0.1, 251_465),
            bigrams: Selection { above: Some(30.0), cap: Some(100_646), ..Selection::default() },
            bigrams_per_unigram: None,
            joint: joint.to_owned(),
            titles: top(0.76, 61_235),
        }
    }
}

/// The sources; what is not given is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataBuilder<'a> {
    /// Words of WordNet, in their order.
    pub wordnet: &'a [String],
    /// Counts of the Wikipedia text.
    pub corpus: Option<&'a Corpus>,
    /// Views of the Wikipedia titles.
    pub titles: Option<&'a PageViews>,
}

/// A finished list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The entries, each once; [`Entries::write_json`] writes the file.
    pub entries: Entries,
    /// Where they are from.
    pub sources: SourceCounts,
}

/// How many entries each source gave, less those that an earlier source had given already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceCounts {
    /// WordNet.
    pub wordnet: usize,
    /// Single words of Wikipedia.
    pub unigrams: usize,
    /// Pairs of words of Wikipedia.
    pub bigrams: usize,
    /// Titles of Wikipedia.
    pub titles: usize,
    /// 0 to 99.
    pub numbers: usize,
    /// Selected, but given by an earlier source already.
    pub repeated: usize,
    /// Selected, but dropped as empty, as punctuation or as too long.
    pub dropped: usize,
}

impl MetadataBuilder<'_> {
    /// The list, in this order: WordNet as given; unigrams by count, the most frequent first; bigrams by mutual information, the
    /// highest first, then by count; titles by views, the most viewed first; the numbers 0 to 99. Ties are in the order of bytes.
    /// An entry of several sources stands with the first.
    ///
    /// The same sources give the same list, whatever the order in which they were read (unless a limit of [`Corpus`] was reached).
    pub fn build(&self, recipe: &Recipe) -> Metadata {
        let mut list = List { recipe, seen: HashSet::new(), metadata: Metadata::default() };
        let wordnet = self.wordnet.iter().filter(|word| list.push(word)).count();
        let (mut unigrams, mut bigrams, mut titles) = (0, 0, 0);
        if let Some(corpus) = self.corpus {
            let words = best(corpus.unigrams(), &recipe.unigrams);
            unigrams = words.iter().filter(|word| list.push(word.0)).count();
            let mut pairs: Vec<_> = corpus.bigrams().filter(|pair| recipe.bigrams.least.is_none_or(|least| pair.pmi >= least)).collect();
            pairs.sort_by(|a, b| {
                b.pmi.total_cmp(&a.pmi).then(b.count.cmp(&a.count)).then_with(|| (a.first, a.second).cmp(&(b.first, b.second)))
            });
            let share = recipe.bigrams_per_unigram.map_or(usize::MAX, |share| (words.len() as f64 * share) as usize);
            pairs.truncate(recipe.bigrams.count(&pairs, |pair| pair.pmi).min(share));
            bigrams = pairs.iter().filter(|pair| list.push(&format!("{}{}{}", pair.first, recipe.joint, pair.second))).count();
        }
        if let Some(views) = self.titles {
            titles = best(views.iter(), &recipe.titles).iter().filter(|title| list.push(title.0)).count();
        }
        let numbers = (0..100).filter(|number| list.push(&number.to_string())).count();
        let mut metadata = list.metadata;
        metadata.sources = SourceCounts { wordnet, unigrams, bigrams, titles, numbers, ..metadata.sources };
        metadata
    }
}

/// The selected ones, the most frequent first.
fn best<'a>(counted: impl Iterator<Item = (&'a str, u64)>, selection: &Selection) -> Vec<(&'a str, u64)> {
    let mut counted: Vec<_> = counted.collect();
    counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counted.truncate(selection.count(&counted, |item| item.1 as f64));
    counted
}

struct List<'a> {
    recipe: &'a Recipe,
    seen: HashSet<Box<str>>,
    metadata: Metadata,
}

impl List<'_> {
    /// Whether the entry was new and not to be dropped.
    fn push(&mut self, entry: &str) -> bool {
        if drops(self.recipe.version, entry) {
            self.metadata.sources.dropped += 1;
            return false;
        }
        if self.seen.contains(entry) {
            self.metadata.sources.repeated += 1;
            return false;
        }
        self.seen.insert(entry.into());
        self.metadata.entries.push(entry);
        debug_assert!(self.metadata.entries.len() <= EntryId::MAX as usize);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CorpusLimits, ViewLimits};
    use super::*;

    fn corpus(texts: &[&str]) -> Corpus {
        let mut corpus = Corpus::new(CorpusLimits::default());
        texts.iter().for_each(|text| corpus.add(text));
        corpus
    }

    #[test]
    fn sources_follow_each_other_and_the_first_one_counts() {
        let corpus = corpus(&["a dog , a cat", "a dog"]);
        let mut views = PageViews::new(ViewLimits::of("en"));
        views.read(b"en Dog 80 0\nen 7 90 0\nen Cat 60 0\nen dog 99 0\n".as_slice()).unwrap();
        let mut recipe = Recipe::version_1();
        recipe.unigrams.least = Some(2.0);
        // log2(2 * 7 / (3 * 2)) = 1.22 for `a dog`; `dog ,` has 1.81, `, a` 1.22, `a cat` 1.22.
        recipe.bigrams.least = Some(1.3);
        let wordnet = ["cat".to_owned(), "dog".to_owned(), String::new()];
        let metadata = MetadataBuilder { wordnet: &wordnet, corpus: Some(&corpus), titles: Some(&views) }.build(&recipe);
        let entries: Vec<_> = metadata.entries.iter().collect();
        assert_eq!(entries[..6], ["cat", "dog", "a", "dog ,", "7", "Dog"]);
        assert_eq!(entries[6..8], ["0", "1"]);
        assert_eq!(entries.len(), 105);
        let want = SourceCounts { wordnet: 2, unigrams: 1, bigrams: 1, titles: 2, numbers: 99, repeated: 3, dropped: 1 };
        assert_eq!(metadata.sources, want);
    }

    #[test]
    fn version_two_takes_shares_and_caps() {
        let sorted: Vec<f64> = (0..100).rev().map(f64::from).collect();
        let count = |selection: Selection| selection.count(&sorted, |score| *score);
        assert_eq!(count(Selection::default()), 100);
        assert_eq!(count(Selection { top: Some(0.76), ..Selection::default() }), 76);
        assert_eq!(count(Selection { top: Some(0.1), cap: Some(3), ..Selection::default() }), 3);
        assert_eq!(count(Selection { least: Some(90.0), ..Selection::default() }), 10);
        assert_eq!(count(Selection { above: Some(90.0), ..Selection::default() }), 9);
        let recipe = Recipe { bigrams_per_unigram: Some(0.4), ..Recipe::version_2("zh") };
        assert_eq!(recipe.joint, "");
        let recipe = Recipe { unigrams: Selection::default(), bigrams: Selection::default(), ..recipe };
        let corpus = corpus(&["我 爱 北京 天 安"]);
        let metadata = MetadataBuilder { corpus: Some(&corpus), ..MetadataBuilder::default() }.build(&recipe);
        // 40 % of five words are two pairs; all pairs have the same PMI and count.
        assert_eq!((metadata.sources.unigrams, metadata.sources.bigrams), (5, 2));
        assert!(metadata.entries.iter().any(|entry| entry == "北京天"));
    }

    #[test]
    fn punctuation_and_long_entries_are_dropped() {
        let long = "é".repeat(257);
        assert_eq!(
            ["", ".", "...", "。", "a", long.as_str()].map(|entry| drops(Version::One, entry)),
            [true, true, false, false, false, false]
        );
        assert_eq!(
            ["", ".", "...", "。", "a", long.as_str()].map(|entry| drops(Version::Two, entry)),
            [true, true, true, true, false, true]
        );
        assert!(!drops(Version::Two, &long[2..]));
    }
}
