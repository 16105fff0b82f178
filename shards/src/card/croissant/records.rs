//! `recordSet`: the tables and the pictures.

use serde_json::{Map, Value, json};

use super::super::columns::Column;
use super::super::facts::{Facts, Table};
use super::distribution::{Distribution, image_type};
use super::ids::Ids;
use super::{CroissantVersion, provenance, text};

pub(super) fn record_sets(facts: &Facts, distribution: &Distribution, version: CroissantVersion, ids: &mut Ids) -> Vec<Value> {
    let mut sets = Vec::new();
    for table in &facts.tables {
        if let Some(files) = distribution.tables.get(&table.name) {
            sets.extend(table_set(facts, table, files, version, ids));
        }
    }
    if let (Some(files), Some((ending, _))) = (&distribution.images, facts.image_ending.as_deref().and_then(image_type)) {
        sets.push(images(files, ending, ids));
    }
    sets
}

/// The rows of a table; `None` when no column has a type that Croissant knows.
fn table_set(facts: &Facts, table: &Table, files: &str, version: CroissantVersion, ids: &mut Ids) -> Option<Value> {
    let set = ids.take(None, &table.name);
    let mut key = None;
    let mut fields = Vec::new();
    for column in &table.columns {
        let Some(data_type) = column.kind.data_type() else { continue };
        let id = ids.take(Some(&set), &column.name);
        if table.key.as_ref() == Some(&column.name) {
            key = Some(id.clone());
        }
        fields.push(field(facts, column, data_type, &id, files, version));
    }
    if fields.is_empty() {
        return None;
    }
    let mut node = Map::new();
    node.insert("@type".into(), "cr:RecordSet".into());
    node.insert("@id".into(), set.into());
    node.insert("name".into(), table.name.as_str().into());
    text(&mut node, "description", table.description.as_deref());
    if let Some(key) = key {
        node.insert("key".into(), json!({ "@id": key }));
    }
    node.insert("field".into(), Value::Array(fields));
    Some(Value::Object(node))
}

fn field(facts: &Facts, column: &Column, data_type: &str, id: &str, files: &str, version: CroissantVersion) -> Value {
    let mut node = Map::new();
    node.insert("@type".into(), "cr:Field".into());
    node.insert("@id".into(), id.into());
    node.insert("name".into(), column.name.as_str().into());
    text(&mut node, "description", column.description.as_deref());
    node.insert("dataType".into(), data_type.into());
    if !column.shape.is_empty() {
        match version {
            CroissantVersion::V1_0 => {
                node.insert("repeated".into(), true.into());
            }
            CroissantVersion::V1_1 => {
                let shape: Vec<String> = column.shape.iter().map(i64::to_string).collect();
                node.insert("isArray".into(), true.into());
                node.insert("arrayShape".into(), shape.join(",").into());
            }
        }
    }
    node.insert("source".into(), json!({ "fileSet": { "@id": files }, "extract": { "column": column.name } }));
    provenance::column(facts, column, &mut node);
    Value::Object(node)
}

/// The pictures inside tar shards, by the key of their sample.
fn images(files: &str, ending: &str, ids: &mut Ids) -> Value {
    let set = ids.take(None, "images");
    let [key, content] = ["key", "content"].map(|name| ids.take(Some(&set), name));
    json!({
        "@type": "cr:RecordSet",
        "@id": set,
        "name": "images",
        "description": "The pictures of the tar shards. The column `key` of the tables names the same sample.",
        "key": { "@id": key },
        "field": [
            {
                "@type": "cr:Field",
                "@id": key,
                "name": "key",
                "description": "Name of the sample in its shard",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": { "@id": files },
                    "extract": { "fileProperty": "filename" },
                    "transform": { "regex": format!("([^/]*)\\.{ending}") },
                },
            },
            {
                "@type": "cr:Field",
                "@id": content,
                "name": "content",
                "description": "The encoded picture",
                "dataType": "sc:ImageObject",
                "source": { "fileSet": { "@id": files }, "extract": { "fileProperty": "content" } },
            },
        ],
    })
}
