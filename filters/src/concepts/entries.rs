//! A list of entries (MetaCLIP's *metadata*): what captions are matched against.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read, Write};

use serde::de::{Deserializer as _, SeqAccess, Visitor};

use super::spacing::{CLASSES, Class};
use super::{EntryId, Error};

/// An ordered list of entries. An entry's place, from 0, is its [`EntryId`]; the strings are taken verbatim.
///
/// MetaCLIP's own file is a JSON list of 500 000 strings. The list may be long (millions), may hold an entry twice (each
/// place is then an entry of its own, and both match) and may hold entries that cannot match, see [`Entries::dead`].
///
/// ```
/// use trommel_filters::concepts::Entries;
///
/// let entries = Entries::read_json(br#"["dog", "golden retriever"]"#.as_slice())?;
/// assert_eq!(entries.get(1), Some("golden retriever"));
/// # Ok::<(), trommel_filters::concepts::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// All strings, one behind the other: one allocation for millions of entries.
    text: String,
    /// Where each entry ends in `text`.
    ends: Vec<usize>,
}

impl Entries {
    /// Reads a JSON list of strings, streaming.
    ///
    /// # Errors
    /// [`Error::Json`] where it is something else.
    pub fn read_json(reader: impl Read) -> Result<Self, Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                let mut entries = Entries::default();
                while let Some(entry) = list.next_element::<String>()? {
                    entries.push(&entry);
                }
                Ok(entries)
            }
        }
        let wrong = |source| Error::Json { expected: "a JSON list of entries", source };
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(reader));
        let entries = json.deserialize_seq(List).map_err(wrong)?;
        json.end().map_err(wrong)?;
        Ok(entries)
    }

    /// Writes the JSON list that [`Entries::read_json`] reads, in order, one entry a line.
    ///
    /// # Errors
    /// [`Error::Stream`] where the writer fails.
    pub fn write_json(&self, mut writer: impl Write) -> Result<(), Error> {
        let mut write = || -> std::io::Result<()> {
            writer.write_all(b"[")?;
            for (i, entry) in self.iter().enumerate() {
                writer.write_all(if i == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut writer, entry)?;
            }
            writer.write_all(b"\n]\n")?;
            writer.flush()
        };
        write().map_err(|source| Error::Stream { what: "a list of entries", source })
    }

    /// Puts an entry behind the others.
    pub fn push(&mut self, entry: &str) {
        self.text.push_str(entry);
        self.ends.push(self.text.len());
    }

    /// The entry with this id.
    pub fn get(&self, id: EntryId) -> Option<&str> {
        let at = id as usize;
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.text[start..end])
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut start, end)..end])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ids of the entries that no text can match, by the spacing rules: those with a tab or a line break, and those with
    /// a mark of [`spacing`](super::spacing()) that has no space beside it (`st. louis`).
    pub fn dead(&self) -> impl Iterator<Item = EntryId> {
        self.iter().enumerate().filter(|(_, entry)| !can_match(entry)).map(|(id, _)| id as EntryId)
    }

    /// The first id of each string.
    pub(super) fn ids(&self) -> HashMap<&str, EntryId> {
        let mut ids = HashMap::with_capacity(self.len());
        for (id, entry) in self.iter().enumerate() {
            ids.entry(entry).or_insert(id as EntryId);
        }
        ids
    }
}

/// Whether the spaced form of some text holds `entry` between spaces.
pub(super) fn can_match(entry: &str) -> bool {
    entry.split(' ').all(|token| token.len() == 1 && token != "\t" && token != "\n" && token != "\r" || token.bytes().all(is_word))
}

fn is_word(byte: u8) -> bool {
    CLASSES[usize::from(byte)] == Class::Word
}

impl<S: AsRef<str>> FromIterator<S> for Entries {
    fn from_iter<I: IntoIterator<Item = S>>(entries: I) -> Self {
        let mut list = Self::default();
        entries.into_iter().for_each(|entry| list.push(entry.as_ref()));
        list
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_survives_the_way_to_json_and_back() {
        let entries: Entries = ["dog", "", "日本 \"x\"", "a\nb", "dog"].into_iter().collect();
        let mut json = Vec::new();
        entries.write_json(&mut json).unwrap();
        assert_eq!(Entries::read_json(json.as_slice()).unwrap(), entries);
        let mut json = Vec::new();
        Entries::default().write_json(&mut json).unwrap();
        assert!(Entries::read_json(json.as_slice()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_of_strings_is_an_error() {
        for wrong in ["{}", "[1]", "[\"a\"", "[\"a\"] x", ""] {
            assert!(matches!(Entries::read_json(wrong.as_bytes()), Err(Error::Json { .. })), "{wrong}");
        }
    }

    #[test]
    fn entries_with_glued_marks_or_line_breaks_are_dead() {
        let entries: Entries = ["st. louis", ".", "st . louis", "a\tb", "\t", "dog's", "", "a  b", "no!"].into_iter().collect();
        assert_eq!(entries.dead().collect::<Vec<_>>(), [0, 3, 4, 8]);
    }

    #[test]
    fn ids_are_places() {
        let entries: Entries = ["", "b", "", "c"].into_iter().collect();
        assert_eq!((0..5).map(|id| entries.get(id)).collect::<Vec<_>>(), [Some(""), Some("b"), Some(""), Some("c"), None]);
        assert_eq!(entries.iter().len(), 4);
        assert_eq!(entries.ids()[""], 0);
    }
}
