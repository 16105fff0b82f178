//! How many texts match each entry.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read, Write};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Entries, EntryId, Error};

/// `c_e` of each entry: the texts of a pool that match it, each counted once.
///
/// Tables of shards add up with [`EntryCounts::merge`], in any order. With serde it is a plain list of numbers in the order of the
/// entries; [`EntryCounts::write_json`] gives the map `{entry: count}` that MetaCLIP has (`entry_counts_400m.json`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryCounts {
    counts: Vec<u64>,
}

impl EntryCounts {
    /// Zero for each of `entries` entries.
    pub fn new(entries: usize) -> Self {
        Self { counts: vec![0; entries] }
    }

    /// Counts one text with these entries, as [`Matcher::find`](super::Matcher::find) gives them. An id beyond the table makes it
    /// longer.
    pub fn add(&mut self, entries: &[EntryId]) {
        for &entry in entries {
            let at = entry as usize;
            if at >= self.counts.len() {
                self.counts.resize(at + 1, 0);
            }
            self.counts[at] += 1;
        }
    }

    /// Adds the counts of another part of the pool.
    ///
    /// # Errors
    /// [`Error::Lengths`] where the tables differ in length, as they then belong to different lists; nothing is added.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.counts.len() != other.counts.len() {
            return Err(Error::Lengths { left: self.counts.len(), right: other.counts.len() });
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count = count.saturating_add(*more));
        Ok(())
    }

    /// The counts in the order of the entries.
    pub fn as_slice(&self) -> &[u64] {
        &self.counts
    }

    /// All matches: `Σ c_e`.
    pub fn total(&self) -> u128 {
        self.counts.iter().map(|count| u128::from(*count)).sum()
    }

    /// Writes the JSON map `{entry: count}` in the order of the entries, zeros included. Of entries that are listed twice the first
    /// is written; their counts are equal.
    ///
    /// # Errors
    /// [`Error::Stream`] where the writer fails; [`Error::Lengths`] where `entries` is another list.
    pub fn write_json(&self, entries: &Entries, mut writer: impl Write) -> Result<(), Error> {
        if self.counts.len() != entries.len() {
            return Err(Error::Lengths { left: entries.len(), right: self.counts.len() });
        }
        let ids = entries.ids();
        let mut write = || -> std::io::Result<()> {
            let mut separator: &[u8] = b"{\n";
            for (id, (entry, count)) in entries.iter().zip(&self.counts).enumerate() {
                if ids.get(entry) != Some(&(id as EntryId)) {
                    continue;
                }
                writer.write_all(separator)?;
                serde_json::to_writer(&mut writer, entry)?;
                write!(writer, ": {count}")?;
                separator = b",\n";
            }
            writer.write_all(if entries.is_empty() { b"{}\n" } else { b"\n}\n" })?;
            writer.flush()
        };
        write().map_err(|source| Error::Stream { what: "a table of counts", source })
    }

    /// Reads the JSON map `{entry: count}`, streaming. Entries that the map leaves out have no matches; entries that are listed
    /// twice get the same count each.
    ///
    /// # Errors
    /// [`Error::Json`] where it is something else; [`Error::UnknownEntry`] for an entry that the list has not.
    pub fn read_json(entries: &Entries, reader: impl Read) -> Result<Self, Error> {
        struct Table<'a> {
            entries: &'a Entries,
            unknown: &'a mut Option<String>,
        }
        impl<'de> Visitor<'de> for Table<'_> {
            type Value = Vec<u64>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from entries to counts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<u64>, A::Error> {
                let ids = self.entries.ids();
                let mut counts = vec![0; self.entries.len()];
                while let Some((entry, count)) = map.next_entry::<String, u64>()? {
                    match ids.get(entry.as_str()) {
                        Some(id) => counts[*id as usize] = count,
                        None => *self.unknown = Some(entry),
                    }
                }
                for (id, entry) in self.entries.iter().enumerate() {
                    counts[id] = counts[ids[entry] as usize];
                }
                Ok(counts)
            }
        }
        let wrong = |source| Error::Json { expected: "a JSON map from entries to counts", source };
        let mut unknown = None;
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(reader));
        let counts = json.deserialize_map(Table { entries, unknown: &mut unknown }).map_err(wrong)?;
        json.end().map_err(wrong)?;
        match unknown {
            Some(entry) => Err(Error::UnknownEntry { entry, entries: entries.len() }),
            None => Ok(Self { counts }),
        }
    }
}

impl From<Vec<u64>> for EntryCounts {
    fn from(counts: Vec<u64>) -> Self {
        Self { counts }
    }
}

