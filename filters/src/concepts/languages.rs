//! Matching by language (MetaCLIP 2): a matcher for each language's entries, and a table that leads there.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::{Borders, Entries, Error, Matcher};

/// The metadata of texts whose language is not known or has no metadata.
pub const OTHER: &str = "other";

/// Which metadata a text's language leads to: codes of the language detector → codes of the metadata (of Wikipedia, in MetaCLIP 2).
///
/// A code that the table has not, or that it leads nowhere (an empty string), is [`OTHER`]. The published code leaves the table to
/// the user; [`LanguageTable::same`] is right where detector and metadata use the same codes.
///
/// ```
/// use trommel_filters::concepts::LanguageTable;
///
/// let table = LanguageTable::read_json(br#"{"en": "en", "nb": "no", "xx": ""}"#.as_slice())?;
/// assert_eq!([table.route("nb"), table.route("xx"), table.route("de")], ["no", "other", "other"]);
/// # Ok::<(), trommel_filters::concepts::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageTable {
    codes: HashMap<String, String>,
}

impl LanguageTable {
    /// A table of pairs (code of the detector, code of the metadata).
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { codes: pairs.into_iter().collect() }
    }

    /// Each of `codes` leads to itself.
    pub fn same<S: Into<String>>(codes: impl IntoIterator<Item = S>) -> Self {
        Self::new(codes.into_iter().map(|code| {
            let code = code.into();
            (code.clone(), code)
        }))
    }

    /// Reads a JSON map of strings.
    ///
    /// # Errors
    /// [`Error::Json`] where it is something else.
    pub fn read_json(reader: impl Read) -> Result<Self, Error> {
        let codes = serde_json::from_reader(reader);
        codes
            .map(|codes| Self { codes })
            .map_err(|source| Error::Json { expected: "a JSON map from language codes to language codes", source })
    }

    /// The metadata's code for the detector's code `language`.
    pub fn route(&self, language: &str) -> &str {
        self.codes.get(language).map(String::as_str).filter(|code| !code.is_empty()).unwrap_or(OTHER)
    }
}

/// A [`Matcher`] for each language of the metadata.
#[derive(Debug, Default)]
pub struct LanguageMatchers {
    table: LanguageTable,
    matchers: BTreeMap<String, Matcher>,
}

impl LanguageMatchers {
    /// Without any language yet.
    pub fn new(table: LanguageTable) -> Self {
        Self { table, matchers: BTreeMap::new() }
    }

    /// Builds the matcher of the metadata language `code`, in place of an earlier one.
    ///
    /// # Errors
    /// As [`Matcher::new`].
    pub fn insert(&mut self, code: &str, entries: &Entries, borders: Borders) -> Result<(), Error> {
        self.matchers.insert(code.to_owned(), Matcher::new(entries, borders)?);
        Ok(())
    }

    /// The metadata code and the matcher for a text that the detector says is in `language`. Where the table leads to a language
    /// without metadata, that is [`OTHER`]'s; [`None`] where there is no such metadata either.
    pub fn route(&self, language: &str) -> Option<(&str, &Matcher)> {
        let find = |code: &str| self.matchers.get_key_value(code).map(|(code, matcher)| (code.as_str(), matcher));
        find(self.table.route(language)).or_else(|| find(OTHER))
    }

    /// The languages, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Matcher)> {
        self.matchers.iter().map(|(code, matcher)| (code.as_str(), matcher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::concepts::Scratch;

    #[test]
    fn a_text_is_matched_against_the_entries_of_its_language() {
        let mut matchers = LanguageMatchers::new(LanguageTable::same(["en", "de", "fr"]));
        let list = |entry: &str| [entry].into_iter().collect::<Entries>();
        matchers.insert("en", &list("gift"), Borders::Script).unwrap();
        matchers.insert("de", &list("Gift"), Borders::Script).unwrap();
        assert!(matchers.route("zz").is_none());
        matchers.insert(OTHER, &list("x"), Borders::Script).unwrap();
        let mut scratch = Scratch::default();
        let mut found = |language: &str, text: &str| {
            let (code, matcher) = matchers.route(language).unwrap();
            (code.to_owned(), matcher.find(text, &mut scratch).len())
        };
        assert_eq!(found("de", "Gift gift"), ("de".into(), 1));
        assert_eq!(found("en", "Gift"), ("en".into(), 0));
        // In the table but without metadata; unknown; empty.
        assert_eq!(found("fr", "x"), ("other".into(), 1));
        assert_eq!(found("und", "x"), ("other".into(), 1));
        assert_eq!(found("", "y"), ("other".into(), 0));
    }

    #[test]
    fn a_table_that_is_no_map_of_strings_is_an_error() {
        assert!(LanguageTable::read_json(b"[]".as_slice()).is_err());
        assert!(LanguageTable::read_json(br#"{"a": 1}"#.as_slice()).is_err());
    }
}
