//! What is in the Croissant file.

use serde_json::{Value, json};

use super::super::*;
use super::made::{everything, file, least};

fn made(facts: &Facts) -> Value {
    croissant(facts, &CardOptions::default()).unwrap()
}

/// The node with an id, anywhere below `value`, that is more than a reference.
fn node<'a>(value: &'a Value, id: &str) -> &'a Value {
    fn find<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
        match value {
            Value::Object(map) if map.len() > 1 && map.get("@id").is_some_and(|found| found == id) => Some(value),
            Value::Object(map) => map.values().find_map(|inner| find(inner, id)),
            Value::Array(items) => items.iter().find_map(|inner| find(inner, id)),
            _ => None,
        }
    }
    find(value, id).unwrap_or_else(|| panic!("no node `{id}`"))
}

#[test]
fn a_card_of_the_least_facts_has_what_croissant_requires_and_no_more() {
    let mut card = made(&least());
    let context = card.as_object_mut().unwrap().remove("@context").unwrap();
    assert_eq!(context.as_object().unwrap().len(), 42);
    assert_eq!(context["prov"], "http://www.w3.org/ns/prov#");
    let expected = json!({
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "shapes",
        "description": "Coloured shapes with captions.",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "url": "https://example.org/shapes",
        "creator": { "@type": "sc:Organization", "name": "Example" },
        "datePublished": "2025-01-31",
        "distribution": [],
    });
    assert_eq!(card, expected);
}

#[test]
fn version_1_0_has_neither_arrays_nor_the_terms_of_1_1() {
    let options = CardOptions { version: CroissantVersion::V1_0, ..CardOptions::default() };
    let card = croissant(&everything(), &options).unwrap();
    assert_eq!(card["conformsTo"], "http://mlcommons.org/croissant/1.0");
    for term in ["arrayShape", "containedIn", "description", "isArray", "name"] {
        assert!(card["@context"].get(term).is_none(), "{term}");
    }
    let vector = node(&card, "vectors/towers_img");
    assert_eq!((vector.get("isArray"), vector.get("arrayShape"), &vector["repeated"]), (None, None, &json!(true)));
}

#[test]
fn files_are_objects_sorted_by_name_with_sizes_and_digests() {
    let card = made(&everything());
    let nodes = card["distribution"].as_array().unwrap();
    let ids: Vec<&str> = nodes.iter().map(|node| node["@id"].as_str().unwrap()).collect();
    let expected = [
        "00000.parquet",
        "00000.tar",
        "00001.parquet",
        "00001.tar",
        "vectors-00000.parquet",
        "pairs-files",
        "vectors-files",
        "image-files",
    ];
    assert_eq!(ids, expected);
    let first = json!({
        "@type": "cr:FileObject",
        "@id": "00000.parquet",
        "name": "00000.parquet",
        "contentUrl": "00000.parquet",
        "contentSize": "1002 B",
        "encodingFormat": "application/x-parquet",
        "sha256": format!("{:064x}", 2),
    });
    assert_eq!(nodes[0], first);
    let images = json!({
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "description": "The pictures in the tar shards.",
        "containedIn": [{ "@id": "00000.tar" }, { "@id": "00001.tar" }],
        "encodingFormat": "image/jpeg",
        "includes": "*.jpg",
    });
    assert_eq!(nodes[7], images);
    assert_eq!(node(&card, "pairs-files")["includes"], "[0-9][0-9][0-9][0-9][0-9].parquet");
    assert_eq!(node(&card, "vectors-files")["includes"], "vectors/[0-9][0-9][0-9][0-9][0-9].parquet");
}

