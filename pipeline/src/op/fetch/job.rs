//! From downloaded bytes to a finished row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use trommel_filters::hashes::BlockList;
use trommel_shards::digest::HashKind;
use trommel_shards::image::{Processor, RgbPicture};

use super::{Fetch, FetchImages};
use crate::crawl::fetch::{FetchOutcome, page_optout};
use crate::hashes::{PictureHashes, orientations};
use crate::op::rows::{column, strings};
use crate::scorers::Scorer;

/// What a row says of itself after fetching, in img2dataset's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    FailedToDownload,
    FailedToResize,
    Deferred,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::FailedToDownload => "failed_to_download",
            Self::FailedToResize => "failed_to_resize",
            Self::Deferred => "deferred",
        }
    }
}

/// A finished row: the columns that fetching adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) status: Status,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// width, height, original width, original height.
    pub(super) sizes: [Option<u32>; 4],
    pub(super) exif: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) image: Option<Vec<u8>>,
    pub(super) hashes: PictureHashes,
    /// The case id of a picture that must not be kept.
    pub(super) blocked: Option<String>,
    /// The picture as each scoring model takes it; empty where it could not be scaled.
    pub(super) pixels: Vec<Vec<u8>>,
}

impl Row {
    pub(super) fn failed(status: Status, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (Some(code.into()), Some(message.into()));
        Self {
            status,
            code,
            message,
            sizes: [None; 4],
            exif: None,
            hash: None,
            image: None,
            hashes: PictureHashes::default(),
            blocked: None,
            pixels: Vec::new(),
        }
    }

    /// The row of a picture that must not be kept: nothing of it is left.
    fn blocked(case: &str) -> Self {
        let row = Self::failed(Status::FailedToDownload, "", "");
        Self { code: None, message: None, blocked: Some(case.to_owned()), ..row }
    }

    pub(super) fn decoder_panicked() -> Self {
        Self::failed(Status::FailedToResize, "decoder_panicked", "the decoder gave up on this picture")
    }

    /// The row of an answer that brought no bytes.
    pub(super) fn of_outcome(outcome: FetchOutcome, last_round: bool) -> Self {
        match outcome {
            FetchOutcome::Failed(failure) => Self::failed(Status::FailedToDownload, failure.code, failure.message),
            FetchOutcome::Refused(refusal) => {
                let message = format!("use disallowed by {} `{}` ({})", refusal.signal, refusal.value, refusal.source);
                Self::failed(Status::FailedToDownload, format!("opt_out_{}", refusal.signal), message)
            }
            FetchOutcome::Deferred if last_round => {
                Self::failed(Status::FailedToDownload, "deferred_too_long", "the host gave no answer in any round")
            }
            FetchOutcome::Deferred => {
                Self { status: Status::Deferred, ..Self::failed(Status::Deferred, "deferred", "put off to a later round") }
            }
            FetchOutcome::Success(_) => Self::failed(Status::FailedToDownload, "internal", "a success without its bytes"),
        }
    }

    /// Bytes that the row holds beyond its own size.
    pub(super) fn bytes(&self) -> usize {
        let pixels: usize = self.pixels.iter().map(Vec::len).sum();
        pixels + self.hashes.bytes() + self.image.as_ref().map_or(0, Vec::len) + self.exif.as_ref().map_or(0, String::len) + 128
    }
}

/// The image work of one unit: options and the columns that it reads.
pub(super) struct ImageJob {
    images: FetchImages,
    disallowed: Vec<String>,
    expected: Option<StringArray>,
    boxes: Option<ListArray>,
    robots: Option<StringArray>,
    scorers: Vec<Arc<Scorer>>,
    list: Option<Arc<BlockList>>,
}

impl ImageJob {
    pub(super) fn new(op: &Arc<Fetch>, rows: &RecordBatch, scorers: Vec<Arc<Scorer>>, list: Option<Arc<BlockList>>) -> Result<Self> {
        let expected = op.images.verify_hash.as_deref().map(|name| strings(rows, name).cloned()).transpose()?;
        let boxes = op.images.boxes.as_deref().map(|name| boxes_of(rows, name)).transpose()?;
        let robots = match rows.column_by_name("robots") {
            Some(column) if op.images.page_optout => column.as_string_opt::<i32>().cloned(),
            _ => None,
        };
        Ok(Self { images: op.images.clone(), disallowed: op.config.disallowed_directives.clone(), expected, boxes, robots, scorers, list })
    }

