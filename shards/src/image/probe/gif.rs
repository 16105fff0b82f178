//! GIF blocks (GIF89a specification).

use super::{ImageInfo, le16};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::ImageFormat;

pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    let size = (le16(bytes, 6), le16(bytes, 8), bytes.get(10));
    let (Some(width), Some(height), Some(&flags)) = size else {
        return Err(ImageError::truncated("no screen descriptor"));
    };
    let mut info = ImageInfo::new(ImageFormat::Gif, u32::from(width), u32::from(height));
    info.has_alpha = true;
    let mut frames = 0;
    let mut at = 13 + colour_table(flags);
    loop {
        match bytes.get(at) {
            Some(0x21) => at = skip_sub_blocks(bytes, at + 2),
            Some(0x2C) => {
                frames += 1;
                if frames > limits.max_frames {
                    return Err(ImageError::TooManyFrames { limit: limits.max_frames });
                }
                // Only the first frame is decoded; it may reach far beyond the screen.
                if frames == 1 {
                    check_extent(bytes, at, limits)?;
                }
                let flags = bytes.get(at + 9).copied().unwrap_or(0);
                at = skip_sub_blocks(bytes, at + 10 + colour_table(flags) + 1);
            }
            _ => break,
        }
    }
    info.frames = frames.max(1);
    Ok(info)
}

fn check_extent(bytes: &[u8], at: usize, limits: &Limits) -> Result<(), ImageError> {
    let number = |offset| le16(bytes, at + offset).map_or(0, u32::from);
    let (width, height) = (number(1) + number(5), number(3) + number(7));
    let limit = limits.max_pixels;
    if u64::from(width) * u64::from(height) > limit {
        return Err(ImageError::TooManyPixels { width, height, limit });
    }
    Ok(())
}

fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&len) = bytes.get(at) {
        at += 1 + usize::from(len);
        if len == 0 {
            break;
        }
    }
    at
}
