//! Attributes and labels from captions: a word list per language, compiled into one automaton each.
//!
//! A lexicon file is TOML (or anything that serde reads): language, name, words.
//!
//! ```
//! use trommel_filters::balance::lexicon::{Lexicon, LexiconFile};
//!
//! let file: LexiconFile = r#"
//!     [en]
//!     female = ["woman", "women", "girl"]
//!     cabin  = ["flight attendant", "flight attendants"]
//!     [zh]
//!     female = ["女性"]
//!     cabin  = ["空姐"]
//! "#.parse()?;
//! // Bit 0 is `female`, bit 1 is `cabin`: first the attributes, then the labels.
//! let lexicon = Lexicon::new(&file, &["female", "cabin"])?;
//! assert_eq!(lexicon.bits("en", "A WOMAN, working as a flight  attendant"), Ok(0b11));
//! assert_eq!(lexicon.bits("en-GB", "a policewoman"), Ok(0));
//! assert_eq!(lexicon.bits("zh", "一位女性在工作"), Ok(0b01));
//! assert!(lexicon.bits("de", "eine Frau").is_err());
//! # Ok::<(), trommel_filters::balance::lexicon::LexiconError>(())
//! ```
//!
//! # What counts as a match
//!
//! Captions and words are compared in Unicode lower case, with each run of white space as one space. Nothing else is folded:
//! `é` and `e` differ, and so do composed and decomposed forms, so bring captions and lexicon to one form (NFC) before. A lexicon lists inflected
//! forms. Only whole words match. With *word character* as in Unicode's regular expressions (`\w`: letters, marks, digits, connectors):
//!
//! 1. A match never ends before a combining mark: that would be another letter.
//! 2. Between a word character of the match and a neighbour that is none there is a boundary.
//! 3. Scripts written without spaces (Han, Hiragana, Katakana, Bopomofo, Thai, Lao, Khmer, Myanmar) have a boundary before and after every
//!    character, so words match anywhere in them: `女性` in `日本女性写真`. This finds words within longer ones too; list those
//!    that mislead under another name, or leave the short word out.
//! 4. Hangul has a boundary after every syllable, as particles follow words without a space (`간호사는`), but not before.
//! 5. An edge of a word that is itself no word character (`#nurse`, `c++`) needs no boundary.

mod boundary;
mod file;

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

pub use file::{LexiconError, LexiconFile, NoLexicon};

use boundary::is_whole;

/// A compiled lexicon: captions in, bits out.
///
/// Immutable and shared between threads as it is. Memory is some hundred bytes per word.
#[derive(Clone, Debug)]
pub struct Lexicon {
    languages: BTreeMap<String, Words>,
}

#[derive(Clone, Debug)]
struct Words {
    automaton: AhoCorasick,
    /// The bits of each pattern; more than one where several names share a word.
    bits: Vec<u128>,
}

impl Lexicon {
    /// Compiles the words of `names`, of which the i-th sets bit i: first an [`super::m4`] problem's attributes, then its labels.
    ///
    /// Names of the file that are not asked for are left out. Errors: more than 128 names, a name twice; a language that does not list a name, as
    /// its captions would then never have it (an empty list says that this is meant); an empty word; an automaton that gets too large.
    pub fn new<S: AsRef<str>>(file: &LexiconFile, names: &[S]) -> Result<Self, LexiconError> {
        if names.len() > 128 {
            return Err(LexiconError::TooMany(names.len()));
        }
        if let Some(name) = names.iter().enumerate().find(|(i, name)| names[..*i].iter().any(|other| other.as_ref() == name.as_ref())) {
            return Err(LexiconError::SameName(name.1.as_ref().into()));
        }
        let mut languages = BTreeMap::new();
        for (language, lists) in &file.languages {
            let mut words = BTreeMap::<String, u128>::new();
            for (bit, name) in names.iter().enumerate() {
                let name = name.as_ref();
                let missing = || LexiconError::MissingName { language: language.clone(), name: name.into() };
                for word in lists.get(name).ok_or_else(missing)? {
                    let folded = fold(word);
                    let folded = folded.trim();
                    if folded.is_empty() {
                        return Err(LexiconError::EmptyWord { language: language.clone(), name: name.into() });
                    }
                    *words.entry(folded.to_owned()).or_default() |= 1 << bit;
                }
            }
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(words.keys())
                .map_err(|source| LexiconError::Automaton { language: language.clone(), source })?;
            let known = languages.insert(language.to_lowercase(), Words { automaton, bits: words.into_values().collect() });
            if known.is_some() {
                return Err(LexiconError::SameLanguage(language.to_lowercase()));
            }
        }
        Ok(Self { languages })
    }

    /// The languages that have words, in lower case, sorted.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// The bits of a caption in a language: its own, or that of its primary subtag (`en` for `en-GB`).
    ///
    /// A language without words is [`NoLexicon`], which is not "no bit": the caller leaves the row out, counts it, or stops.
    pub fn bits(&self, language: &str, caption: &str) -> Result<u128, NoLexicon> {
        let tag = language.to_lowercase();
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let words = self.languages.get(&tag).or_else(|| self.languages.get(primary));
        words.map(|words| words.bits(caption)).ok_or_else(|| NoLexicon(language.to_owned()))
    }
}

impl Words {
    fn bits(&self, caption: &str) -> u128 {
        let caption = fold(caption);
        let mut found = 0;
        for hit in self.automaton.find_overlapping_iter(&caption) {
            let bits = self.bits[hit.pattern().as_usize()];
            // A word that was found already need not be looked at.
            if bits & !found != 0 && is_whole(&caption, hit.start(), hit.end()) {
                found |= bits;
            }
        }
        found
    }
}

/// Lower case, and one space for each run of white space.
fn fold(text: &str) -> String {
    let lower = text.to_lowercase();
    let plain = |text: &str| {
        let mut space = false;
        text.chars().all(|c| {
            let again = space && c == ' ';
            space = c == ' ';
            !again && (c == ' ' || !c.is_whitespace())
        })
    };
    if plain(&lower) {
        return lower;
    }
    let mut folded = String::with_capacity(lower.len());
    for c in lower.chars() {
        if !c.is_whitespace() {
            folded.push(c);
        } else if !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded
}

#[cfg(test)]
mod tests;