    /// The row of a picture whose page has opted out: nothing is requested for it.
    pub(super) fn refused_by_page(&self, index: usize) -> Option<Row> {
        let directives = self.robots.as_ref().filter(|robots| robots.is_valid(index))?.value(index);
        let refusal = page_optout([directives], &self.disallowed)?;
        Some(Row::of_outcome(FetchOutcome::Refused(refusal), false))
    }

    /// The case of a file that is in a list by its digest.
    fn listed(&self, body: &[u8]) -> Option<&str> {
        let list = self.list.as_ref()?;
        let by = |kind: HashKind, has: bool| if has { list.digest(&kind.hex(body)) } else { None };
        by(HashKind::Md5, list.has_md5()).or_else(|| by(HashKind::Sha256, list.has_sha256()))
    }

    /// The case of a picture that is in a list by what it shows. It is decoded whole for that: what is stored may have borders, be cut or blurred, and
    /// have another hash. What does not decode is refused anyhow.
    fn seen(&self, processor: &mut Processor, body: &[u8]) -> Option<String> {
        let list = self.list.as_ref().filter(|list| list.has_pdq())?;
        let picture = processor.decode_rgb(body, &self.images.options).ok()?;
        list.pdq(&orientations(&picture)).map(str::to_owned)
    }

    pub(super) fn process(&self, processor: &mut Processor, index: usize, body: &[u8]) -> Row {
        // Before anything else: what must not be kept is not even looked at for other faults.
        if let Some(case) = self.listed(body) {
            return Row::blocked(case);
        }
        let hash = self.images.compute_hash.map(|kind| kind.hex(body));
        if let Some(expected) = self.expected.as_ref().filter(|expected| expected.is_valid(index))
            && hash.as_deref().is_some_and(|hash| !hash.eq_ignore_ascii_case(expected.value(index).trim()))
        {
            return Row::failed(Status::FailedToDownload, "hash_mismatch", "hash mismatch");
        }
        let boxes = self.boxes.as_ref().filter(|boxes| boxes.is_valid(index)).map(|boxes| corners(boxes, index)).unwrap_or_default();
        let mut pixels = Vec::new();
        let mut hashes = PictureHashes::default();
        if let Some(case) = self.seen(processor, body) {
            return Row::blocked(&case);
        }
        let processed = if self.scorers.is_empty() && self.images.hashes.is_empty() {
            processor.process(body, &boxes, &self.images.options)
        } else {
            let mut show = |picture: &RgbPicture| {
                // What cannot be scaled has no score; it is a picture all the same.
                hashes = PictureHashes::of(picture, &self.images.hashes);
                pixels = self.scorers.iter().map(|scorer| scorer.scale(picture).unwrap_or_default()).collect();
            };
            processor.process_and_show(body, &boxes, &self.images.options, &mut show)
        };
        match processed {
            Ok(done) => Row {
                status: Status::Success,
                code: None,
                message: None,
                sizes: [done.width, done.height, done.original_width, done.original_height].map(Into::into),
                exif: done.exif,
                hash,
                image: Some(done.bytes),
                hashes,
                blocked: None,
                pixels,
            },
            Err(error) => Row { hash: None, ..Row::failed(Status::FailedToResize, error.code(), error.to_string()) },
        }
    }
}

fn boxes_of(rows: &RecordBatch, name: &str) -> Result<ListArray> {
    let float = Arc::new(Field::new("item", DataType::Float32, true));
    let inner = Arc::new(Field::new("item", DataType::List(float), true));
    let boxes = cast(column(rows, name)?, &DataType::List(inner))?;
    boxes.as_list_opt::<i32>().cloned().ok_or_else(|| DataFusionError::Plan(format!("column `{name}` holds no lists of boxes")))
}

fn corners(boxes: &ListArray, index: usize) -> Vec<[f32; 4]> {
    let boxes = boxes.value(index);
    let Some(boxes) = boxes.as_list_opt::<i32>() else { return Vec::new() };
    (0..boxes.len())
        .filter(|&at| boxes.is_valid(at))
        .filter_map(|at| {
            let corners = boxes.value(at);
            let corners = corners.as_primitive_opt::<Float32Type>()?;
            corners.values().get(..4)?.try_into().ok()
        })
        .collect()
}
