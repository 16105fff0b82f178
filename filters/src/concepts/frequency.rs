//! How often concepts are in captions and images, and how long their tail is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Borders, Draw, Entries, EntryCounts, EntryId, Error, KeepRule, Matcher, Scratch};

/// Finds given concepts (class names, say) in captions.
///
/// After "No zero-shot without exponential data" (arXiv 2404.04125): a concept's name is cut at underscores and white space into
/// terms, and the concept is in a caption where all its terms are, anywhere in it. There, caption and terms are lemmatised by
/// spaCy and only nouns and proper nouns count. **This is a proxy**: it compares lower-cased words as they stand, so that plurals
/// are other words and `fly` is found as a verb too; frequencies come out lower or higher than by that method, and reports should
/// say so. Characters that are neither letters nor white space are removed, as there (there it keeps ASCII letters only; here those
/// of all scripts). White space of any kind separates.
#[derive(Debug)]
pub struct ConceptMatcher {
    terms: Matcher,
    /// The concepts that have each term.
    concepts_of: Vec<Vec<u32>>,
    /// How many different terms each concept has.
    needed: Vec<u32>,
}

/// Buffers of [`ConceptMatcher::find`], one per thread.
#[derive(Default)]
pub struct ConceptScratch {
    scratch: Scratch,
    normal: String,
    hits: BTreeMap<u32, u32>,
    found: Vec<u32>,
}

/// Lower-cased letters with single characters of white space between them.
fn normalise(text: &str, out: &mut String) {
    out.clear();
    for c in text.chars() {
        if c.is_whitespace() {
            out.push(' ');
        } else if c.is_alphabetic() {
            out.extend(c.to_lowercase());
        }
    }
}

impl ConceptMatcher {
    /// A matcher of these concepts; a concept's id is its place. Names without letters are in no caption.
    ///
    /// # Errors
    /// As [`Matcher::new`].
    pub fn new<S: AsRef<str>>(concepts: &[S]) -> Result<Self, Error> {
        let mut terms = BTreeMap::<String, Vec<u32>>::new();
        let mut needed = Vec::with_capacity(concepts.len());
        let mut normal = String::new();
        for (id, concept) in concepts.iter().enumerate() {
            normalise(&concept.as_ref().replace('_', " "), &mut normal);
            let mut own: Vec<&str> = normal.split_whitespace().collect();
            own.sort_unstable();
            own.dedup();
            needed.push(own.len() as u32);
            own.into_iter().for_each(|term| terms.entry(term.to_owned()).or_default().push(id as u32));
        }
        let entries: Entries = terms.keys().collect();
        Ok(Self { terms: Matcher::new(&entries, Borders::Spaced)?, concepts_of: terms.into_values().collect(), needed })
    }

    /// The ids of the concepts in `caption`, ascending.
    pub fn find<'s>(&self, caption: &str, scratch: &'s mut ConceptScratch) -> &'s [u32] {
        let ConceptScratch { scratch, normal, hits, found } = scratch;
        normalise(caption, normal);
        hits.clear();
        for &term in self.terms.find(normal, scratch) {
            for &concept in &self.concepts_of[term as usize] {
                *hits.entry(concept).or_default() += 1;
            }
        }
        found.clear();
        found.extend(hits.iter().filter(|(concept, hits)| self.needed[**concept as usize] == **hits).map(|(concept, _)| *concept));
        found
    }
}

/// How often a concept is met, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequency {
    /// Samples whose caption has it.
    pub text_freq: u64,
    /// Samples whose image has it, by the tags given.
    pub image_freq: u64,
    /// Samples of which both have it.
    pub joint_freq: u64,
}

/// One of the three frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `text_freq`.
    Text,
    /// `image_freq`.
    Image,
    /// `joint_freq`, which is what the paper relates to accuracy.
    Joint,
}

impl Frequency {
    /// The one asked for.
    pub fn of(&self, side: Side) -> u64 {
        match side {
            Side::Text => self.text_freq,
            Side::Image => self.image_freq,
            Side::Joint => self.joint_freq,
        }
    }
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConceptRow<'a> {
    /// The concept's name.
    pub concept: &'a str,
    /// The language of the captions.
    pub lang: &'a str,
    /// Its frequencies.
    #[serde(flatten)]
    pub frequency: Frequency,
}

/// Frequencies of concepts by language. Tables of shards add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConceptTable {
    concepts: Vec<String>,
    by_language: BTreeMap<String, Vec<Frequency>>,
    tagged: u64,
    misaligned: u64,
}

impl ConceptTable {
    /// Zeros for these concepts.
    pub fn new<S: AsRef<str>>(concepts: &[S]) -> Self {
        Self { concepts: concepts.iter().map(|concept| concept.as_ref().to_owned()).collect(), ..Self::default() }
    }

