//! What a finished output says of itself, for its cards: from the ledger, the funnel, the selection's report and the tables.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use thiserror::Error;
use trommel_shards::card::{
    Balancing, Bin, CardFunnel, CardStage, Compared, Comparison, DataFile, Domains, Facts, Group, Histogram, Model, OptOuts, PassRates,
    Run, Source, SourceKind, Table, Threshold, ThresholdRule, columns_of,
};
use trommel_shards::marker::Marker;
use trommel_shards::source::{Input, SourceError};
use trommel_shards::storage::{Storage, StorageError};

use super::Funnel;
use crate::ledger::{JobFile, LedgerError, short_hash};
use crate::select::{Selected, script_of, top_level_of};

/// Domains that a card names.
const DOMAINS: usize = 20;
/// Domains that are told apart while they are counted.
const MOST_DOMAINS: usize = 1 << 20;

/// An output that cannot be described.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CardFactsError {
    /// The folder is no output of a job.
    #[error("`{0}` holds no output of a job: there is no ledger in it")]
    NoJob(String),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A table cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file is not what it should be.
    #[error("`{place}`: {message}")]
    File {
        /// The file.
        place: String,
        /// What is wrong.
        message: String,
    },
}

/// Everything that the output knows; names, licence, dates and what only a person can say are the caller's.
///
/// # Errors
/// [`CardFactsError`].
pub async fn facts_of(storage: &Storage) -> Result<Facts, CardFactsError> {
    let job = JobFile::read(storage).await?.ok_or_else(|| CardFactsError::NoJob(storage.uri().to_owned()))?;
    let mut facts = Facts { run: run_of(&job), sources: sources_of(&job), processing: processing_of(&job), ..Facts::default() };
    if let Some(funnel) = read::<Funnel>(storage, "funnel.json").await? {
        facts.opt_outs = opt_outs(&funnel);
        facts.pii_removed = lost(&funnel, &["has_pii"]);
        facts.funnel = Some(card_funnel(&funnel));
    }
    let mut repeated = false;
    if let Some(selected) = read::<Selected>(storage, "selection/report.json").await? {
        repeated = selected.copies != selected.funnel.kept;
        selection(&mut facts, &selected);
    }
    let mut tables = Vec::new();
    for pass in &job.passes {
        for marker in Marker::read_all(storage, pass).await?.into_values() {
            // Of earlier passes only the table of what was left out is part of the dataset.
            let last = job.passes.last() == Some(pass);
            for (name, output) in &marker.outputs {
                let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
                let data = file.ends_with(".tar") || file.ends_with(".parquet");
                let of_last = last && matches!(folder, "" | "vectors");
                if data && (of_last || folder.starts_with("excluded")) {
                    if last && folder.is_empty() && file.ends_with(".parquet") {
                        tables.push(name.clone());
                    }
                    facts.files.push(DataFile::of_output(name, output));
                }
            }
        }
    }
    facts.files.sort_by(|a, b| a.name.cmp(&b.name));
    let folders: std::collections::BTreeSet<String> = facts.files.iter().filter_map(|file| file.table.clone()).collect();
    for folder in folders {
        let first = facts.files.iter().find(|file| file.table.as_ref() == Some(&folder)).map(|file| storage.uri_of(&file.name));
        let Some(first) = first else { continue };
        let schema = blocking({
            let first = first.clone();
            move || schema_of(&first)
        })
        .await?;
        let key = (folder == "pairs" && !repeated && schema.field_with_name("uid").is_ok()).then(|| "uid".to_owned());
        if folder == "pairs" {
            facts.models = models_of(&schema);
        }
        facts.tables.push(Table { name: folder, description: None, key, columns: columns_of(&schema) });
    }
    facts.image_ending = Some("jpg".to_owned()).filter(|_| facts.files.iter().any(|file| file.name.ends_with(".tar")));
    let places: Vec<String> = tables.iter().map(|name| storage.uri_of(name)).collect();
    if !places.is_empty() {
        let counted = blocking(move || count(&places)).await?;
        counted.into_facts(&mut facts);
    }
    Ok(facts)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, CardFactsError> + Send + 'static) -> Result<T, CardFactsError> {
    let failed = |e: tokio::task::JoinError| CardFactsError::File { place: "tables".into(), message: e.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

async fn read<T: serde::de::DeserializeOwned>(storage: &Storage, name: &str) -> Result<Option<T>, CardFactsError> {
    let Some(text) = storage.get(name).await? else { return Ok(None) };
    let wrong = |e: serde_json::Error| CardFactsError::File { place: storage.uri_of(name), message: e.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(wrong)
}

fn run_of(job: &JobFile) -> Run {
    Run {
        software: Some(format!("trommel {}", job.version)),
        job: Some(job.job.clone()),
        config_hash: Some(short_hash(job.recipe.to_string().as_bytes())),
        seed: job.recipe["job"]["seed"].as_u64(),
        started: None,
        ended: None,
    }
}

fn sources_of(job: &JobFile) -> Vec<Source> {
    let kinds = [
        ("wat", SourceKind::Wat),
        ("warc", SourceKind::Warc),
        ("wacz", SourceKind::Wacz),
        ("html", SourceKind::Html),
        ("urls", SourceKind::Urls),
        ("shards", SourceKind::Shards),
    ];
    let of = |(name, kind): (&str, SourceKind)| {
        let patterns = job.recipe["source"][name].as_array().filter(|patterns| !patterns.is_empty())?;
        let names: Vec<&str> =
            patterns.iter().filter_map(Value::as_str).map(|pattern| pattern.rsplit('/').next().unwrap_or(pattern)).collect();
        Some(Source { kind, files: patterns.len() as u64, origin: Some(names.join(", ")), crawled_from: None, crawled_to: None })
    };
    kinds.into_iter().filter_map(of).collect()
}

/// A line for each stage: its name, and the settings that are not a default's absence.
fn processing_of(job: &JobFile) -> Vec<String> {
    let stages = job.recipe["stage"].as_array();
    stages
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(at, stage)| {
            let name = stage["use"].as_str().unwrap_or("stage");
            let telling = [
                "where",
                "top",
                "by",
                "per",
                "method",
                "attributes",
                "labels",
                "target_rate",
                "model",
                "image_size",
                "resize_mode",
                "min_image_size",
                "max_aspect_ratio",
                "count",
                "fraction",
                "name",
                "format",
            ];
            let settings = telling.iter().filter_map(|key| {
                let value = stage.get(*key)?;
                let told = match value {
                    Value::Null => None,
                    Value::String(text) if text.is_empty() => None,
                    Value::Array(list) if list.is_empty() => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                told.map(|told| format!("{key} {told}"))
            });
            let settings: Vec<String> = settings.collect();
            if settings.is_empty() { format!("{}. {name}", at + 1) } else { format!("{}. {name}: {}", at + 1, settings.join("; ")) }
        })
        .collect()
}

fn lost(funnel: &Funnel, words: &[&str]) -> Option<u64> {
    let found: Vec<u64> = funnel
        .stages
        .iter()
        .flat_map(|stage| &stage.lost)
        .filter(|(reason, _)| words.iter().any(|word| reason.contains(word)))
        .map(|(_, count)| *count)
        .collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

fn opt_outs(funnel: &Funnel) -> OptOuts {
    OptOuts {
        robots: lost(funnel, &["opt_out_robots_txt"]),
        noai: lost(funnel, &["opt_out_x_robots_tag", "opt_out_meta_robots", "opt_out_ai_txt", "opt_out_content_signal"]),
        tdm: lost(funnel, &["opt_out_tdm"]),
    }
}

fn card_funnel(funnel: &Funnel) -> CardFunnel {
    let stage = |stage: &super::Stage| CardStage {
        stage: stage.stage.clone(),
        what: None,
        rows: stage.rows,
        kept: stage.kept,
        lost: stage.lost.clone(),
    };
    CardFunnel { rows: funnel.rows, stages: funnel.stages.iter().map(stage).collect(), kept: funnel.kept, pending: funnel.pending }
}

fn selection(facts: &mut Facts, selected: &Selected) {
    for finding in &selected.findings {
        let found = &finding.found;
        if let (Some(value), Some(by)) = (found["threshold"].as_f64(), found["by"].as_str()) {
            let (rule, stage) = (ThresholdRule::AtLeast, Some(finding.stage.clone()));
            facts.thresholds.push(Threshold { stage, group: None, column: by.to_owned(), rule, value, percentile: None });
        }
        if found["fit"].is_object() {
            facts.balancing.push(balancing(&finding.stage, &found["fit"]));
        }
        if let Some(languages) = found["languages"].as_array() {
            let row = |language: &Value| Compared {
                name: language["language"].as_str().unwrap_or_default().to_owned(),
                target: None,
                before: language["share_before"].as_f64(),
                after: language["share_after"].as_f64(),
            };
            let table = Comparison { title: "Shares of the languages".into(), rows: languages.iter().map(row).collect() };
            let (stage, method) = (Some(finding.stage.clone()), "language rebalancing".to_owned());
            facts.balancing.push(Balancing { stage, method, tables: vec![table], ..Balancing::default() });
        }
    }
    for table in &selected.pass_rates {
        let groups = table.groups.iter().map(|group| Group { name: group.group.clone(), rows: group.rows, kept: group.kept }).collect();
        let mine = |warning: &&String| warning.starts_with(&format!("`{}`", table.stage)) && warning.contains(table.dimension.name());
        let warnings = selected.warnings.iter().filter(mine).cloned().collect();
        facts.pass_rates.push(PassRates { stage: table.stage.clone(), by: table.dimension.name().to_owned(), groups, warnings });
    }
}

fn balancing(stage: &str, fit: &Value) -> Balancing {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |name: &str| fit[name].as_array().cloned().unwrap_or_default();
    let rates = list("attributes")
        .iter()
        .map(|attribute| Compared {
            name: text(&attribute["name"]),
            target: attribute["target"].as_f64(),
            before: attribute["before"].as_f64(),
            after: attribute["after"].as_f64(),
        })
        .collect();
    let gaps = list("associations")
        .iter()
        .map(|pair| Compared {
            name: format!("{} with {}", text(&pair["attribute"]), text(&pair["label"])),
            target: Some(0.0),
            before: pair["gap_before"].as_f64(),
            after: pair["gap_after"].as_f64(),
        })
        .collect();
    let tables = vec![
        Comparison { title: "Share of each attribute".into(), rows: rates },
        Comparison { title: "Association gap: rate of the label with the attribute, less without it".into(), rows: gaps },
    ];
    let residuals =
        list("attributes").iter().filter_map(|attribute| Some((text(&attribute["name"]), attribute["residual"].as_f64()?))).collect();
    let infeasible = list("broken").iter().map(|broken| text(&broken["attribute"])).collect();
    let parameters = BTreeMap::from([("mean_weight".to_owned(), fit["mean_weight"].clone())]);
    Balancing {
        stage: Some(stage.to_owned()),
        method: "M4 (multi-modal moment matching)".into(),
        parameters,
        tables,
        residuals,
        infeasible,
    }
}

fn file_error(place: &str, message: impl std::fmt::Display) -> CardFactsError {
    CardFactsError::File { place: place.to_owned(), message: message.to_string() }
}

fn schema_of(place: &str) -> Result<Schema, CardFactsError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Input::open(place)?).map_err(|e| file_error(place, e))?;
    Ok(reader.schema().as_ref().clone())
}

/// The models whose columns say so.
fn models_of(schema: &Schema) -> Vec<Model> {
    let mut models: BTreeMap<(String, String), Model> = BTreeMap::new();
    for field in schema.fields() {
        let said = |key: &str| field.metadata().get(&format!("trommel.{key}")).filter(|value| !value.is_empty()).cloned();
        let Some(id) = said("model") else { continue };
        let model = models.entry((id.clone(), said("weights_sha256").unwrap_or_default())).or_insert_with(|| Model {
            id,
            revision: said("revision"),
            weights_sha256: said("weights_sha256"),
            preprocessing: said("preprocessing"),
            precision: said("precision"),
            columns: Vec::new(),
        });
        model.columns.push(field.name().clone());
    }
    models.into_values().collect()
}

/// What is counted over the rows of the final tables.
#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    columns: Vec<&'static str>,
    languages: BTreeMap<String, u64>,
    page_languages: BTreeMap<String, u64>,
    scripts: BTreeMap<String, u64>,
    top_levels: BTreeMap<String, u64>,
    licences: BTreeMap<String, u64>,
    domains: BTreeMap<String, u64>,
    resolution: [u64; 5],
    aspect: [u64; 5],
    caption: [u64; 6],
}

const SIDES: [f64; 5] = [0.0, 128.0, 256.0, 512.0, 1024.0];
const ASPECTS: [f64; 5] = [0.0, 0.5, 0.9, 1.1, 2.0];
const LENGTHS: [f64; 6] = [0.0, 10.0, 25.0, 50.0, 100.0, 200.0];

fn bin(edges: &[f64], counts: &mut [u64], value: f64) {
    let at = edges.iter().rposition(|edge| value >= *edge).unwrap_or(0);
    counts[at] += 1;
}

fn count(places: &[String]) -> Result<Counted, CardFactsError> {
    let mut counted = Counted::default();
    for place in places {
        let fail = |e: &dyn std::fmt::Display| file_error(place, e);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(place)?).map_err(|e| fail(&e))?;
        let wanted = ["lang", "page_lang", "text", "caption", "url", "license", "width", "height", "original_width", "original_height"];
        let known: Vec<&'static str> = wanted.into_iter().filter(|name| builder.schema().field_with_name(name).is_ok()).collect();
        if counted.columns.is_empty() {
            counted.columns.clone_from(&known);
        }
        let mask = ProjectionMask::columns(builder.parquet_schema(), known.iter().copied());
        for batch in builder.with_projection(mask).build().map_err(|e| fail(&e))? {
            let batch = batch.map_err(|e| fail(&e))?;
            counted.rows += batch.num_rows() as u64;
            let text = |name: &str| batch.column_by_name(name).and_then(|column| cast(column, &DataType::Utf8).ok());
            let number = |names: [&str; 2]| {
                names.iter().find_map(|name| batch.column_by_name(name)).and_then(|column| cast(column, &DataType::Int64).ok())
            };
            let add = |counts: &mut BTreeMap<String, u64>, column: &Option<ArrayRef>, of: &dyn Fn(&str) -> String| {
                for value in column.iter().flat_map(|column| column.as_string::<i32>().iter()) {
                    let key = value.map_or_else(|| "unknown".to_owned(), of);
                    if counts.len() < MOST_DOMAINS || counts.contains_key(&key) {
                        *counts.entry(key).or_default() += 1;
                    }
                }
            };
            let same = |value: &str| if value.is_empty() { "unknown".to_owned() } else { value.to_owned() };
            add(&mut counted.languages, &text("lang"), &same);
            add(&mut counted.page_languages, &text("page_lang"), &same);
            add(&mut counted.licences, &text("license"), &same);
            let captions = text("text").or_else(|| text("caption"));
            add(&mut counted.scripts, &captions, &|value| script_of(value).to_owned());
            for value in captions.iter().flat_map(|column| column.as_string::<i32>().iter()).flatten() {
                bin(&LENGTHS, &mut counted.caption, value.chars().count() as f64);
            }
            let urls = text("url");
            add(&mut counted.top_levels, &urls, &|value| top_level_of(value).to_owned());
            add(&mut counted.domains, &urls, &|value| trommel_filters::urls::domain(value).unwrap_or_else(|| "none".to_owned()));
            if let (Some(width), Some(height)) = (number(["width", "original_width"]), number(["height", "original_height"])) {
                let (width, height) = (width.as_primitive::<Int64Type>(), height.as_primitive::<Int64Type>());
                for row in (0..batch.num_rows()).filter(|&row| width.is_valid(row) && height.is_valid(row) && height.value(row) > 0) {
                    bin(&SIDES, &mut counted.resolution, width.value(row).min(height.value(row)) as f64);
                    bin(&ASPECTS, &mut counted.aspect, width.value(row) as f64 / height.value(row) as f64);
                }
            }
        }
    }
    Ok(counted)
}

