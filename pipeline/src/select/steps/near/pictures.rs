//! Near-duplicates by what pictures show: codes of pictures and of views that copies may be, joined, then verified on thumbnails.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use trommel_filters::hashes::{CODE_DISTANCE, Rgb, Signature, verify};
use trommel_filters::near::components::DisjointSet;
use trommel_filters::near::hamming::{Codes, Options, Report, group, pairs};
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::image::{ImageOptions, Processor};
use trommel_shards::samples::{IMAGE_ENDINGS, Samples};
use trommel_shards::source::{Input, expand};

use crate::hashes::{PIXELS_SHA256, PictureHash, PictureHashes};
use crate::select::error::{Result, SelectError};
use crate::select::scan::Judging;
use crate::select::steps::gathered::{Gathered, Payload};

/// Bytes that the search may take for references, besides the codes.
const MEMORY: u64 = 1 << 30;

/// The column `near_signature`.
pub(in crate::select) struct SignaturePayload {
    pub(in crate::select) stage: String,
}

fn binary(column: &ArrayRef) -> std::result::Result<ArrayRef, String> {
    match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            cast(column, &DataType::LargeBinary).map_err(|e| e.to_string())
        }
        other => Err(format!("`{NEAR_SIGNATURE}` is not binary but {other}")),
    }
}

impl Payload for SignaturePayload {
    fn columns(&self) -> Vec<String> {
        vec![NEAR_SIGNATURE.to_owned()]
    }

    fn each(&self, rows: &Judging<'_>, living: &[usize], see: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<u64> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(&self.stage, e);
        let column = rows.batch.column_by_name(NEAR_SIGNATURE).ok_or_else(|| fail(&format!("no column `{NEAR_SIGNATURE}`")))?;
        let column = binary(column).map_err(|e| fail(&e))?;
        let signatures = column.as_binary::<i64>();
        let mut without = 0;
        for &row in living {
            if signatures.is_null(row) {
                without += 1;
                continue;
            }
            let bytes = signatures.value(row);
            let signature = Signature::from_bytes(bytes).map_err(|e| fail(&format!("row {}: {e}", rows.first + row)))?;
            // A flat picture is like no other.
            match signature.is_flat() {
                true => without += 1,
                false => see(row, bytes)?,
            }
        }
        Ok(without)
    }
}

fn signature(rows: &Gathered, row: usize) -> Option<Signature> {
    Signature::from_bytes(rows.payload(row)).ok()
}

/// How alike the pictures of two rows are, 0 to 1; `None` when they are not near-copies.
pub(super) fn similarity(rows: &Gathered, a: usize, b: usize) -> Option<f32> {
    verify(&signature(rows, a)?, &signature(rows, b)?)
}

/// Codes with the row and the role of each.
#[derive(Default)]
struct CodeList {
    codes: Vec<[u64; 1]>,
    rows: Vec<u32>,
    roles: Vec<u8>,
}

impl CodeList {
    fn push(&mut self, code: [u64; 1], row: u32, role: u8) {
        self.codes.push(code);
        self.rows.push(row);
        self.roles.push(role);
    }

    fn codes(&self) -> std::result::Result<Codes<'_, 1>, trommel_filters::near::hamming::HammingError> {
        Codes::of(&self.codes).with_rows(&self.rows)?.with_roles(&self.roles)
    }
}

/// Joins the rows whose pictures are near-copies.
pub(super) fn join(stage: &str, rows: &Gathered, recall: f64, means: (u64, usize, u64)) -> Result<(DisjointSet<u32>, Value)> {
    let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
    let (seed, threads, memory_bytes) = means;
    let groups = DisjointSet::<u32>::new(rows.len()).map_err(|e| fail(&e))?;
    let mut list = CodeList::default();
    for row in 0..rows.len() {
        let Some(signature) = signature(rows, row) else { continue };
        signature.full().iter().for_each(|code| list.push(code.words(), row as u32, 0));
        signature.views().enumerate().for_each(|(view, code)| list.push(code.words(), row as u32, view as u8 + 1));
    }
    let options = Options { recall, threads, memory_bytes, seed, ..Options::new(CODE_DISTANCE) };
    let codes = list.codes().map_err(|e| fail(&e))?;
    let edge = |pair: &trommel_filters::near::hamming::Pair| similarity(rows, pair.a.row as usize, pair.b.row as usize).is_some();
    let report = group(&codes, &options, &groups, edge).map_err(|e| fail(&e))?;
    Ok((groups, json!({ "codes": searched(&report) })))
}

/// How a search went, for the report; nothing that differs from run to run.
fn searched(report: &Report) -> Value {
    json!({ "plan": report.plan, "codes": report.codes, "identical": report.identical, "crowds": report.crowds, "capped_pairs": report.capped_pairs })
}

/// Who has a code.
enum Holders {
    Rows(Vec<u32>),
    References(Vec<u32>),
}

