use std::io::Write;

use super::write::{gzip, http, record, warc_gz};
use crate::crawl::archive::*;

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn records() -> Vec<Vec<u8>> {
    vec![
        record("response", "http://a/page", &http(200, "Content-Type: text/html\r\n", b"<img src=x>")),
        record("response", "http://a/x.png", &http(404, "Content-Type: text/html\r\n", b"no")),
        record("response", "http://a/x.png", &http(200, "Content-Type: image/png\r\nContent-Encoding: gzip\r\n", &gzip(b"PIXELS"))),
        record("response", "http://a/x.png", &http(301, "Location: /elsewhere\r\n", b"")),
        record("response", "http://a/old", &http(302, "Location: x.png#top\r\n", b"")),
        record("response", "http://a/loop", &http(302, "Location: /loop2\r\n", b"")),
        record("response", "http://a/loop2", &http(302, "Location: /loop\r\n", b"")),
        record("response", "http://a/gone", &http(302, "Location: http://b/\r\n", b"")),
        b"WARC/1.1\r\nWARC-Type: revisit\r\nWARC-Target-URI: <http://a/again>\r\nWARC-Refers-To-Target-URI: http://a/x.png\r\nContent-Length: 0\r\n\r\n\r\n\r\n".to_vec(),
        b"WARC/1.1\r\nWARC-Type: resource\r\nWARC-Target-URI: http://a/r.jpg\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nJPG\r\n\r\n".to_vec(),
    ]
}

fn check(images: &ArchiveImages, page: bool) {
    for url in ["http://a/x.png", "HTTP://A/x.png#f", "http://a/old", "http://a/again"] {
        let response = images.get(url).unwrap_or_else(|| panic!("{url}"));
        assert_eq!((response.status, response.body.as_slice(), response.url.as_str()), (200, &b"PIXELS"[..], "http://a/x.png"), "{url}");
        assert_eq!(response.header("content-type"), Some("image/png"));
    }
    assert_eq!(images.get("http://a/r.jpg").unwrap().body, b"JPG");
    for url in ["http://a/loop", "http://a/gone", "http://a/nowhere", "nonsense"] {
        assert_eq!(images.get(url), None, "{url}");
    }
    assert_eq!(images.get("http://a/page").is_some(), page);
}

#[test]
fn responses_are_found_by_url_in_every_packing() {
    let plain = records().concat();
    let members: Vec<u8> = records().iter().flat_map(|record| gzip(record)).collect();
    let frames: Vec<u8> = records().iter().flat_map(|record| zstd::encode_all(&record[..], 3).unwrap()).collect();
    for bytes in [&plain, &members, &frames] {
        let file = file(bytes);
        let images = ArchiveImages::open(&[file.path()], ArchiveLimits::default()).unwrap();
        assert_eq!(images.stats().spilled_bytes, 0);
        check(&images, true);
    }
    for bytes in [gzip(&plain), zstd::encode_all(&plain[..], 3).unwrap()] {
        let file = file(&bytes);
        let images = ArchiveImages::open(&[file.path()], ArchiveLimits::default()).unwrap();
        assert!(images.stats().spilled_bytes > 0);
        // The first record begins the file, so it can be read where it lies.
        check(&images, true);
    }
}

#[test]
fn a_wacz_is_read_stored_or_deflated() {
    let members: Vec<u8> = records().iter().flat_map(|record| gzip(record)).collect();
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for name in ["datapackage.json", "archive/a.warc.gz", "indexes/x.cdx"] {
            zip.start_file(name, options).unwrap();
            zip.write_all(if name.starts_with("archive") { &members } else { b"{}" }).unwrap();
        }
        let file = file(&zip.finish().unwrap().into_inner());
        let images = ArchiveImages::open(&[file.path()], ArchiveLimits::default()).unwrap();
        check(&images, true);
        let mut wacz = open_wacz(file.reopen().unwrap(), "x.wacz", &ArchiveLimits::default()).unwrap();
        assert_eq!(wacz.members().collect::<Vec<_>>(), ["archive/a.warc.gz"]);
        let mut reader = RecordReader::new(wacz.open(0).unwrap(), "a", ArchiveLimits::default()).unwrap();
        let mut n = 0;
        while reader.next().unwrap().is_some() {
            n += 1;
        }
        assert_eq!(n, records().len());
        let small = ArchiveLimits { wacz_bytes: 10, ..ArchiveLimits::default() };
        assert!(matches!(open_wacz(file.reopen().unwrap(), "x.wacz", &small), Err(ArchiveError::Limit { .. })));
    }
}

#[test]
fn many_threads_may_ask() {
    let (bytes, _) = warc_gz(50);
    let file = file(&bytes);
    let images = ArchiveImages::open(&[file.path()], ArchiveLimits::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..50 {
                    assert_eq!(images.get(&format!("http://example.com/{i}")).unwrap().status, 200);
                }
            });
        }
    });
}
