//! The `exif` column: a JSON object of tag names and values as text, in the form that img2dataset
//! writes (exifread's names, `{directory} {tag}`), without maker notes, thumbnails, XMP and user
//! comments.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

use super::exif_tags::{GPS, INTEROP, MAIN, Show, Tag, find};
use super::ifd::{Entry, Tiff, value_size};

/// Directories in the chain that are read; two are usual.
const MAX_DIRECTORIES: usize = 8;
/// Tags in the result, over all directories. Cameras write under 100.
const MAX_TAGS: usize = 1_000;
/// Longest text of one value in bytes; longer ones are left out.
const MAX_TEXT: usize = 65_536;
/// Lists of this many values or more are shown empty, as exifread does.
const MAX_VALUES: u32 = 1_000;

/// XMP, maker notes, user comments: large, and not read by img2dataset either.
const IGNORED: [u16; 3] = [0x02BC, 0x927C, 0x9286];
/// Tags that name a device or its owner: CameraOwnerName, BodySerialNumber, LensSerialNumber,
/// OwnerName, SerialNumber, and the pointer to GPS.
const PERSONAL: [u16; 6] = [0xA430, 0xA431, 0xA435, 0xFDE8, 0xFDE9, 0x8825];

/// Renders an EXIF block (starting with its TIFF header) as JSON; `"{}"` when there is nothing to
/// read. Without `keep_location`, GPS and tags that name a device or its owner are left out.
pub(crate) fn to_json(block: Option<&[u8]>, keep_location: bool) -> String {
    let Some((tiff, first)) = block.and_then(Tiff::open) else {
        return "{}".to_owned();
    };
    let mut reader = Reader { tiff, keep_location, tags: Map::new(), exif_ifd: None };
    let mut seen = Vec::new();
    let mut next = Some(first);
    while let Some(ifd) = next {
        if seen.len() == MAX_DIRECTORIES || seen.contains(&ifd) {
            break;
        }
        let name = match seen.len() {
            0 => "Image".to_owned(),
            1 => "Thumbnail".to_owned(),
            index => format!("IFD {index}"),
        };
        reader.directory(ifd, &name, MAIN, 0);
        seen.push(ifd);
        next = tiff.next(ifd);
    }
    if let Some(ifd) = reader.exif_ifd {
        reader.directory(ifd, "EXIF", MAIN, 0);
    }
    let mut text = Vec::new();
    match reader.tags.serialize(&mut Serializer::with_formatter(&mut text, Python)) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        // Keys and values are strings: this cannot be.
        Err(_) => "{}".to_owned(),
    }
}

/// As Python's `json.dumps` writes it, so that the column holds img2dataset's text: blanks after `,` and `:`, ASCII only.
struct Python;

impl Formatter for Python {
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if (' '..='~').contains(&character) {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

struct Reader<'a> {
    tiff: Tiff<'a>,
    keep_location: bool,
    tags: Map<String, Value>,
    exif_ifd: Option<u32>,
}

impl Reader<'_> {
    fn directory(&mut self, ifd: u32, directory: &str, table: &'static [Tag], depth: usize) {
        let tiff = self.tiff;
        for entry in tiff.entries(ifd) {
            if self.tags.len() >= MAX_TAGS {
                return;
            }
            let main = !std::ptr::eq(table, GPS) && !std::ptr::eq(table, INTEROP);
            let personal = main && PERSONAL.contains(&entry.tag);
            if IGNORED.contains(&entry.tag) || (personal && !self.keep_location) {
                continue;
            }
            let known = find(table, entry.tag);
            let show = known.map_or(Show::Plain, |tag| tag.2);
            if entry.tag == 0x8769 && directory == "Image" {
                self.exif_ifd = tiff.integer(&entry);
            }
            let inner = match show {
                Show::Gps => Some(("GPS", GPS)),
                Show::Interop => Some(("Interoperability", INTEROP)),
                _ => None,
            };
            if let Some((name, table)) = inner
                && depth == 0
                && let Some(offset) = tiff.integer(&entry)
            {
                self.directory(offset, name, table, depth + 1);
            }
            let Some(text) = render(&tiff, &entry, show) else { continue };
            let key = match known {
                Some(tag) => format!("{directory} {}", tag.1),
                None => format!("{directory} Tag 0x{:04X}", entry.tag),
            };
            self.tags.insert(key, Value::String(text.trim().to_owned()));
        }
    }
}

fn render(tiff: &Tiff<'_>, entry: &Entry, show: Show) -> Option<String> {
    if entry.kind == 2 {
        let len = entry.count as usize;
        if len > MAX_TEXT {
            return None;
        }
        let bytes = tiff.bytes(entry.at, len)?;
        let text = bytes.split(|&b| b == 0).next().unwrap_or(bytes);
        return Some(String::from_utf8_lossy(text).into_owned());
    }
    if entry.count >= MAX_VALUES {
        return Some("[]".to_owned());
    }
    let size = value_size(entry.kind)?;
    let at = |index: u32| entry.at.checked_add(index as usize * size);
    match show {
        Show::Text if size == 1 => {
            let bytes = tiff.bytes(entry.at, entry.count as usize)?;
            Some(bytes_as_text(bytes))
        }
        Show::Codes(codes) => {
            let mut text = String::new();
            for index in 0..entry.count {
                let value = value_text(tiff, entry.kind, at(index)?)?;
                let code = value.parse().ok();
                match codes.iter().find(|(known, _)| Some(*known) == code) {
                    Some((_, name)) => text.push_str(name),
                    None => text.push_str(&value),
                }
            }
            Some(text)
        }
        _ if entry.count == 1 => value_text(tiff, entry.kind, at(0)?),
        _ => {
            let shown = if entry.count > 50 { 20 } else { entry.count };
            let values = (0..shown).map(|index| value_text(tiff, entry.kind, at(index)?)).collect::<Option<Vec<_>>>()?;
            let more = if shown < entry.count { ", ... ]" } else { "]" };
            Some(format!("[{}{more}", values.join(", ")))
        }
    }
}

