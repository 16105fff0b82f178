//! The words of a WordNet.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;

use super::super::Error;
use super::wiki::next_line;

/// Which words of a synset are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lemmas {
    /// All of them: what MetaCLIP's description says.
    #[default]
    All,
    /// The first, in lower case, which is the name that nltk gives the synset.
    First,
}

/// The words of `data.noun`, `data.verb`, `data.adj` and `data.adv` in Princeton's format (`wndb(5)`), sorted by bytes, each once.
/// Underscores become spaces; the marks of an adjective's place (`(a)`, `(p)`, `(ip)`) are taken off; case is kept.
///
/// # Errors
/// [`Error::Read`] where a file is missing or not UTF-8, [`Error::Line`] for a line that is not in the format.
pub fn read_wordnet(directory: impl AsRef<Path>, lemmas: Lemmas) -> Result<Vec<String>, Error> {
    let mut words = BTreeSet::new();
    for suffix in ["noun", "verb", "adj", "adv"] {
        let path = directory.as_ref().join(format!("data.{suffix}"));
        let lines = std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        for (number, line) in (1u64..).zip(lines.lines()) {
            if line.starts_with(' ') || line.is_empty() {
                continue;
            }
            let found = synset_words(line);
            let found = found.ok_or_else(|| Error::Line {
                path: path.clone(),
                line: number,
                reason: "not `offset lex_filenum ss_type w_cnt word lex_id …`".to_owned(),
            })?;
            match lemmas {
                Lemmas::All => words.extend(found.into_iter().map(str::to_owned)),
                Lemmas::First => words.extend(found.first().map(|word| word.to_lowercase())),
            }
        }
    }
    Ok(words.into_iter().map(|word| word.replace('_', " ")).collect::<BTreeSet<_>>().into_iter().collect())
}

fn synset_words(line: &str) -> Option<Vec<&str>> {
    let mut fields = line.split(' ');
    let count = usize::from_str_radix(fields.nth(3)?, 16).ok()?;
    let mut words = Vec::with_capacity(count.min(256));
    for _ in 0..count {
        let word = fields.next()?;
        fields.next()?;
        let bare = ["(a)", "(p)", "(ip)"].iter().find_map(|mark| word.strip_suffix(mark));
        words.push(bare.unwrap_or(word));
    }
    Some(words)
}

/// The words of an Open Multilingual Wordnet file (`wn-data-fra.tab`): tab-separated lines `offset-pos`, `lemma` or `fra:lemma`,
/// word; lines of other kinds (definitions, examples) and comments are passed over. Sorted by bytes, each once; underscores become
/// spaces.
///
/// # Errors
/// [`Error::Stream`] where the reader fails, a line is not UTF-8 or is longer than 64 MiB.
pub fn read_omw(mut reader: impl BufRead) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Stream { what: "a wordnet", source };
    let mut words = BTreeSet::new();
    let mut line = Vec::new();
    while next_line(&mut reader, &mut line).map_err(failed)? {
        let text = std::str::from_utf8(&line).map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let mut fields = text.split('\t');
        let (Some(id), Some(kind), Some(word)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if !id.starts_with('#') && (kind == "lemma" || kind.ends_with(":lemma")) {
            words.insert(word.trim().replace('_', " "));
        }
    }
    Ok(words.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_synsets_are_read_with_their_case() {
        let folder = tempfile::tempdir().unwrap();
        for (suffix, line) in [
            ("noun", "00001740 03 n 02 domestic_dog 0 Canis_familiaris 1 001 @ 00001930 n 0000 | a dog  "),
            ("verb", "00001740 29 v 01 run 0 000 01 + 02 00 | move fast  "),
            ("adj", "00001740 00 s 02 awake(p) 0 live(a) 0 000 | not asleep  "),
            ("adv", "00001740 02 r 01 run 0 000 | no adverb  "),
        ] {
            std::fs::write(folder.path().join(format!("data.{suffix}")), format!("  1 licence\n{line}\n")).unwrap();
        }
        let all = read_wordnet(folder.path(), Lemmas::All).unwrap();
        assert_eq!(all, ["Canis familiaris", "awake", "domestic dog", "live", "run"]);
        assert_eq!(read_wordnet(folder.path(), Lemmas::First).unwrap(), ["awake", "domestic dog", "run"]);
        std::fs::write(folder.path().join("data.adv"), "00001740 02 r 02 run 0\n").unwrap();
        assert!(matches!(read_wordnet(folder.path(), Lemmas::All), Err(Error::Line { line: 1, .. })));
    }

    #[test]
    fn lemmas_of_other_languages_are_told_from_definitions() {
        let tab = "# fra\tlicence\n00001740-a\tfra:lemma\tcapable\n00001740-a\tfra:def\t0\tune définition\n00002312-a\tlemma\tà_jour\nx\n";
        assert_eq!(read_omw(tab.as_bytes()).unwrap(), ["capable", "à jour"]);
        assert!(read_omw(b"a\tlemma\t\xff".as_slice()).is_err());
    }
}
