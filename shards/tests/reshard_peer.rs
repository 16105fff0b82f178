//! Subset files against numpy, and resharded tars against webdataset, by `tests/peers/subset_check.py` and `reshard_check.py`.
#![allow(clippy::print_stderr, reason = "a skipped check has to be seen")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use trommel_shards::reshard::{InputShard, Order, Reshard, ReshardOptions, Sizes};
use trommel_shards::source::expand;
use trommel_shards::storage::Storage;
use trommel_shards::subset::{Subset, SubsetWriter, Uid128};
use trommel_shards::tar::TarWriter;

/// Runs a script; `false` when it is skipped.
fn script(name: &str, arguments: &[&Path]) -> bool {
    let Some(python) = std::env::var_os("TROMMEL_PEER_PYTHON") else {
        eprintln!("SKIPPED: {name}: TROMMEL_PEER_PYTHON names no python");
        return false;
    };
    let script = Path::new("../tests/peers").join(name);
    let done = Command::new(python).arg(script).args(arguments).output().expect("the named python starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    true
}

fn uid(number: u128) -> Uid128 {
    Uid128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Every uid so often: some never, some several times.
fn copies(number: u128) -> u32 {
    (number % 4) as u32
}

#[tokio::test]
async fn numpy_and_ours_write_the_same_subset() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
    let mut writer = SubsetWriter::create(&storage, "ours.npy");
    let mut text = String::new();
    for number in (0..1000).rev() {
        writer.push(uid(number), copies(number)).unwrap();
        text.push_str(&format!("{}\n", uid(number)).repeat(copies(number) as usize));
    }
    writer.finish().await.unwrap();
    storage.put("uids.txt", text).await.unwrap();
    if script("subset_check.py", &[Path::new("check"), dir.path()]) && script("subset_check.py", &[Path::new("write"), dir.path()]) {
        for name in ["numpy.npy", "plain.npy", "raw.memmap", "uids.txt", "ours.npy"] {
            let subset = Subset::open(&storage.uri_of(name)).unwrap();
            assert_eq!((subset.len(), subset.distinct()), (1500, 750), "{name}");
            assert!((0..1000).all(|number| subset.multiplicity(uid(number)) == copies(number)), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webdataset_reads_the_subset_as_often_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let root = Storage::open(dir.path().to_str().unwrap()).unwrap();
    for shard in 0..3_u128 {
        let mut tar = TarWriter::new();
        for row in 0..40 {
            let number = shard * 40 + row;
            // No picture at all: whoever looks at it fails.
            tar.append(&format!("{number:05}.jpg"), format!("undecodable {number} ").repeat(200).as_bytes()).unwrap();
            tar.append(&format!("{number:05}.json"), format!("{{\"uid\": \"{}\"}}", uid(number)).as_bytes()).unwrap();
            tar.append(&format!("{number:05}.txt"), b"caption").unwrap();
        }
        root.put(&format!("in/{shard:05}.tar"), tar.finish()).await.unwrap();
    }
    let mut writer = SubsetWriter::create(&root, "subset.npy");
    for number in 20..200 {
        writer.push(uid(number), copies(number)).unwrap();
    }
    writer.finish().await.unwrap();
    for (name, order) in [("input", Order::Input), ("shuffled", Order::Shuffled { seed: 9 })] {
        let subset = Arc::new(Subset::open(&root.uri_of("subset.npy")).unwrap());
        let inputs = InputShard::among(&expand(&root.uri_of("in")).await.unwrap());
        let options = ReshardOptions { order, sizes: Sizes::Exact(32), ..ReshardOptions::datacomp() };
        let plan = Reshard::plan(inputs, Some(subset), options).await.unwrap();
        let output = Storage::open(dir.path().join(name).to_str().unwrap()).unwrap();
        for shard in 0..plan.shards() {
            plan.write_shard(shard, &output).await.unwrap();
        }
        plan.write_datacomp_files(&output).await.unwrap();
        assert_eq!(plan.counts().copies, 150);
        let path = |name: &str| dir.path().join(name);
        script("reshard_check.py", &[&path("in"), &path(name), &path("subset.npy")]);
    }
}
