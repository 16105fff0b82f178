//! Articles as wikiextractor writes them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use super::super::Error;

/// Longest line that is read. wikiextractor's JSON puts an article into one; the longest have a few megabytes.
const LONGEST_LINE: u64 = 64 << 20;

/// Reads a line without its end over `line`; `false` at the end of the input. A longer line than [`LONGEST_LINE`] is an error.
pub(super) fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    if reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() as u64 > LONGEST_LINE {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line is longer than 64 MiB"));
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(true)
}

#[derive(Deserialize)]
struct Article {
    text: String,
}

/// Calls `each` with each paragraph of a file of wikiextractor's: plain text, in which articles stand between lines `<doc …>` and
/// `</doc>`, or JSON lines with a key `text`. A line that begins with `{` and is such an object is JSON.
///
/// Paragraphs are lines; empty ones are left out.
///
/// # Errors
/// [`Error::Stream`] where the reader fails, a line is not UTF-8 or is longer than 64 MiB.
pub fn read_wiki_extract(mut reader: impl BufRead, mut each: impl FnMut(&str)) -> Result<(), Error> {
    let failed = |source| Error::Stream { what: "Wikipedia text", source };
    let mut bytes = Vec::new();
    while next_line(&mut reader, &mut bytes).map_err(failed)? {
        let line = std::str::from_utf8(&bytes).map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let mut paragraph = |line: &str| {
            if !line.trim().is_empty() {
                each(line);
            }
        };
        if line.starts_with('{')
            && let Ok(article) = serde_json::from_str::<Article>(line)
        {
            article.text.lines().for_each(paragraph);
        } else if !(line.starts_with("<doc ") && line.ends_with('>')) && line != "</doc>" {
            paragraph(line);
        }
    }
    Ok(())
}

/// [`read_wiki_extract`] over a file, unpacked where it is gzip (by its first bytes, not by its name).
///
/// # Errors
/// As there; [`Error::Read`] where the file cannot be opened.
pub fn read_wiki_file(path: impl AsRef<Path>, each: impl FnMut(&str)) -> Result<(), Error> {
    let path = path.as_ref();
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let is_gzip = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let read = if is_gzip { read_wiki_extract(BufReader::new(MultiGzDecoder::new(file)), each) } else { read_wiki_extract(file, each) };
    read.map_err(|error| match error {
        Error::Stream { source, .. } => unreadable(source),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    const PLAIN: &str = "<doc id=\"1\" url=\"u\" title=\"Dog\">\nDog\n\nThe dog {is} a\tpet.\r\n</doc>\n<doc id=\"2\">\n{{x}}\n</doc>\n";

    fn paragraphs(bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        read_wiki_extract(bytes, |line| found.push(line.to_owned())).unwrap();
        found
    }

    #[test]
    fn plain_and_json_give_the_same_paragraphs() {
        let want = ["Dog", "The dog {is} a\tpet.", "{{x}}"];
        assert_eq!(paragraphs(PLAIN.as_bytes()), want);
        let json = r#"{"id": "1", "title": "Dog", "text": "Dog\n\nThe dog {is} a\tpet."}"#.to_owned() + "\n" + r#"{"text": "{{x}}"}"#;
        assert_eq!(paragraphs(json.as_bytes()), want);
    }

    #[test]
    fn gzip_is_told_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wiki_00");
        // Two members, as concatenated files have.
        let mut file = std::fs::File::create(&path).unwrap();
        for part in [&PLAIN[..40], &PLAIN[40..]] {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(part.as_bytes()).unwrap();
            file.write_all(&gzip.finish().unwrap()).unwrap();
        }
        let mut found = Vec::new();
        read_wiki_file(&path, |line| found.push(line.to_owned())).unwrap();
        assert_eq!(found, paragraphs(PLAIN.as_bytes()));
        std::fs::write(&path, [0x1f, 0x8b, 8]).unwrap();
        assert!(matches!(read_wiki_file(&path, |_| ()), Err(Error::Read { .. })));
        assert!(matches!(read_wiki_file(folder.path().join("none"), |_| ()), Err(Error::Read { .. })));
    }

    #[test]
    fn what_is_not_utf8_is_an_error() {
        assert!(matches!(read_wiki_extract(b"a\n\xff\n".as_slice(), |_| ()), Err(Error::Stream { .. })));
    }
}