    /// Counts a sample: the language of its caption, the concepts in the caption ([`ConceptMatcher::find`]) and those in the image,
    /// where tags of it are at hand ([`None`] is not the same as no tags). Both lists are ascending, each concept once; ids that the
    /// table has not are passed over.
    pub fn add(&mut self, lang: &str, text: &[u32], image: Option<&[u32]>) {
        if !self.by_language.contains_key(lang) {
            self.by_language.insert(lang.to_owned(), vec![Frequency::default(); self.concepts.len()]);
        }
        let Some(table) = self.by_language.get_mut(lang) else { return };
        let mut joint = 0;
        for concept in text {
            let Some(frequency) = table.get_mut(*concept as usize) else { continue };
            frequency.text_freq += 1;
            if image.is_some_and(|image| image.binary_search(concept).is_ok()) {
                frequency.joint_freq += 1;
                joint += 1;
            }
        }
        let Some(image) = image else { return };
        for concept in image {
            if let Some(frequency) = table.get_mut(*concept as usize) {
                frequency.image_freq += 1;
            }
        }
        self.tagged += 1;
        self.misaligned += u64::from(joint == 0 && !text.is_empty() && !image.is_empty());
    }

    /// Adds the table of another part of the pool.
    ///
    /// # Errors
    /// [`Error::Lengths`] where the tables are not over the same number of concepts.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.concepts.len() != other.concepts.len() {
            return Err(Error::Lengths { left: self.concepts.len(), right: other.concepts.len() });
        }
        for (lang, theirs) in &other.by_language {
            let ours = self.by_language.entry(lang.clone()).or_insert_with(|| vec![Frequency::default(); self.concepts.len()]);
            for (a, b) in ours.iter_mut().zip(theirs) {
                a.text_freq += b.text_freq;
                a.image_freq += b.image_freq;
                a.joint_freq += b.joint_freq;
            }
        }
        self.tagged += other.tagged;
        self.misaligned += other.misaligned;
        Ok(())
    }

    /// A row per language and concept, in the order of the codes, then of the concepts.
    pub fn rows(&self) -> impl Iterator<Item = ConceptRow<'_>> {
        self.by_language.iter().flat_map(|(lang, table)| {
            self.concepts.iter().zip(table).map(move |(concept, frequency)| ConceptRow { concept, lang, frequency: *frequency })
        })
    }

    /// The frequencies over all languages, in the order of the concepts.
    ///
    /// With [`KeepRule`] they are a cap: see [`cap_keeps`].
    pub fn counts(&self, side: Side) -> EntryCounts {
        let mut counts = vec![0; self.concepts.len()];
        for table in self.by_language.values() {
            counts.iter_mut().zip(table).for_each(|(count, frequency)| *count += frequency.of(side));
        }
        EntryCounts::from(counts)
    }

    /// The share of samples in which caption and image both have concepts, but none in common, among the samples whose tags were
    /// given; [`None`] where none were. The paper has 5.3 % (LAION-400M) to 36.5 % (YFCC-15M).
    pub fn misalignment(&self) -> Option<f64> {
        (self.tagged > 0).then(|| self.misaligned as f64 / self.tagged as f64)
    }

    /// How long the tail is, over all languages.
    pub fn long_tail(&self, side: Side) -> LongTail {
        LongTail::of(self.counts(side).as_slice())
    }
}

/// The shape of a distribution of counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LongTail {
    /// How many concepts there are.
    pub concepts: usize,
    /// Gini coefficient, `2 Σ i x_i / (n Σ x_i) − (n + 1) / n` with the counts ascending and `i` from 1: 0 where all are met equally
    /// often, near 1 where few have everything. 0 where nothing is met.
    pub gini: f64,
    /// Share of concepts that are never met.
    pub none: f64,
    /// Share of concepts that are met less than 10 times.
    pub below_10: f64,
    /// Share of concepts that are met less than 100 times.
    pub below_100: f64,
}

impl LongTail {
    /// The shape of these counts.
    pub fn of(counts: &[u64]) -> Self {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        let n = sorted.len() as f64;
        let sum: f64 = sorted.iter().map(|count| *count as f64).sum();
        let weighted: f64 = (1u64..).zip(&sorted).map(|(i, count)| i as f64 * *count as f64).sum();
        let share = |bound| if sorted.is_empty() { 0.0 } else { sorted.partition_point(|count| *count < bound) as f64 / n };
        Self {
            concepts: sorted.len(),
            gini: if sum == 0.0 { 0.0 } else { 2.0 * weighted / (n * sum) - (n + 1.0) / n },
            none: share(1),
            below_10: share(10),
            below_100: share(100),
        }
    }
}

