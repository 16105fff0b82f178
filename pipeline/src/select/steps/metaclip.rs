//! `balance metaclip`: counts which entries captions mention, drops captions that mention none, and thins out by the counts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use trommel_filters::concepts::{
    Borders, Draw, Entries, EntryCounts, EntryId, KeepRule, LanguageCounts, LanguageMatchers, LanguageTable, Scratch, language_thresholds,
    tail_share, threshold_for_share,
};

use crate::select::error::{Result, SelectError};
use crate::select::expression::{text_at, text_column};
use crate::select::scan::{Fit, Judging, Step};
use crate::select::spec::Metaclip;

/// The metadata of version 1, under the name of a language.
const ALL: &str = "all";
/// The language whose threshold is given in version 2.
const REFERENCE: &str = "en";
/// Entries that the report names.
const NAMED: usize = 20;

/// Entries and matchers, by language.
pub(in crate::select) struct Tables {
    stage: String,
    text: String,
    language: Option<String>,
    entries: BTreeMap<String, Entries>,
    matchers: LanguageMatchers,
}

impl Tables {
    /// Reads the metadata: a list of entries, or a folder of `LANGUAGE.json`.
    pub(in crate::select) fn load(stage: &str, spec: &Metaclip) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{}`: {e}", spec.metadata));
        let read = |path: &Path| -> Result<Entries> {
            let file = File::open(path).map_err(|e| SelectError::file(path.display().to_string(), e))?;
            Entries::read_json(BufReader::new(file)).map_err(|e| SelectError::file(path.display().to_string(), e))
        };
        let path = Path::new(&spec.metadata);
        let mut entries = BTreeMap::new();
        if spec.language.is_none() {
            entries.insert(ALL.to_owned(), read(path)?);
        } else {
            for file in std::fs::read_dir(path).map_err(|e| fail(&e))? {
                let file = file.map_err(|e| fail(&e))?.path();
                if file.extension().is_some_and(|ending| ending == "json")
                    && let Some(language) = file.file_stem().and_then(|stem| stem.to_str())
                {
                    entries.insert(language.to_owned(), read(&file)?);
                }
            }
            if entries.is_empty() {
                return Err(fail(&"the folder has no `LANGUAGE.json`"));
            }
        }
        let mut matchers = LanguageMatchers::new(LanguageTable::same(entries.keys().cloned()));
        let borders = if spec.language.is_some() { Borders::Script } else { Borders::Spaced };
        for (language, entries) in &entries {
            matchers.insert(language, entries, borders).map_err(|e| fail(&e))?;
        }
        Ok(Self { stage: stage.to_owned(), text: spec.text.clone(), language: spec.language.clone(), entries, matchers })
    }

    pub(in crate::select) fn columns(&self) -> Vec<String> {
        std::iter::once(&self.text).chain(&self.language).cloned().collect()
    }

    /// Calls `each` with row, language of the metadata, and entries, for every row that is in. Rows without metadata have none.
    fn find(&self, rows: &Judging<'_>, scratch: &mut Scratch, mut each: impl FnMut(usize, &str, &[EntryId])) -> Result<()> {
        let texts = text_column(rows.batch, &self.text, &self.stage)?;
        let living = rows.living();
        let Some(column) = &self.language else {
            let Some((code, matcher)) = self.matchers.route(ALL) else { return Ok(()) };
            matcher.find_each(living.iter().map(|&row| text_at(texts, row)), scratch, |at, found| each(living[at], code, found));
            return Ok(());
        };
        let languages = text_column(rows.batch, column, &self.stage)?;
        for row in living {
            match self.matchers.route(text_at(languages, row)) {
                Some((code, matcher)) => each(row, code, matcher.find(text_at(texts, row), scratch)),
                None => each(row, "", &[]),
            }
        }
        Ok(())
    }
}

/// Counts of one thread.
pub(in crate::select) struct CountFit {
    tables: Arc<Tables>,
    counts: LanguageCounts,
    scratch: Scratch,
    texts: u64,
    matched: u64,
}

impl CountFit {
    pub(in crate::select) fn new(tables: &Arc<Tables>) -> Self {
        Self { tables: Arc::clone(tables), counts: LanguageCounts::default(), scratch: Scratch::default(), texts: 0, matched: 0 }
    }
}

impl Fit for CountFit {
    const NAMES: bool = false;

    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let tables = Arc::clone(&self.tables);
        let (counts, texts, matched) = (&mut self.counts, &mut self.texts, &mut self.matched);
        tables.find(rows, &mut self.scratch, |_, language, found| {
            *texts += 1;
            *matched += u64::from(!found.is_empty());
            if let (false, Some(entries)) = (found.is_empty(), tables.entries.get(language)) {
                counts.table(language, entries.len()).add(found);
            }
        })
    }
}

thread_local! {
    // A thread goes on with the words that its last batch has seen: most captions are made of the same few.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Drops captions that mention nothing.
pub(in crate::select) struct MatchStep {
    tables: Arc<Tables>,
    reason: Arc<str>,
}

impl Step for MatchStep {
    fn columns(&self) -> Vec<String> {
        self.tables.columns()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let mut none = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            self.tables.find(rows, scratch, |row, _, found| {
                if found.is_empty() {
                    none.push(row);
                }
            })
        })?;
        none.into_iter().for_each(|row| rows.exclude(row, &self.reason, None));
        Ok(())
    }
}

/// Thins out by the counts.
pub(in crate::select) struct DrawStep {
    tables: Arc<Tables>,
    rules: Arc<BTreeMap<String, KeepRule>>,
    seed: u64,
    reason: Arc<str>,
}

impl Step for DrawStep {
    fn columns(&self) -> Vec<String> {
        self.tables.columns()
    }

    fn names(&self) -> bool {
        true
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let mut out = Vec::new();
        let mut unnamed = None;
        SCRATCH.with_borrow_mut(|scratch| {
            self.tables.find(rows, scratch, |row, language, found| {
                let uid = match rows.uid(row) {
                    Ok(uid) => format!("{uid:032x}"),
                    Err(error) => return unnamed = Some(error),
                };
                let rule = self.rules.get(language);
                if !rule.is_some_and(|rule| rule.keeps(&Draw::new(self.seed, uid.as_bytes()), 0, found)) {
                    out.push((row, rule.map_or(0.0, |rule| rule.probability(found))));
                }
            })
        })?;
        if let Some(error) = unnamed {
            return Err(error);
        }
        out.into_iter().for_each(|(row, probability)| rows.exclude(row, &self.reason, Some(probability.to_string())));
        Ok(())
    }
}

/// What the first half leaves for the second.
pub(in crate::select) struct Counted {
    tables: Arc<Tables>,
    rules: Arc<BTreeMap<String, KeepRule>>,
}

impl Counted {
    /// The step that draws.
    pub(in crate::select) fn draw(&self, seed: u64) -> DrawStep {
        let reason = "drawn out: its entries are common".into();
        DrawStep { tables: Arc::clone(&self.tables), rules: Arc::clone(&self.rules), seed, reason }
    }
}

/// Thresholds and rules from the counts of all threads; the step that drops what mentions nothing; and a report.
pub(in crate::select) fn count(
    stage: &str,
    spec: &Metaclip,
    tables: &Arc<Tables>,
    fits: Vec<CountFit>,
) -> Result<(MatchStep, Counted, Value)> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
    let (mut counts, mut texts, mut matched) = (LanguageCounts::default(), 0, 0);
    for fit in &fits {
        counts.merge(&fit.counts).map_err(|e| fail(&e))?;
        texts += fit.texts;
        matched += fit.matched;
    }
    if let Some(file) = &spec.counts {
        let (Some(entries), None) = (tables.entries.get(ALL), &spec.language) else {
            return Err(fail(&"counts of another pool go with version 1"));
        };
        let open = File::open(file).map_err(|e| SelectError::file(file, e))?;
        let given = EntryCounts::read_json(entries, BufReader::new(open)).map_err(|e| SelectError::file(file, e))?;
        counts = LanguageCounts::default();
        *counts.table(ALL, entries.len()) = given;
    }
    let mut thresholds = BTreeMap::new();
    match (spec.t, spec.tail) {
        (Some(t), _) if spec.language.is_some() => thresholds = language_thresholds(&counts, REFERENCE, t).map_err(|e| fail(&e))?,
        (Some(t), _) => {
            thresholds.insert(ALL.to_owned(), t);
        }
        (None, tail) => {
            for (language, counts) in counts.iter() {
                let t = threshold_for_share(counts, tail.unwrap_or(0.0)).map_err(|e| fail(&e))?;
                thresholds.insert(language.to_owned(), t.unwrap_or(1).max(1));
            }
        }
    }
    let mut rules = BTreeMap::new();
    let mut languages = Vec::new();
    for (language, counts) in counts.iter() {
        let t = thresholds.get(language).copied().unwrap_or(1);
        rules.insert(language.to_owned(), KeepRule::new(counts, t).map_err(|e| fail(&e))?);
        let entries = &tables.entries[language];
        let mut most: Vec<(u64, usize)> = counts.as_slice().iter().copied().zip(0..).collect();
        most.sort_unstable_by(|a, b| b.cmp(a));
        let most: Vec<_> = most.iter().take(NAMED).map(|&(count, entry)| json!([entries.get(entry as EntryId), count])).collect();
        let met = counts.as_slice().iter().filter(|count| **count > 0).count();
        languages.push(json!({
            "language": language, "t": t, "tail_share": tail_share(counts, t), "matches": counts.total().to_string(),
            "entries": entries.len(), "entries_met": met, "most": most,
        }));
    }
    let report = json!({ "texts": texts, "matched": matched, "metadata": languages });
    let step = MatchStep { tables: Arc::clone(tables), reason: "mentions no entry of the metadata".into() };
    Ok((step, Counted { tables: Arc::clone(tables), rules: Arc::new(rules) }, report))
}
