//! `ImageObject`s of JSON-LD blocks (schema.org; the licence fields are those that Google's image licence metadata names).

use serde_json::Value;

/// Most objects taken from one block.
const MOST: usize = 1000;

/// One `ImageObject`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImageObject {
    pub(crate) url: String,
    /// Caption, else name, else description.
    pub(crate) text: String,
    pub(crate) license: Option<String>,
    pub(crate) credit: Option<String>,
}

/// The `ImageObject`s of a block that have a url. `None` when the block is no JSON.
pub(crate) fn image_objects(block: &str) -> Option<Vec<ImageObject>> {
    // Some pages wrap the block in a comment or CDATA.
    let block = block.trim();
    let block = block.strip_prefix("<!--").and_then(|inner| inner.strip_suffix("-->")).unwrap_or(block);
    let block = block.trim().trim_start_matches("//").trim();
    let block =
        block.strip_prefix("<![CDATA[").map_or(block, |inner| inner.trim_end().trim_end_matches("]]>").trim_end().trim_end_matches("//"));
    let value: Value = serde_json::from_str(block.trim().trim_end_matches(';')).ok()?;
    let mut objects = Vec::new();
    // A list instead of recursion: serde_json bounds the depth, and this does not depend on it.
    let mut todo = vec![&value];
    while let Some(value) = todo.pop() {
        match value {
            Value::Array(items) => todo.extend(items.iter().rev()),
            Value::Object(fields) => {
                if is_image(fields.get("@type")) && objects.len() < MOST {
                    let text_of = |names: &[&str]| names.iter().find_map(|name| fields.get(*name).and_then(text));
                    if let Some(url) = text_of(&["contentUrl", "url"]) {
                        objects.push(ImageObject {
                            url,
                            text: text_of(&["caption", "name", "description"]).unwrap_or_default(),
                            license: text_of(&["license"]),
                            credit: text_of(&["creditText", "creator", "author", "copyrightNotice"]),
                        });
                    }
                }
                let children: Vec<&Value> = fields.values().collect();
                todo.extend(children.into_iter().rev());
            }
            _ => {}
        }
    }
    Some(objects)
}

fn is_image(kind: Option<&Value>) -> bool {
    let named =
        |value: &Value| value.as_str().is_some_and(|name| matches!(name.rsplit(['/', ':']).next(), Some("ImageObject" | "Photograph")));
    match kind {
        Some(Value::Array(kinds)) => kinds.iter().any(named),
        Some(kind) => named(kind),
        None => false,
    }
}

/// A string, the name or address of an object, or the first of a list.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Object(fields) => ["name", "@value", "@id", "url"].iter().find_map(|name| fields.get(*name)?.as_str().map(str::to_owned)),
        Value::Array(items) => items.iter().find_map(|item| match item {
            Value::Array(_) => None,
            other => text(other),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_wherever_they_stand() {
        let block = r#"{"@context":"https://schema.org","@graph":[{"@type":"Article","image":{"@type":["ImageObject"],"url":"/a.jpg","caption":"A",
            "license":{"@id":"https://creativecommons.org/licenses/by/4.0/"},"creator":[{"@type":"Person","name":"P"}]}},{"@type":"ImageObject","name":"no url"}]}"#;
        let found = image_objects(block).unwrap();
        assert_eq!(
            found,
            [ImageObject {
                url: "/a.jpg".into(),
                text: "A".into(),
                license: Some("https://creativecommons.org/licenses/by/4.0/".into()),
                credit: Some("P".into())
            }]
        );
        assert_eq!(image_objects("{nonsense"), None);
        assert_eq!(image_objects(&"[".repeat(100_000)), None);
        assert_eq!(image_objects("<!-- [] -->"), Some(Vec::new()));
    }
}
