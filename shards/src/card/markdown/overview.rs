//! What is in the dataset: files, columns, counts, histograms.

use std::collections::BTreeMap;

use super::super::facts::{Facts, Table};
use super::super::files::sorted;
use super::super::statistics::Histogram;
use super::super::words::{by_size, count, number, share, shown};
use super::page::{NOT_KNOWN, Page, code, escape};
use super::{LISTED_FILES, LISTED_ROWS, known_count};

pub(super) fn overview(facts: &Facts, page: &mut Page) {
    page.heading(2, "Overview");
    page.heading(3, "Subjects");
    page.paragraph("Pairs of a picture and a text from the web.");
    page.heading(3, "Snapshot");
    files(facts, page);
    page.heading(3, "Content");
    if facts.tables.is_empty() {
        page.paragraph("The columns are not known.");
    }
    for table in &facts.tables {
        columns(table, page);
    }
    page.heading(3, "Descriptive statistics");
    statistics(facts, page);
    page.heading(3, "Sensitivity");
    page.list(&[
        format!("Rows removed by rules for personal data: {}", known_count(facts.pii_removed)),
        format!("Rows removed by rules for unsafe content: {}", known_count(facts.nsfw_removed)),
    ]);
    page.note(facts.notes.sensitivity.as_ref(), "what sensitive content is left, how it is handled, what its risks are");
    page.heading(3, "Version and maintenance");
    page.note(facts.notes.maintenance.as_ref(), "who keeps the dataset up, how often, and where errors are reported");
}

fn files(facts: &Facts, page: &mut Page) {
    if facts.files.is_empty() {
        return page.paragraph("The files are not known.");
    }
    let mut sums: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for file in &facts.files {
        let sum = sums.entry((file.format.media_type(), file.table.as_deref().unwrap_or_default())).or_default();
        *sum = (sum.0 + 1, sum.1 + file.bytes);
    }
    let rows: Vec<Vec<String>> = sums
        .iter()
        .map(|((media_type, table), (files, bytes))| {
            let of = if table.is_empty() { String::new() } else { format!(" of the table {}", code(table)) };
            vec![format!("{}{of}", code(media_type)), count(*files), count(*bytes)]
        })
        .collect();
    page.table(&["Format", "Files", "Bytes"], &rows);
    if facts.files.len() <= LISTED_FILES {
        let row = |file: &&super::super::files::DataFile| vec![code(&file.name), count(file.bytes), code(&file.sha256)];
        page.table(&["File", "Bytes", "SHA-256"], &sorted(facts).iter().map(row).collect::<Vec<_>>());
    }
}

fn columns(table: &Table, page: &mut Page) {
    let key = table.key.as_ref().map(|key| format!("; no two rows share a {}", code(key))).unwrap_or_default();
    let what = table.description.as_ref().map(|what| format!(": {}", escape(what))).unwrap_or_default();
    page.paragraph(&format!("Table {}{what}{key}.", code(&table.name)));
    let row = |column: &super::super::columns::Column| {
        let meaning = column.description.as_deref().map_or_else(|| NOT_KNOWN.to_owned(), escape);
        let model = column.model.as_deref().map(|model| format!(" ({})", code(model))).unwrap_or_default();
        vec![code(&column.name), code(&column.stored), format!("{meaning}{model}")]
    };
    page.table(&["Column", "Type", "Meaning"], &table.columns.iter().map(row).collect::<Vec<_>>());
}

fn statistics(facts: &Facts, page: &mut Page) {
    let tables = [
        ("Language of the caption", "Language", &facts.languages),
        ("Language that the page declares", "Language", &facts.page_languages),
        ("Script of the caption", "Script", &facts.scripts),
        ("Top-level domain of the picture", "Domain", &facts.top_level_domains),
        ("What the page says of the licence", "Licence", &facts.license_signals),
    ];
    for (title, head, counts) in tables {
        page.heading(4, title);
        match counts {
            None => page.paragraph("Not known."),
            Some(counts) => counted(counts, counts.values().sum(), None, head, page),
        }
    }
    page.heading(4, "Largest domains");
    match &facts.domains {
        None => page.paragraph("Not known."),
        Some(domains) => {
            page.paragraph(&format!("Different domains: {}.", known_count(domains.distinct)));
            counted(&domains.top, domains.rows, domains.distinct, "Domain", page);
        }
    }
    let histograms = [
        ("Shorter side of the picture", &facts.resolution),
        ("Longer side over shorter side", &facts.aspect),
        ("Length of the caption", &facts.caption_length),
    ];
    for (title, histogram) in histograms {
        page.heading(4, title);
        match histogram {
            None => page.paragraph("Not known."),
            Some(histogram) => self::histogram(histogram, page),
        }
    }
}

/// A table of counts, the largest first, and a row for the rest of `rows`.
fn counted(counts: &BTreeMap<String, u64>, rows: u64, distinct: Option<u64>, head: &str, page: &mut Page) {
    if counts.is_empty() {
        return page.paragraph("None.");
    }
    let share = |part| share(part, rows).unwrap_or_else(|| NOT_KNOWN.to_owned());
    let sorted = by_size(counts);
    let listed = &sorted[..sorted.len().min(LISTED_ROWS)];
    let mut table: Vec<Vec<String>> = listed.iter().map(|&(name, rows)| vec![escape(shown(name)), count(rows), share(rows)]).collect();
    let rest = rows.saturating_sub(listed.iter().map(|(_, rows)| rows).sum());
    if rest > 0 {
        let others = distinct.unwrap_or(counts.len() as u64).saturating_sub(listed.len() as u64);
        let others = if others > 0 { format!("{} others", count(others)) } else { "others".to_owned() };
        table.push(vec![others, count(rest), share(rest)]);
    }
    page.table(&[head, "Pairs", "Share"], &table);
}

fn histogram(histogram: &Histogram, page: &mut Page) {
    let all: u64 = histogram.bins.iter().map(|bin| bin.rows).sum();
    let edge = |value: f64| number(value).unwrap_or_else(|| NOT_KNOWN.to_owned());
    let unit = if histogram.unit.is_empty() { String::new() } else { format!(" {}", escape(&histogram.unit)) };
    let rows: Vec<Vec<String>> = histogram
        .bins
        .iter()
        .map(|bin| {
            let range = match bin.to {
                Some(to) => format!("{} to under {}{unit}", edge(bin.from), edge(to)),
                None => format!("{}{unit} or more", edge(bin.from)),
            };
            vec![range, count(bin.rows), share(bin.rows, all).unwrap_or_else(|| NOT_KNOWN.to_owned())]
        })
        .collect();
    page.table(&["Range", "Pairs", "Share"], &rows);
}
