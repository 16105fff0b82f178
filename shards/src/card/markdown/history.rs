//! How the dataset came to be: sources, stages, cuts, balancing, models.

use super::super::facts::{Facts, Run};
use super::super::statistics::{Balancing, CardFunnel, PassRates};
use super::super::words::{self, by_size, count, number, share, shown};
use super::page::{NOT_KNOWN, Page, code, escape};
use super::{known_count, known_text};

pub(super) fn provenance(facts: &Facts, page: &mut Page) {
    page.heading(2, "Provenance");
    page.heading(3, "Sources");
    page.list(&facts.sources.iter().map(|source| escape(&words::source(source))).collect::<Vec<_>>());
    page.heading(3, "Collection");
    run(&facts.run, page);
    page.heading(3, "Opt-outs respected");
    page.list(&[
        format!("Pairs left out because of {}: {}", code("robots.txt"), known_count(facts.opt_outs.robots)),
        format!("Pairs left out because of {} and its like: {}", code("noai"), known_count(facts.opt_outs.noai)),
        format!("Pairs left out because text and data mining is reserved: {}", known_count(facts.opt_outs.tdm)),
    ]);
    page.heading(3, "Selection: what was taken in and what was left out");
    match &facts.funnel {
        Some(funnel) => self::funnel(funnel, page),
        None => page.paragraph("Not known."),
    }
    page.heading(3, "Thresholds");
    page.list(&facts.thresholds.iter().map(|threshold| escape(&words::threshold(threshold))).collect::<Vec<_>>());
    page.heading(3, "Whom cuts fell on");
    if facts.pass_rates.is_empty() {
        page.paragraph("Not known.");
    }
    facts.pass_rates.iter().for_each(|rates| pass_rates(rates, page));
    page.heading(3, "Relation to the source");
    page.note(facts.notes.relation_to_source.as_ref(), "how the dataset differs from its source, and whether it follows changes there");
}

fn run(run: &Run, page: &mut Page) {
    let known = |text: Option<&String>| text.map_or_else(|| NOT_KNOWN.to_owned(), |text| known_text(text));
    let coded = |text: Option<&String>| text.map_or_else(|| NOT_KNOWN.to_owned(), |text| code(text));
    page.list(&[
        format!("Program: {}", known(run.software.as_ref())),
        format!("Job: {}", known(run.job.as_ref())),
        format!("Configuration: {}", coded(run.config_hash.as_ref())),
        format!("Seed of all draws: {}", run.seed.map_or_else(|| NOT_KNOWN.to_owned(), |seed| seed.to_string())),
        format!("Begun: {}", known(run.started.as_ref())),
        format!("Ended: {}", known(run.ended.as_ref())),
    ]);
}

fn funnel(funnel: &CardFunnel, page: &mut Page) {
    let share = |part, whole| share(part, whole).unwrap_or_else(|| NOT_KNOWN.to_owned());
    let mut rows = vec![vec!["source".to_owned(), count(funnel.rows), count(funnel.rows), share(funnel.rows, funnel.rows)]];
    for stage in &funnel.stages {
        rows.push(vec![code(&stage.stage), count(stage.rows), count(stage.kept), share(stage.kept, stage.rows)]);
    }
    if funnel.pending > 0 {
        rows.push(vec!["waiting for a later round".to_owned(), count(funnel.pending), String::new(), String::new()]);
    }
    rows.push(vec!["the dataset".to_owned(), count(funnel.rows), count(funnel.kept), share(funnel.kept, funnel.rows)]);
    page.table(&["Stage", "Pairs in", "Kept", "Share"], &rows);
    let lost: Vec<Vec<String>> = funnel
        .stages
        .iter()
        .flat_map(|stage| {
            by_size(&stage.lost)
                .into_iter()
                .map(|(reason, rows)| vec![code(&stage.stage), code(reason), count(rows), share(rows, funnel.rows)])
        })
        .collect();
    if !lost.is_empty() {
        page.paragraph("Why pairs were lost:");
        page.table(&["Stage", "Reason", "Pairs", "Share of the source"], &lost);
    }
}

