//! The properties of the [RAI extension](http://mlcommons.org/croissant/RAI/1.0), from counts and from a person's notes.

use serde_json::{Map, Value};

use super::super::facts::{Facts, Source, SourceKind};
use super::super::words::{self, count, share};
use super::{text, texts};

/// Share of the largest domain from which it is named as a limit of the data, in percent.
const LARGE_DOMAIN: u64 = 10;

pub(super) fn rai(facts: &Facts, card: &mut Map<String, Value>) {
    let notes = &facts.notes;
    text(card, "rai:dataCollection", collection(facts).as_deref());
    texts(card, "rai:dataCollectionType", facts.sources.iter().map(|source| collection_type(source.kind).to_owned()).collect());
    texts(card, "rai:dataCollectionTimeframe", timeframe(&facts.sources));
    text(card, "rai:dataCollectionRawData", joined(facts.sources.iter().map(words::source).collect()).as_deref());
    text(card, "rai:dataCollectionMissingData", missing(facts).as_deref());
    texts(card, "rai:dataPreprocessingProtocol", preprocessing(facts));
    text(card, "rai:dataManipulationProtocol", manipulation(facts).as_deref());
    text(card, "rai:dataAnnotationProtocol", notes.annotation.as_deref());
    texts(card, "rai:machineAnnotationTools", facts.models.iter().map(words::model).collect());
    texts(card, "rai:dataBiases", biases(facts));
    texts(card, "rai:dataLimitations", limitations(facts));
    texts(card, "rai:personalSensitiveInformation", sensitive(facts));
    texts(card, "rai:dataUseCases", [&notes.suitable_use, &notes.unsuitable_use].into_iter().flatten().cloned().collect());
    text(card, "rai:dataSocialImpact", notes.social_impact.as_deref());
    text(card, "rai:dataReleaseMaintenancePlan", notes.maintenance.as_deref());
}

fn joined(parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn collection(facts: &Facts) -> Option<String> {
    let from = joined(facts.sources.iter().map(words::source).collect())?;
    let by = facts.run.software.as_ref().map(|software| format!(" by {software}")).unwrap_or_default();
    let mut text = format!("Image-text pairs were taken{by} from {from}.");
    if let Some(funnel) = &facts.funnel {
        let of = share(funnel.kept, funnel.rows).map(|share| format!(" ({share})")).unwrap_or_default();
        text.push_str(&format!(" Of {} candidate pairs {} were kept{of}.", count(funnel.rows), count(funnel.kept)));
    }
    for sentence in opt_outs(facts) {
        text.push_str(&format!(" {sentence}"));
    }
    Some(text)
}

fn opt_outs(facts: &Facts) -> Vec<String> {
    let said = [
        (facts.opt_outs.robots, "robots.txt forbade it"),
        (facts.opt_outs.noai, "the owner opted out of machine learning (noai and its like)"),
        (facts.opt_outs.tdm, "rights to text and data mining are reserved (TDM)"),
    ];
    said.into_iter().filter_map(|(rows, why)| Some(format!("{} pairs were left out because {why}.", count(rows?)))).collect()
}

/// Of the values that the RAI vocabulary recommends.
fn collection_type(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Wat | SourceKind::Warc | SourceKind::Wacz | SourceKind::Html | SourceKind::Urls => "Web Scraping",
        SourceKind::Shards | SourceKind::Metadata => "Secondary Data analysis",
    }
}

/// First and last date. Dates that differ in form are ordered as text, which is right for all of one form.
fn timeframe(sources: &[Source]) -> Vec<String> {
    let first = sources.iter().filter_map(|source| source.crawled_from.as_ref()).min();
    let last = sources.iter().filter_map(|source| source.crawled_to.as_ref()).max();
    [first, last].into_iter().flatten().cloned().collect()
}

fn missing(facts: &Facts) -> Option<String> {
    let pending = facts.funnel.as_ref().map(|funnel| funnel.pending).filter(|&rows| rows > 0)?;
    Some(format!("{} pairs wait for a later round or for units that failed; they are in no table.", count(pending)))
}

/// A protocol per stage. The values of a property have no order in JSON-LD, so the text carries it.
fn preprocessing(facts: &Facts) -> Vec<String> {
    let stages = facts.funnel.iter().flat_map(|funnel| &funnel.stages);
    let mut protocol: Vec<String> = stages.enumerate().map(|(at, stage)| format!("Step {}. {}", at + 1, words::stage(stage))).collect();
    if let Some(overlap) = &facts.eval_overlap {
        protocol.push(words::eval_overlap(overlap));
    }
    protocol
}

fn manipulation(facts: &Facts) -> Option<String> {
    let mut parts = facts.processing.clone();
    parts.extend(facts.thresholds.iter().map(words::threshold));
    parts.extend(facts.balancing.iter().map(words::balancing));
    if !parts.is_empty() {
        parts.extend(facts.run.seed.map(|seed| format!("draws are hashes with seed {seed}")));
    }
    joined(parts)
}

fn biases(facts: &Facts) -> Vec<String> {
    let mut biases: Vec<String> = facts.pass_rates.iter().filter(|rates| !rates.groups.is_empty()).map(words::pass_rates).collect();
    biases.extend(facts.pass_rates.iter().flat_map(|rates| rates.warnings.clone()));
    biases.extend(facts.balancing.iter().flat_map(words::comparisons));
    biases
}

fn limitations(facts: &Facts) -> Vec<String> {
    let mut limits: Vec<String> = facts.notes.limitations.iter().cloned().collect();
    if let Some(domains) = &facts.domains
        && let Some((name, rows)) = words::by_size(&domains.top).first().copied()
        && rows.saturating_mul(100) >= domains.rows.saturating_mul(LARGE_DOMAIN)
        && let Some(share) = share(rows, domains.rows)
    {
        limits.push(format!("{share} of the rows come from one domain, {}.", words::shown(name)));
    }
    for balancing in &facts.balancing {
        limits.extend(words::residuals(balancing));
        limits.extend(balancing.infeasible.iter().map(|what| format!("{}, not feasible: {what}", balancing.method)));
    }
    limits.extend(missing(facts));
    limits
}

fn sensitive(facts: &Facts) -> Vec<String> {
    let removed = |rows: Option<u64>, what| rows.map(|rows| format!("{} rows were removed by rules for {what}.", count(rows)));
    let mut said: Vec<String> =
        [removed(facts.pii_removed, "personal data"), removed(facts.nsfw_removed, "unsafe content")].into_iter().flatten().collect();
    said.extend([&facts.notes.sensitivity, &facts.notes.human_attributes].into_iter().flatten().cloned());
    said
}
