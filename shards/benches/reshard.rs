//! Resharding on local disk: shards and a subset of 60 % in, shards of exact size out; beside it `cp` of the same bytes, which
//! is the limit, and DataComp's way in Python, when `TROMMEL_PEER_PYTHON` names a Python that has webdataset and simdjson.
//!
//! `cargo bench -p trommel-shards --bench reshard`; `RESHARD_SHARDS`, `RESHARD_BYTES` and `RESHARD_ROUNDS` change the size.
//! Ours hashes what it writes and ends with every file durable (`fsync`); `cp` and the peer do not, so `cp` with `sync` stands
//! beside it. Wall time is that of this disk (`TMPDIR=/dev/shm` leaves the disk out) and of what else the machine does;
//! processor time, of this process and of those that it started, is steadier.
#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]
#![allow(clippy::unwrap_used, reason = "a bench may stop on the first surprise")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use trommel_shards::reshard::{InputShard, Order, Reshard, ReshardOptions, Sizes};
use trommel_shards::storage::Storage;
use trommel_shards::subset::{Subset, SubsetWriter, Uid128};
use trommel_shards::tar::TarWriter;

/// The peer: its own loop without its processes, imports included.
const PEER: &str = "datacomp's way, 1 process";
/// Samples of an input shard.
const SAMPLES: u64 = 1000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn uid(number: u64) -> Uid128 {
    let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uid128::from_pair(high ^ (high >> 31), number)
}

fn main() {
    let (shards, bytes, rounds) = (setting("RESHARD_SHARDS", 40), setting("RESHARD_BYTES", 50_000) as usize, setting("RESHARD_ROUNDS", 3));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let input = Storage::open(folder.path().join("in").to_str().unwrap()).unwrap();
    let total = shards * SAMPLES;
    runtime.block_on(make(&input, shards, bytes));
    let subset = runtime.block_on(async {
        let storage = Storage::open(folder.path().to_str().unwrap()).unwrap();
        let mut writer = SubsetWriter::create(&storage, "subset.npy");
        for number in (0..total).filter(|number| number * 7 % 10 < 6) {
            writer.push(uid(number), 1).unwrap();
        }
        writer.finish().await.unwrap();
        Arc::new(Subset::open(&storage.uri_of("subset.npy")).unwrap())
    });
    let size = shards * std::fs::metadata(folder.path().join("in/00000000.tar")).unwrap().len();
    println!("{shards} shards of {SAMPLES} samples, {bytes} bytes each, {} MB; subset of {} samples", size / 1_000_000, subset.len());
    println!(
        "{:<34} {:>9} {:>12} {:>10} {:>9} {:>14} {:>12}",
        "", "seconds", "samples/s", "MB/s out", "cpu s", "samples/cpu s", "MB/cpu s"
    );
    for round in 0..rounds {
        let mut out = 0;
        for (name, order, threads) in [
            ("ours, input order, 2 threads", Order::Input, 2),
            ("ours, input order, 1 thread", Order::Input, 1),
            ("ours, shuffled, 2 threads", Order::Shuffled { seed: 1 }, 2),
        ] {
            let started = Clock::start();
            let (plan, written) = runtime.block_on(ours(folder.path(), &input, Arc::clone(&subset), order, threads, shards));
            out = written;
            started.report(name, total, written);
            std::fs::remove_dir_all(folder.path().join("out")).unwrap();
            println!("{:<34} {plan:>9.3}", "  of which the plan");
        }
        if round == 0 {
            let started = Clock::start();
            if let Some(written) = peer(folder.path(), PEER) {
                started.report(PEER, total, written);
            }
            let _ = std::fs::remove_dir_all(folder.path().join("peer"));
        }
        // As many bytes as were written, file by file.
        let files = (out * shards / size).clamp(1, shards);
        for (name, with_sync) in [("cp of as many bytes", false), ("cp of as many bytes, fsync", true)] {
            let to = folder.path().join("cp");
            std::fs::create_dir_all(&to).unwrap();
            let started = Clock::start();
            let mut copied = 0;
            for number in 0..files {
                let (from, to) = (folder.path().join(format!("in/{number:08}.tar")), to.join(format!("{number:08}.tar")));
                assert!(Command::new("cp").arg(&from).arg(&to).status().unwrap().success());
                if with_sync {
                    assert!(Command::new("sync").arg(&to).status().unwrap().success());
                }
                copied += std::fs::metadata(&to).unwrap().len();
            }
            started.report(name, total * copied / size, copied);
            std::fs::remove_dir_all(&to).unwrap();
        }
    }
}

