//! The first directory of a TIFF file.

use std::collections::HashSet;

use super::{IccSource, ImageInfo};
use crate::image::error::ImageError;
use crate::image::ifd::Tiff;
use crate::image::options::Limits;
use crate::image::orientation::Orientation;
use crate::image::probe::ImageFormat;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const EXTRA_SAMPLES: u16 = 338;
const ICC_PROFILE: u16 = 34_675;
/// PhotometricInterpretation of separated inks.
const SEPARATED: u32 = 5;

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    let Some((tiff, first)) = Tiff::open(bytes) else {
        return Err(if bytes.len() >= 8 { ImageError::unsupported("tiff: BigTIFF") } else { ImageError::truncated("no header") });
    };
    let (Some(width), Some(height)) = (tiff.find(first, WIDTH), tiff.find(first, HEIGHT)) else {
        return Err(ImageError::truncated("no size in the first directory"));
    };
    let mut info = ImageInfo::new(ImageFormat::Tiff, width, height);
    let samples = tiff.find(first, SAMPLES).unwrap_or(1).min(255) as u8;
    let inks = tiff.find(first, PHOTOMETRIC) == Some(SEPARATED);
    info.bits = tiff.find(first, BITS).unwrap_or(1).min(255) as u8;
    info.has_alpha = tiff.find(first, EXTRA_SAMPLES).is_some_and(|kind| kind > 0) || (samples == 4 && !inks);
    info.colour_channels = samples.saturating_sub(u8::from(info.has_alpha)).max(1);
    info.orientation = tiff.find(first, ORIENTATION).map_or(Orientation::UPRIGHT, Orientation::from_exif);
    info.exif = Some(0..bytes.len());
    if let Some(entry) = tiff.entries(first).find(|entry| entry.tag == ICC_PROFILE) {
        let range = entry.at..entry.at.saturating_add(entry.count as usize);
        info.icc = match bytes.get(range.clone()) {
            Some(_) => IccSource::Plain(std::iter::once(range).collect()),
            None => IccSource::Broken,
        };
    }
    let mut seen = HashSet::from([first]);
    let mut page = first;
    while let Some(next) = tiff.next(page) {
        if !seen.insert(next) {
            break;
        }
        if seen.len() > limits.max_frames as usize {
            return Err(ImageError::TooManyFrames { limit: limits.max_frames });
        }
        page = next;
    }
    info.frames = seen.len() as u32;
    Ok(info)
}
