//! Extraction from a generated WAT: libdeflate alone, ours, and cc2dataset where `TROMMEL_PEER_PYTHON` names a python with it.
//!
//! `cargo bench -p trommel --bench extract` or, for the whole table, `make bench`. One thread; the best of three rounds each.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures and stops at the first surprise")]

use std::io::Write;
use std::time::Instant;

use trommel::crawl::extract::generate::{GenerateWat, generate_wat};
use trommel::crawl::extract::{Candidate, CandidateKind, Compat, ExtractOptions, Types, extract_archive};

const ROUNDS: usize = 3;

/// The best of some rounds: seconds, and what the last one gave.
fn best<T>(mut round: impl FnMut() -> T) -> (f64, T) {
    let mut seconds = f64::INFINITY;
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        last = Some(round());
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    (seconds, last.unwrap())
}

fn inflate(bytes: &[u8], members: &[u64]) -> usize {
    let mut decompressor = libdeflater::Decompressor::new();
    let mut out = Vec::new();
    let mut total = 0;
    for (at, &start) in members.iter().enumerate() {
        let end = members.get(at + 1).map_or(bytes.len(), |&end| end as usize);
        let member = &bytes[start as usize..end];
        let length = u32::from_le_bytes(member[member.len() - 4..].try_into().unwrap()) as usize;
        out.resize(length, 0);
        total += decompressor.gzip_decompress(member, &mut out).unwrap();
    }
    total
}

/// The JSON of every record.
fn bodies(bytes: &[u8], members: &[u64]) -> Vec<Vec<u8>> {
    let mut decompressor = libdeflater::Decompressor::new();
    let mut all = Vec::new();
    for (at, &start) in members.iter().enumerate() {
        let end = members.get(at + 1).map_or(bytes.len(), |&end| end as usize);
        let member = &bytes[start as usize..end];
        let mut out = vec![0; u32::from_le_bytes(member[member.len() - 4..].try_into().unwrap()) as usize];
        decompressor.gzip_decompress(member, &mut out).unwrap();
        all.extend(out.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{")).map(|line| line.trim_ascii_end().to_vec()));
    }
    all
}

/// `BENCH_WAT_FILE`: records of a real crawl, gzipped one by one, repeated up to the wanted size.
fn repeated(file: &str, wanted: u64) -> (Vec<u8>, u64, Vec<u64>) {
    let once = std::fs::read(file).unwrap();
    let (mut members, mut raw, mut rest) = (Vec::new(), 0_u64, &once[..]);
    while !rest.is_empty() {
        members.push((once.len() - rest.len()) as u64);
        let mut member = flate2::bufread::GzDecoder::new(rest);
        raw += std::io::copy(&mut member, &mut std::io::sink()).unwrap();
        rest = member.into_inner();
    }
    let times = (wanted / raw).max(1);
    let length = once.len() as u64;
    let all = (0..times).flat_map(|time| members.iter().map(move |member| member + time * length)).collect();
    (once.repeat(times as usize), raw * times, all)
}

fn main() {
    let megabytes: u64 = std::env::var("BENCH_WAT_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let (bytes, raw, members) = match std::env::var("BENCH_WAT_FILE") {
        Ok(file) => repeated(&file, megabytes << 20),
        Err(_) => {
            let mut bytes = Vec::new();
            let what = GenerateWat { raw_bytes: megabytes << 20, seed: 0, broken: false, gzip: true };
            let (raw, members) = generate_wat(&mut bytes, what).unwrap();
            (bytes, raw, members)
        }
    };
    let mb = raw as f64 / 1e6;
    let (seconds, inflated) = best(|| inflate(&bytes, &members));
    assert_eq!(inflated as u64, raw, "the limit inflates all");
    println!("{:<34} {:>8.0} MB/s", "libdeflate alone (the limit)", mb / seconds);
    // What a general JSON parser would cost in place of our walk: its tape alone, without reading anything from it.
    let texts = bodies(&bytes, &members);
    let (tape, records) = best(|| {
        let mut buffers = simd_json::Buffers::default();
        let mut text = Vec::new();
        texts
            .iter()
            .filter(|body| {
                text.clone_from(body);
                simd_json::to_tape_with_buffers(&mut text, &mut buffers).is_ok()
            })
            .count()
    });
    println!("{:<34} {:>8.0} MB/s   ({records} records)", "inflate + simd-json's tape", mb / (seconds + tape));
    drop(texts);
    let mut ours = Vec::new();
    for (name, kind) in [("image", CandidateKind::Image), ("image_only", CandidateKind::ImageOnly)] {
        for (mode, compat) in [("compat", Some(Compat::Cc2dataset)), ("web", None)] {
            let options = ExtractOptions { types: Types::NONE.with(kind), compat, ..ExtractOptions::default() };
            let (seconds, rows) = best(|| {
                let mut rows = 0_u64;
                let mut sink = |_: &Candidate<'_>| rows += 1;
                extract_archive(Box::new(std::io::Cursor::new(bytes.clone())), "bench.wat.gz", &options, &mut sink).unwrap();
                rows
            });
            println!("{:<34} {:>8.0} MB/s {:>12.0} rows/s", format!("ours, {name}, {mode}"), mb / seconds, rows as f64 / seconds);
            if compat.is_some() {
                ours.push((name, rows as f64 / seconds));
            }
        }
    }
    let Some(python) = std::env::var_os("TROMMEL_PEER_PYTHON").filter(|python| std::path::Path::new(python).exists()) else {
        println!("SKIPPED: cc2dataset (TROMMEL_PEER_PYTHON names no python)");
        return;
    };
    let mut file = tempfile::Builder::new().suffix(".wat.gz").tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    for (name, rate) in ours {
        let script = format!(
            "import sys, time\ntry:\n    from loguru import logger; logger.remove()\nexcept ImportError: pass\nfrom cc2dataset import process_wat\nbest = 1e9\n\
             for _ in range({ROUNDS}):\n    t = time.perf_counter(); n = sum(1 for _ in process_wat(sys.argv[1], '{name}')); best = min(best, time.perf_counter() - t)\nprint(n / best)\n"
        );
        let output = std::process::Command::new(&python).arg("-c").arg(script).arg(file.path()).output().unwrap();
        let peer: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(f64::NAN);
        println!("{:<34} {:>8} {:>17.0} rows/s   ours is {:.1} times that", format!("cc2dataset, {name}"), "", peer, rate / peer);
    }
}
