//! JPEG markers up to the first scan (ITU T.81 annex B).

use std::ops::Range;

use super::{IccSource, ImageInfo, be16};
use crate::image::error::ImageError;
use crate::image::probe::ImageFormat;

/// What decoding needs to know beyond the size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JpegHeader {
    /// More than one scan is possible: progressive, or not interleaved.
    pub(crate) multi_scan: bool,
    pub(crate) lossless: bool,
    pub(crate) components: u8,
    /// Columns and rows of luma samples over those of chroma samples, for 4:4:4, 4:2:2 and 4:2:0 with eight bits.
    pub(crate) chroma: Option<(u32, u32)>,
    /// Stored samples over pixels of the picture, in percent: 300 for 4:4:4, 150 for 4:2:0.
    samples_percent: u64,
    /// Segments before the first scan data, marker included, without bytes that belong to none.
    pub(crate) segments: Vec<Segment>,
    /// Where entropy-coded data starts.
    pub(crate) scan_start: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) marker: u8,
    /// From the marker's 0xFF to the end of the segment.
    pub(crate) range: Range<usize>,
}

impl JpegHeader {
    /// Output pixels, and coefficients (two bytes each) where scans have to be gathered first.
    pub(super) fn decoded_bytes(&self, pixels: u64) -> u64 {
        let output = pixels.saturating_mul(u64::from(self.components.max(1)));
        let output = if self.components == 4 { pixels.saturating_mul(7) } else { output };
        let coefficients = if self.multi_scan { pixels.saturating_mul(self.samples_percent) / 50 } else { 0 };
        output.saturating_add(coefficients)
    }
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let mut at = 2;
    let mut frame: Option<(u8, Range<usize>)> = None;
    let mut segments = Vec::new();
    let mut exif = None;
    let mut icc: Vec<(u8, u8, Range<usize>)> = Vec::new();
    let (scan_start, scan_components) = loop {
        at = next_marker(bytes, at).ok_or_else(|| ImageError::truncated("no scan in the file"))?;
        let (start, marker) = (at - 1, bytes[at]);
        at += 1;
        match marker {
            0xD8 | 0x01 | 0xD0..=0xD7 => continue,
            0xD9 => return Err(ImageError::decode("end of image before the first scan")),
            _ => {}
        }
        let len = usize::from(be16(bytes, at).ok_or_else(|| ImageError::truncated("marker without length"))?);
        // A length counts itself; libjpeg too reads less than that as an empty segment.
        let end = at + len.max(2);
        if end > bytes.len() {
            return Err(ImageError::truncated("segment longer than the file"));
        }
        let body = at + 2..end;
        segments.push(Segment { marker, range: start..end });
        at = end;
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                if frame.is_some() {
                    return Err(ImageError::decode("two frame headers"));
                }
                frame = Some((marker, body));
            }
            0xE1 if exif.is_none() && bytes[body.clone()].starts_with(b"Exif\0") && body.len() > 6 => {
                exif = Some(body.start + 6..body.end);
            }
            0xE2 if bytes[body.clone()].starts_with(b"ICC_PROFILE\0") && body.len() >= 14 => {
                let (number, count) = (bytes[body.start + 12], bytes[body.start + 13]);
                icc.push((number, count, body.start + 14..body.end));
            }
            0xDA => break (end, bytes.get(body.start).copied().unwrap_or(0)),
            _ => {}
        }
    };
    let Some((marker, frame)) = frame else {
        return Err(ImageError::decode("no frame header before the first scan"));
    };
    let frame = &bytes[frame];
    let short = || ImageError::decode("frame header too short");
    let components = *frame.get(5).ok_or_else(short)?;
    let (height, width) = (be16(frame, 1).ok_or_else(short)?, be16(frame, 3).ok_or_else(short)?);
    let sampling = frame.get(6..6 + 3 * usize::from(components)).ok_or_else(short)?;
    let factors: Vec<(u64, u64)> = sampling.chunks_exact(3).map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15))).collect();
    let area = factors.iter().map(|f| f.0).max().unwrap_or(1) * factors.iter().map(|f| f.1).max().unwrap_or(1);
    let samples: u64 = factors.iter().map(|f| f.0 * f.1).sum();

    let mut info = ImageInfo::new(ImageFormat::Jpeg, u32::from(width), u32::from(height));
    info.colour_channels = components;
    info.bits = frame[0];
    info.exif = exif;
    info.icc = assemble(icc);
    info.jpeg = Some(JpegHeader {
        multi_scan: !matches!(marker, 0xC0 | 0xC1 | 0xC3 | 0xC9 | 0xCB) || scan_components < components,
        lossless: matches!(marker, 0xC3 | 0xCB),
        components,
        chroma: match factors.as_slice() {
            [luma @ ((1 | 2, 1) | (2, 2)), (1, 1), (1, 1)] if frame[0] == 8 => Some((luma.0 as u32, luma.1 as u32)),
            _ => None,
        },
        samples_percent: (samples * 100).div_ceil(area.max(1)),
        segments,
        scan_start,
    });
    Ok(info)
}

/// The position of the next marker's code: after one or more 0xFF, neither 0 nor 0xFF.
pub(crate) fn next_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xFF)? + 1;
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        if bytes[at] != 0 {
            return Some(at);
        }
    }
}

/// Whether an end-of-image marker follows the scan data that starts at `at`, and how many scans
/// start before it.
pub(crate) fn scan_tail(bytes: &[u8], mut at: usize) -> (bool, u32) {
    let mut scans = 1;
    while let Some(found) = next_marker(bytes, at) {
        at = found + 1;
        match bytes[found] {
            0xD9 => return (true, scans),
            0x01 | 0xD0..=0xD8 => {}
            marker => {
                scans += u32::from(marker == 0xDA);
                match be16(bytes, at) {
                    Some(len) => at += usize::from(len.max(2)),
                    None => break,
                }
            }
        }
    }
    (false, scans)
}

/// Puts the numbered pieces of a profile in order; a missing or doubled piece spoils it.
fn assemble(mut pieces: Vec<(u8, u8, Range<usize>)>) -> IccSource {
    if pieces.is_empty() {
        return IccSource::None;
    }
    pieces.sort_by_key(|piece| piece.0);
    let complete =
        pieces.iter().enumerate().all(|(index, piece)| usize::from(piece.0) == index + 1 && usize::from(piece.1) == pieces.len());
    if complete { IccSource::Plain(pieces.into_iter().map(|piece| piece.2).collect()) } else { IccSource::Broken }
}
