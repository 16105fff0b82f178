use proptest::prelude::*;

use super::records::urls;
use super::write::warc_gz;

/// W2: one byte of damage costs the member that it is in, and at most one more.
#[test]
fn a_damaged_byte_costs_its_own_record() {
    let (bytes, _) = warc_gz(60);
    let (all, _) = urls(&bytes);
    assert_eq!(all.len(), 60);
    let mut place = 7usize;
    let mut lost_most = 0;
    for round in 0..3000u32 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (place >> 20) % bytes.len();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (round % 8);
        let (found, stats) = urls(&damaged);
        let lost = all.iter().filter(|url| !found.contains(url)).count();
        lost_most = lost_most.max(lost);
        assert!(lost <= 2, "byte {at}: lost {lost}, {stats:?}");
        assert!(found.len() <= 61, "byte {at}");
    }
    assert!(lost_most >= 1);
}

#[test]
fn a_damaged_byte_in_a_plain_file_costs_at_most_its_own_record_and_one_more() {
    let bytes: Vec<u8> = (0..60).flat_map(|i| super::write::record("response", &format!("http://example.com/{i}"), &[b'x'; 300])).collect();
    let (all, _) = urls(&bytes);
    let mut place = 11usize;
    for round in 0..3000u32 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (place >> 20) % bytes.len();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (round % 8);
        let (found, stats) = urls(&damaged);
        let lost = all.iter().filter(|url| !found.contains(url)).count();
        assert!(lost <= 2, "byte {at}: lost {lost}, {stats:?}");
    }
}

#[test]
fn a_cut_file_gives_all_that_is_whole() {
    let (bytes, offsets) = warc_gz(12);
    for cut in 0..bytes.len() {
        let (found, _) = urls(&bytes[..cut]);
        let whole = offsets.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
        assert!(found.len() >= whole, "cut at {cut}: {} of {whole}", found.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in 0usize..6) {
        let magic: &[u8] = [&b""[..], b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\x28\xb5\x2f\xfd", b"BZh9", b"WARC/1.0\r\n", b"http://a 1.1.1.1 20080101000000 text/html "][magic];
        let _ = urls(&[magic, &bytes].concat());
    }

    #[test]
    fn any_text_is_survived(text in "(WARC/1.0\r?\n|Content-Length: ?[0-9]{0,3}|WARC-Type: x|\r\n|\n|[a-z:]{1,5}|http://a 1.1.1.1 20080101000000 t/h [0-9]{1,3}\n){0,30}") {
        let _ = urls(text.as_bytes());
    }
}
