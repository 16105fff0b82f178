//! WebP chunks (RFC 9649).

use super::{IccSource, ImageInfo, le16, le24, le32};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::ImageFormat;

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    let mut info = ImageInfo::new(ImageFormat::Webp, 0, 0);
    let mut frames = 0;
    let mut at = 12;
    while let (Some(kind), Some(len)) = (bytes.get(at..at + 4), le32(bytes, at + 4)) {
        let start = at + 8;
        let end = start.saturating_add(len as usize);
        let data = bytes.get(start..end.min(bytes.len())).unwrap_or(&[]);
        match kind {
            b"VP8X" if at == 12 => {
                info.has_alpha = data.first().is_some_and(|flags| flags & 0x10 != 0);
                info.width = le24(data, 4).map_or(0, |v| v + 1);
                info.height = le24(data, 7).map_or(0, |v| v + 1);
            }
            b"VP8 " if info.width == 0 => {
                if data.get(3..6) != Some(&[0x9D, 0x01, 0x2A]) {
                    return Err(ImageError::decode("no key frame"));
                }
                info.width = le16(data, 6).map_or(0, |v| u32::from(v & 0x3FFF));
                info.height = le16(data, 8).map_or(0, |v| u32::from(v & 0x3FFF));
            }
            b"VP8L" if info.width == 0 => {
                let size = le32(data, 1).unwrap_or(0);
                info.width = (size & 0x3FFF) + 1;
                info.height = (size >> 14 & 0x3FFF) + 1;
                info.has_alpha = size >> 28 & 1 == 1;
            }
            b"ANMF" => {
                frames += 1;
                if frames > limits.max_frames {
                    return Err(ImageError::TooManyFrames { limit: limits.max_frames });
                }
            }
            b"ICCP" if end <= bytes.len() && info.icc == IccSource::None => {
                info.icc = IccSource::Plain(std::iter::once(start..end).collect());
            }
            b"EXIF" if end <= bytes.len() && info.exif.is_none() => {
                let prefix = if data.starts_with(b"Exif\0\0") { 6 } else { 0 };
                info.exif = Some(start + prefix..end);
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        at = end.saturating_add(len as usize & 1);
    }
    if info.width == 0 {
        return Err(ImageError::truncated("no picture chunk"));
    }
    info.frames = frames.max(1);
    Ok(info)
}
