//! Where the data comes from, in the terms of [PROV-O](https://www.w3.org/TR/prov-o/).

use serde_json::{Map, Value, json};

use super::super::columns::Column;
use super::super::facts::Facts;
use super::super::words;
use super::{many, text};

/// `prov:wasGeneratedBy` the run, `prov:wasDerivedFrom` its sources.
pub(super) fn dataset(facts: &Facts, card: &mut Map<String, Value>) {
    let run = &facts.run;
    if *run != Default::default() {
        let mut activity = Map::new();
        activity.insert("@type".into(), "prov:Activity".into());
        let job = run.job.as_ref().map(|job| format!(" {job}")).unwrap_or_default();
        activity.insert("prov:label".into(), format!("crawl and curation run{job}").into());
        let settings: Vec<String> =
            [run.config_hash.as_ref().map(|hash| format!("config {hash}")), run.seed.map(|seed| format!("seed {seed}"))]
                .into_iter()
                .flatten()
                .collect();
        text(&mut activity, "description", Some(&settings.join(", ")));
        text(&mut activity, "prov:startedAtTime", run.started.as_deref());
        text(&mut activity, "prov:endedAtTime", run.ended.as_deref());
        if let Some(software) = &run.software {
            let agent = json!({ "@type": "prov:SoftwareAgent", "prov:label": software });
            activity.insert("prov:wasAssociatedWith".into(), agent);
        }
        card.insert("prov:wasGeneratedBy".into(), Value::Object(activity));
    }
    let entity = |source| json!({ "@type": "prov:Entity", "prov:label": words::source(source) });
    many(card, "prov:wasDerivedFrom", facts.sources.iter().map(entity).collect());
}

/// `prov:wasAttributedTo` the model that made a column.
pub(super) fn column(facts: &Facts, column: &Column, field: &mut Map<String, Value>) {
    let known = facts.models.iter().find(|model| model.columns.contains(&column.name)).map(words::model_name);
    if let Some(model) = known.or_else(|| column.model.clone()).filter(|model| !model.is_empty()) {
        field.insert("prov:wasAttributedTo".into(), json!({ "@type": "prov:SoftwareAgent", "prov:label": model }));
    }
}
