//! What a recipe reads, and the columns that it will have.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use trommel_shards::lists::ColumnChoice;
use trommel_shards::source::{SourceFile, expand};

use super::Shape;
use crate::job::Source;
use crate::op::{Extract, ReadList, ReadShards};
use crate::recipe::document::Placed;
use crate::recipe::error::{Place, RecipeError};
use crate::recipe::settings::SourceSettings;

/// Finds the input files and says how they are read.
pub(super) async fn source(settings: &Placed<SourceSettings>, shape: &Shape) -> Result<(Vec<SourceFile>, Source), RecipeError> {
    let value = &settings.value;
    let kinds = [
        ("wat", &value.wat),
        ("warc", &value.warc),
        ("wacz", &value.wacz),
        ("html", &value.html),
        ("urls", &value.urls),
        ("shards", &value.shards),
    ];
    let given: Vec<_> = kinds.into_iter().filter(|(_, patterns)| !patterns.is_empty()).collect();
    let names = || kinds.map(|(name, _)| format!("`{name}`")).join(", ");
    if given.is_empty() {
        return Err(RecipeError::new(&settings.place, format!("the source names no input: one of {}", names())));
    }
    let alone = given.iter().find(|(name, _)| matches!(*name, "urls" | "shards")).map(|(name, _)| *name);
    if let Some(name) = alone.filter(|_| given.len() > 1) {
        let message = "url lists, shards and archives have different columns: use one of them in a recipe";
        return Err(RecipeError::new(settings.key(name), message));
    }
    let mut files = Vec::new();
    for (name, patterns) in given {
        for pattern in patterns {
            let found = expand(pattern).await.map_err(|e| RecipeError::new(settings.key(name), e.to_string()))?;
            files.extend(found);
        }
    }
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    files.dedup();
    if alone == Some("shards") {
        let files = shard_files(files).map_err(|e| RecipeError::new(settings.key("shards"), e))?;
        let first = files[0].uri.clone();
        let read = tokio::task::spawn_blocking(move || ReadShards::resolve(&first)).await;
        let read = read
            .map_err(|e| RecipeError::new(&settings.place, e.to_string()))?
            .map_err(|e| RecipeError::new(settings.key("shards"), e.to_string().replace("Execution error: ", "")))?;
        return Ok((files, Source::Shards(read)));
    }
    if alone.is_none() {
        let extract = Extract { types: value.types.clone(), cc2dataset: shape.compat_cc2dataset, max_text_bytes: value.max_text_bytes };
        extract
            .options()
            .map_err(|e| RecipeError::new(settings.key("types"), e.to_string().replace("Invalid or Unsupported Configuration: ", "")))?;
        return Ok((files, Source::Archives(extract)));
    }
    // img2dataset carries no column along unless asked to.
    let additional = match (&value.save_additional_columns, shape.compat_img2dataset) {
        (None, true) => Some(Vec::new()),
        (given, _) => given.clone(),
    };
    let choice = ColumnChoice { url: value.url_col.clone(), caption: value.caption_col.clone(), additional };
    let text = if shape.compat_img2dataset { "caption" } else { "text" };
    let (file, format, uid) = (files[0].uri.clone(), value.input_format, !shape.compat_img2dataset);
    let resolved = tokio::task::spawn_blocking(move || ReadList::resolve(&file, format, choice, text, uid)).await;
    let read = resolved
        .map_err(|e| RecipeError::new(&settings.place, e.to_string()))?
        .map_err(|e| RecipeError::new(settings.key("urls"), e.to_string()))?;
    Ok((files, Source::Lists(read)))
}

/// The shards among files: tars where there are any (the parquet files beside them belong to them), else parquet files.
fn shard_files(files: Vec<SourceFile>) -> Result<Vec<SourceFile>, String> {
    let ends = |file: &SourceFile, ending: &str| file.uri.to_ascii_lowercase().ends_with(ending);
    let count = files.len();
    let files = crate::job::finished_files(files);
    let tars = files.iter().any(|file| ends(file, ".tar"));
    let shards: Vec<SourceFile> = files.into_iter().filter(|file| ends(file, if tars { ".tar" } else { ".parquet" })).collect();
    if shards.is_empty() { Err(format!("none of the {count} files is a shard: a `.tar` or `.parquet`")) } else { Ok(shards) }
}

/// The columns of the source's rows.
pub(super) fn source_schema(place: &Place, source: &Source) -> Result<SchemaRef, RecipeError> {
    let op = source.op();
    let work = Schema::new(vec![Field::new("path", DataType::Utf8, false)]);
    op.output_schema(&work).map_err(|e| RecipeError::new(place, e.to_string()))
}