/// Wall and processor time from here on.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self { cpu: cpu(), wall: Instant::now() }
    }

    fn report(self, name: &str, samples: u64, bytes: u64) {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), cpu() - self.cpu);
        let (samples, megabytes) = (samples as f64, bytes as f64 / 1e6);
        let (per_wall, per_cpu) = (samples / wall, samples / cpu);
        println!("{name:<34} {wall:>9.3} {per_wall:>12.0} {:>10.0} {cpu:>9.3} {per_cpu:>14.0} {:>12.0}", megabytes / wall, megabytes / cpu);
    }
}

/// Processor seconds of this process and of those that it started and that have ended.
fn cpu() -> f64 {
    let of = |who| {
        // SAFETY: all-zero bytes are a valid `rusage`, which the call only writes to.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live `rusage`.
        assert_eq!(unsafe { libc::getrusage(who, &raw mut usage) }, 0);
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

/// Shards as img2dataset leaves them for DataComp, without tables: `jpg`, `json` with a uid, `txt`.
async fn make(input: &Storage, shards: u64, bytes: usize) {
    for shard in 0..shards {
        let mut tar = TarWriter::new();
        for row in 0..SAMPLES {
            let number = shard * SAMPLES + row;
            let key = format!("{number:012}");
            let picture: Vec<u8> = (0..bytes as u64).map(|at| ((at ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
            let url = format!("https://images.example/{number}.jpg");
            let meta = serde_json::json!({
                "uid": uid(number).to_string(), "face_bboxes": [], "caption": "a picture of something that was somewhere", "url": url,
                "key": key, "status": "success", "error_message": null, "width": 512, "height": 384, "original_width": 1024,
                "original_height": 768, "exif": "{\"Image Orientation\": \"Horizontal (normal)\"}", "sha256": "0".repeat(64),
            });
            tar.append(&format!("{key}.jpg"), &picture).unwrap();
            tar.append(&format!("{key}.json"), serde_json::to_string_pretty(&meta).unwrap().as_bytes()).unwrap();
            tar.append(&format!("{key}.txt"), b"a picture of something that was somewhere").unwrap();
        }
        input.put(&format!("{shard:08}.tar"), tar.finish()).await.unwrap();
        input.put(&format!("{shard:08}_stats.json"), format!("{{\"successes\": {SAMPLES}}}")).await.unwrap();
    }
}

/// Plans and writes all; gives the seconds of the plan and the bytes that were written.
async fn ours(folder: &Path, input: &Storage, subset: Arc<Subset>, order: Order, threads: usize, shards: u64) -> (f64, u64) {
    use futures::StreamExt;
    let to = folder.join("out");
    let storage = Storage::open(to.to_str().unwrap()).unwrap();
    let inputs = (0..shards).map(|shard| InputShard::named(&input.uri_of(&format!("{shard:08}.tar")))).collect();
    let options = ReshardOptions { order, sizes: Sizes::Exact(1000), threads, ..ReshardOptions::datacomp() };
    let started = Instant::now();
    let plan = Reshard::plan(inputs, Some(subset), options).await.unwrap();
    let planned = started.elapsed().as_secs_f64();
    assert!(plan.failures().is_empty());
    let written: Vec<_> = futures::stream::iter(0..plan.shards())
        .map(|shard| plan.write_shard(shard, &storage))
        .buffer_unordered(threads)
        .map(|written| written.unwrap().outputs.iter().map(|(_, file)| file.bytes).sum::<u64>())
        .collect()
        .await;
    plan.write_datacomp_files(&storage).await.unwrap();
    (planned, written.iter().sum())
}

/// The bytes that the peer has written; `None` when it cannot run.
fn peer(folder: &Path, name: &str) -> Option<u64> {
    let Some(python) = std::env::var_os("TROMMEL_PEER_PYTHON") else {
        println!("{name:<34} SKIPPED: TROMMEL_PEER_PYTHON names no python");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/reshard_datacomp.py");
    let to = folder.join("peer");
    let done = Command::new(python).arg(script).arg(folder.join("in")).arg(folder.join("subset.npy")).arg(&to).output().unwrap();
    if !done.status.success() {
        println!("{name:<34} SKIPPED: {}", String::from_utf8_lossy(&done.stderr));
        return None;
    }
    Some(std::fs::read_dir(&to).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum())
}
