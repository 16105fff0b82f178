//! Numbers and facts as words. No markup: what a page must escape, the page escapes.

use std::collections::BTreeMap;

use super::facts::{Model, Source, SourceKind, Threshold, ThresholdRule};
use super::statistics::{Balancing, CardStage, Compared, Comparison, EvalOverlap, Group, PassRates};

/// Entries of a table of counts that are put into words.
const SPOKEN: usize = 20;

/// `1234567` as `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as `12.34 %`; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| format!("{:.2} %", part as f64 * 100.0 / whole as f64))
}

/// A number with at most six digits behind the point; `None` for what is no number.
pub(super) fn number(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value != 0.0 && !(1e-4..1e15).contains(&value.abs()) {
        return Some(format!("{value:.3e}"));
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Some(if text == "-0" { "0" } else { text }.to_owned())
}

/// Counts, the largest first, equal ones by name.
pub(super) fn by_size(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = counts.iter().map(|(name, &rows)| (name.as_str(), rows)).collect();
    sorted.sort_by_key(|&(name, rows)| (std::cmp::Reverse(rows), name));
    sorted
}

/// A name for people where the data has an empty one.
pub(super) fn shown(name: &str) -> &str {
    if name.trim().is_empty() { "(none)" } else { name }
}

pub(super) fn source_kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Wat => "WAT files of a web crawl",
        SourceKind::Warc => "WARC files of a web crawl",
        SourceKind::Wacz => "WACZ web archives",
        SourceKind::Html => "HTML pages",
        SourceKind::Urls => "lists of urls",
        SourceKind::Shards => "shards of an existing dataset",
        SourceKind::Metadata => "metadata files of an existing dataset",
    }
}

/// `12 WAT files of a web crawl (CC-MAIN-2025-05), 2025-01-12 to 2025-01-26`.
pub(super) fn source(source: &Source) -> String {
    let origin = source.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
    let dates = match (&source.crawled_from, &source.crawled_to) {
        (Some(from), Some(to)) => format!(", {from} to {to}"),
        (Some(from), None) => format!(", from {from}"),
        (None, Some(to)) => format!(", until {to}"),
        (None, None) => String::new(),
    };
    format!("{} {}{origin}{dates}", count(source.files), source_kind(source.kind))
}

/// What a stage did to the rows, in one sentence.
pub(super) fn stage(stage: &CardStage) -> String {
    let what = stage.what.as_ref().map(|what| format!(" ({what})")).unwrap_or_default();
    let share = share(stage.kept, stage.rows).map(|share| format!(" ({share})")).unwrap_or_default();
    let lost: Vec<String> =
        by_size(&stage.lost).into_iter().map(|(reason, rows)| format!("{} for `{}`", count(rows), shown(reason))).collect();
    let lost = if lost.is_empty() { String::new() } else { format!("; lost {}", lost.join(", ")) };
    format!("{}{what}: {} rows in, {} kept{share}{lost}", stage.stage, count(stage.rows), count(stage.kept))
}

pub(super) fn threshold_rule(rule: ThresholdRule) -> &'static str {
    match rule {
        ThresholdRule::AtLeast => "at least",
        ThresholdRule::Above => "above",
        ThresholdRule::AtMost => "at most",
        ThresholdRule::Below => "below",
    }
}

pub(super) fn threshold(threshold: &Threshold) -> String {
    let value = number(threshold.value).unwrap_or_else(|| "a value that is not known".to_owned());
    let stage = threshold.stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
    let group = threshold.group.as_ref().map(|group| format!(" where {group}")).unwrap_or_default();
    let percentile = threshold.percentile.and_then(number).map(|at| format!(" (percentile {at})")).unwrap_or_default();
    format!("{stage}kept rows with `{}` {} {value}{percentile}{group}", threshold.column, threshold_rule(threshold.rule))
}