#[test]
fn columns_are_fields_with_types_arrays_and_the_model_that_made_them() {
    let card = made(&everything());
    assert_eq!(node(&card, "pairs")["key"], json!({ "@id": "pairs/uid" }));
    let data_type = |id: String| node(&card, &id)["dataType"].clone();
    let found =
        ["uid", "url", "page_url", "warc_offset", "width", "towers", "faces", "seen"].map(|name| data_type(format!("pairs/{name}")));
    assert_eq!(found, ["sc:Text", "sc:URL", "sc:URL", "sc:Integer", "sc:Integer", "sc:Float", "sc:Integer", "sc:DateTime"]);
    let names: Vec<&Value> = node(&card, "pairs")["field"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert!(!names.contains(&&json!("blob")), "Croissant has no type for it");
    let vector = json!({
        "@type": "cr:Field",
        "@id": "vectors/towers_img",
        "name": "towers_img",
        "dataType": "sc:Float",
        "isArray": true,
        "arrayShape": "4",
        "source": { "fileSet": { "@id": "vectors-files" }, "extract": { "column": "towers_img" } },
        "prov:wasAttributedTo": { "@type": "prov:SoftwareAgent", "prov:label": "example/towers" },
    });
    assert_eq!(node(&card, "vectors/towers_img"), &vector);
    assert_eq!(node(&card, "pairs/faces")["arrayShape"], "-1");
    assert_eq!(node(&card, "pairs/towers")["prov:wasAttributedTo"]["prov:label"], "example/towers at main");
    assert_eq!(node(&card, "images/key")["source"]["transform"]["regex"], "([^/]*)\\.jpg");
}

#[test]
fn where_it_comes_from_and_what_was_done_is_told_in_prov_and_rai() {
    let card = made(&everything());
    let run = json!({
        "@type": "prov:Activity",
        "prov:label": "crawl and curation run first",
        "description": "config 0123456789abcdef, seed 7",
        "prov:startedAtTime": "2025-01-30T10:00:00Z",
        "prov:endedAtTime": "2025-01-30T12:00:00Z",
        "prov:wasAssociatedWith": { "@type": "prov:SoftwareAgent", "prov:label": "trommel 0.1.0" },
    });
    assert_eq!(card["prov:wasGeneratedBy"], run);
    assert_eq!(card["prov:wasDerivedFrom"][0]["prov:label"], "12 WAT files of a web crawl (CC-MAIN-2025-05), 2025-01-12 to 2025-01-26");
    assert_eq!(card["rai:dataCollectionType"], json!(["Web Scraping", "Secondary Data analysis"]));
    assert_eq!(card["rai:dataCollectionTimeframe"], json!(["2025-01-12", "2025-01-26"]));
    assert_eq!(
        card["rai:dataPreprocessingProtocol"],
        json!([
            "Step 1. 2.keep (words(text) > 2): 2,000 rows in, 1,500 kept (75.00 %); lost 500 for `words(text) > 2`",
            "Step 2. 3.fetch: 1,500 rows in, 1,234 kept (82.27 %); lost 200 for `http_404`, 61 for `timeout`",
            "6 rows were removed because they overlap with evaluation sets (imagenet-1k)",
        ])
    );
    assert_eq!(
        card["rai:dataManipulationProtocol"],
        "pictures were resized to at most 512 pixels; 4.keep: kept rows with `towers` at least 0.28 (percentile 70); \
         5.balance: balanced by m4 with eta = 0.9, pi = [0.45,0.3]; draws are hashes with seed 7"
    );
    assert_eq!(
        card["rai:dataBiases"],
        json!([
            "4.keep, share of rows kept by language: 80.00 % over all; en 91.67 % of 1,200, de 33.33 % of 300",
            "4.keep falls on de 8.0 times over the average",
            "m4, share of rows: square 0.305 before, 0.44 after (target 0.45)",
        ])
    );
    assert_eq!(
        card["rai:dataLimitations"],
        json!([
            "Shapes are not photographs.",
            "50.00 % of the rows come from one domain, a.example.",
            "m4, limits missed by: representation of square 0",
            "m4, not feasible: circle at 0.9 needs more rows than there are",
            "5 pairs wait for a later round or for units that failed; they are in no table.",
        ])
    );
    assert_eq!(
        card["rai:machineAnnotationTools"],
        format!(
            "example/towers, revision main, weights SHA-256 {}, preprocessing bicubic-224, precision f32; columns towers",
            "ab".repeat(32)
        )
    );
    assert_eq!(
        card["rai:personalSensitiveInformation"],
        json!(["2 rows were removed by rules for personal data.", "4 rows were removed by rules for unsafe content."])
    );
    assert_eq!(card["inLanguage"], json!(["de", "en"]));
    let collection = card["rai:dataCollection"].as_str().unwrap();
    assert!(
        collection.contains("Of 2,000 candidate pairs 1,234 were kept (61.70 %). 11 pairs were left out because robots.txt forbade it.")
    );
    assert!(!collection.contains("TDM"), "it was not looked for");
}

#[test]
fn a_hundred_thousand_files_are_sets_and_one_list_of_digests() {
    let files = (0..50_000).flat_map(|at| [file(&format!("{at:05}.tar"), at), file(&format!("{at:05}.parquet"), at)]).collect();
    let facts = Facts { files, ..everything() };
    let cards = cards(&facts, &CardOptions::default()).unwrap();
    assert!(cards.croissant.len() < 30_000, "{} bytes", cards.croissant.len());
    assert!(cards.markdown.len() < 30_000, "{} bytes", cards.markdown.len());
    let list = cards.manifest.unwrap();
    assert_eq!(list.lines().count(), 100_000);
    assert_eq!(list.lines().next().unwrap(), format!("{:064x}  00000.parquet", 0));
    let card: Value = serde_json::from_str(&cards.croissant).unwrap();
    let ids: Vec<&str> = card["distribution"].as_array().unwrap().iter().map(|node| node["@id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["SHA256SUMS", "pairs-files", "tar-files", "image-files"]);
    let digest = crate::digest::HashKind::Sha256.hex(list.as_bytes());
    assert_eq!(card["distribution"][0]["sha256"], digest);
    assert_eq!(card["distribution"][0]["contentSize"], format!("{} B", list.len()));
    assert_eq!(node(&card, "image-files")["containedIn"], json!({ "@id": "tar-files" }));

    let stored = Facts { repository: Some("https://example.org/shapes.git".into()), ..facts };
    let card = croissant(&stored, &CardOptions::default()).unwrap();
    assert_eq!(node(&card, "pairs-files")["containedIn"], json!({ "@id": "repo" }));
    assert_eq!(node(&card, "repo")["sha256"], digest);
}

#[test]
fn a_card_in_a_repository_names_it_as_the_container() {
    let card = made(&Facts { repository: Some("https://example.org/shapes.git".into()), ..everything() });
    let repo = node(&card, "repo");
    assert_eq!((&repo["contentUrl"], &repo["encodingFormat"]), (&json!("https://example.org/shapes.git"), &json!("git+https")));
    for id in ["00000.tar", "00000.parquet", "pairs-files", "vectors-files"] {
        assert_eq!(node(&card, id)["containedIn"], json!({ "@id": "repo" }), "{id}");
    }
}

#[test]
fn missing_facts_are_named_all_at_once() {
    let error = croissant(&Facts { url: " ".into(), license: String::new(), ..least() }, &CardOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "a card needs `license`, `url`: only a person can give them");
    let error = croissant(&Facts::default(), &CardOptions::default()).unwrap_err();
    let facts = vec!["name", "description", "license", "url", "creators", "date_published"];
    assert_eq!(error, CardError::Missing { facts });
}

#[test]
fn facts_of_the_wrong_form_are_named_with_what_is_wanted() {
    let sized = |name: &str| Facts { files: vec![DataFile { table: None, ..file(name, 1) }], ..least() };
    let digest = Facts { files: vec![DataFile { sha256: "abc".into(), table: None, ..file("a.tar", 1) }], ..least() };
    for (facts, fact) in [
        (Facts { url: "example.org".into(), ..least() }, "url"),
        (Facts { url: "javascript:alert(1)".into(), ..least() }, "url"),
        (Facts { repository: Some("git@example.org:x".into()), ..least() }, "repository"),
        (Facts { date_published: "yesterday".into(), ..least() }, "date_published"),
        (Facts { version: Some("v1".into()), ..least() }, "version"),
        (Facts { creators: vec![Party::person(" ")], ..least() }, "creators"),
        (sized("../a.tar"), "files.name"),
        (sized("/a.tar"), "files.name"),
        (sized("a\nb.tar"), "files.name"),
        (Facts { files: [sized("a.tar").files, sized("a.tar").files].concat(), ..least() }, "files.name"),
        (digest, "files.sha256"),
        (Facts { files: vec![file("a.parquet", 1)], ..least() }, "files.table"),
        (Facts { tables: vec![Table::default(), Table::default()], ..least() }, "tables.name"),
    ] {
        match croissant(&facts, &CardOptions::default()) {
            Err(CardError::Form { fact: found, .. }) => assert_eq!(found, fact),
            other => panic!("{fact}: {other:?}"),
        }
    }
}

#[test]
fn a_licence_without_a_url_is_a_work_with_a_name() {
    let card = made(&Facts { license: "Our own terms".into(), ..least() });
    assert_eq!(card["license"], json!({ "@type": "sc:CreativeWork", "name": "Our own terms" }));
}

#[test]
fn the_order_of_facts_does_not_change_a_byte() {
    let mut turned = everything();
    turned.files.reverse();
    turned.pass_rates[0].groups.reverse();
    assert_eq!(cards(&turned, &CardOptions::default()), cards(&everything(), &CardOptions::default()));
}

#[test]
fn facts_survive_json_and_read_the_funnel_of_a_run() {
    let text = serde_json::to_string(&everything()).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), everything());
    let funnel = r#"{"rows":3,"stages":[{"stage":"2.keep","rows":3,"kept":2,"lost":{"short":1}}],"kept":2,"pending":0}"#;
    let funnel: CardFunnel = serde_json::from_str(funnel).unwrap();
    assert_eq!((funnel.stages[0].kept, funnel.stages[0].lost["short"]), (2, 1));
}
