//! The columns of a table as a card names them.

use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::vectors::Provenance;

/// What a column holds, in Croissant's terms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// `sc:Text`.
    #[default]
    Text,
    /// `sc:URL`.
    Url,
    /// `sc:Integer`.
    Integer,
    /// `sc:Float`.
    Float,
    /// `sc:Boolean`.
    Boolean,
    /// `sc:Date`.
    Date,
    /// `sc:DateTime`.
    DateTime,
    /// `sc:ImageObject`: an encoded picture.
    Image,
    /// Nothing that Croissant has a type for: the column is in the data card only.
    Other,
}

impl ColumnKind {
    /// Croissant's `dataType`; `None` for what it has no type for.
    pub fn data_type(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("sc:Text"),
            Self::Url => Some("sc:URL"),
            Self::Integer => Some("sc:Integer"),
            Self::Float => Some("sc:Float"),
            Self::Boolean => Some("sc:Boolean"),
            Self::Date => Some("sc:Date"),
            Self::DateTime => Some("sc:DateTime"),
            Self::Image => Some("sc:ImageObject"),
            Self::Other => None,
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    /// Its name in the files.
    pub name: String,
    /// What a value is, or an element of it when there is a shape.
    pub kind: ColumnKind,
    /// Sizes of the dimensions of an array, -1 for one that differs from row to row; empty for a single value.
    pub shape: Vec<i64>,
    /// How it is stored: Arrow's name of the type, `Float16` with the sizes of its dimensions behind it.
    pub stored: String,
    /// What it means.
    pub description: Option<String>,
    /// The model that made it.
    pub model: Option<String>,
}

/// The columns of a schema, with the meaning of those that the project itself defines, and the model of those that carry
/// one in their metadata (see [`Provenance`]).
pub fn columns_of(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| column_of(field)).collect()
}

fn column_of(field: &Field) -> Column {
    let mut shape = Vec::new();
    let mut leaf = field.data_type();
    while let Some((inner, size)) = element(leaf) {
        shape.push(size);
        leaf = inner;
    }
    let name = field.name().as_str();
    let sizes: String = shape.iter().map(|size| if *size < 0 { "[]".to_owned() } else { format!("[{size}]") }).collect();
    Column {
        name: name.to_owned(),
        kind: kind_of(name, leaf),
        stored: format!("{leaf}{sizes}"),
        shape,
        description: meaning(name).map(str::to_owned),
        model: Provenance::from_metadata(field.metadata()).map(|made_with| made_with.model),
    }
}

/// The element type and size of a list.
fn element(data_type: &DataType) -> Option<(&DataType, i64)> {
    match data_type {
        DataType::FixedSizeList(item, size) => Some((item.data_type(), i64::from(*size))),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            Some((item.data_type(), -1))
        }
        _ => None,
    }
}

fn kind_of(name: &str, data_type: &DataType) -> ColumnKind {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if matches!(name, "url" | "page_url") => ColumnKind::Url,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnKind::Text,
        DataType::Boolean => ColumnKind::Boolean,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnKind::Float,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => ColumnKind::Float,
        DataType::Date32 | DataType::Date64 => ColumnKind::Date,
        DataType::Timestamp(..) => ColumnKind::DateTime,
        DataType::Dictionary(_, value) => kind_of(name, value),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView if matches!(name, "jpg" | "png" | "webp" | "image") => {
            ColumnKind::Image
        }
        integer if integer.is_integer() => ColumnKind::Integer,
        _ => ColumnKind::Other,
    }
}

/// Columns that mean the same in every dataset (see [`crate::columns`]).
fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "uid" => "Name of the pair: 128 bits as 32 hexadecimal characters",
        "key" => "Name of the sample in its shard",
        "url" => "Address of the picture",
        "text" => "The caption",
        "text_source" => "Where on the page the caption was found",
        "kind" => "What the url points at: image, audio, video or text",
        "page_url" => "The page that the pair was found on",
        "page_title" => "Title of that page",
        "page_lang" => "Language that the page declares",
        "license" => "What the page says of the licence",
        "license_source" => "Where the page says it",
        "credit" => "Whom the page credits",
        "robots" => "Opt-out directives of the page",
        "warc_file" => "The archive file that the page was read from",
        "warc_offset" => "Byte offset of the page's record in that file",
        "warc_date" => "Date of that record",
        "lang" => "Language of the caption, guessed from its text",
        "lang_score" => "Confidence of that guess",
        "status" => "What became of fetching the picture",
        "error_message" => "Why fetching failed",
        "width" => "Width of the stored picture in pixels",
        "height" => "Height of the stored picture in pixels",
        "original_width" => "Width of the picture as it was fetched, in pixels",
        "original_height" => "Height of the picture as it was fetched, in pixels",
        "exif" => "EXIF data of the picture as JSON",
        "sha256" => "SHA-256 of the picture as it was fetched",
        "md5" => "MD5 of the picture as it was fetched",
        "sha512" => "SHA-512 of the picture as it was fetched",
        "m4_weight" => "Weight of the row by multi-modal moment matching",
        "jpg" | "png" | "webp" => "The encoded picture",
        _ => return None,
    })
}
