//! Extraction over generated archives.

use std::fs::File;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Calibrator, Item, Measured, rate, seconds, text};
use crate::miniweb::{MiniWeb, MiniWebConfig};

/// Pages of the generated archive.
const PAGES: u64 = 2000;
/// Inflated bytes that an extraction reads, at least: seconds of a core.
const ENOUGH: f64 = 300e6;

impl Calibrator {
    pub(super) fn archives(&mut self, item: Item) -> Measured {
        if item == Item::TableRowBytes {
            if !self.kept.contains_key("candidates") {
                self.archives(Item::ExtractWat)?;
            }
            let bytes = self.row_bytes("candidates", "out", false)?;
            return Ok(Some((bytes, format!("tables of candidates of a generated WAT of {PAGES} pages, over their rows"))));
        }
        let (kind, keep) = match item {
            Item::ExtractWarc => ("warc", None),
            _ => ("wat", Some("candidates")),
        };
        let write = |folder: &Path, pages: u64| {
            let web = MiniWeb::new(MiniWebConfig { pages, hostile: 0.0, refusing: 0.0, ..MiniWebConfig::default() });
            let written = match kind {
                "warc" => web.write_warcs(folder, 1, false),
                _ => web.write_wats(folder, 1),
            };
            written.map_err(|e| e.to_string())
        };
        let (few, many) = (self.make(&format!("{kind}-few"))?, self.make(&format!("{kind}-many"))?);
        write(&few, 1)?;
        let first = write(&many, PAGES)?.pop().ok_or("no archive was written")?;
        let inflated = inflated(&first)?;
        // Copies are read as archives of their own: what is in them makes no difference to the work.
        let copies = (ENOUGH / inflated).ceil().max(1.0);
        for copy in 1..copies as u64 {
            let name = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            std::fs::copy(&first, many.join(format!("{copy:04}-{name}"))).map_err(|e| format!("a copy of an archive: {e}"))?;
        }
        let call = |inputs: &Path| {
            let inputs = text(inputs);
            move |out: &Path| vec!["extract".to_owned(), inputs.clone(), "-o".to_owned(), text(out)]
        };
        let starting = self.starting(if kind == "warc" { "extract warc" } else { "extract wat" }, &call(&few))?;
        let spent = self.spend(keep, &call(&many))?;
        let _ = std::fs::remove_dir_all(&many);
        let value = rate(copies * inflated, seconds(&spent), starting)?;
        let by = format!("`extract` over {copies} generated {} files of {:.1} MB inflated", kind.to_uppercase(), inflated / 1e6);
        Ok(Some((value, by)))
    }
}

/// Inflated bytes of a gzip file.
fn inflated(path: &Path) -> Result<f64, String> {
    let fail = |e: std::io::Error| format!("`{}`: {e}", path.display());
    let mut reader = MultiGzDecoder::new(File::open(path).map_err(fail)?);
    std::io::copy(&mut reader, &mut std::io::sink()).map(|bytes| bytes as f64).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::super::data;
    use super::*;

    #[test]
    fn the_inflated_size_is_that_of_all_members() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        let mut file = File::create(&path).unwrap();
        for _ in 0..3 {
            let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            member.write_all(&[7; 1000]).unwrap();
            file.write_all(&member.finish().unwrap()).unwrap();
        }
        drop(file);
        assert_eq!(inflated(&path).unwrap(), 3000.0);
        assert_eq!(data::bytes(&data::files(folder.path(), ".gz")), path.metadata().unwrap().len() as f64);
    }
}