/// [`EntryCounts`] of each language, by the metadata's language code (MetaCLIP 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LanguageCounts {
    by_language: BTreeMap<String, EntryCounts>,
}

impl LanguageCounts {
    /// The table of `language`, made with `entries` zeros where there is none.
    pub fn table(&mut self, language: &str, entries: usize) -> &mut EntryCounts {
        if !self.by_language.contains_key(language) {
            self.by_language.insert(language.to_owned(), EntryCounts::new(entries));
        }
        self.by_language.entry(language.to_owned()).or_default()
    }

    /// The counts of a language, where there are any.
    pub fn get(&self, language: &str) -> Option<&EntryCounts> {
        self.by_language.get(language)
    }

    /// Languages and counts, in the order of the codes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EntryCounts)> {
        self.by_language.iter().map(|(language, counts)| (language.as_str(), counts))
    }

    /// Adds the counts of another part of the pool; languages may differ.
    ///
    /// # Errors
    /// [`Error::Lengths`] where a language's tables differ in length.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        for (language, counts) in &other.by_language {
            self.table(language, counts.counts.len()).merge(counts)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_survive_the_way_to_json_and_back() {
        let entries: Entries = ["dog", "a \"b\"", "dog", ""].into_iter().collect();
        let mut counts = EntryCounts::new(4);
        counts.add(&[0, 2, 3]);
        counts.add(&[0, 2]);
        let mut json = Vec::new();
        counts.write_json(&entries, &mut json).unwrap();
        assert_eq!(json, b"{\n\"dog\": 2,\n\"a \\\"b\\\"\": 0,\n\"\": 1\n}\n");
        assert_eq!(EntryCounts::read_json(&entries, json.as_slice()).unwrap(), counts);
        assert_eq!(serde_json::to_string(&counts).unwrap(), "[2,0,2,1]");
    }

    #[test]
    fn an_entry_that_is_left_out_has_no_matches() {
        let entries: Entries = ["a", "b"].into_iter().collect();
        assert_eq!(EntryCounts::read_json(&entries, br#"{"b": 3}"#.as_slice()).unwrap().as_slice(), [0, 3]);
        assert_eq!(EntryCounts::read_json(&entries, b"{}".as_slice()).unwrap().as_slice(), [0, 0]);
    }

    #[test]
    fn counts_of_another_list_are_an_error() {
        let entries: Entries = ["a"].into_iter().collect();
        let error = EntryCounts::read_json(&entries, br#"{"b": 3, "a": 1}"#.as_slice()).unwrap_err();
        assert!(matches!(error, Error::UnknownEntry { entry, entries: 1 } if entry == "b"));
        assert!(matches!(EntryCounts::read_json(&entries, b"[]".as_slice()), Err(Error::Json { .. })));
        assert!(matches!(EntryCounts::read_json(&entries, br#"{"a": -1}"#.as_slice()), Err(Error::Json { .. })));
        assert!(matches!(EntryCounts::new(1).merge(&EntryCounts::new(2)), Err(Error::Lengths { left: 1, right: 2 })));
        assert!(EntryCounts::new(2).write_json(&entries, Vec::new()).is_err());
    }

    #[test]
    fn languages_merge_by_code() {
        let (mut a, mut b) = (LanguageCounts::default(), LanguageCounts::default());
        a.table("en", 2).add(&[0]);
        b.table("en", 2).add(&[0, 1]);
        b.table("de", 1).add(&[0]);
        a.merge(&b).unwrap();
        assert_eq!(a.iter().map(|(code, counts)| (code, counts.as_slice())).collect::<Vec<_>>(), [("de", &[1][..]), ("en", &[2, 1])]);
        assert_eq!(serde_json::to_string(&a).unwrap(), r#"{"de":[1],"en":[2,1]}"#);
        b.table("xx", 1);
        a.table("xx", 3);
        assert!(a.merge(&b).is_err());
    }

    proptest! {
        #[test]
        fn shards_in_any_order_add_up(texts in proptest::collection::vec(proptest::collection::vec(0u32..9, 0..4), 0..30), cut in 0usize..30) {
            let count = |texts: &[Vec<u32>]| {
                let mut counts = EntryCounts::new(9);
                texts.iter().for_each(|text| counts.add(text));
                counts
            };
            let cut = cut.min(texts.len());
            let (mut left, mut right) = (count(&texts[..cut]), count(&texts[cut..]));
            let (one, other) = (left.clone(), right.clone());
            left.merge(&other).unwrap();
            right.merge(&one).unwrap();
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(left, count(&texts));
        }
    }
}
