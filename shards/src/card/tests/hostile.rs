//! Text from the web that would like to be more than text.

use proptest::prelude::*;
use serde_json::Value;

use super::super::*;
use super::made::{counts, everything};

const NASTY: &str = "a\"b\\c\n# head\n| x | y |\r\n<script>alert('&')</script> [l](http://e.example) `code` {{x}} \u{202E}rtl\u{0}";

/// Everything that can be text is this text.
fn hostile(text: &str) -> Facts {
    let mut facts = everything();
    let some = || Some(text.to_owned());
    facts.name = text.to_owned();
    facts.description = text.to_owned();
    facts.license = text.to_owned();
    facts.creators = vec![Party { email: some(), ..Party::person(text) }];
    facts.keywords = vec![text.to_owned(); 2];
    facts.cite_as = some();
    facts.run = Run { software: some(), job: some(), config_hash: some(), ..facts.run };
    facts.sources[0].origin = some();
    facts.processing = vec![text.to_owned()];
    facts.languages = Some(counts([(text, 3)]));
    facts.domains = Some(Domains { rows: 3, distinct: None, top: counts([(text, 3)]) });
    if let Some(funnel) = &mut facts.funnel {
        funnel.stages[0] = CardStage { stage: text.to_owned(), what: some(), rows: 3, kept: 0, lost: counts([(text, 3)]) };
    }
    facts.models[0] =
        Model { id: text.to_owned(), revision: some(), preprocessing: some(), columns: vec![text.to_owned()], ..Model::default() };
    facts.balancing[0].method = text.to_owned();
    facts.balancing[0].tables[0].title = text.to_owned();
    facts.balancing[0].tables[0].rows[0].name = text.to_owned();
    facts.balancing[0].parameters = [(text.to_owned(), Value::String(text.to_owned()))].into();
    facts.pass_rates[0] = PassRates {
        stage: text.to_owned(),
        by: text.to_owned(),
        groups: vec![Group { name: text.to_owned(), rows: 2, kept: 1 }],
        warnings: vec![text.to_owned()],
    };
    facts.tables[0].description = some();
    facts.tables[0].columns.push(Column { name: text.to_owned(), stored: text.to_owned(), description: some(), ..Column::default() });
    facts.tables[0].columns.push(Column { name: format!("{text} "), ..Column::default() });
    facts.notes.purpose = some();
    facts
}

/// The number of cells of each table's lines is that of its head.
fn check_markdown(card: &str) {
    let mut cells = None;
    for line in card.lines() {
        assert!(!line.contains('<') || line.contains("<https://"), "HTML: {line}");
        if !line.starts_with("| ") {
            assert!(!line.starts_with('|'), "{line}");
            cells = None;
            continue;
        }
        let mut escaped = false;
        let pipes = line
            .chars()
            .filter(|&c| {
                let is_pipe = c == '|' && !escaped;
                escaped = c == '\\' && !escaped;
                is_pipe
            })
            .count();
        assert_eq!(*cells.get_or_insert(pipes), pipes, "{line}");
    }
}

/// Ids have no space and are there once; every reference has its node.
fn check_croissant(card: &Value) {
    fn walk<'a>(value: &'a Value, ids: &mut Vec<&'a str>, references: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                if let Some(id) = map.get("@id").and_then(Value::as_str) {
                    if map.len() == 1 { references.push(id) } else { ids.push(id) }
                }
                map.iter().filter(|(key, _)| *key != "@context").for_each(|(_, inner)| walk(inner, ids, references));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, ids, references)),
            _ => {}
        }
    }
    let (mut ids, mut references) = (Vec::new(), Vec::new());
    walk(card, &mut ids, &mut references);
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
    assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_graphic() && c != ':')), "{ids:?}");
    assert!(references.iter().all(|id| ids.binary_search(id).is_ok()), "{references:?} in {ids:?}");
}

#[test]
fn nothing_breaks_out_of_its_place() {
    let facts = hostile(NASTY);
    let cards = cards(&facts, &CardOptions::default()).unwrap();
    let card: Value = serde_json::from_str(&cards.croissant).unwrap();
    assert_eq!(card["name"], NASTY);
    assert_eq!(card["keywords"], NASTY);
    check_croissant(&card);
    check_markdown(&cards.markdown);
    let headings = |card: &str| card.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(headings(&cards.markdown), headings(&markdown(&everything())));
}

#[test]
fn numbers_that_are_none_are_not_known() {
    let mut facts = everything();
    facts.thresholds[0].value = f64::NAN;
    facts.balancing[0].tables[0].rows[0].after = Some(f64::INFINITY);
    facts.balancing[0].residuals = [("x".to_owned(), f64::NAN)].into();
    let cards = cards(&facts, &CardOptions::default()).unwrap();
    assert!(cards.markdown.contains("| square | 0.45 | 0.305 | not known |\n"));
    assert!(!cards.croissant.contains("NaN") && !cards.croissant.contains("limits missed"));
}

#[test]
fn names_of_files_that_look_like_urls_or_ids_are_neither() {
    let mut facts = everything();
    facts.files = ["sc:Dataset.tar", "_:b0.tar", "a b.tar", "http:/x.tar", "a-b.tar", "pairs-files"]
        .map(|name| DataFile { table: None, ..super::made::file(name, 1) })
        .to_vec();
    let card = croissant(&facts, &CardOptions::default()).unwrap();
    check_croissant(&card);
    assert_eq!(card["distribution"][0]["contentUrl"], "_%3Ab0.tar");
}

proptest! {
    #[test]
    fn any_text_stays_in_its_place(text in "\\PC{1,40}|[|`\\\\<>\\[\\]#*_\n -]{1,40}") {
        prop_assume!(!text.trim().is_empty());
        let cards = cards(&hostile(&text), &CardOptions::default()).unwrap();
        check_markdown(&cards.markdown);
        check_croissant(&serde_json::from_str(&cards.croissant).unwrap());
    }
}