/// Codes of rows that meet codes of references, each code once.
#[derive(Default)]
struct Meeting {
    rows: BTreeMap<[u64; 1], Vec<u32>>,
    references: BTreeMap<[u64; 1], Vec<u32>>,
}

impl Meeting {
    fn row(&mut self, code: [u64; 1], row: u32) {
        let rows = self.rows.entry(code).or_default();
        // A row may have a code twice.
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }

    fn reference(&mut self, code: [u64; 1], reference: u32) {
        self.references.entry(code).or_default().push(reference);
    }

    /// The codes, those of rows as views, which are compared with the references' only; and who has each.
    fn list(self) -> (CodeList, Vec<Holders>) {
        let (mut list, mut holders) = (CodeList::default(), Vec::new());
        for (code, rows) in self.rows {
            list.push(code, holders.len() as u32, 1);
            holders.push(Holders::Rows(rows));
        }
        for (code, references) in self.references {
            list.push(code, holders.len() as u32, 0);
            holders.push(Holders::References(references));
        }
        (list, holders)
    }
}

/// A row, the reference that it resembles most, and how much, 0 to 1.
pub(in crate::select) type Leak = (u32, u32, f32);

/// Pictures that must not be in the data.
pub(in crate::select) struct References {
    names: Vec<String>,
    signatures: Vec<Signature>,
    /// Pictures by their `pixels_sha256`: what is too flat to be told from others is still itself.
    pixels: HashMap<String, u32>,
    /// Pictures that did not decode, and those with too little in them.
    broken: u64,
    flat: u64,
}

impl References {
    /// Reads image files, tars, tables with `near_signature`, and folders of them. Blocks a thread of the runtime that it is called in.
    pub(in crate::select) fn load(stage: &str, paths: &[String]) -> Result<Self> {
        let fail = |path: &str, e: &dyn std::fmt::Display| SelectError::stage(stage, format!("`{path}`: {e}"));
        let mut found = Self { names: Vec::new(), signatures: Vec::new(), pixels: HashMap::new(), broken: 0, flat: 0 };
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
        match found.names.is_empty() {
            true => Err(SelectError::stage(stage, format!("no picture is in {}", paths.join(", ")))),
            false => Ok(found),
        }
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
        self.flat += u64::from(signature.is_flat());
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

    /// What was read.
    pub(in crate::select) fn report(&self) -> Value {
        json!({ "pictures": self.names.len(), "not_decoded": self.broken, "flat": self.flat })
    }

    /// What a reference is called.
    pub(in crate::select) fn name(&self, reference: u32) -> String {
        self.names.get(reference as usize).cloned().unwrap_or_default()
    }

    /// The rows that are near-copies of references: row, the reference that is most alike, and how much. Every row is compared with every reference
    /// whose codes are near, never with other rows.
    pub(in crate::select) fn leaks(&self, stage: &str, rows: &Gathered, seed: u64, threads: usize) -> Result<(Vec<Leak>, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        // Every code once, with all that have it: so that no number of equal pictures hides one from a reference.
        let (mut one, mut two) = (Meeting::default(), Meeting::default());
        for (at, reference) in self.signatures.iter().enumerate() {
            reference.full().iter().for_each(|code| one.reference(code.words(), at as u32));
            reference.views().for_each(|code| two.reference(code.words(), at as u32));
        }
        for row in 0..rows.len() {
            let Some(signature) = signature(rows, row) else { continue };
            for code in signature.full() {
                one.row(code.words(), row as u32);
                two.row(code.words(), row as u32);
            }
            signature.views().for_each(|code| one.row(code.words(), row as u32));
        }
        let best: Mutex<BTreeMap<u32, (u32, f32)>> = Mutex::default();
        let compare = |row: u32, reference: u32| {
            let Some(similarity) = signature(rows, row as usize).and_then(|row| verify(&row, &self.signatures[reference as usize])) else {
                return;
            };
            let mut best = best.lock();
            let known = best.entry(row).or_insert((reference, similarity));
            if similarity > known.1 || (similarity == known.1 && reference < known.0) {
                *known = (reference, similarity);
            }
        };
        let options = Options { threads, seed, memory_bytes: MEMORY, ..Options::new(CODE_DISTANCE) };
        let mut went = Vec::new();
        for meeting in [one, two] {
            let (list, holders) = meeting.list();
            let see = |pair: &trommel_filters::near::hamming::Pair| {
                // The rows' codes come first in the list, the references' behind them.
                match (&holders[pair.a.row as usize], &holders[pair.b.row as usize]) {
                    (Holders::Rows(rows), Holders::References(references)) => {
                        rows.iter().for_each(|&row| references.iter().for_each(|&reference| compare(row, reference)));
                        true
                    }
                    _ => false,
                }
            };
            let report = pairs(&list.codes().map_err(|e| fail(&e))?, &options, see).map_err(|e| fail(&e))?;
            went.push(searched(&report));
        }
        let found = best.into_inner().into_iter().map(|(row, (reference, similarity))| (row, reference, similarity)).collect();
        Ok((found, Value::from(went)))
    }
}
