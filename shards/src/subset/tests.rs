use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;
use crate::storage::Storage;

fn folder() -> (tempfile::TempDir, Storage) {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
    (dir, storage)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn write(storage: &Storage, name: &str, uids: &[(u128, u32)], memory: usize) {
    let mut writer = SubsetWriter::with_memory(storage, name, memory);
    for &(uid, copies) in uids {
        writer.push(Uid128(uid), copies).unwrap();
    }
    run(writer.finish()).unwrap();
}

fn counts(uids: &[(u128, u32)]) -> BTreeMap<u128, u32> {
    let mut counts = BTreeMap::new();
    for &(uid, copies) in uids {
        *counts.entry(uid).or_insert(0) += copies;
    }
    counts.retain(|_, copies| *copies > 0);
    counts
}

/// Few values, so that uids repeat and lie in both halves.
fn uids() -> impl Strategy<Value = Vec<(u128, u32)>> {
    prop::collection::vec((prop::sample::select(vec![0, 1, 2, u128::MAX, 1 << 64, 5 << 64, (1 << 64) + 7, 9]), 0_u32..4), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_subset_gives_back_what_was_pushed_in_any_order(pushed in uids(), memory in 16_usize..400) {
        let (_dir, storage) = folder();
        write(&storage, "a.npy", &pushed, memory);
        write(&storage, "b.npy", &pushed.iter().rev().copied().collect::<Vec<_>>(), 1 << 20);
        prop_assert_eq!(run(storage.get("a.npy")).unwrap(), run(storage.get("b.npy")).unwrap());
        let subset = Subset::open(&storage.uri_of("a.npy")).unwrap();
        let expected = counts(&pushed);
        prop_assert_eq!(subset.counted().map(|(uid, copies)| (uid.0, copies)).collect::<BTreeMap<_, _>>(), expected.clone());
        prop_assert_eq!(subset.distinct() as usize, expected.len());
        for uid in [0, 1, 2, 3, u128::MAX, 1 << 64, 77] {
            prop_assert_eq!(subset.multiplicity(Uid128(uid)), expected.get(&uid).copied().unwrap_or(0));
        }
    }

    #[test]
    fn merging_is_what_sets_with_counts_do(a in uids(), b in uids(), c in uids()) {
        let (_dir, storage) = folder();
        let sets = [counts(&a), counts(&b), counts(&c)];
        let subsets: Vec<Subset> =
            sets.iter().map(|set| Subset::of_uids(set.iter().map(|(uid, copies)| (Uid128(*uid), *copies))).unwrap()).collect();
        let all: Vec<u128> = sets.iter().flat_map(|set| set.keys().copied()).collect();
        for operation in [SetOperation::Union, SetOperation::Intersection, SetOperation::Difference, SetOperation::Sum] {
            run(merge(operation, &subsets.iter().collect::<Vec<_>>(), &storage, "m.npy")).unwrap();
            let merged = Subset::open(&storage.uri_of("m.npy")).unwrap();
            for &uid in &all {
                let of = |at: usize| sets[at].get(&uid).copied().unwrap_or(0);
                let expected = match operation {
                    SetOperation::Union => of(0).max(of(1)).max(of(2)),
                    SetOperation::Intersection => of(0).min(of(1)).min(of(2)),
                    SetOperation::Difference => if of(1) + of(2) == 0 { of(0) } else { 0 },
                    SetOperation::Sum => of(0) + of(1) + of(2),
                };
                prop_assert_eq!(merged.multiplicity(Uid128(uid)), expected, "{:?} {}", operation, uid);
            }
        }
    }

    #[test]
    fn damage_never_panics(at in 0_usize..160, with in any::<u8>(), cut in 0_usize..160) {
        let (dir, storage) = folder();
        write(&storage, "a.npy", &[(1, 1), (2, 1)], 1 << 20);
        let path = dir.path().join("a.npy");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] = with;
        for bytes in [&bytes[..], &bytes[..cut]] {
            std::fs::write(&path, bytes).unwrap();
            let _ = Subset::open(path.to_str().unwrap());
        }
    }
}

/// Golden bytes of DataComp's own format: a header of 128 bytes, then 16 for each uid.
#[test]
fn the_file_is_datacomps() {
    let (_dir, storage) = folder();
    let uid: Uid128 = "139e4a9b22a614771f06c700a8ebe150".parse().unwrap();
    write(&storage, "a.npy", &[(uid.0, 2)], 1 << 20);
    let bytes = run(storage.get("a.npy")).unwrap().unwrap();
    assert_eq!(bytes.len(), 128 + 32);
    let pair = [0x77, 0x14, 0xa6, 0x22, 0x9b, 0x4a, 0x9e, 0x13, 0x50, 0xe1, 0xeb, 0xa8, 0x00, 0xc7, 0x06, 0x1f];
    assert_eq!(bytes[128..144], pair);
    assert_eq!(bytes[144..160], pair);
}

#[test]
fn every_format_says_the_same() {
    let (dir, storage) = folder();
    write(&storage, "a.npy", &[(7, 1), (3, 2)], 1 << 20);
    let bytes = std::fs::read(dir.path().join("a.npy")).unwrap();
    std::fs::write(dir.path().join("raw.memmap"), &bytes[128..]).unwrap();
    std::fs::write(dir.path().join("headerless.npy"), &bytes[128..]).unwrap();
    let text = "{'descr': '<u8', 'fortran_order': False, 'shape': (3, 2)}";
    let plain = [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &bytes[128..]].concat();
    std::fs::write(dir.path().join("plain.npy"), plain).unwrap();
    let text = format!("{}\r\n\n{}\n{}", Uid128(3), Uid128(7), Uid128(3));
    std::fs::write(dir.path().join("uids.txt"), &text).unwrap();
    std::fs::write(dir.path().join("uids"), &text).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("weight", Arc::new(Float32Array::from(vec![0.5, 1.0, 2.0]))),
        ("copies", Arc::new(Int64Array::from(vec![None, Some(2), Some(0)]))),
        ("uid", Arc::new(StringArray::from(vec![Uid128(7).to_string(), Uid128(3).to_string(), Uid128(9).to_string()]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut table = ArrowWriter::try_new(std::fs::File::create(dir.path().join("t.parquet")).unwrap(), batch.schema(), None).unwrap();
    table.write(&batch).unwrap();
    table.close().unwrap();
    for name in ["a.npy", "raw.memmap", "headerless.npy", "plain.npy", "uids.txt", "uids", "t.parquet"] {
        let subset = Subset::open(&storage.uri_of(name)).unwrap();
        assert_eq!(subset.counted().collect::<Vec<_>>(), [(Uid128(3), 2), (Uid128(7), 1)], "{name}");
        assert_eq!((subset.len(), subset.distinct(), subset.is_empty()), (3, 2, false), "{name}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let (dir, storage) = folder();
    let mut bytes = header::render(3);
    for uid in [1_u128, 5, 4] {
        bytes.extend(Uid128(uid).to_subset_bytes());
    }
    let said = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        Subset::open(&storage.uri_of(name)).unwrap_err().to_string()
    };
    let error = said("a.npy", &bytes);
    assert!(error.ends_with(&format!("is not sorted: `{}` at row 2 comes after `{}`", Uid128(4), Uid128(5))), "{error}");
    assert!(said("a.npy", &bytes[..bytes.len() - 8]).contains("3 uids make 48 bytes, there are 40"));
    assert!(said("u.txt", format!("{}\nnobody\n", Uid128(1)).as_bytes()).contains("line 2: `nobody` is no uid"));
    assert!(said("other.bin", b"neither of them").contains("is no subset"));
    assert!(Subset::open(&storage.uri_of("missing.npy")).unwrap_err().to_string().contains("missing.npy"));
}

#[test]
fn an_empty_subset_is_a_file() {
    let (_dir, storage) = folder();
    write(&storage, "a.npy", &[], 1 << 20);
    let subset = Subset::open(&storage.uri_of("a.npy")).unwrap();
    assert!(subset.is_empty());
    assert_eq!(subset.multiplicity(Uid128(0)), 0);
}
