//! `distribution`: the files, one by one or as sets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::MANIFEST_FILE;
use super::super::facts::Facts;
use super::super::files::{DataFile, FileFormat, manifest, sorted};
use super::super::words::count;
use super::ids::Ids;
use super::{CardOptions, many, text};
use crate::digest::HashKind;

/// Patterns that a set of files has at most; names that need more are taken by folder.
const PATTERNS: usize = 16;

/// The files of a dataset as nodes, and the ids that record sets refer to.
pub(super) struct Distribution {
    /// The nodes.
    pub(super) nodes: Vec<Value>,
    /// The file set of each table, by the table's name.
    pub(super) tables: BTreeMap<String, String>,
    /// The file set of the pictures in tar shards.
    pub(super) images: Option<String>,
}

impl Distribution {
    pub(super) fn of(facts: &Facts, options: &CardOptions, ids: &mut Ids) -> Self {
        let files = sorted(facts);
        let mut nodes = Vec::new();
        let container = facts.repository.as_ref().map(|url| {
            let id = ids.take(None, "repo");
            nodes.push(json!({
                "@type": "cr:FileObject",
                "@id": id,
                "name": "repo",
                "description": format!("The git repository of the dataset. Its digest is that of the list of all files, as sha256sum prints it ({MANIFEST_FILE})."),
                "contentUrl": url,
                "encodingFormat": "git+https",
                "sha256": HashKind::Sha256.hex(manifest(facts).as_bytes()),
            }));
            id
        });
        let mut distribution = Self { nodes, tables: BTreeMap::new(), images: None };
        let all_listed = files.len() <= options.listed_files;
        let mut tars = Vec::new();
        if all_listed {
            for file in &files {
                let id = ids.take(None, &file.name);
                if file.format == FileFormat::Tar {
                    tars.push(id.clone());
                }
                distribution.nodes.push(object(file, &id, container.as_deref()));
            }
        } else {
            distribution.nodes.push(list_of_digests(facts, ids, container.as_deref()));
        }
        for table in &facts.tables {
            let parts: Vec<&str> = of_table(&files, &table.name);
            if !parts.is_empty() {
                let id = ids.take(None, &format!("{}-files", table.name));
                let described = format!("The parquet files of the table {}, {} in all.", table.name, count(parts.len() as u64));
                distribution.nodes.push(set(&id, &described, FileFormat::Parquet.media_type(), &patterns(&parts), container.as_slice()));
                distribution.tables.insert(table.name.clone(), id);
            }
        }
        let shards: Vec<&str> = files.iter().filter(|file| file.format == FileFormat::Tar).map(|file| file.name.as_str()).collect();
        if let Some((ending, media_type)) = facts.image_ending.as_deref().and_then(image_type).filter(|_| !shards.is_empty()) {
            if !all_listed {
                let id = ids.take(None, "tar-files");
                let described = format!("The tar shards, {} in all.", count(shards.len() as u64));
                distribution.nodes.push(set(&id, &described, FileFormat::Tar.media_type(), &patterns(&shards), container.as_slice()));
                tars.push(id);
            }
            let id = ids.take(None, "image-files");
            distribution.nodes.push(set(&id, "The pictures in the tar shards.", media_type, &[format!("*.{ending}")], &tars));
            distribution.images = Some(id);
        }
        distribution
    }
}

fn of_table<'a>(files: &[&'a DataFile], table: &str) -> Vec<&'a str> {
    let fits = |file: &&&DataFile| file.format == FileFormat::Parquet && file.table.as_deref() == Some(table);
    files.iter().filter(fits).map(|file| file.name.as_str()).collect()
}

/// Ending and media type of pictures.
pub(super) fn image_type(ending: &str) -> Option<(&'static str, &'static str)> {
    match ending {
        "jpg" | "jpeg" => Some((if ending == "jpg" { "jpg" } else { "jpeg" }, "image/jpeg")),
        "png" => Some(("png", "image/png")),
        "webp" => Some(("webp", "image/webp")),
        _ => None,
    }
}

