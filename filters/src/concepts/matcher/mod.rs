//! Which entries are in a text.

mod block;
mod borders;
mod found;
mod hot;
mod key;
mod prefetch;
mod separators;
mod steps;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub use borders::{Borders, needs_no_space};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use daachorse::CharwiseDoubleArrayAhoCorasick;

use self::found::Found;
use self::hot::Hot;
use self::key::Key;
use self::steps::{Step, Steps};
use self::walk::Run;
use self::words::{Word, Words};
use super::spacing::{CLASSES, Class, spacing_into};
use super::{Entries, EntryId, Error};

/// No entry, no node.
const NONE: u32 = u32::MAX;

/// Finds the entries of a list in texts, exactly as MetaCLIP does.
///
/// An entry is in a text where `" " + entry + " "` is a substring of [`spacing`](super::spacing())`(text)`; [`Borders`] says
/// which of the two spaces version 2 leaves out. Case counts.
///
/// Between two spaces of the spaced text there is a run without spaces, perhaps an empty one: a token. An entry with a space on
/// either side is in the text exactly where its own tokens (the entry cut at each space) follow each other in the text's. So
/// such entries are looked up token by token, in a table of words and a table of steps from word to word, without making the
/// spaced text; double spaces, empty entries and stray tabs need no exception. Entries without one of the spaces are matched by
/// an Aho–Corasick automaton over the spaced text, which is made only if there are any.
///
/// ```
/// use trommel_filters::concepts::{Borders, Entries, Matcher, Scratch};
///
/// let entries: Entries = ["dog", "golden retriever", "retriever"].into_iter().collect();
/// let matcher = Matcher::new(&entries, Borders::Spaced)?;
/// let mut scratch = Scratch::default();
/// let mut found = matcher.find("My golden retriever, a dog", &mut scratch).to_vec();
/// found.sort_unstable();
/// assert_eq!(found, [0, 1, 2]);
/// assert!(matcher.find("hotdog", &mut scratch).is_empty());
/// # Ok::<(), trommel_filters::concepts::Error>(())
/// ```
///
/// It is built once, is [`Sync`], and takes some 40 bytes per entry.
pub struct Matcher {
    words: Words,
    /// What is known of each mark of the text as a word, by its byte; nothing of all other bytes.
    marks: [Word; 256],
    steps: Steps,
    /// Different for each matcher, never 0: by it a [`Scratch`] knows whose words it keeps.
    mark: u64,
    /// Tokens of the longest entry that is looked up by them.
    longest: usize,
    runs: Option<CharwiseDoubleArrayAhoCorasick<u32>>,
    /// Where a string is in the list more than once: id → the next id with the same string, or [`NONE`]. Empty where all differ.
    next_same: Vec<u32>,
    entries: usize,
}

/// Buffers of [`Matcher::find`], reused from text to text; one per thread. It serves any number of matchers, and keeps the words
/// that went by last (256 KB), so that many texts with one scratch are faster than each with its own.
#[derive(Default)]
pub struct Scratch {
    run: Run,
    /// Made with the first text.
    hot: Option<Hot>,
    found: Found,
    spaced: String,
    ids: Vec<EntryId>,
    with_runs: Vec<EntryId>,
}

