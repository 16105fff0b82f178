//! The columns that the parts agree on.
//!
//! Names are the ones that users already have in their tools: `uid`, `url`, `text` from DataComp, `key`, `status`,
//! `error_message`, `width` and the rest from img2dataset. Columns whose name starts with an underscore belong to the
//! machinery: they travel between passes and never reach a final shard.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// The join key: 32 hexadecimal characters.
pub const UID: &str = "uid";
/// The image url.
pub const URL: &str = "url";
/// The caption.
pub const TEXT: &str = "text";
/// The unit of work that a row belongs to.
pub const UNIT: &str = "_unit";
/// The position of a row in its unit; [`CONTROL_ROW`] marks the control row that closes a unit.
pub const ROW: &str = "_row";
/// The stage that removed the row, or null.
pub const EXCLUDED: &str = "_excluded";
/// Why the row was removed, or null.
pub const REASON: &str = "_reason";
/// The value that the reason is about (the uid that was kept, say), or null.
pub const VALUE: &str = "_value";

/// `_row` of the control row that ends every unit.
///
/// The row carries the unit's own statistics as JSON in [`VALUE`], so that a unit without a single data row is still
/// seen, finished and marked by the writer at the end of the plan, on any engine.
pub const CONTROL_ROW: i64 = -1;

/// The machinery's columns, in the order in which they follow the data columns.
pub fn system_fields() -> Vec<Arc<Field>> {
    vec![
        Arc::new(Field::new(UNIT, DataType::Utf8, false)),
        Arc::new(Field::new(ROW, DataType::Int64, false)),
        Arc::new(Field::new(EXCLUDED, DataType::Utf8, true)),
        Arc::new(Field::new(REASON, DataType::Utf8, true)),
        Arc::new(Field::new(VALUE, DataType::Utf8, true)),
    ]
}

/// Whether a column belongs to the machinery.
pub fn is_system(name: &str) -> bool {
    name.starts_with('_')
}

/// A candidate as extraction from a crawl makes it.
///
/// | column | type | meaning |
/// |---|---|---|
/// | uid | utf8 | BLAKE3-128 over url, a zero byte, text |
/// | url | utf8 | absolute http(s) url |
/// | text | utf8 | the caption, empty when there is none (`image_only`) |
/// | kind | utf8 | image, audio, video, text |
/// | text_source | utf8 | alt, title, figcaption, aria_label, og, jsonld, anchor, … |
/// | page_url, page_title, page_lang | utf8 | the page that the pair was found on |
/// | license, license_source, credit | utf8 | what the page says of the licence, and where it says so |
/// | robots | utf8 | page-level opt-out directives, a lower-case comma list |
/// | warc_file | utf8 | the archive file |
/// | warc_offset | int64 | byte offset of the record in that file |
/// | warc_date | utf8 | the record's date |
pub fn candidate_fields() -> Vec<Arc<Field>> {
    let utf8 = |name: &str, nullable| Arc::new(Field::new(name, DataType::Utf8, nullable));
    vec![
        utf8(UID, true),
        utf8(URL, true),
        utf8(TEXT, true),
        utf8("kind", true),
        utf8("text_source", true),
        utf8("page_url", true),
        utf8("page_title", true),
        utf8("page_lang", true),
        utf8("license", true),
        utf8("license_source", true),
        utf8("credit", true),
        utf8("robots", true),
        utf8("warc_file", true),
        Arc::new(Field::new("warc_offset", DataType::Int64, true)),
        utf8("warc_date", true),
    ]
}

/// The candidate columns followed by the machinery's.
pub fn candidate_schema() -> SchemaRef {
    let mut fields = candidate_fields();
    fields.extend(system_fields());
    Arc::new(Schema::new(fields))
}

/// The columns that `fetch` adds, in img2dataset's order, before the machinery's.
///
/// `hash` names the digest column (`sha256` by default); `None` leaves it out. `exif` is left out with `extract_exif`
/// off.
pub fn fetch_fields(exif: bool, hash: Option<&str>) -> Vec<Arc<Field>> {
    let mut fields = vec![
        Arc::new(Field::new("status", DataType::Utf8, true)),
        Arc::new(Field::new("error_message", DataType::Utf8, true)),
        Arc::new(Field::new("width", DataType::Int32, true)),
        Arc::new(Field::new("height", DataType::Int32, true)),
        Arc::new(Field::new("original_width", DataType::Int32, true)),
        Arc::new(Field::new("original_height", DataType::Int32, true)),
    ];
    if exif {
        fields.push(Arc::new(Field::new("exif", DataType::Utf8, true)));
    }
    if let Some(hash) = hash {
        fields.push(Arc::new(Field::new(hash, DataType::Utf8, true)));
    }
    fields
}

/// Name of the encoded picture's column between `fetch` and `write`; the writer turns it into a tar member or into
/// img2dataset's `jpg`, `png` or `webp` column.
pub const IMAGE: &str = "_image";
/// Name of the column by which near-copies are found and verified: binary, in tables only, not in the samples' JSON.
pub const NEAR_SIGNATURE: &str = "near_signature";
/// Name of the column with the stable error code of a failed fetch.
pub const ERROR_CODE: &str = "error_code";
