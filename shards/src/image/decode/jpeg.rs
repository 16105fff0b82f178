//! JPEG through libjpeg-turbo.
//!
//! libjpeg repairs what it can and goes on with a warning; TurboJPEG then reports failure and still
//! fills the buffer. Which warnings are harmless is decided here. A picture that ends early is never
//! one of them.

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp, YuvImage};

use super::{Decoded, Pixels, PlaneSize, Planes};
use crate::image::error::ImageError;
use crate::image::options::Limits;
use crate::image::probe::jpeg::{JpegHeader, scan_tail};
use crate::image::probe::{ImageInfo, be16};
use crate::image::raster::Raster;
use crate::image::resize::Extent;

/// How much larger than the target a picture decoded at a reduced scale must stay, per side.
///
/// Measured on ten photos (JPEG quality 90, targets 128 to 256) against a full decode by OpenCV and
/// its area mean: with 1 the worst picture has a PSNR of 31 dB, with 1.5 35 dB, with 2 48 dB. A full
/// decode has 52 dB, and writing the result at quality 95 costs down to 34 to 37 dB: with 2 the scale does
/// not show, with less it does.
const OVERSAMPLING: f64 = 2.0;

/// The smallest scale in eighths (1, 2, 4 or 8, those with fast transforms) at which both sides stay
/// at least `OVERSAMPLING` times the target.
pub(crate) fn dct_eighths(stored: (u32, u32), target: (u32, u32)) -> u32 {
    let enough = |side: u32, target: u32, eighths: u32| f64::from(side) * f64::from(eighths) / 8.0 >= OVERSAMPLING * f64::from(target);
    [1, 2, 4].into_iter().find(|&eighths| enough(stored.0, target.0, eighths) && enough(stored.1, target.1, eighths)).unwrap_or(8)
}

/// A JPEG decoder.
///
/// Every attempt gets a new TurboJPEG handle (a few microseconds): libjpeg keeps the tables of the
/// picture before, and a picture that lacks some would be decoded with those of a stranger.
#[derive(Default)]
pub(crate) struct JpegDecoder {
    repaired: Vec<u8>,
}

/// What a message of libjpeg means for the picture.
enum Complaint {
    /// That many bytes belong to nothing before the marker with that code.
    Extraneous(u32, u8),
    /// A header field with an odd value, which a repaired header does not have.
    OddHeader,
    /// The file ended; the rest was filled with gray.
    EndOfFile,
    /// Scan data ended or was damaged.
    Damaged,
    /// A coding that is not supported.
    Unsupported,
    TooManyScans,
    /// Anything else that stops the decoder.
    Fatal,
}

fn classify(message: &str) -> Complaint {
    let has = |part: &str| message.contains(part);
    if let Some((count, code)) = message.split_once(" extraneous bytes before marker 0x") {
        let count = count.rsplit(' ').next().and_then(|count| count.parse().ok());
        let code = code.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        return Complaint::Extraneous(count.unwrap_or(u32::MAX), code.unwrap_or(0));
    }
    if has("Unknown Adobe color transform") || has("unknown JFIF revision") || has("Invalid SOS parameters") || has("bad ICC marker") {
        Complaint::OddHeader
    } else if has("Premature end of JPEG file") || has("Premature end of input file") {
        Complaint::EndOfFile
    } else if has("has more than") && has("scans") {
        Complaint::TooManyScans
    } else if has("Corrupt JPEG data") || has("Inconsistent progression") {
        Complaint::Damaged
    } else if has("nsupported") || has("not supported") || has("SOF type") {
        Complaint::Unsupported
    } else {
        Complaint::Fatal
    }
}

