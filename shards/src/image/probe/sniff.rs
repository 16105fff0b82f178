//! Formats by their first bytes. File names and content types lie; magic bytes do so rarely.

/// An image format, decodable here or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// JPEG, every coding that libjpeg-turbo reads.
    Jpeg,
    /// PNG and APNG.
    Png,
    /// WebP, lossy, lossless and animated.
    Webp,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// Windows icon or cursor.
    Ico,
    /// AVIF; not decoded.
    Avif,
    /// HEIC or HEIF; not decoded.
    Heic,
    /// JPEG XL; not decoded.
    Jxl,
    /// JPEG 2000; not decoded.
    Jp2,
    /// SVG; not decoded, because it can fetch and run things.
    Svg,
    /// Photoshop; not decoded.
    Psd,
}

impl ImageFormat {
    /// The name in lower case, which is also the usual file name extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Ico => "ico",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Jxl => "jxl",
            Self::Jp2 => "jp2",
            Self::Svg => "svg",
            Self::Psd => "psd",
        }
    }
}

/// The format by magic bytes, `None` when they are not known.
pub fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::*;
    let magic: [(&[u8], ImageFormat); 16] = [
        (b"\xFF\xD8\xFF", Jpeg),
        (b"\x89PNG\r\n\x1A\n", Png),
        (b"GIF87a", Gif),
        (b"GIF89a", Gif),
        (b"BM", Bmp),
        (b"II*\0", Tiff),
        (b"MM\0*", Tiff),
        (b"II+\0", Tiff),
        (b"MM\0+", Tiff),
        (b"\0\0\x01\0", Ico),
        (b"\0\0\x02\0", Ico),
        (b"\0\0\0\x0CJXL \r\n\x87\n", Jxl),
        (b"\xFF\x0A", Jxl),
        (b"\0\0\0\x0CjP  \r\n\x87\n", Jp2),
        (b"\xFF\x4F\xFF\x51", Jp2),
        (b"8BPS", Psd),
    ];
    if let Some((_, format)) = magic.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(Webp);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12)? {
            b"avif" | b"avis" => Some(Avif),
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Some(Heic),
            b"mif1" | b"msf1" => {
                let brands = bytes.get(16..64.min(bytes.len()))?;
                let avif = brands.chunks_exact(4).any(|brand| brand == b"avif");
                Some(if avif { Avif } else { Heic })
            }
            _ => None,
        };
    }
    looks_like_svg(bytes).then_some(Svg)
}

/// The start of a text in lower case, without byte order mark and leading white space.
fn text_start(bytes: &[u8], len: usize) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    bytes[..bytes.len().min(len)].to_ascii_lowercase()
}

fn looks_like_svg(bytes: &[u8]) -> bool {
    let start = text_start(bytes, 1024);
    start.starts_with(b"<svg")
        || ((start.starts_with(b"<?xml") || start.starts_with(b"<!")) && start.windows(4).any(|window| window == b"<svg"))
}

pub(super) fn looks_like_html(bytes: &[u8]) -> bool {
    const TAGS: [&[u8]; 12] =
        [b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<title", b"<meta", b"<div", b"<h1", b"<p>", b"<a ", b"<style"];
    let start = text_start(bytes, 1024);
    if !start.starts_with(b"<") {
        return false;
    }
    if start.starts_with(b"<!--") || start.starts_with(b"<?xml") {
        return TAGS.iter().any(|tag| start.windows(tag.len()).any(|window| window == *tag));
    }
    TAGS.iter().any(|tag| start.starts_with(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_decoded_are_still_named() {
        assert_eq!(sniff(b"\0\0\0\x20ftypavif\0\0\0\0avif"), Some(ImageFormat::Avif));
        assert_eq!(sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1"), Some(ImageFormat::Heic));
        assert_eq!(sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif"), Some(ImageFormat::Avif));
        assert_eq!(sniff(b"\xFF\x0A\x00"), Some(ImageFormat::Jxl));
        assert_eq!(sniff(b"<?xml version='1.0'?>\n<svg xmlns='x'>"), Some(ImageFormat::Svg));
        assert_eq!(sniff(b"hello"), None);
    }

    #[test]
    fn web_pages_are_recognised() {
        assert!(looks_like_html(b"\xEF\xBB\xBF\n <!DOCTYPE html><html>"));
        assert!(looks_like_html(b"<!-- cached --> <HTML>"));
        assert!(!looks_like_html(b"{\"error\": 404}"));
    }
}
