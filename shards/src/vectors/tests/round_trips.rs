use proptest::prelude::*;

use super::make::{all, components, folder};
use crate::vectors::{Compression, NpyWriter, NpzWriter, Precision, Rows, npz_keys, open_vectors};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn an_npy_gives_back_what_was_written(rows in 0_usize..70, dim in 1_usize..20, half: bool, block in 1_usize..40, holes: u64) {
        let (storage, _dir) = folder();
        let precision = if half { Precision::F16 } else { Precision::F32 };
        let data = components(rows, dim);
        let valid: Vec<bool> = (0..rows).map(|row| holes >> (row % 64) & 1 == 0).collect();
        let mut npy = NpyWriter::create(&storage, "a.npy", dim, precision).unwrap();
        for (data, valid) in data.chunks(7 * dim).zip(valid.chunks(7)) {
            npy.append(Rows::new(data, dim, Some(valid)).unwrap()).unwrap();
        }
        prop_assert_eq!(npy.rows(), rows as u64);
        run(npy.finish()).unwrap();
        let reader = open_vectors(&storage.uri_of("a.npy"), None, block).unwrap();
        prop_assert_eq!((reader.precision(), reader.dim()), (precision, dim));
        let read = all(Ok(reader)).unwrap();
        prop_assert_eq!(read.valid.unwrap_or(vec![true; rows]), valid.clone());
        for row in (0..rows).filter(|&row| valid[row]) {
            prop_assert_eq!(&read.data[row * dim..][..dim], &data[row * dim..][..dim]);
        }
    }

    #[test]
    fn an_npz_gives_back_what_was_written(rows in 0_usize..60, dims in prop::collection::vec(1_usize..12, 1..5), deflated: bool, half: bool, wide in prop::sample::select(vec![0_u64, 300, u64::MAX])) {
        let (storage, _dir) = folder();
        let precision = if half { Precision::F16 } else { Precision::F32 };
        let compression = if deflated { Compression::Deflated } else { Compression::Stored };
        let names: Vec<String> = (0..dims.len()).map(|at| format!("key_{at}")).collect();
        let keys: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(dims.iter().copied()).collect();
        let mut npz = NpzWriter::create(&storage, "a.npz", &keys, precision, compression).unwrap().wide_from(wide);
        for &(key, dim) in &keys {
            npz.append(key, Rows::new(&components(rows, dim), dim, None).unwrap()).unwrap();
        }
        run(npz.finish()).unwrap();
        prop_assert_eq!(npz_keys(&storage.uri_of("a.npz")).unwrap(), names.clone());
        for &(key, dim) in &keys {
            let read = all(open_vectors(&storage.uri_of("a.npz"), Some(key), 17)).unwrap();
            prop_assert_eq!((read.rows, read.valid), (rows, None));
            prop_assert_eq!(read.data, components(rows, dim));
        }
    }
}

#[test]
fn the_same_vectors_give_the_same_bytes() {
    let write = || {
        let (storage, dir) = folder();
        let mut npz = NpzWriter::create(&storage, "a.npz", &[("b32_img", 8)], Precision::F16, Compression::Deflated).unwrap();
        npz.append("b32_img", Rows::new(&components(5, 8), 8, None).unwrap()).unwrap();
        run(npz.finish()).unwrap();
        std::fs::read(dir.path().join("a.npz")).unwrap()
    };
    assert_eq!(write(), write());
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let (storage, dir) = folder();
    assert!(NpyWriter::create(&storage, "a.npy", 0, Precision::F32).is_err());
    let mut npy = NpyWriter::create(&storage, "a.npy", 2, Precision::F16).unwrap();
    let error = npy.append(Rows::new(&[1.0, 2.0, 3.0, 1e6], 2, None).unwrap()).unwrap_err().to_string();
    assert!(error.contains("a.npy`: row 1: component 1 is 1000000, no finite float16"), "{error}");
    let error = npy.append(Rows::new(&[1.0], 1, None).unwrap()).unwrap_err().to_string();
    assert!(error.contains("vectors of 1 components for a file of 2"), "{error}");
    drop(npy);
    for keys in [[("a", 1), ("a", 1)], [("../a", 1), ("b", 1)], [("", 1), ("b", 1)]] {
        assert!(NpzWriter::create(&storage, "a.npz", &keys, Precision::F32, Compression::Stored).is_err());
    }
    let mut npz = NpzWriter::create(&storage, "a.npz", &[("img", 1), ("txt", 1)], Precision::F32, Compression::Stored).unwrap();
    let error = npz.append("text", Rows::new(&[1.0], 1, None).unwrap()).unwrap_err().to_string();
    assert!(error.contains("did you mean `txt`?"), "{error}");
    npz.append("img", Rows::new(&[1.0], 1, None).unwrap()).unwrap();
    assert!(run(npz.finish()).unwrap_err().to_string().contains("`img` has 1 rows and `txt` has 0"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
