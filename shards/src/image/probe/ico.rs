//! Windows icons, and the bitmap headers that they hold.

use std::ops::Range;

use super::{ImageInfo, be32, le16, le32, png};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::ImageFormat;

const PNG_MAGIC: u32 = 0x8950_4E47;

pub(super) fn probe_bmp(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let (width, height, bits) = dib_size(bytes, 14)?;
    let mut info = ImageInfo::new(ImageFormat::Bmp, width, height);
    info.has_alpha = bits == 32;
    Ok(info)
}

/// Width, height and bits per pixel of a device-independent bitmap header.
fn dib_size(bytes: &[u8], at: usize) -> Result<(u32, u32, u16), ImageError> {
    let short = || ImageError::truncated("no bitmap header");
    let header = le32(bytes, at).ok_or_else(short)?;
    if header == 12 {
        let width = le16(bytes, at + 4).ok_or_else(short)?;
        let height = le16(bytes, at + 6).ok_or_else(short)?;
        return Ok((u32::from(width), u32::from(height), le16(bytes, at + 10).ok_or_else(short)?));
    }
    // Both are signed; a negative height means rows from the top.
    let width = le32(bytes, at + 4).ok_or_else(short)? as i32;
    let height = le32(bytes, at + 8).ok_or_else(short)? as i32;
    let bits = le16(bytes, at + 14).ok_or_else(short)?;
    let width = u32::try_from(width).map_err(|_| ImageError::decode("negative width"))?;
    Ok((width, height.unsigned_abs(), bits))
}

/// The entry of an icon that is decoded: most bits per pixel, then largest.
pub(crate) fn best_entry(bytes: &[u8]) -> Option<Range<usize>> {
    let count = usize::from(le16(bytes, 4)?);
    let side = |value: u8| if value == 0 { 256 } else { u32::from(value) };
    let score = |entry: &[u8]| (le16(entry, 6), side(entry[0]) * side(entry[1]));
    let entries = bytes.get(6..6 + 16 * count)?.as_chunks::<16>().0;
    // Of equals the last in the file wins, then the first: what the decoder does too.
    let (mut best, others) = entries.split_last()?;
    for entry in others {
        if score(entry) > score(best) {
            best = entry;
        }
    }
    let start = le32(best, 12)? as usize;
    Some(start..start.checked_add(le32(best, 8)? as usize)?)
}

/// Whether an entry holds a PNG file.
pub(crate) fn is_png(entry: &[u8]) -> bool {
    be32(entry, 0) == Some(PNG_MAGIC)
}

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    let range = best_entry(bytes).ok_or_else(|| ImageError::truncated("no entry"))?;
    let entry = bytes.get(range.start..range.end.min(bytes.len())).ok_or_else(|| ImageError::truncated("entry outside the file"))?;
    let mut info = if is_png(entry) {
        let inner = png::probe(entry, limits)?;
        let mut info = ImageInfo::new(ImageFormat::Ico, inner.width, inner.height);
        info.bits = inner.bits;
        info
    } else {
        // The stored height counts the mask below the picture.
        let (width, height, _) = dib_size(entry, 0)?;
        ImageInfo::new(ImageFormat::Ico, width, height / 2)
    };
    info.has_alpha = true;
    Ok(info)
}
