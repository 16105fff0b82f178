//! Pictures that must not be in the data: read from files, tars and tables.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use trommel_filters::hashes::{FlatPictures, Rgb, Signature};
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::image::{ImageOptions, Processor};
use trommel_shards::samples::{IMAGE_ENDINGS, Samples};
use trommel_shards::source::{Input, expand};

use super::pictures::binary;
use crate::hashes::{PIXELS_SHA256, PictureHash, PictureHashes};
use crate::select::error::{Result, SelectError};

/// Pictures that must not be in the data.
#[derive(Default)]
pub(in crate::select) struct References {
    names: Vec<String>,
    pub(super) signatures: Vec<Signature>,
    /// Pictures by their `pixels_sha256`: what is blank is still itself.
    pixels: HashMap<String, u32>,
    /// Those with little in them, which have no codes.
    flat: Arc<FlatPictures>,
    /// Pictures that did not decode, those with little in them, and those with nothing.
    broken: u64,
    flats: u64,
    blanks: u64,
}

impl References {
    /// Reads image files, tars, tables with `near_signature`, and folders of them. Blocks a thread of the runtime that it is called in.
    pub(in crate::select) fn load(stage: &str, paths: &[String]) -> Result<Self> {
        let fail = |path: &str, e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{path}`: {e}"));
        let mut found = Self::default();
        let mut processor = Processor::new().map_err(|e| SelectError::stage(stage, e))?;
        for path in paths {
            let named = !Path::new(path).is_dir();
            let files = Handle::current().block_on(expand(path)).map_err(|e| fail(path, &e))?;
            for file in files.into_iter().map(|file| file.uri) {
                let ending = file.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase());
                match ending.as_str() {
                    // In a folder of shards tables lie beside tars, and tell nothing new.
                    "parquet" if !named && Path::new(&file).with_extension("tar").exists() => {}
                    "parquet" => found.table(&file).map_err(|e| fail(&file, &e))?,
                    "tar" => {
                        let input = Input::open(&file).map_err(|e| fail(&file, &e))?;
                        for sample in Samples::new(std::io::BufReader::with_capacity(1 << 20, input.into_read())) {
                            let mut sample = sample.map_err(|e| fail(&file, &e))?;
                            if let Some((_, bytes)) = sample.take_image() {
                                let name = format!("{file}#{}", sample.key);
                                found.picture(&mut processor, name, &bytes);
                            }
                        }
                    }
                    ending if IMAGE_ENDINGS.contains(&ending) || ["gif", "bmp", "tif", "tiff"].contains(&ending) => {
                        let mut bytes = Vec::new();
                        let mut input = Input::open(&file).map_err(|e| fail(&file, &e))?.into_read();
                        std::io::Read::read_to_end(&mut input, &mut bytes).map_err(|e| fail(&file, &e))?;
                        found.picture(&mut processor, file, &bytes);
                    }
                    _ if named => {
                        let message = "is neither a picture, a tar, nor a table with `near_signature`";
                        return Err(fail(&file, &message));
                    }
                    _ => {}
                }
            }
        }
        if found.names.is_empty() {
            return Err(SelectError::stage(stage, format!("no picture is in {}", paths.join(", "))));
        }
        found.flat = Arc::new(FlatPictures::new((0..).zip(&found.signatures)));
        Ok(found)
    }

    fn picture(&mut self, processor: &mut Processor, name: String, bytes: &[u8]) {
        let Ok(picture) = processor.decode_rgb(bytes, &ImageOptions::default()) else {
            self.broken += 1;
            return;
        };
        let plane = Rgb::new(&picture.data, picture.width as usize, picture.height as usize).ok();
        match plane.and_then(Signature::new) {
            Some(signature) => self.add(name, signature, PictureHashes::of(&picture, &[PictureHash::Pixels]).pixels()),
            None => self.broken += 1,
        }
    }

    /// The reference with these pixels.
    pub(in crate::select) fn same_pixels(&self, digest: &str) -> Option<u32> {
        self.pixels.get(digest).copied()
    }

    fn add(&mut self, name: String, signature: Signature, pixels: Option<&str>) {
        if let Some(pixels) = pixels {
            self.pixels.entry(pixels.to_owned()).or_insert(self.names.len() as u32);
        }
        self.flats += u64::from(signature.is_flat());
        self.blanks += u64::from(signature.is_blank());
        self.names.push(name);
        self.signatures.push(signature);
    }

    fn table(&mut self, file: &str) -> std::result::Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let builder = ParquetRecordBatchReaderBuilder::try_new(Input::open(file).map_err(|e| text(&e))?).map_err(|e| text(&e))?;
        if builder.schema().field_with_name(NEAR_SIGNATURE).is_err() {
            return Err(format!("it has no column `{NEAR_SIGNATURE}`: `trommel hash` makes it"));
        }
        let mask = ProjectionMask::columns(builder.parquet_schema(), [NEAR_SIGNATURE, PIXELS_SHA256]);
        let mut row = 0_u64;
        for batch in builder.with_projection(mask).build().map_err(|e| text(&e))? {
            let batch = batch.map_err(|e| text(&e))?;
            let column = binary(batch.column_by_name(NEAR_SIGNATURE).ok_or_else(|| format!("no column `{NEAR_SIGNATURE}`"))?)?;
            let pixels =
                batch.column_by_name(PIXELS_SHA256).map(|column| cast(column, &DataType::Utf8)).transpose().map_err(|e| text(&e))?;
            let pixels = pixels.as_ref().map(|column| column.as_string::<i32>());
            for (at, bytes) in column.as_binary::<i64>().iter().enumerate() {
                let pixels = pixels.filter(|pixels| pixels.is_valid(at)).map(|pixels| pixels.value(at));
                match bytes {
                    Some(bytes) => {
                        let signature = Signature::from_bytes(bytes).map_err(|e| format!("row {row}: {e}"))?;
                        self.add(format!("{file}#{row}"), signature, pixels);
                    }
                    None => self.broken += 1,
                }
                row += 1;
            }
        }
        Ok(())
    }

    /// Those with little in them.
    pub(in crate::select) fn flat(&self) -> Arc<FlatPictures> {
        Arc::clone(&self.flat)
    }

    /// What was read.
    pub(in crate::select) fn report(&self) -> Value {
        json!({ "pictures": self.names.len(), "not_decoded": self.broken, "flat": self.flats, "blank": self.blanks })
    }

    /// What a reference is called.
    pub(in crate::select) fn name(&self, reference: u32) -> String {
        self.names.get(reference as usize).cloned().unwrap_or_default()
    }
}