impl Matcher {
    /// Builds the tables over `entries`.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 2³⁰ entries or words, or where the automaton of a script without spaces outgrows its tables
    /// (tens of millions of entries).
    pub fn new(entries: &Entries, borders: Borders) -> Result<Self, Error> {
        if entries.len() >= Word::LIMIT {
            return Err(Error::TooMany(format!("{} entries, at most {} fit", entries.len(), Word::LIMIT)));
        }
        let mut builder =
            Builder { words: Words::new(), next: entries.len(), steps: Steps::new(), nodes: 0, longest: 0, same: Same::default() };
        let mut runs = Runs::default();
        for (id, entry) in entries.iter().enumerate() {
            let id = id as EntryId;
            match borders.of(entry) {
                (true, true) => builder.one(id, entry),
                (before, behind) => runs.push(id, format!("{}{entry}{}", space(before), space(behind)), &mut builder.same),
            }
        }
        // All words that are entries are in now, and have their numbers by that; the others get theirs above.
        for (id, entry) in entries.iter().enumerate().filter(|(_, entry)| borders.of(entry) == (true, true)) {
            builder.several(id as EntryId, entry)?;
        }
        builder.words.finish();
        builder.steps.finish();
        let runs = runs.build()?;
        let mut marks = [Word::UNKNOWN; 256];
        for byte in (0..=u8::MAX).filter(|byte| CLASSES[usize::from(*byte)] == Class::Mark) {
            marks[usize::from(byte)] = builder.words.get(Key::alone(&[byte]), &[byte]);
        }
        static MARK: AtomicU64 = AtomicU64::new(1);
        Ok(Self {
            words: builder.words,
            marks,
            mark: MARK.fetch_add(1, Ordering::Relaxed),
            steps: builder.steps,
            longest: builder.longest,
            runs,
            next_same: builder.same.into_list(entries.len()),
            entries: entries.len(),
        })
    }

    /// How many entries it looks for.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of its tables.
    pub fn heap_bytes(&self) -> usize {
        let runs = self.runs.as_ref().map_or(0, CharwiseDoubleArrayAhoCorasick::heap_bytes);
        self.words.heap_bytes() + self.steps.heap_bytes() + runs + self.next_same.len() * 4
    }

    /// The ids of all entries in `text`, each once, in no order that is promised (but the same one each time).
    ///
    /// Where there are many texts, [`Matcher::find_each`] is faster.
    pub fn find<'s>(&self, text: &str, scratch: &'s mut Scratch) -> &'s [EntryId] {
        let mut ids = std::mem::take(&mut scratch.ids);
        ids.clear();
        self.find_each([text], scratch, |_, found| ids.extend_from_slice(found));
        scratch.ids = ids;
        &scratch.ids
    }

    /// Calls `each` for each of `texts` in order, with its number from 0 and what [`Matcher::find`] finds in it.
    ///
    /// A few kilobytes of texts are looked at together, so that their waits for memory overlap: with hundreds of thousands of entries
    /// the tables are larger than the caches, and this is several times as fast as text by text.
    ///
    /// ```
    /// use trommel_filters::concepts::{Borders, Entries, Matcher, Scratch};
    ///
    /// let entries: Entries = ["dog", "cat"].into_iter().collect();
    /// let matcher = Matcher::new(&entries, Borders::Spaced)?;
    /// let mut found = Vec::new();
    /// matcher.find_each(["a dog", "", "the cat"], &mut Scratch::default(), |text, ids| found.push((text, ids.to_vec())));
    /// assert_eq!(found, [(0, vec![0]), (1, vec![]), (2, vec![1])]);
    /// # Ok::<(), trommel_filters::concepts::Error>(())
    /// ```
    pub fn find_each<'t>(&self, texts: impl IntoIterator<Item = &'t str>, scratch: &mut Scratch, mut each: impl FnMut(usize, &[EntryId])) {
        let Some(runs) = &self.runs else {
            return self.walk(texts, scratch, each);
        };
        // The automaton is what takes the time here; its texts are not laid together.
        for (number, text) in texts.into_iter().enumerate() {
            let mut ids = std::mem::take(&mut scratch.with_runs);
            ids.clear();
            self.walk([text], scratch, |_, found| ids.extend_from_slice(found));
            spacing_into(text, &mut scratch.spaced);
            // An entry is either looked up by tokens or by the automaton, so that the two never find the same one.
            scratch.found.clear();
            for hit in runs.find_overlapping_iter(&scratch.spaced) {
                self.hits([hit.value()], &mut scratch.found);
            }
            ids.extend_from_slice(scratch.found.ids());
            each(number, &ids);
            scratch.with_runs = ids;
        }
    }

    /// Puts entries there with those that are the same string; [`NONE`] is passed over.
    #[inline]
    fn hits(&self, entries: impl IntoIterator<Item = EntryId>, found: &mut Found) {
        if self.next_same.is_empty() {
            return found.extend(entries);
        }
        for mut entry in entries {
            while entry != NONE {
                found.insert(entry);
                entry = self.next_same[entry as usize];
            }
        }
    }
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher").field("entries", &self.entries).field("heap_bytes", &self.heap_bytes()).finish_non_exhaustive()
    }
}