impl JpegDecoder {
    /// Decodes at `eighths` / 8 of the size, into `buffer`, which becomes the pixels.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        header: &JpegHeader,
        eighths: u32,
        limits: &Limits,
        mut buffer: Vec<u8>,
    ) -> Result<Decoded, ImageError> {
        let eighths = if header.lossless { 8 } else { eighths };
        let format = match header.components {
            1 => PixelFormat::GRAY,
            3 => PixelFormat::RGB,
            4 => PixelFormat::CMYK,
            other => return Err(ImageError::unsupported(format!("jpg: {other} components"))),
        };
        let scale = ScalingFactor::new(eighths as usize, 8);
        let (width, height) = (scale.scale(info.width as usize), scale.scale(info.height as usize));
        buffer.resize(width * height * format.size(), 0);
        self.decode_or_repair(bytes, header, limits, |bytes| {
            let mut handle = Decompressor::new()?;
            handle.set_scaling_factor(scale)?;
            handle.set_scan_limit(limits.max_scans)?;
            let pitch = width * format.size();
            let image = Image { pixels: buffer.as_mut_slice(), width, pitch, height, format };
            handle.decompress(bytes, image)
        })?;
        let extent =
            Extent { width: f64::from(info.width) * f64::from(eighths) / 8.0, height: f64::from(info.height) * f64::from(eighths) / 8.0 };
        let (width, height) = (width as u32, height as u32);
        let pixels = if header.components == 4 {
            Pixels::Inks { width, height, data: buffer }
        } else {
            Pixels::Light(Raster { width, height, channels: header.components, data: buffer })
        };
        Ok(Decoded { pixels, extent, alpha_channel: false, transparent: false })
    }

    /// Decodes to planes at `eighths` / 8 of the size, without a conversion to RGB, into `buffer`.
    ///
    /// `None` when libjpeg does not take the picture for YCbCr with the sampling that `header` tells.
    /// What is wrong with a file is judged as in [`Self::decode`].
    pub(crate) fn decode_planes(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        header: &JpegHeader,
        eighths: u32,
        limits: &Limits,
        mut buffer: Vec<u8>,
    ) -> Result<Option<Planes>, ImageError> {
        let Some((across, down)) = header.chroma.filter(|_| !header.lossless) else { return Ok(None) };
        let subsamp = match (across, down) {
            (2, 2) => Subsamp::Sub2x2,
            (2, 1) => Subsamp::Sub2x1,
            _ => Subsamp::None,
        };
        let scale = ScalingFactor::new(eighths as usize, 8);
        let (width, height) = (scale.scale(info.width as usize), scale.scale(info.height as usize));
        let size = |across: u32, down: u32| PlaneSize {
            width: (width as u32).div_ceil(across),
            height: (height as u32).div_ceil(down),
            extent: Extent {
                width: f64::from(info.width * eighths) / f64::from(8 * across),
                height: f64::from(info.height * eighths) / f64::from(8 * down),
            },
        };
        let chroma = size(across, down);
        // libjpeg wants room for the luma samples of all chroma samples.
        let luma = PlaneSize { width: chroma.width * across, height: chroma.height * down, ..size(1, 1) };
        buffer.resize(luma.len() + 2 * chroma.len(), 0);
        let mut fits = true;
        let decoded = self.decode_or_repair(bytes, header, limits, |bytes| {
            let mut handle = Decompressor::new()?;
            handle.set_scaling_factor(scale)?;
            handle.set_scan_limit(limits.max_scans)?;
            // The size of the planes follows from the sampling, which the wrapper does not check.
            let seen = handle.read_header(bytes)?;
            let size = (info.width as usize, info.height as usize);
            fits = (seen.subsamp, seen.colorspace, (seen.width, seen.height)) == (subsamp, Colorspace::YCbCr, size);
            if !fits {
                return Ok(());
            }
            handle.decompress_to_yuv(bytes, YuvImage { pixels: buffer.as_mut_slice(), width, align: 1, height, subsamp })
        });
        if !fits {
            return Ok(None);
        }
        decoded?;
        Ok(Some(Planes { data: buffer, luma, chroma }))
    }

    fn decode_or_repair(
        &mut self,
        bytes: &[u8],
        header: &JpegHeader,
        limits: &Limits,
        mut attempt: impl FnMut(&[u8]) -> turbojpeg::Result<()>,
    ) -> Result<(), ImageError> {
        let Err(first) = attempt(bytes) else { return Ok(()) };
        let reason = first.to_string();
        match classify(&reason) {
            Complaint::EndOfFile if header.multi_scan => Err(ImageError::truncated(reason)),
            // The end marker may be all that is missing. With one in place, libjpeg complains
            // exactly when scan data is missing too.
            Complaint::EndOfFile => {
                repair(bytes, header, &mut self.repaired);
                self.repaired.extend([0xFF, 0xD9]);
                attempt(&self.repaired).map_err(|_| ImageError::truncated(reason))
            }
            // Only the first complaint is reported, so a harmless one hides what follows it: the
            // cause is removed and the picture decoded again.
            Complaint::OddHeader | Complaint::Extraneous(..) => {
                repair(bytes, header, &mut self.repaired);
                let Err(second) = attempt(&self.repaired) else { return Ok(()) };
                let reason = second.to_string();
                match classify(&reason) {
                    // All pixels are there by the time of the end marker. A few bytes before a
                    // restart marker are padding (webcams write it); many are damage.
                    Complaint::Extraneous(_, 0xD9) | Complaint::Extraneous(0..=16, 0xD0..=0xD7)
                        if scan_tail(bytes, header.scan_start).0 =>
                    {
                        Ok(())
                    }
                    complaint => Err(refusal(&complaint, reason, bytes, header, limits)),
                }
            }
            complaint => Err(refusal(&complaint, reason, bytes, header, limits)),
        }
    }
}

