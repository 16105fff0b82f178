use super::write::{gzip, http, record, warc_gz};
use crate::crawl::archive::*;

pub(crate) fn urls(bytes: &[u8]) -> (Vec<String>, ReadStats) {
    let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(bytes.to_vec())), "test", ArchiveLimits::default()).unwrap();
    let mut urls = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        urls.push(record.target_uri().unwrap_or_default().into_owned());
    }
    (urls, reader.stats().clone())
}

fn three() -> Vec<Vec<u8>> {
    (0..3).map(|i| record("response", &format!("http://a/{i}"), &http(200, "", b"body"))).collect()
}

const ALL: [&str; 3] = ["http://a/0", "http://a/1", "http://a/2"];

#[test]
fn every_packing_gives_the_same_records() {
    let plain = three().concat();
    let per_member: Vec<u8> = three().iter().flat_map(|record| gzip(record)).collect();
    let zstd_frames: Vec<u8> = three().iter().flat_map(|record| zstd::encode_all(&record[..], 3).unwrap()).collect();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    std::io::Write::write_all(&mut bz, &plain).unwrap();
    // Members that end anywhere but at the end of a record.
    let across: Vec<u8> = plain.chunks(100).flat_map(gzip).collect();
    let packed =
        [plain.clone(), per_member, gzip(&plain), zstd_frames, zstd::encode_all(&plain[..], 3).unwrap(), bz.finish().unwrap(), across];
    for (i, bytes) in packed.iter().enumerate() {
        let (found, stats) = urls(bytes);
        assert_eq!(found, ALL, "packing {i}");
        assert_eq!((stats.records, stats.broken, stats.bytes_skipped, stats.truncated), (3, 0, 0, 0), "packing {i}");
        assert_eq!(stats.bytes_inflated, plain.len() as u64);
        assert_eq!(stats.bytes_read, bytes.len() as u64);
    }
}

#[test]
fn offsets_lead_back_to_the_record() {
    let (bytes, offsets) = warc_gz(20);
    let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(bytes.clone())), "test", ArchiveLimits::default()).unwrap();
    for offset in offsets {
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.offset, record.seekable), (offset as u64, true));
        assert_eq!(urls(&bytes[offset..]).0[0], record.target_uri().unwrap());
    }
    let single = gzip(&three().concat());
    let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(single)), "test", ArchiveLimits::default()).unwrap();
    assert!(reader.next().unwrap().unwrap().seekable);
    assert!(!reader.next().unwrap().unwrap().seekable);
}

#[test]
fn a_zstd_dictionary_in_front_is_used() {
    let samples: Vec<Vec<u8>> = (0..500)
        .map(|i| record("response", &format!("http://a/{i}"), &http(200, "Server: x\r\n", format!("body {i}").as_bytes())))
        .collect();
    let dictionary = zstd::dict::from_samples(&samples, 4096).unwrap();
    let mut bytes = 0x184D_2A5Du32.to_le_bytes().to_vec();
    bytes.extend((dictionary.len() as u32).to_le_bytes());
    bytes.extend(&dictionary);
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
    for record in three() {
        bytes.extend(compressor.compress(&record).unwrap());
    }
    assert_eq!(urls(&bytes).0, ALL);
}

#[test]
fn garbage_between_members_costs_no_record() {
    let mut bytes = b"junk before".to_vec();
    for record in three() {
        bytes.extend(gzip(&record));
        bytes.extend(b"\x1f\x8b\x08junk between\0\0\0");
    }
    // The front has no magic number, so the name and the bytes say nothing; what follows is found all the same in a gzip file.
    let (found, stats) = urls(&bytes[11..]);
    assert_eq!(found, ALL);
    assert!(stats.bytes_skipped > 0);
    let plain: Vec<u8> = three().iter().flat_map(|record| [record.as_slice(), b"junk\r\nWARC/x junk\n"].concat()).collect();
    let (found, stats) = urls(&plain);
    assert_eq!(found, ALL);
    assert_eq!(stats.bytes_skipped, 3 * 18);
}

#[test]
fn a_wrong_length_costs_no_other_record() {
    for wrong in ["1", "40", "60", "100", "5000", "x", "-1", "99999999999"] {
        let mut records = three();
        let text = String::from_utf8(records[1].clone()).unwrap();
        let at = text.find("Content-Length: ").unwrap() + 16;
        let end = at + text[at..].find('\r').unwrap();
        records[1] = format!("{}{wrong}{}", &text[..at], &text[end..]).into_bytes();
        for bytes in [records.concat(), records.iter().flat_map(|record| gzip(record)).collect(), gzip(&records.concat())] {
            let (found, _) = urls(&bytes);
            assert!(found.contains(&ALL[0].to_owned()), "{wrong} {found:?}");
            // A length that reaches beyond the file takes what follows with it, except where members stand in the way.
            assert!(found.contains(&ALL[2].to_owned()), "{wrong}: {found:?}");
        }
    }
}