fn space(needed: bool) -> &'static str {
    if needed { " " } else { "" }
}

/// Entries that are the same string: each id that is stored in a table leads to the others.
#[derive(Default)]
struct Same {
    /// (id, later id with the same string), in the order of the list.
    pairs: Vec<(EntryId, EntryId)>,
}

impl Same {
    fn into_list(self, entries: usize) -> Vec<u32> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let mut list = vec![NONE; entries];
        for (first, later) in self.pairs {
            // Chained in front of the others: `first` leads to the newest, that to the one before.
            list[later as usize] = std::mem::replace(&mut list[first as usize], later);
        }
        list
    }
}

struct Builder {
    words: Words,
    /// The number of the next word that is no entry.
    next: usize,
    steps: Steps,
    /// Nodes behind the first word; the node of a first word is the word's number, and these are counted above all words.
    nodes: usize,
    longest: usize,
    same: Same,
}

impl Builder {
    /// Puts an entry with both spaces into the tables, where it is one word.
    fn one(&mut self, id: EntryId, entry: &str) {
        if !entry.contains(' ') {
            let (new, word) = self.words.insert(entry.as_bytes(), id);
            if !new {
                self.same.pairs.push((word.number(), id));
            }
            self.longest = self.longest.max(1);
        }
    }

    /// Puts an entry with both spaces into the tables, where it is several words.
    fn several(&mut self, id: EntryId, entry: &str) -> Result<(), Error> {
        let Some((first, others)) = entry.split_once(' ') else { return Ok(()) };
        let mut node = self.word(first, Word::STARTS);
        let mut tokens = others.split(' ').peekable();
        let mut count = 1;
        while let Some(token) = tokens.next() {
            count += 1;
            let number = self.word(token, Word::GOES_ON);
            // Counted down from the top, so that words, counted up, never meet them.
            let (new, step) = self.steps.insert(node, number, Step::LIMIT as u32 - 1 - self.nodes as u32);
            self.nodes += usize::from(new);
            node = step.node();
            if tokens.peek().is_some() {
                step.goes_on();
                continue;
            }
            match step.entry {
                NONE => step.entry = id,
                first => self.same.pairs.push((first, id)),
            }
        }
        self.longest = self.longest.max(count);
        if self.next >= Word::LIMIT || self.nodes >= Word::LIMIT {
            return Err(Error::TooMany(format!("they and their words are more than {}", Word::LIMIT)));
        }
        Ok(())
    }

    /// The number of a word of an entry, which gets `flag`.
    fn word(&mut self, word: &str, flag: u32) -> u32 {
        let (new, word) = self.words.insert(word.as_bytes(), self.next as u32);
        self.next += usize::from(new);
        word.mark(flag);
        word.number()
    }
}

/// The entries that lack one of the spaces.
#[derive(Default)]
struct Runs {
    patterns: Vec<(String, EntryId)>,
    ids: HashMap<String, EntryId>,
}

impl Runs {
    fn push(&mut self, id: EntryId, pattern: String, same: &mut Same) {
        match self.ids.get(&pattern) {
            Some(first) => same.pairs.push((*first, id)),
            None => {
                self.ids.insert(pattern.clone(), id);
                self.patterns.push((pattern, id));
            }
        }
    }

    fn build(self) -> Result<Option<CharwiseDoubleArrayAhoCorasick<u32>>, Error> {
        if self.patterns.is_empty() {
            return Ok(None);
        }
        drop(self.ids);
        let automaton = CharwiseDoubleArrayAhoCorasick::with_values(self.patterns);
        automaton.map(Some).map_err(|reason| Error::TooMany(format!("no automaton fits them ({reason})")))
    }
}
