//! Hashes of pictures as columns: which there are, what type they have, and how one picture gives them all.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int32Builder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use trommel_filters::hashes::{Hash256, LOW_QUALITY, Prescale, Rgb, Samples, Signature, dhash, pdq_orientations, phash};
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::digest::HashKind;
use trommel_shards::image::RgbPicture;

/// Column of [`PictureHash::Pixels`].
pub const PIXELS_SHA256: &str = "pixels_sha256";

/// A hash of the decoded picture, as it is stored: upright, sRGB, resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PictureHash {
    /// `pdq`, 64 hexadecimal characters, and `pdq_quality`, 0 to 100.
    Pdq,
    /// `phash`, 16 hexadecimal characters, as Python's `imagehash` prints it.
    Phash,
    /// `dhash`, likewise.
    Dhash,
    /// `pixels_sha256`: width and height (each four bytes, little-endian), then red, green, blue of each pixel.
    Pixels,
    /// `near_signature`: what near-copies are found and verified by.
    Near,
}

/// The columns of some hashes, in the order of the hashes.
pub fn fields(hashes: &[PictureHash]) -> Vec<Arc<Field>> {
    let field = |name: &str, data_type: DataType| Arc::new(Field::new(name, data_type, true));
    let mut fields = Vec::new();
    for hash in hashes {
        match hash {
            PictureHash::Pdq => fields.extend([field("pdq", DataType::Utf8), field("pdq_quality", DataType::Int32)]),
            PictureHash::Phash => fields.push(field("phash", DataType::Utf8)),
            PictureHash::Dhash => fields.push(field("dhash", DataType::Utf8)),
            PictureHash::Pixels => fields.push(field(PIXELS_SHA256, DataType::Utf8)),
            PictureHash::Near => fields.push(field(NEAR_SIGNATURE, DataType::Binary)),
        }
    }
    fields
}

/// What one picture gives; a part is empty where it was not asked for, or the picture is too small for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PictureHashes {
    pdq: Option<(String, i32)>,
    phash: Option<String>,
    dhash: Option<String>,
    pixels: Option<String>,
    near: Option<Vec<u8>>,
}

impl PictureHashes {
    /// Hashes a picture.
    pub fn of(picture: &RgbPicture, hashes: &[PictureHash]) -> Self {
        let mut made = Self::default();
        let Ok(plane) = Rgb::new(&picture.data, picture.width as usize, picture.height as usize) else { return made };
        // PDQ and the signature look at the same samples, of all pixels: those that a prescaling skips make copies of other sizes less alike.
        let samples = match hashes.iter().any(|hash| matches!(hash, PictureHash::Pdq | PictureHash::Near)) {
            true => Samples::new(plane, Prescale::None),
            false => None,
        };
        for hash in hashes {
            match hash {
                PictureHash::Pdq => made.pdq = samples.as_ref().map(Samples::pdq).map(|pdq| (pdq.hash.to_string(), i32::from(pdq.quality))),
                PictureHash::Phash => made.phash = Some(phash(plane).hash.to_string()),
                PictureHash::Dhash => made.dhash = Some(dhash(plane).to_string()),
                PictureHash::Pixels => {
                    let mut bytes = Vec::with_capacity(picture.data.len() + 8);
                    bytes.extend(picture.width.to_le_bytes());
                    bytes.extend(picture.height.to_le_bytes());
                    bytes.extend(&picture.data);
                    made.pixels = Some(HashKind::Sha256.hex(&bytes));
                }
                PictureHash::Near => made.near = samples.as_ref().map(|samples| Signature::of(samples).to_bytes().to_vec()),
            }
        }
        made
    }

    /// `pixels_sha256`, where it was asked for.
    pub fn pixels(&self) -> Option<&str> {
        self.pixels.as_deref()
    }

    /// Bytes on the heap, about.
    pub fn bytes(&self) -> usize {
        let texts = [self.pdq.as_ref().map(|(hash, _)| hash), self.phash.as_ref(), self.dhash.as_ref(), self.pixels.as_ref()];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + self.near.as_ref().map_or(0, Vec::len)
    }
}

/// The PDQ hashes of a picture in its eight orientations, as it is and through the 512 pixels of Meta's own file reader, by which published
/// lists were made; none of one that is too small or too flat to be told from others.
pub fn orientations(picture: &RgbPicture) -> Vec<Hash256> {
    let Ok(plane) = Rgb::new(&picture.data, picture.width as usize, picture.height as usize) else { return Vec::new() };
    let found = [Prescale::None, Prescale::Meta].into_iter().filter_map(|prescale| pdq_orientations(plane, prescale));
    found.filter(|found| found.quality > LOW_QUALITY).flat_map(|found| found.all()).collect()
}

/// Builds the columns of [`fields`].
#[derive(Debug, Default)]
pub struct HashBuilders {
    pdq: StringBuilder,
    quality: Int32Builder,
    phash: StringBuilder,
    dhash: StringBuilder,
    pixels: StringBuilder,
    near: BinaryBuilder,
}

impl HashBuilders {
    /// Adds the hashes of a row.
    pub fn push(&mut self, hashes: &PictureHashes) {
        self.pdq.append_option(hashes.pdq.as_ref().map(|(hash, _)| hash));
        self.quality.append_option(hashes.pdq.as_ref().map(|(_, quality)| *quality));
        self.phash.append_option(hashes.phash.as_ref());
        self.dhash.append_option(hashes.dhash.as_ref());
        self.pixels.append_option(hashes.pixels.as_ref());
        self.near.append_option(hashes.near.as_ref());
    }

    /// A finished column by its name; `None` for a name that is not of a hash.
    pub fn column(&mut self, name: &str) -> Option<ArrayRef> {
        Some(match name {
            "pdq" => Arc::new(self.pdq.finish()),
            "pdq_quality" => Arc::new(self.quality.finish()),
            "phash" => Arc::new(self.phash.finish()),
            "dhash" => Arc::new(self.dhash.finish()),
            PIXELS_SHA256 => Arc::new(self.pixels.finish()),
            NEAR_SIGNATURE => Arc::new(self.near.finish()),
            _ => return None,
        })
    }
}