/// Whether a sample with these concepts stays under a cap of `rule.t()` samples per concept: a sample without concepts does; another
/// where any of its concepts keeps it ([`KeepRule::keeps`]).
///
/// A concept with `c` samples keeps each with probability `cap / c`, so `cap` of them are kept on its own account, in expectation;
/// those that a rarer concept keeps come on top, which is why rare concepts lose nothing.
pub fn cap_keeps(rule: &KeepRule, draw: &Draw, text_ix: u64, concepts: &[EntryId]) -> bool {
    concepts.is_empty() || rule.keeps(draw, text_ix, concepts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONCEPTS: [&str; 6] = ["golden_retriever", "dog", "Golden Gate  Bridge", "t-shirt", "1999", "собака"];

    fn find(caption: &str) -> Vec<u32> {
        ConceptMatcher::new(&CONCEPTS).unwrap().find(caption, &mut ConceptScratch::default()).to_vec()
    }

    #[test]
    fn a_concept_is_there_where_all_its_terms_are() {
        assert_eq!(find("The GOLDEN, old retriever"), [0]);
        assert_eq!(find("golden dog's retriever"), [0]);
        assert_eq!(find("a dog\ta golden bridge gate"), [1, 2]);
        assert_eq!(find("A T-shirt: tshirt 1999"), [3]);
        assert_eq!(find("Моя Собака!"), [5]);
        assert_eq!(find("golden golden"), [0u32; 0]);
        assert_eq!(find(""), [0u32; 0]);
    }

    #[test]
    fn frequencies_and_misalignment_are_counted_by_sample() {
        let mut table = ConceptTable::new(&["a", "b"]);
        table.add("en", &[0, 1], Some(&[1]));
        table.add("en", &[0], Some(&[1]));
        table.add("de", &[0], None);
        table.add("de", &[], Some(&[0]));
        let rows: Vec<_> = table
            .rows()
            .map(|row| (row.lang, row.concept, row.frequency.text_freq, row.frequency.image_freq, row.frequency.joint_freq))
            .collect();
        assert_eq!(rows, [("de", "a", 1, 1, 0), ("de", "b", 0, 0, 0), ("en", "a", 2, 0, 0), ("en", "b", 1, 2, 1)]);
        assert_eq!(table.misalignment(), Some(1.0 / 3.0));
        assert_eq!(table.counts(Side::Text).as_slice(), [3, 1]);
        assert_eq!(
            serde_json::to_string(&table.rows().next().unwrap()).unwrap(),
            r#"{"concept":"a","lang":"de","text_freq":1,"image_freq":1,"joint_freq":0}"#
        );
        let mut twice = table.clone();
        twice.merge(&table).unwrap();
        assert_eq!(twice.counts(Side::Image).as_slice(), [2, 4]);
        assert_eq!(twice.misalignment(), table.misalignment());
        assert!(twice.merge(&ConceptTable::new(&["a"])).is_err());
        assert_eq!(ConceptTable::new(&["a"]).misalignment(), None);
    }

    #[test]
    fn the_tail_is_measured() {
        let flat = LongTail::of(&[7; 4]);
        assert!(flat.gini.abs() < 1e-12 && flat.below_10 == 1.0 && flat.none == 0.0);
        let steep = LongTail::of(&[0, 0, 0, 1000]);
        assert_eq!((steep.gini, steep.none, steep.below_100), (0.75, 0.75, 0.75));
        // By hand: (2 * (1 + 4 + 9) / (3 * 6)) - 4 / 3.
        assert!((LongTail::of(&[3, 1, 2]).gini - 2.0 / 9.0).abs() < 1e-12);
        assert_eq!(LongTail::of(&[]), LongTail::default());
    }

    #[test]
    fn a_cap_leaves_rare_concepts_alone() {
        let rule = KeepRule::new(&EntryCounts::from(vec![10_000, 50]), 100).unwrap();
        let kept = |concepts: &[u32]| (0u64..10_000).filter(|i| cap_keeps(&rule, &Draw::new(5, &i.to_le_bytes()), 0, concepts)).count();
        // Four standard deviations of 10 000 draws at 1 %.
        assert!(kept(&[0]).abs_diff(100) < 40);
        assert_eq!((kept(&[1]), kept(&[0, 1]), kept(&[])), (10_000, 10_000, 10_000));
    }

    proptest! {
        #[test]
        fn gini_is_the_mean_difference(counts in proptest::collection::vec(0u64..1000, 1..20)) {
            let n = counts.len() as f64;
            let sum: u64 = counts.iter().sum();
            prop_assume!(sum > 0);
            let differences: u64 = counts.iter().flat_map(|a| counts.iter().map(|b| a.abs_diff(*b))).sum();
            prop_assert!((LongTail::of(&counts).gini - differences as f64 / (2.0 * n * sum as f64)).abs() < 1e-9);
        }
    }
}