#[test]
fn bare_line_feeds_are_read() {
    let text = String::from_utf8(three().concat()).unwrap().replace("\r\n", "\n");
    assert_eq!(urls(text.as_bytes()).0, ALL);
}

#[test]
fn a_record_over_the_limit_is_passed_over_and_counted() {
    let mut records = three();
    records[1] = record("response", "http://a/1", &vec![b'x'; 200_000]);
    let limits = ArchiveLimits { record_bytes: 100_000, ..ArchiveLimits::default() };
    for bytes in [records.concat(), records.iter().flat_map(|record| gzip(record)).collect::<Vec<u8>>()] {
        let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(bytes)), "test", limits).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().target_uri().unwrap(), ALL[0]);
        assert_eq!(reader.next().unwrap().unwrap().target_uri().unwrap(), ALL[2]);
        assert!(reader.next().unwrap().is_none());
        assert_eq!(reader.stats().broken, 1);
        assert_eq!(reader.stats().first_faults[0].1, RecordFault::TooLarge);
    }
}

#[test]
fn an_arc_is_read() {
    let body = http(200, "Content-Type: text/html\r\n", b"<img src=a>");
    let mut arc = b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 76\n1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n".to_vec();
    arc.extend(format!("http://a/b c 1.2.3.4 20080430204826 text/html {}\n", body.len()).bytes());
    arc.extend(&body);
    arc.extend(b"\nhttp://a/2 1.2.3.4 20080430204826 text/html 3\nabc\n");
    let (found, stats) = urls(&arc);
    assert_eq!(found, ["filedesc://x.arc", "http://a/b c", "http://a/2"]);
    assert_eq!((stats.broken, stats.bytes_skipped), (0, 0));
}

#[test]
fn bodies_are_decoded_only_where_the_bytes_agree() {
    let br = {
        let mut out = Vec::new();
        brotli::BrotliCompress(&mut &b"hello"[..], &mut out, &brotli::enc::BrotliEncoderParams::default()).unwrap();
        out
    };
    for (headers, body, expected) in [
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n".to_vec(), &b"hello"[..]),
        ("Transfer-Encoding: chunked\r\n", b"hello".to_vec(), b"hello"),
        ("Transfer-Encoding: chunked\r\n", b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n".to_vec(), b"hello"),
        ("Content-Encoding: gzip\r\n", gzip(b"hello"), b"hello"),
        ("Content-Encoding: gzip\r\n", b"hello".to_vec(), b"hello"),
        ("Content-Encoding: br\r\n", br, b"hello"),
        ("Content-Encoding: br\r\n", b"<html>hello".to_vec(), b"<html>hello"),
        ("Content-Encoding: zstd\r\n", zstd::encode_all(&b"hello"[..], 1).unwrap(), b"hello"),
        ("Content-Encoding: gzip, gzip\r\n", gzip(&gzip(b"hello")), b"hello"),
    ] {
        let bytes = record("response", "http://a/", &http(200, headers, &body));
        let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(bytes)), "test", ArchiveLimits::default()).unwrap();
        let record = reader.next().unwrap().unwrap();
        assert_eq!(record.http().unwrap().body(100).unwrap().0, expected, "{headers}");
    }
    let bomb = record("response", "http://a/", &http(200, "Content-Encoding: gzip\r\n", &gzip(&vec![0; 1 << 20])));
    let mut reader = RecordReader::new(Box::new(std::io::Cursor::new(bomb)), "test", ArchiveLimits::default()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().http().unwrap().body(1000).unwrap_err(), BodyError::TooLarge { limit: 1000 });
}

#[test]
fn an_input_that_fails_is_an_error_with_its_offset() {
    struct Failing(usize);
    impl std::io::Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("gone"));
            }
            let n = self.0.min(out.len());
            out[..n].fill(b'\n');
            self.0 -= n;
            Ok(n)
        }
    }
    let mut reader = RecordReader::new(Box::new(Failing(3 << 20)), "test", ArchiveLimits::default()).unwrap();
    let error = loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end was not to be reached"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ArchiveError::Read { .. }));
}

#[test]
fn lz4_is_refused_by_name() {
    let error = RecordReader::new(Box::new(&b"\x04\x22\x4d\x18junk"[..]), "x.warc.lz4", ArchiveLimits::default()).err().unwrap();
    assert_eq!(error.to_string(), "`x.warc.lz4` is compressed with LZ4, which is not supported");
}
