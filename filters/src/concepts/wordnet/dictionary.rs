//! Lemmas, offsets and exceptions of a WordNet directory.

use std::collections::HashMap;
use std::fs::read_to_string;
use std::path::Path;

use super::super::Error;

/// How nltk strips endings of a word that is in no list of exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Morphy {
    /// The endings are stripped again and again until a form is found: nltk up to 3.8, DataComp's time.
    #[default]
    UntilFound,
    /// One ending is stripped, once: nltk from 3.9.
    Once,
}

/// Parts of speech in the order in which nltk's `synsets(word)` goes through them: noun, verb, adjective, adverb. Satellite
/// adjectives (`s`) are in the same index as adjectives, and are found with these.
const PARTS: [(&str, &str); 4] = [("n", "noun"), ("v", "verb"), ("a", "adj"), ("r", "adv")];

/// The endings of each part of speech, in nltk's order (those of WordNet's own `morph`).
const ENDINGS: [&[(&str, &str)]; 4] = [
    &[("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")],
    &[("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")],
    &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
    &[],
];

/// Words of more bytes are in no dictionary; stripping their endings one by one would take long.
pub(super) const LONGEST_WORD: usize = 100;

/// The lemmas of a WordNet directory with the offset of their first synset, and the exceptions of its morphology.
///
/// Reads `index.noun`, `index.verb`, `index.adj`, `index.adv` and `noun.exc`, `verb.exc`, `adj.exc`, `adv.exc` in Princeton's
/// format (`wndb(5)`). [`WordNet::first_synset_offset`] is nltk's `wordnet.synsets(word)[0].offset()`.
#[derive(Clone, Debug, Default)]
pub struct WordNet {
    /// Lemma → the offset of its first synset as each part of speech.
    lemmas: HashMap<Box<str>, [Option<u32>; 4]>,
    exceptions: [HashMap<Box<str>, Vec<Box<str>>>; 4],
    morphy: Morphy,
}

impl WordNet {
    /// Reads the directory.
    ///
    /// # Errors
    /// [`Error::Read`] where one of the eight files is missing or is not UTF-8; [`Error::Line`] for a line of an index that is not
    /// in the format.
    pub fn load(directory: impl AsRef<Path>, morphy: Morphy) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let mut wordnet = Self { morphy, ..Self::default() };
        for (part, (_, suffix)) in PARTS.iter().enumerate() {
            let path = directory.join(format!("index.{suffix}"));
            let lines = read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
            for (number, line) in (1u64..).zip(lines.lines()) {
                // The licence at the head of each file is indented.
                if line.starts_with(' ') || line.is_empty() {
                    continue;
                }
                let (lemma, letter, offset) =
                    index_line(line).map_err(|reason| Error::Line { path: path.clone(), line: number, reason: reason.to_owned() })?;
                if let Some(part) = PARTS.iter().position(|(known, _)| *known == letter) {
                    wordnet.lemmas.entry(lemma.into()).or_default()[part] = Some(offset);
                }
            }
            let path = directory.join(format!("{suffix}.exc"));
            let lines = read_to_string(&path).map_err(|source| Error::Read { path, source })?;
            for line in lines.lines() {
                let mut words = line.split_whitespace().map(Into::into);
                if let Some(form) = words.next() {
                    wordnet.exceptions[part].insert(form, words.collect());
                }
            }
        }
        Ok(wordnet)
    }

    /// How many lemmas there are.
    pub fn len(&self) -> usize {
        self.lemmas.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lemmas.is_empty()
    }

    /// The offset of the first synset that nltk's `synsets(word)` gives: the word lower-cased; nouns before verbs before
    /// adjectives before adverbs; within each the word itself before its base forms (*morphy*). The part of speech is not told:
    /// offsets are places in different files, and the same number may be a noun's and a verb's.
    ///
    /// [`None`] for what WordNet does not have, and for words of more than 100 bytes, which it has not (nltk would strip endings off
    /// them as long as it takes).
    pub fn first_synset_offset(&self, word: &str) -> Option<u32> {
        if word.len() > LONGEST_WORD {
            return None;
        }
        let word = word.to_lowercase();
        (0..PARTS.len()).find_map(|part| self.first_of_part(&word, part))
    }

    fn first_of_part(&self, word: &str, part: usize) -> Option<u32> {
        let offset = |form: &str| self.lemmas.get(form).and_then(|parts| parts[part]);
        if let Some(bases) = self.exceptions[part].get(word) {
            return offset(word).or_else(|| bases.iter().find_map(|base| offset(base)));
        }
        if let Some(found) = offset(word) {
            return Some(found);
        }
        let mut forms = strip(&[word.to_owned()], part);
        loop {
            if let Some(found) = forms.iter().find_map(|form| offset(form)) {
                return Some(found);
            }
            if self.morphy == Morphy::Once || forms.is_empty() {
                return None;
            }
            forms = strip(&forms, part);
        }
    }
}

/// Each form with each ending that it has replaced, in order, each result once.
fn strip(forms: &[String], part: usize) -> Vec<String> {
    let mut stripped = Vec::new();
    for form in forms {
        for (old, new) in ENDINGS[part] {
            if let Some(stem) = form.strip_suffix(old) {
                let base = format!("{stem}{new}");
                // A form that is there a second time finds nothing that it did not find the first.
                if !stripped.contains(&base) {
                    stripped.push(base);
                }
            }
        }
    }
    stripped
}

/// `lemma pos synset_cnt p_cnt [ptr_symbol...] sense_cnt tagsense_cnt synset_offset [synset_offset...]`.
fn index_line(line: &str) -> Result<(&str, &str, u32), &'static str> {
    let mut fields = line.split_whitespace();
    let mut next = |reason| fields.next().ok_or(reason);
    let lemma = next("no lemma")?;
    let part = next("no part of speech")?;
    let synsets: usize = next("no number of synsets")?.parse().map_err(|_| "the number of synsets is no number")?;
    let pointers: usize = next("no number of pointers")?.parse().map_err(|_| "the number of pointers is no number")?;
    for _ in 0..pointers {
        next("fewer pointers than said")?;
    }
    let senses: usize = next("no number of senses")?.parse().map_err(|_| "the number of senses is no number")?;
    if synsets == 0 || synsets != senses {
        return Err("the numbers of synsets and senses must be equal, and not 0");
    }
    next("no number of tagged senses")?;
    let offset = next("no offset")?.parse().map_err(|_| "the offset is no number")?;
    if fields.count() + 1 < synsets {
        return Err("fewer offsets than synsets");
    }
    Ok((lemma, part, offset))
}
