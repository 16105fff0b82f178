use std::path::PathBuf;

use crate::crawl::archive::*;

/// Folder of the shared test data, or `None` with a loud word about it.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    // Tests run in the folder of their crate.
    let root = std::env::var_os("TROMMEL_SHARED").map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    let path = root.join("fixtures").join(part);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there; set TROMMEL_SHARED", path.display());
        return None;
    }
    Some(path)
}

/// W1. Golden values: warcio 1.8.1's reading of each file (`EXPECTED-by-warcio-1.8.jsonl`).
#[test]
fn every_record_that_warcio_reads_is_read() {
    let Some(fixtures) = shared("") else { return };
    let expected = std::fs::read_to_string(fixtures.join("warc-malformed/EXPECTED-by-warcio-1.8.jsonl")).unwrap();
    let (mut files, mut theirs_total, mut ours_total) = (0, 0, 0);
    for line in expected.lines() {
        let expected: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = expected["file"].as_str().unwrap();
        let path = fixtures.join(name);
        if !path.exists() {
            continue;
        }
        let theirs: Vec<&str> = expected["records"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
        let reader = RecordReader::new(Box::new(std::fs::File::open(&path).unwrap()), name, ArchiveLimits::default());
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                assert!(name.ends_with(".lz4"), "{name}: {error}");
                continue;
            }
        };
        let mut ours = Vec::new();
        let mut sizes = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            ours.push(format!("{:?}", record.kind).to_lowercase());
            sizes.push(record.payload.len());
            if let Some(http) = record.http() {
                let _ = http.body(1 << 26);
            }
            assert!(ours.len() < 10_000, "{name} does not end");
        }
        files += 1;
        theirs_total += theirs.len();
        ours_total += ours.len();
        assert!(ours.len() >= theirs.len(), "{name}: {} of {} records; {:?}", ours.len(), theirs.len(), reader.stats());
        if expected["error"].is_null() && expected["warnings"] == 0 && !name.contains("arc/") {
            let names: Vec<String> = theirs
                .iter()
                .map(|kind| match *kind {
                    "arc_header" => "warcinfo".to_owned(),
                    "unknown" => "other".to_owned(),
                    kind => kind.to_owned(),
                })
                .collect();
            assert_eq!(ours, names, "{name}");
        }
        if !expected["error"].is_null() || reader.stats().broken > 0 {
            eprintln!("{name}: {} (warcio {}), {:?}", ours.len(), theirs.len(), reader.stats());
        }
    }
    eprintln!("{files} files, {ours_total} records (warcio {theirs_total})");
    assert!(files > 60);
}

/// W3: the excerpt of Common Crawl 2016-50 whose line ends were changed, so that lengths are wrong.
#[test]
fn the_common_crawl_excerpt_is_read_whole() {
    let Some(folder) = shared("warc-commoncrawl-2016-50") else {
        return;
    };
    for name in ["sample.warc", "sample.warc.gz", "sample.wat", "sample.wat.gz", "sample.wet.gz"] {
        let mut reader =
            RecordReader::new(Box::new(std::fs::File::open(folder.join(name)).unwrap()), name, ArchiveLimits::default()).unwrap();
        let mut n = 0;
        while reader.next().unwrap().is_some() {
            n += 1;
        }
        let in_file = {
            let bytes = std::fs::read(folder.join(name)).unwrap();
            let text = if name.ends_with("gz") {
                let mut out = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut out).unwrap();
                out
            } else {
                bytes
            };
            String::from_utf8_lossy(&text).lines().filter(|line| *line == "WARC/1.0").count()
        };
        eprintln!("{name}: {n} of {in_file} records, {:?}", reader.stats());
        assert_eq!(n, in_file, "{name}: {:?}", reader.stats());
    }
}
