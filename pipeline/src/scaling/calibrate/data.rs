//! Generated rows, tables and shards.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Float32Array, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use trommel_filters::hashes::Signature;
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::table::ROW_GROUP_ROWS;
use trommel_shards::tar::TarWriter;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::miniweb::{MiniWeb, MiniWebConfig};

/// The same number for the same row and purpose.
fn draw(row: u64, purpose: u64) -> u64 {
    xxh3_64_with_seed(&row.to_le_bytes(), purpose)
}

/// Captions of a miniature web's pages, in ten languages, empty ones left out.
pub(super) fn captions(count: usize) -> Vec<String> {
    let web = MiniWeb::new(MiniWebConfig { pages: u64::MAX, hostile: 0.0, ..MiniWebConfig::default() });
    let images = (0..).flat_map(|page| web.page(page).images);
    images.filter_map(|image| image.caption.text).filter(|text| !text.is_empty()).take(count).collect()
}

/// Address of a row: a host out of 50,000 (the square of a draw, so that some are large), a folder and a name that do not repeat.
fn url(row: u64) -> String {
    let share = draw(row, 1) as f64 / u64::MAX as f64;
    let host = (share * share * 50_000.0) as u64;
    format!("https://images{host}.example.org/{:06x}/{:016x}.jpg", draw(row, 2) & 0xff_ffff, draw(row, 3))
}

fn uid(row: u64) -> String {
    format!("{:032x}", xxh3_128_with_seed(&row.to_le_bytes(), 4))
}

/// Writes a table as the program's own are written.
fn table(path: &Path, rows: u64, batch: impl Fn(std::ops::Range<u64>) -> Result<RecordBatch, String>) -> Result<(), String> {
    let fail = |e: &dyn std::fmt::Display| format!("`{}`: {e}", path.display());
    let group = ROW_GROUP_ROWS as u64;
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(ROW_GROUP_ROWS)).build();
    let first = batch(0..group.min(rows))?;
    let file = File::create(path).map_err(|e| fail(&e))?;
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).map_err(|e| fail(&e))?;
    writer.write(&first).map_err(|e| fail(&e))?;
    let mut from = group;
    while from < rows {
        writer.write(&batch(from..(from + group).min(rows))?).map_err(|e| fail(&e))?;
        from += group;
    }
    writer.close().map_err(|e| fail(&e))?;
    Ok(())
}

