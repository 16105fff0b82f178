//! DataComp's `text_based` baseline.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::path::Path;

use super::super::Error;
use super::WordNet;
use crate::text::split_words;

/// A set of synset offsets, as that of ImageNet-21k.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SynsetIds {
    offsets: HashSet<u32>,
}

impl SynsetIds {
    /// Reads a file with one WordNet id a line, a letter and eight digits: `n01440764` (`imagenet21k_wordnet_ids.txt`). Empty lines
    /// are skipped. The letter is not kept, as DataComp does not.
    ///
    /// # Errors
    /// [`Error::Read`] where it cannot be read, [`Error::Line`] where a line is something else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let mut offsets = HashSet::new();
        let file = std::io::BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
        for (number, line) in (1u64..).zip(file.lines()) {
            let line = line.map_err(unreadable)?;
            let id = line.trim();
            if id.is_empty() {
                continue;
            }
            let offset = id.strip_prefix(|c: char| c.is_ascii_alphabetic()).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            let offset = offset.and_then(|digits| digits.parse().ok()).ok_or_else(|| Error::Line {
                path: path.to_owned(),
                line: number,
                reason: format!("`{}` is no WordNet id such as `n01440764`", id.chars().take(40).collect::<String>()),
            })?;
            offsets.insert(offset);
        }
        Ok(Self { offsets })
    }

    /// Whether the offset is among them.
    pub fn contains(&self, offset: u32) -> bool {
        self.offsets.contains(&offset)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }
}

impl FromIterator<u32> for SynsetIds {
    fn from_iter<I: IntoIterator<Item = u32>>(offsets: I) -> Self {
        Self { offsets: offsets.into_iter().collect() }
    }
}

/// Whether a caption names something of ImageNet-21k: the second half of DataComp's baseline `text_based` (the first half is that
/// the caption is English by fastText, which is a rule of its own).
///
/// True where the first synset of any word of the caption is in the set. Words are what Python's `str.split()` gives, with the
/// punctuation that sticks to them (`dog,` is not in WordNet); the first synset is [`WordNet::first_synset_offset`]; only its
/// offset is compared, so that a verb may meet a noun's number, as there.
#[derive(Clone, Debug)]
pub struct TextRule {
    wordnet: WordNet,
    wanted: SynsetIds,
}

/// Words that a [`TextRule`] has looked up already: each new word costs a walk through WordNet, each known one a hash lookup. One
/// per thread and rule; at most about a million words are held.
#[derive(Debug, Default)]
pub struct Memo {
    known: HashMap<Box<str>, bool>,
}

/// Words held, at most.
const MEMO: usize = 1 << 20;

impl TextRule {
    /// The rule for this dictionary and this set.
    pub fn new(wordnet: WordNet, wanted: SynsetIds) -> Self {
        Self { wordnet, wanted }
    }

    /// Whether the first synset of `word` is in the set.
    pub fn word(&self, word: &str) -> bool {
        self.wordnet.first_synset_offset(word).is_some_and(|offset| self.wanted.contains(offset))
    }

    /// Whether any word of `caption` passes. The answer does not depend on the memo.
    pub fn text_based(&self, caption: &str, memo: &mut Memo) -> bool {
        split_words(caption).any(|word| {
            if let Some(known) = memo.known.get(word) {
                return *known;
            }
            let passes = self.word(word);
            if memo.known.len() >= MEMO {
                memo.known.clear();
            }
            if word.len() <= super::dictionary::LONGEST_WORD {
                memo.known.insert(word.into(), passes);
            }
            passes
        })
    }
}