fn histogram(unit: &str, edges: &[f64], counts: &[u64]) -> Histogram {
    let bin = |(at, rows): (usize, &u64)| Bin { from: edges[at], to: edges.get(at + 1).copied(), rows: *rows };
    Histogram { unit: unit.to_owned(), bins: counts.iter().enumerate().map(bin).collect() }
}

impl Counted {
    fn into_facts(self, facts: &mut Facts) {
        let has = |name: &str| self.columns.contains(&name);
        facts.languages = has("lang").then_some(self.languages);
        facts.page_languages = has("page_lang").then_some(self.page_languages);
        facts.license_signals = has("license").then_some(self.licences);
        if has("text") || has("caption") {
            facts.scripts = Some(self.scripts);
            facts.caption_length = Some(histogram("characters", &LENGTHS, &self.caption));
        }
        if has("url") {
            facts.top_level_domains = Some(self.top_levels);
            let distinct = Some(self.domains.len() as u64).filter(|_| self.domains.len() < MOST_DOMAINS);
            let mut most: Vec<(String, u64)> = self.domains.into_iter().collect();
            most.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            facts.domains = Some(Domains { rows: self.rows, distinct, top: most.into_iter().take(DOMAINS).collect() });
        }
        if has("width") || has("original_width") {
            facts.resolution = Some(histogram("pixels, shorter side", &SIDES, &self.resolution));
            facts.aspect = Some(histogram("width by height", &ASPECTS, &self.aspect));
        }
    }
}