fn columns(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, String> {
    RecordBatch::try_from_iter(columns).map_err(|e| e.to_string())
}

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A url list of which a fifth are copies of others.
pub(super) fn url_list(path: &Path, rows: u64, captions: &[String]) -> Result<(), String> {
    let distinct = (rows * 4 / 5).max(1);
    let count = captions.len().max(1) as u64;
    let text = |row: u64| captions.get((draw(row, 5) % count) as usize).cloned().unwrap_or_default();
    table(path, rows, |range| {
        // Copies are all over the list, not behind each other.
        let number = |row: u64| if row < distinct { row } else { draw(row, 6) % distinct };
        columns(vec![("url", texts(range.clone().map(number).map(url))), ("text", texts(range.map(number).map(text)))])
    })
}

/// Metadata as DataComp's: uid, address, caption, language, size, score.
pub(super) fn metadata(path: &Path, rows: u64, captions: &[String]) -> Result<(), String> {
    const LANGUAGES: [&str; 5] = ["en", "de", "fr", "ja", "ru"];
    let count = captions.len().max(1) as u64;
    let side = |row: u64, purpose: u64| 100 + (draw(row, purpose) % 1400) as i32;
    table(path, rows, |range| {
        let each = || range.clone();
        columns(vec![
            ("uid", texts(each().map(uid))),
            ("url", texts(each().map(url))),
            ("text", texts(each().map(|row| captions.get((draw(row, 5) % count) as usize).cloned().unwrap_or_default()))),
            ("lang", texts(each().map(|row| LANGUAGES[(draw(row, 7) % 5) as usize].to_owned()))),
            ("original_width", Arc::new(Int32Array::from_iter_values(each().map(|row| side(row, 8))))),
            ("original_height", Arc::new(Int32Array::from_iter_values(each().map(|row| side(row, 9))))),
            ("score", Arc::new(Float32Array::from_iter_values(each().map(|row| draw(row, 10) as f32 / u64::MAX as f32)))),
        ])
    })
}

/// Metadata with signatures of pictures that do not exist: codes and thumbnails are drawn. A tenth are copies of others.
pub(super) fn signatures(path: &Path, rows: u64) -> Result<(), String> {
    let distinct = (rows * 9 / 10).max(1);
    table(path, rows, |range| {
        let mut near = BinaryBuilder::new();
        for row in range.clone() {
            let row = if row < distinct { row } else { draw(row, 11) % distinct };
            let mut bytes = Vec::with_capacity(Signature::BYTES + 8);
            // Version 1, the highest quality.
            bytes.extend([1, 100, 0, 0]);
            (0..).take_while(|part| part * 8 < Signature::BYTES as u64).for_each(|part| bytes.extend(draw(row, 100 + part).to_le_bytes()));
            bytes.truncate(Signature::BYTES);
            near.append_value(&bytes);
        }
        columns(vec![
            ("uid", texts(range.clone().map(uid))),
            ("original_width", Arc::new(Int32Array::from_iter_values(range.clone().map(|_| 640)))),
            ("original_height", Arc::new(Int32Array::from_iter_values(range.clone().map(|_| 480)))),
            (NEAR_SIGNATURE, Arc::new(near.finish())),
        ])
    })
}

/// A tar of samples as the program writes them, with bytes of no meaning for pictures.
pub(super) fn tar(path: &Path, samples: u64, picture_bytes: usize, captions: &[String]) -> Result<(), String> {
    let fail = |e: &dyn std::fmt::Display| format!("`{}`: {e}", path.display());
    let mut out = BufWriter::new(File::create(path).map_err(|e| fail(&e))?);
    let mut tar = TarWriter::new();
    let mut picture = vec![0_u8; picture_bytes];
    let count = captions.len().max(1) as u64;
    for row in 0..samples {
        for (at, part) in picture.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&draw(row, 1000 + at as u64).to_le_bytes());
        }
        let key = format!("{row:09}");
        let text = captions.get((draw(row, 5) % count) as usize).map_or("", String::as_str);
        let json = serde_json::json!({ "uid": uid(row), "url": url(row), "text": text, "width": 256, "height": 256 });
        for (ending, content) in [("jpg", &picture[..]), ("json", json.to_string().as_bytes()), ("txt", text.as_bytes())] {
            tar.append(&format!("{key}.{ending}"), content).map_err(|e| fail(&e))?;
        }
        out.write_all(&tar.take()).map_err(|e| fail(&e))?;
    }
    out.write_all(&tar.finish()).and_then(|()| out.flush()).map_err(|e| fail(&e))
}

/// All files under a folder whose names end so.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

/// Bytes of files.
pub(super) fn bytes(files: &[PathBuf]) -> f64 {
    files.iter().filter_map(|file| file.metadata().ok()).map(|meta| meta.len() as f64).sum()
}

/// Rows of parquet files.
pub(super) fn rows(files: &[PathBuf]) -> Result<f64, String> {
    let mut rows = 0.0;
    for file in files {
        let fail = |e: &dyn std::fmt::Display| format!("`{}`: {e}", file.display());
        let open = File::open(file).map_err(|e| fail(&e))?;
        let reader = SerializedFileReader::new(open).map_err(|e| fail(&e))?;
        rows += reader.metadata().file_metadata().num_rows() as f64;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_tars_have_the_rows_that_were_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let captions = captions(50);
        assert_eq!(captions.len(), 50);
        url_list(&path("list.parquet"), 70_000, &captions).unwrap();
        metadata(&path("meta.parquet"), 1000, &captions).unwrap();
        signatures(&path("near.parquet"), 100).unwrap();
        tar(&path("00000.tar"), 3, 1000, &captions).unwrap();
        assert_eq!(rows(&files(folder.path(), ".parquet")).unwrap(), 71_100.0);
        let bytes = std::fs::read(path("00000.tar")).unwrap();
        assert_eq!(trommel_shards::tar::read_members(&bytes).unwrap().len(), 9);
    }

    #[test]
    fn drawn_signatures_are_signatures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("near.parquet");
        signatures(&path, 10).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let column = arrow::array::AsArray::as_binary::<i32>(batch.column_by_name(NEAR_SIGNATURE).unwrap());
        Signature::from_bytes(column.value(7)).unwrap();
    }
}
