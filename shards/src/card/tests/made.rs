//! Facts for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::json;

use super::super::*;
use crate::columns::{candidate_fields, fetch_fields};
use crate::vectors::Provenance;

/// Facts that Croissant requires, and no more.
pub(super) fn least() -> Facts {
    Facts {
        name: "shapes".into(),
        description: "Coloured shapes with captions.".into(),
        license: "https://creativecommons.org/licenses/by/4.0/".into(),
        url: "https://example.org/shapes".into(),
        creators: vec![Party::organization("Example")],
        date_published: "2025-01-31".into(),
        ..Facts::default()
    }
}

pub(super) fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect()
}

pub(super) fn model() -> Provenance {
    Provenance {
        model: "example/towers".into(),
        weights_sha256: "ab".repeat(32),
        preprocessing: "bicubic-224".into(),
        precision: "f32".into(),
    }
}

/// The columns of a shard's table.
pub(super) fn pairs_schema() -> Schema {
    let mut fields = vec![Arc::new(Field::new("key", DataType::Utf8, false))];
    fields.extend(candidate_fields());
    fields.extend(fetch_fields(true, Some("sha256")));
    fields.push(Arc::new(Field::new("towers", DataType::Float32, true).with_metadata(model().to_metadata())));
    fields.push(Arc::new(Field::new("faces", DataType::List(Arc::new(Field::new("item", DataType::Int16, true))), true)));
    fields.push(Arc::new(Field::new("seen", DataType::Timestamp(TimeUnit::Millisecond, None), true)));
    fields.push(Arc::new(Field::new("blob", DataType::Binary, true)));
    Schema::new(fields)
}

pub(super) fn vectors_schema() -> Schema {
    let vector = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float16, true)), 4);
    Schema::new(vec![Field::new("uid", DataType::Utf8, true), Field::new("towers_img", vector, true).with_metadata(model().to_metadata())])
}

pub(super) fn file(name: &str, at: u64) -> DataFile {
    DataFile::of_output(name, &crate::marker::Output { bytes: 1000 + at, sha256: format!("{at:064x}") })
}

/// Facts of every kind.
pub(super) fn everything() -> Facts {
    Facts {
        publisher: Some(Party {
            url: Some("https://example.org".into()),
            email: Some("data@example.org".into()),
            ..Party::person("A. Person")
        }),
        version: Some("1.2.0".into()),
        date_created: Some("2025-01-30T12:00:00Z".into()),
        keywords: vec!["image-text".into(), "web".into()],
        cite_as: Some("@misc{shapes, title={Shapes}}".into()),
        run: Run {
            software: Some("trommel 0.1.0".into()),
            job: Some("first".into()),
            config_hash: Some("0123456789abcdef".into()),
            seed: Some(7),
            started: Some("2025-01-30T10:00:00Z".into()),
            ended: Some("2025-01-30T12:00:00Z".into()),
        },
        sources: vec![
            Source {
                kind: SourceKind::Wat,
                files: 12,
                origin: Some("CC-MAIN-2025-05".into()),
                crawled_from: Some("2025-01-12".into()),
                crawled_to: Some("2025-01-26".into()),
            },
            Source { kind: SourceKind::Shards, files: 1, origin: None, crawled_from: None, crawled_to: None },
        ],
        funnel: Some(CardFunnel {
            rows: 2000,
            stages: vec![
                CardStage {
                    stage: "2.keep".into(),
                    what: Some("words(text) > 2".into()),
                    rows: 2000,
                    kept: 1500,
                    lost: counts([("words(text) > 2", 500)]),
                },
                CardStage {
                    stage: "3.fetch".into(),
                    what: None,
                    rows: 1500,
                    kept: 1234,
                    lost: counts([("http_404", 200), ("timeout", 61)]),
                },
            ],
            kept: 1234,
            pending: 5,
        }),
        processing: vec!["pictures were resized to at most 512 pixels".into()],
        languages: Some(counts([("en", 1000), ("de", 200), ("un", 34)])),
        page_languages: Some(counts([("en-GB", 900), ("", 334)])),
        scripts: Some(counts([("Latn", 1234)])),
        top_level_domains: Some(counts([("org", 1000), ("de", 234)])),
        license_signals: Some(BTreeMap::new()),
        domains: Some(Domains { rows: 1234, distinct: Some(40), top: counts([("a.example", 617), ("b.example", 100)]) }),
        resolution: Some(Histogram {
            unit: "px".into(),
            bins: vec![Bin { from: 200.0, to: Some(512.0), rows: 1000 }, Bin { from: 512.0, to: None, rows: 234 }],
        }),
        aspect: Some(Histogram { unit: String::new(), bins: vec![Bin { from: 1.0, to: Some(3.0), rows: 1234 }] }),
        caption_length: Some(Histogram { unit: "characters".into(), bins: vec![Bin { from: 5.0, to: None, rows: 1234 }] }),
        opt_outs: OptOuts { robots: Some(11), noai: Some(3), tdm: None },
        pii_removed: Some(2),
        nsfw_removed: Some(4),
        eval_overlap: Some(EvalOverlap { sets: vec!["imagenet-1k".into()], rows: 6 }),
        models: vec![Model {
            id: "example/towers".into(),
            revision: Some("main".into()),
            weights_sha256: Some("ab".repeat(32)),
            preprocessing: Some("bicubic-224".into()),
            precision: Some("f32".into()),
            columns: vec!["towers".into()],
        }],
        thresholds: vec![Threshold {
            stage: Some("4.keep".into()),
            group: None,
            column: "towers".into(),
            rule: ThresholdRule::AtLeast,
            value: 0.28,
            percentile: Some(70.0),
        }],
        balancing: vec![Balancing {
            stage: Some("5.balance".into()),
            method: "m4".into(),
            parameters: [("eta".to_owned(), json!(0.9)), ("pi".to_owned(), json!([0.45, 0.3]))].into(),
            tables: vec![Comparison {
                title: "share of rows".into(),
                rows: vec![Compared { name: "square".into(), target: Some(0.45), before: Some(0.305), after: Some(0.44) }],
            }],
            residuals: [("representation of square".to_owned(), 0.0)].into(),
            infeasible: vec!["circle at 0.9 needs more rows than there are".into()],
        }],
        pass_rates: vec![PassRates {
            stage: "4.keep".into(),
            by: "language".into(),
            groups: vec![Group { name: "de".into(), rows: 300, kept: 100 }, Group { name: "en".into(), rows: 1200, kept: 1100 }],
            warnings: vec!["4.keep falls on de 8.0 times over the average".into()],
        }],
        files: vec![
            file("00001.tar", 3),
            file("00000.tar", 1),
            file("00000.parquet", 2),
            file("00001.parquet", 4),
            file("vectors/00000.parquet", 5),
        ],
        image_ending: Some("jpg".into()),
        tables: vec![
            Table {
                name: "pairs".into(),
                description: Some("A picture with its caption".into()),
                key: Some("uid".into()),
                columns: columns_of(&pairs_schema()),
            },
            Table { name: "vectors".into(), description: None, key: Some("uid".into()), columns: columns_of(&vectors_schema()) },
        ],
        notes: Notes {
            purpose: Some("To test cards.\n\nAnd nothing else.".into()),
            limitations: Some("Shapes are not photographs.".into()),
            suitable_use: Some("Tests.".into()),
            maintenance: Some("None.".into()),
            ..Notes::default()
        },
        ..least()
    }
}