pub(super) fn model(model: &Model) -> String {
    let mut text = model.id.clone();
    for (name, value) in [
        ("revision", &model.revision),
        ("weights SHA-256", &model.weights_sha256),
        ("preprocessing", &model.preprocessing),
        ("precision", &model.precision),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    if !model.columns.is_empty() {
        text.push_str(&format!("; columns {}", model.columns.join(", ")));
    }
    text
}

/// Id and revision.
pub(super) fn model_name(model: &Model) -> String {
    model.revision.as_ref().map_or_else(|| model.id.clone(), |revision| format!("{} at {revision}", model.id))
}

pub(super) fn eval_overlap(overlap: &EvalOverlap) -> String {
    let sets = if overlap.sets.is_empty() { String::new() } else { format!(" ({})", overlap.sets.join(", ")) };
    format!("{} rows were removed because they overlap with evaluation sets{sets}", count(overlap.rows))
}

/// A parameter's value as words: text without quotes.
pub(super) fn parameter(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Method and parameters.
pub(super) fn balancing(balancing: &Balancing) -> String {
    let parameters: Vec<String> = balancing.parameters.iter().map(|(name, value)| format!("{name} = {}", parameter(value))).collect();
    let stage = balancing.stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
    let with = if parameters.is_empty() { String::new() } else { format!(" with {}", parameters.join(", ")) };
    format!("{stage}balanced by {}{with}", balancing.method)
}

/// The tables of a balancing, one text each.
pub(super) fn comparisons(balancing: &Balancing) -> Vec<String> {
    let rows = |comparison: &Comparison| {
        let row = |row: &Compared| {
            let value = |value: Option<f64>| value.and_then(number).unwrap_or_else(|| "not known".to_owned());
            let target = row.target.and_then(number).map(|target| format!(" (target {target})")).unwrap_or_default();
            format!("{} {} before, {} after{target}", shown(&row.name), value(row.before), value(row.after))
        };
        comparison.rows.iter().map(row).collect::<Vec<_>>().join("; ")
    };
    balancing.tables.iter().map(|table| format!("{}, {}: {}", balancing.method, table.title, rows(table))).collect()
}

/// What a balancing missed, in words; `None` when nothing is known of it.
pub(super) fn residuals(balancing: &Balancing) -> Option<String> {
    let each: Vec<String> = balancing.residuals.iter().filter_map(|(name, value)| Some(format!("{name} {}", number(*value)?))).collect();
    (!each.is_empty()).then(|| format!("{}, limits missed by: {}", balancing.method, each.join(", ")))
}

/// The groups of a cut, the largest first, equal ones by name.
pub(super) fn groups(rates: &PassRates) -> Vec<&Group> {
    let mut groups: Vec<&Group> = rates.groups.iter().collect();
    groups.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
    groups
}

/// Rows in and rows kept over all groups.
pub(super) fn over_all(rates: &PassRates) -> (u64, u64) {
    rates.groups.iter().fold((0, 0), |(rows, kept), group| (rows + group.rows, kept + group.kept))
}

pub(super) fn pass_rates(rates: &PassRates) -> String {
    let (rows, kept) = over_all(rates);
    let each: Vec<String> = groups(rates)
        .iter()
        .take(SPOKEN)
        .map(|group| {
            let share = share(group.kept, group.rows).unwrap_or_else(|| "no rows".to_owned());
            format!("{} {share} of {}", shown(&group.name), count(group.rows))
        })
        .collect();
    let rest = rates.groups.len().saturating_sub(SPOKEN);
    let rest = if rest > 0 { format!("; and {} smaller groups", count(rest as u64)) } else { String::new() };
    let all = share(kept, rows).map(|share| format!("{share} over all; ")).unwrap_or_default();
    format!("{}, share of rows kept by {}: {all}{}{rest}", rates.stage, rates.by, each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_plain() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let shown = [0.0, -0.0, 0.5, 1.0 / 3.0, -2.0, 1e-9, 1e20].map(|value| number(value).unwrap());
        assert_eq!(shown, ["0", "0", "0.5", "0.333333", "-2", "1.000e-9", "1.000e20"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(number), [None, None]);
        assert_eq!([share(1, 3), share(0, 0)], [Some("33.33 %".to_owned()), None]);
    }
}