fn refusal(complaint: &Complaint, reason: String, bytes: &[u8], header: &JpegHeader, limits: &Limits) -> ImageError {
    match complaint {
        Complaint::TooManyScans => ImageError::TooManyScans { limit: limits.max_scans },
        Complaint::Unsupported => ImageError::unsupported(format!("jpg: {reason}")),
        Complaint::EndOfFile => ImageError::truncated(reason),
        Complaint::Damaged | Complaint::Extraneous(..) if !scan_tail(bytes, header.scan_start).0 => ImageError::truncated(reason),
        _ => ImageError::decode(reason),
    }
}

/// Writes the file again with the segments that decoding needs and with odd header fields set right.
fn repair(bytes: &[u8], header: &JpegHeader, out: &mut Vec<u8>) {
    out.clear();
    out.extend([0xFF, 0xD8]);
    for segment in &header.segments {
        let start = out.len();
        let body = &bytes[segment.range.clone()];
        match segment.marker {
            // Tables, frames, scans, restart interval, arithmetic conditioning.
            0xC0..=0xCF | 0xDA | 0xDB | 0xDD => {}
            0xE0 if body.get(4..9) == Some(b"JFIF\0") => {}
            0xEE if body.get(4..9) == Some(b"Adobe") => {}
            _ => continue,
        }
        out.extend_from_slice(body);
        let copy = &mut out[start..];
        match segment.marker {
            0xE0 if copy.len() > 9 => copy[9] = 1,
            0xEE if copy.len() > 15 && copy[15] > 2 => copy[15] = if header.components == 4 { 2 } else { 1 },
            // Spectral selection and approximation of a scan that has neither.
            0xDA if !header.multi_scan && !header.lossless => {
                if let Some(at) = be16(copy, 2).map(usize::from).filter(|len| *len >= 6 && len + 2 == copy.len()) {
                    copy[at - 1..at + 2].copy_from_slice(&[0, 63, 0]);
                }
            }
            _ => {}
        }
    }
    out.extend_from_slice(&bytes[header.scan_start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_keeps_twice_the_target_on_both_sides() {
        assert_eq!(dct_eighths((1024, 768), (256, 192)), 4);
        assert_eq!(dct_eighths((4000, 3000), (256, 192)), 2);
        assert_eq!(dct_eighths((4096, 3072), (256, 192)), 1);
        assert_eq!(dct_eighths((1023, 768), (256, 192)), 8);
        assert_eq!(dct_eighths((100, 100), (256, 256)), 8);
    }
}