/// Printable bytes as Latin-1; a list of numbers when none is printable.
fn bytes_as_text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().filter(|&&b| b >= 32).map(|&b| char::from(b)).collect();
    if !text.is_empty() {
        return text;
    }
    let digits: String = bytes.iter().map(u8::to_string).collect();
    if digits.bytes().all(|b| b == b'0') { String::new() } else { digits }
}

fn value_text(tiff: &Tiff<'_>, kind: u16, at: usize) -> Option<String> {
    Some(match kind {
        1 | 7 => tiff.bytes(at, 1)?[0].to_string(),
        6 => (tiff.bytes(at, 1)?[0] as i8).to_string(),
        3 => tiff.u16(at)?.to_string(),
        8 => (tiff.u16(at)? as i16).to_string(),
        4 | 13 => tiff.u32(at)?.to_string(),
        9 => (tiff.u32(at)? as i32).to_string(),
        5 => ratio(i64::from(tiff.u32(at)?), i64::from(tiff.u32(at.checked_add(4)?)?)),
        10 => {
            let (n, d) = (tiff.u32(at)? as i32, tiff.u32(at.checked_add(4)?)? as i32);
            ratio(i64::from(n), i64::from(d))
        }
        11 => format!("({:?},)", f64::from(f32::from_bits(tiff.u32(at)?))),
        12 => format!("({:?},)", tiff.f64(at)?),
        _ => return None,
    })
}

/// A fraction in lowest terms, whole numbers without the denominator, as Python's `Fraction` prints
/// it; a zero denominator is shown.
fn ratio(numerator: i64, denominator: i64) -> String {
    if denominator == 0 {
        return format!("{numerator}/0");
    }
    let (mut a, mut b) = (numerator.abs(), denominator.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let a = a.max(1) * denominator.signum();
    let (numerator, denominator) = (numerator / a, denominator / a);
    if denominator == 1 { numerator.to_string() } else { format!("{numerator}/{denominator}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with Make, Orientation 6, a GPS pointer and an EXIF pointer to an exposure of 10/600.
    fn block() -> Vec<u8> {
        let mut out = b"II*\0\x08\0\0\0".to_vec();
        out.extend(4u16.to_le_bytes());
        let mut entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value);
        };
        entry(0x010F, 2, 4, *b"Cam\0");
        entry(0x0112, 3, 1, [6, 0, 0, 0]);
        entry(0x8769, 4, 1, 62u32.to_le_bytes());
        entry(0x8825, 4, 1, 88u32.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        assert_eq!(out.len(), 62);
        out.extend(1u16.to_le_bytes());
        out.extend([0x9A, 0x82, 5, 0, 1, 0, 0, 0]);
        out.extend(80u32.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend(10u32.to_le_bytes());
        out.extend(600u32.to_le_bytes());
        assert_eq!(out.len(), 88);
        out.extend(1u16.to_le_bytes());
        out.extend([1, 0, 2, 0, 2, 0, 0, 0, b'N', 0, 0, 0]);
        out.extend(0u32.to_le_bytes());
        out
    }

    #[test]
    fn places_are_left_out_unless_asked_for() {
        let block = block();
        assert_eq!(
            to_json(Some(&block), false),
            r#"{"Image Make": "Cam", "Image Orientation": "Rotated 90 CW", "Image ExifOffset": "62", "EXIF ExposureTime": "1/60"}"#
        );
        assert!(to_json(Some(&block), true).contains(r#""GPS GPSLatitudeRef": "N""#));
    }

    #[test]
    fn the_text_is_that_of_pythons_json_dumps() {
        // python3 -c 'import json; print(json.dumps({"a": "é\U0001f389\"\n\x7f", "b": ""}))'
        let mut text = Vec::new();
        let value = serde_json::json!({ "a": "é\u{1f389}\"\n\u{7f}", "b": "" });
        value.serialize(&mut Serializer::with_formatter(&mut text, Python)).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "{\"a\": \"\\u00e9\\ud83c\\udf89\\\"\\n\\u007f\", \"b\": \"\"}");
    }

    #[test]
    fn nothing_to_read_is_an_empty_object() {
        assert_eq!(to_json(None, false), "{}");
        assert_eq!(to_json(Some(b"II*\0\xff\xff\xff\xff"), false), "{}");
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_read_without_a_panic() {
        let block = block();
        for cut in 0..block.len() {
            to_json(Some(&block[..cut]), true);
            for value in [0, 0x7F, 0xFF] {
                let mut damaged = block.clone();
                damaged[cut] = value;
                to_json(Some(&damaged), true);
            }
        }
    }

    #[test]
    fn ratios_are_in_lowest_terms() {
        assert_eq!(ratio(10, 600), "1/60");
        assert_eq!(ratio(72, 1), "72");
        assert_eq!(ratio(0, 5), "0");
        assert_eq!(ratio(-3, 9), "-1/3");
        assert_eq!(ratio(3, -9), "-1/3");
        assert_eq!(ratio(0, 0), "0/0");
    }
}
