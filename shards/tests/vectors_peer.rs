//! Vectors between this project and numpy, faiss and pyarrow, by `tests/peers/vectors_check.py`.
#![allow(clippy::print_stderr, reason = "a skipped check has to be seen")]

use std::path::Path;
use std::process::Command;

use trommel_shards::storage::Storage;
use trommel_shards::vectors::{
    Compression, NpyWriter, NpzWriter, Precision, Provenance, Rows, VectorColumn, VectorTableWriter, open_vectors,
};

const ROWS: usize = 50;

/// Runs the script; `false` when it is skipped.
fn script(verb: &str, folder: &Path) -> bool {
    let Some(python) = std::env::var_os("TROMMEL_PEER_PYTHON") else {
        eprintln!("SKIPPED: vectors_check.py {verb}: TROMMEL_PEER_PYTHON names no python");
        return false;
    };
    let script = Path::new("../tests/peers/vectors_check.py");
    let done = Command::new(python).arg(script).arg(verb).arg(folder).output().expect("the named python starts");
    let err = String::from_utf8_lossy(&done.stderr);
    if done.status.code() == Some(77) {
        eprintln!("{err}");
        return false;
    }
    assert!(done.status.success(), "{err}");
    true
}

fn components(dim: usize) -> Vec<f32> {
    (0..ROWS * dim).map(|at| ((at * 37 % 1021) as f32 - 500.0) / 64.0).collect()
}

#[test]
fn what_numpy_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    if !script("write", dir.path()) {
        return;
    }
    let open = |name: &str, key| open_vectors(dir.path().join(name).to_str().unwrap(), key, 7);
    let same = |name: &str, key, dim| {
        let data: Vec<f32> = open(name, key).unwrap().flat_map(|block| block.unwrap().data).collect();
        assert_eq!(data, components(dim), "{name}");
    };
    for precision in ["f2", "f4", "f8"] {
        same(&format!("{precision}.npy"), None, 5);
        same(&format!("{precision}_v2.npy"), None, 5);
        for kind in ["stored", "deflated"] {
            same(&format!("{kind}_{precision}.npz"), Some("b32_img"), 5);
            same(&format!("{kind}_{precision}.npz"), Some("l14_img"), 7);
        }
    }
    for (name, what) in [("fortran", "Fortran"), ("big", "big-endian"), ("object", "object")] {
        let error = open(&format!("{name}.npy"), None).err().unwrap().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[tokio::test]
async fn what_we_write_is_read_by_numpy_faiss_and_pyarrow() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
    let valid: Vec<bool> = (0..ROWS).map(|row| row != 3).collect();
    let (five, seven) = (components(5), components(7));
    let (five, seven) = (Rows::new(&five, 5, Some(&valid)).unwrap(), Rows::new(&seven, 7, Some(&valid)).unwrap());
    for (name, precision) in [("f2", Precision::F16), ("f4", Precision::F32)] {
        let mut npy = NpyWriter::create(&storage, &format!("{name}.npy"), 5, precision).unwrap();
        npy.append(five).unwrap();
        npy.finish().await.unwrap();
        for (kind, compression) in [("stored", Compression::Stored), ("deflated", Compression::Deflated)] {
            let keys = [("b32_img", 5), ("l14_img", 7)];
            let mut npz = NpzWriter::create(&storage, &format!("{kind}_{name}.npz"), &keys, precision, compression).unwrap();
            npz.append("b32_img", five).unwrap();
            npz.append("l14_img", seven).unwrap();
            npz.finish().await.unwrap();
        }
    }
    let provenance = Some(Provenance { model: "tiny".into(), ..Provenance::default() });
    let column = VectorColumn { name: "tiny".into(), dim: 5, precision: Precision::F16, provenance };
    let mut table = VectorTableWriter::create(&storage, "v.parquet", &[column]).await.unwrap();
    let uids: Vec<String> = (0..ROWS).map(|row| format!("{row:032x}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    table.append(&uids, &[None; ROWS], &[five]).await.unwrap();
    table.finish().await.unwrap();
    script("read", dir.path());
}
