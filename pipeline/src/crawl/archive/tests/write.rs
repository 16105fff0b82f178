//! Small archives to read.

use std::io::Write;

pub(crate) fn record(kind: &str, url: &str, block: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\nContent-Type: application/http;msgtype=response\r\nContent-Length: {}\r\n\r\n",
        block.len()
    )
    .into_bytes();
    out.extend_from_slice(block);
    out.extend_from_slice(b"\r\n\r\n");
    out
}

pub(crate) fn http(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\n{headers}\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `n` records, one gzip member each; also where each member begins.
pub(crate) fn warc_gz(n: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut offsets) = (Vec::new(), Vec::new());
    let mut noise = 1u32;
    for i in 0..n {
        let body: Vec<u8> = (0..200 + i % 7 * 300)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'a' + (noise >> 27) as u8
            })
            .collect();
        offsets.push(out.len());
        out.extend(gzip(&record("response", &format!("http://example.com/{i}"), &http(200, "Content-Type: image/png\r\n", &body))));
    }
    (out, offsets)
}