fn object(file: &DataFile, id: &str, container: Option<&str>) -> Value {
    let mut node = Map::new();
    node.insert("@type".into(), "cr:FileObject".into());
    node.insert("@id".into(), id.into());
    node.insert("name".into(), file.name.as_str().into());
    if let Some(container) = container {
        node.insert("containedIn".into(), json!({ "@id": container }));
    }
    node.insert("contentUrl".into(), relative_url(&file.name).into());
    node.insert("contentSize".into(), format!("{} B", file.bytes).into());
    node.insert("encodingFormat".into(), file.format.media_type().into());
    node.insert("sha256".into(), file.sha256.to_ascii_lowercase().into());
    Value::Object(node)
}

/// The file that holds the digests of more files than are listed.
fn list_of_digests(facts: &Facts, ids: &mut Ids, container: Option<&str>) -> Value {
    let list = manifest(facts);
    let file = DataFile {
        name: MANIFEST_FILE.to_owned(),
        bytes: list.len() as u64,
        sha256: HashKind::Sha256.hex(list.as_bytes()),
        format: FileFormat::Binary,
        table: None,
    };
    let mut node = object(&file, &ids.take(None, MANIFEST_FILE), container);
    if let Some(node) = node.as_object_mut() {
        let described =
            format!("Size and digest are of the list of all {} data files with their SHA-256.", count(facts.files.len() as u64));
        text(node, "description", Some(&described));
        node.insert("encodingFormat".into(), "text/plain".into());
    }
    node
}

fn set(id: &str, description: &str, media_type: &str, includes: &[String], containers: &[String]) -> Value {
    let mut node = Map::new();
    node.insert("@type".into(), "cr:FileSet".into());
    node.insert("@id".into(), id.into());
    node.insert("name".into(), id.into());
    node.insert("description".into(), description.into());
    many(&mut node, "containedIn", containers.iter().map(|id| json!({ "@id": id })).collect());
    node.insert("encodingFormat".into(), media_type.into());
    many(&mut node, "includes", includes.iter().map(|pattern| pattern.as_str().into()).collect());
    Value::Object(node)
}

/// A path as a relative url: what is not plainly a path's is percent-encoded.
fn relative_url(name: &str) -> String {
    let mut url = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// Glob patterns that match the names, and no name of another shape: `00000.parquet` and `00001.parquet` are both
/// `[0-9][0-9][0-9][0-9][0-9].parquet`. A `*` would reach into folders below in readers whose star matches slashes.
fn patterns(names: &[&str]) -> Vec<String> {
    let shapes: BTreeSet<String> = names.iter().map(|name| pattern(name)).collect();
    if shapes.len() <= PATTERNS {
        return shapes.into_iter().collect();
    }
    let by_folder = |name: &&str| {
        let (folder, file) = name.rsplit_once('/').map_or(("", *name), |(folder, file)| (folder, file));
        let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{}{slash}*.{}", literal(folder), literal(ending))
    };
    names.iter().map(by_folder).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The name with the digits of its stem open.
fn pattern(name: &str) -> String {
    let (folder, file) = name.rfind('/').map_or(("", name), |slash| name.split_at(slash + 1));
    let (stem, rest) = file.find('.').map_or((file, ""), |dot| file.split_at(dot));
    let open: String =
        stem.chars().map(|c| if c.is_ascii_digit() { "[0-9]".to_owned() } else { literal(c.encode_utf8(&mut [0; 4])) }).collect();
    format!("{}{open}{}", literal(folder), literal(rest))
}

/// A text that matches itself in a glob pattern.
fn literal(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '*' | '?' | '[') { format!("[{c}]") } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_shape_are_one_pattern() {
        let names = ["vectors/00000.b32_img.parquet", "vectors/00001.b32_img.parquet"];
        assert_eq!(patterns(&names), ["vectors/[0-9][0-9][0-9][0-9][0-9].b32_img.parquet"]);
        assert_eq!(patterns(&["a[1]*.parquet"]), ["a[[][0-9]][*].parquet"]);
        let many: Vec<String> =
            (0..100).map(|at| format!("x/{}.parquet", char::from(b'a' + at % 26).to_string().repeat(1 + at as usize / 26))).collect();
        assert_eq!(patterns(&many.iter().map(String::as_str).collect::<Vec<_>>()), ["x/*.parquet"]);
    }

    #[test]
    fn a_file_name_cannot_be_taken_for_another_url() {
        assert_eq!(relative_url("http://x y/#a?b"), "http%3A//x%20y/%23a%3Fb");
    }
}