fn pass_rates(rates: &PassRates, page: &mut Page) {
    let share = |part, whole| share(part, whole).unwrap_or_else(|| NOT_KNOWN.to_owned());
    page.paragraph(&format!("{} by {}:", code(&rates.stage), escape(&rates.by)));
    let (rows, kept) = words::over_all(rates);
    let mut table = vec![vec!["all".to_owned(), count(rows), count(kept), share(kept, rows)]];
    let groups = words::groups(rates);
    table.extend(
        groups
            .iter()
            .take(super::LISTED_ROWS)
            .map(|group| vec![escape(shown(&group.name)), count(group.rows), count(group.kept), share(group.kept, group.rows)]),
    );
    page.table(&["Group", "Pairs in", "Kept", "Share"], &table);
    if groups.len() > super::LISTED_ROWS {
        page.paragraph(&format!("And {} smaller groups.", count((groups.len() - super::LISTED_ROWS) as u64)));
    }
    if !rates.warnings.is_empty() {
        page.list(&rates.warnings.iter().map(|warning| escape(warning)).collect::<Vec<_>>());
    }
}

pub(super) fn transformations(facts: &Facts, page: &mut Page) {
    page.heading(2, "Transformations");
    page.heading(3, "Synopsis");
    page.list(&facts.processing.iter().map(|what| escape(what)).collect::<Vec<_>>());
    page.heading(3, "Missing values");
    let pending = facts.funnel.as_ref().map(|funnel| funnel.pending);
    page.paragraph(&format!("Pairs that wait for a later round, or for units that failed: {}.", known_count(pending)));
    page.heading(3, "Overlap with evaluation sets");
    match &facts.eval_overlap {
        Some(overlap) => page.paragraph(&format!("{}.", escape(&words::eval_overlap(overlap)))),
        None => page.paragraph("Not known."),
    }
    page.heading(3, "Redaction and anonymisation");
    page.paragraph(&format!("Rows removed by rules for personal data: {}.", known_count(facts.pii_removed)));
}

pub(super) fn annotations_to_sampling(facts: &Facts, page: &mut Page) {
    page.heading(2, "Annotations");
    page.heading(3, "By models");
    if facts.models.is_empty() {
        page.paragraph("Not known.");
    } else {
        let known = |text: &Option<String>| text.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), |text| code(text));
        let row = |model: &super::super::facts::Model| {
            let columns: Vec<String> = model.columns.iter().map(|column| code(column)).collect();
            vec![
                code(&model.id),
                known(&model.revision),
                known(&model.weights_sha256),
                known(&model.preprocessing),
                known(&model.precision),
                if columns.is_empty() { NOT_KNOWN.to_owned() } else { columns.join(", ") },
            ]
        };
        page.table(
            &["Model", "Revision", "Weights (SHA-256)", "Preprocessing", "Precision", "Columns"],
            &facts.models.iter().map(row).collect::<Vec<_>>(),
        );
    }
    page.heading(3, "By people");
    page.note(facts.notes.annotation.as_ref(), "who labelled what, and how");
    page.heading(2, "Validation");
    page.note(facts.notes.validation.as_ref(), "how the data was looked at, by whom, and what was found");
    page.heading(2, "Sampling methods");
    if facts.balancing.is_empty() {
        page.paragraph("No balancing is known.");
    }
    facts.balancing.iter().for_each(|balancing| self::balancing(balancing, page));
}

fn balancing(balancing: &Balancing, page: &mut Page) {
    page.paragraph(&format!("{}.", escape(&words::balancing(balancing))));
    let value = |value: Option<f64>| value.and_then(number).unwrap_or_else(|| NOT_KNOWN.to_owned());
    for table in &balancing.tables {
        page.paragraph(&format!("{}:", escape(&table.title)));
        let row = |row: &super::super::statistics::Compared| {
            let target = row.target.and_then(number).unwrap_or_else(|| "none".to_owned());
            vec![escape(shown(&row.name)), target, value(row.before), value(row.after)]
        };
        page.table(&["Of", "Target", "Before", "After"], &table.rows.iter().map(row).collect::<Vec<_>>());
    }
    if !balancing.residuals.is_empty() {
        page.paragraph("By how much limits are missed:");
        let row = |(name, missed): (&String, &f64)| vec![escape(name), value(Some(*missed))];
        page.table(&["Limit", "Missed by"], &balancing.residuals.iter().map(row).collect::<Vec<_>>());
    }
    if !balancing.infeasible.is_empty() {
        page.paragraph("Targets that cannot be met:");
        page.list(&balancing.infeasible.iter().map(|what| escape(what)).collect::<Vec<_>>());
    }
}
