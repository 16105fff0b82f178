//! PNG chunks (PNG 3rd edition, section 5).

use std::ops::Range;

use super::{IccSource, ImageInfo, be32};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::ImageFormat;

const SIGNATURE: usize = 8;

/// One chunk: its type and where its data lies.
pub(crate) struct Chunk {
    pub(crate) kind: [u8; 4],
    pub(crate) data: Range<usize>,
}

/// The chunks of a PNG file; ends at the first that is not wholly there.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk> {
    let mut at = SIGNATURE;
    std::iter::from_fn(move || {
        let len = be32(bytes, at)? as usize;
        let kind: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let start = at + 8;
        let end = start.checked_add(len)?;
        if end.checked_add(4)? > bytes.len() {
            return None;
        }
        at = end + 4;
        Some(Chunk { kind, data: start..end })
    })
}

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    if bytes.len() < SIGNATURE + 25 {
        return Err(ImageError::truncated("no header chunk"));
    }
    if &bytes[12..16] != b"IHDR" {
        return Err(ImageError::decode("first chunk is not IHDR"));
    }
    let (width, height) = (be32(bytes, 16).unwrap_or(0), be32(bytes, 20).unwrap_or(0));
    let mut info = ImageInfo::new(ImageFormat::Png, width, height);
    let (bits, colour) = (bytes[24], bytes[25]);
    info.bits = bits;
    info.colour_channels = if matches!(colour, 0 | 4) { 1 } else { 3 };
    info.has_alpha = matches!(colour, 4 | 6);
    let mut frames = 0;
    for chunk in chunks(bytes) {
        match &chunk.kind {
            b"tRNS" => info.has_alpha = true,
            b"eXIf" if info.exif.is_none() => {
                // Some writers put JPEG's prefix in front of the block.
                let prefix = if bytes[chunk.data.clone()].starts_with(b"Exif\0\0") { 6 } else { 0 };
                info.exif = Some(chunk.data.start + prefix..chunk.data.end);
            }
            b"iCCP" if info.icc == IccSource::None => {
                // A name of up to 79 bytes, a zero, the method (0), then a zlib stream.
                let data = &bytes[chunk.data.clone()];
                info.icc = match data.iter().take(80).position(|&b| b == 0) {
                    Some(name) if data.get(name + 1) == Some(&0) => IccSource::Deflated(chunk.data.start + name + 2..chunk.data.end),
                    _ => IccSource::Broken,
                };
            }
            b"fcTL" => {
                frames += 1;
                if frames > limits.max_frames {
                    return Err(ImageError::TooManyFrames { limit: limits.max_frames });
                }
            }
            b"IEND" => break,
            _ => {}
        }
    }
    info.frames = frames.max(1);
    Ok(info)
}

/// A copy of the file with the chunks that decide about the pixels of the still picture and no
/// others. No decoder then sees text, XMP, profiles or frames, whose handling has been a source of
/// memory bombs. The part of a chunk that is cut off at the end is kept, so that a cut file fails.
pub(crate) fn pixels_only(bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&bytes[..SIGNATURE.min(bytes.len())]);
    let mut end = SIGNATURE;
    for chunk in chunks(bytes) {
        end = chunk.data.end + 4;
        let critical = chunk.kind[0].is_ascii_uppercase();
        if critical || &chunk.kind == b"tRNS" {
            out.extend_from_slice(&bytes[chunk.data.start - 8..end]);
        }
        if &chunk.kind == b"IEND" {
            return;
        }
    }
    if bytes.get(end + 4).is_some_and(u8::is_ascii_uppercase) {
        out.extend_from_slice(&bytes[end..]);
    }
}
