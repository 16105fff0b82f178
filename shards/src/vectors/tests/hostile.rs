//! Files that lie. Whatever they claim, the answer is an error, soon and in little memory.

use proptest::prelude::*;

use super::make::{Member, all, archive, components, folder};
use crate::vectors::{VectorBlock, VectorFileError, npz_keys, open_vectors};

fn npy(shape: &str, body: usize) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len() + body, 0);
    bytes
}

fn read(name: &str, bytes: &[u8]) -> Result<VectorBlock, VectorFileError> {
    let (storage, dir) = folder();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    all(open_vectors(&storage.uri_of(name), None, 100))
}

fn said(name: &str, bytes: &[u8]) -> String {
    read(name, bytes).unwrap_err().to_string()
}

#[test]
fn an_npy_of_another_length_than_its_shape_is_refused() {
    assert_eq!(read("a.npy", &npy("(2, 3)", 24)).unwrap().rows, 2);
    assert!(said("a.npy", &npy("(2, 3)", 23)).contains("shape (2, 3) of float32 makes"));
    assert!(said("a.npy", &npy("(2, 3)", 25)).contains("shape (2, 3) of float32 makes"));
    assert!(said("a.npy", &npy("(18446744073709551615, 65536)", 0)).contains("is impossible"));
    assert!(said("a.npy", &npy("(1000000000000, 512)", 0)).contains("makes 2048000000000"));
    assert!(said("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("header of 4294967295 bytes"));
    assert!(said("a.npy", b"PK\x03\x04aaaa").contains("is no npy file"));
    assert!(said("a.npy", b"\x93NUM").contains("ends inside its npy header"));
    assert!(said("a.npy", b"\x93NUMPY\x09\x00").contains("npy version 9.0"));
}

#[test]
fn headers_of_all_versions_are_read() {
    let mut two = npy("(1, 2)", 8);
    two[6] = 2;
    two.splice(10..10, [0, 0]);
    assert_eq!(read("a.npy", &two).unwrap().rows, 1);
    two[6] = 3;
    assert_eq!(read("a.npy", &two).unwrap().rows, 1);
}

#[test]
fn members_that_lie_are_refused() {
    let array = npy("(2, 3)", 24);
    let good = Member::honest("a.npy", &array);
    assert_eq!(read("a.npz", &archive(&[Member::honest("a.npy", &array)])).unwrap().rows, 2);
    for name in ["../a.npy", "/a.npy", "b/a.npy", "C:\\a.npy", ".a.npy", ""] {
        let error = said("a.npz", &archive(&[Member::honest(name, &array)]));
        assert!(error.contains("a name with a path"), "{error}");
    }
    let larger = Member { size: good.size + 1, ..Member::honest("a.npy", &array) };
    assert!(said("a.npz", &archive(&[larger])).contains("cannot hold"));
    let encrypted = Member { flags: 1, ..Member::honest("a.npy", &array) };
    assert!(said("a.npz", &archive(&[encrypted])).contains("encrypted"));
    let bzip2 = Member { method: 12, ..Member::honest("a.npy", &array) };
    assert!(said("a.npz", &archive(&[bzip2])).contains("method 12"));
    let twice = [Member::honest("a.npy", &array), Member::honest("a.npy", &array)];
    assert!(said("a.npz", &archive(&twice)).contains("twice"));
    let overlapping = [Member::honest("a.npy", &array), Member { offset: Some(0), ..Member::honest("b.npy", &array) }];
    assert!(said("a.npz", &archive(&overlapping)).contains("overlaps"));
    let far = Member { offset: Some(u32::MAX - 1), ..Member::honest("a.npy", &array) };
    assert!(said("a.npz", &archive(&[far])).contains("overlaps"));
    let mut damaged = archive(&[good]);
    // The directory has 51 bytes here, the end record 22; before them lies the last component.
    let at = damaged.len() - 51 - 22 - 1;
    damaged[at] ^= 1;
    assert!(said("a.npz", &damaged).contains("checksum"), "{}", said("a.npz", &damaged));
    assert!(said("a.npz", b"PK").contains("no zip archive"));
}

#[test]
fn a_bomb_is_refused_by_its_ratio_or_its_end() {
    use std::io::Write;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let packed = pack(&npy("(1000, 256)", 1_024_000));
    // Claims more than deflate can give.
    let claim = Member { method: 8, size: u32::MAX - 1, ..Member::honest("a.npy", &packed) };
    assert!(said("a.npz", &archive(&[claim])).contains("cannot hold"));
    // Claims less than it unpacks to, and more.
    let honest = npy("(2, 3)", 24).len() as u32;
    let packed = pack(&npy("(2, 3)", 1_000_000));
    let less = Member { method: 8, size: honest, ..Member::honest("a.npy", &packed) };
    assert!(said("a.npz", &archive(&[less])).contains("more bytes than the archive says"));
    let packed = pack(&npy("(2, 3)", 12));
    let more = Member { method: 8, size: honest, ..Member::honest("a.npy", &packed) };
    assert!(said("a.npz", &archive(&[more])).contains("12 bytes less than the archive says"));
}

#[test]
fn a_directory_of_impossible_size_is_not_read() {
    let mut bytes = archive(&[]);
    let at = bytes.len() - 14;
    bytes[at..at + 4].copy_from_slice(&[0xff; 4]);
    assert!(said("a.npz", &bytes).contains("larger than any npz"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_never_panics(at in 0.0_f64..1.0, with: u8, cut in 0.0_f64..1.0, which in 0_usize..3) {
        let (storage, dir) = folder();
        let array = {
            let mut bytes = npy("(4, 5)", 0);
            components(4, 5).iter().for_each(|component| bytes.extend_from_slice(&component.to_le_bytes()));
            bytes
        };
        let (name, mut bytes) = match which {
            0 => ("a.npy", array),
            1 => ("a.npz", archive(&[Member::honest("a.npy", &array), Member::honest("b.npy", &array)])),
            _ => ("a.npz", deflated(&array)),
        };
        let place = (at * bytes.len() as f64) as usize;
        bytes[place] = with;
        let uri = storage.uri_of(name);
        for end in [bytes.len(), (cut * bytes.len() as f64) as usize] {
            std::fs::write(dir.path().join(name), &bytes[..end]).unwrap();
            let _ = npz_keys(&uri);
            for key in [None, Some("a"), Some("b")] {
                let _ = all(open_vectors(&uri, key, 3));
            }
        }
    }
}

fn deflated(array: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(array).unwrap();
    let packed = encoder.finish().unwrap();
    // The checksum is that of the packed bytes, so this one is refused at its end; the way there is what is tested.
    archive(&[Member { method: 8, size: array.len() as u32, ..Member::honest("a.npy", &packed) }])
}
