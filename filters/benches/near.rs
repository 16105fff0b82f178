//! Near-duplicates at scale.
//!
//! `cargo bench -p trommel-filters --no-default-features --bench near -- hamming ROWS [MEMORY_MB] [METHOD]` groups random 256-bit codes, a tenth of
//! which are copies of another with 0 to 31 bits flipped, and prints rows, seconds, the peak of resident memory, pairs found and planted.
//! `-- phash ROWS` does the same with 64-bit codes and up to 8 flips. `-- crowd ROWS` groups so many nearly identical codes. `-- minhash TEXTS` makes
//! signatures of captions and groups them. `-- write-codes ROWS FILE` and `-- write-texts TEXTS FILE` write the same input for
//! `tests/bench/near_faiss.py` and `tests/bench/near_datasketch.py`.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use trommel_filters::near::components::DisjointSet;
use trommel_filters::near::hamming::{Codes, Method, Options, group};
use trommel_filters::near::minhash::{self, GroupOptions, MinHasher, Scratch, group_texts};

/// SplitMix64's finaliser over a counter.
fn mix(seed: u64, k: u64) -> u64 {
    let mut z = seed ^ k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Of every ten codes the last is a copy of one of the nine, `row % (most + 1)` bits flipped.
fn codes<const W: usize>(rows: u64, most: u64) -> Vec<[u64; W]> {
    let fresh = |row: u64| -> [u64; W] { std::array::from_fn(|w| mix(row, w as u64)) };
    (0..rows)
        .map(|row| {
            let Some((of, flips)) = planted(row, most) else { return fresh(row) };
            let mut code = fresh(of);
            let (mut k, mut left) = (0, flips);
            let mut done = [0_u64; W];
            while left > 0 {
                let at = (mix(row ^ 0xabc, k) % (64 * W as u64)) as usize;
                k += 1;
                if done[at / 64] >> (at % 64) & 1 == 0 {
                    done[at / 64] |= 1 << (at % 64);
                    code[at / 64] ^= 1 << (at % 64);
                    left -= 1;
                }
            }
            code
        })
        .collect()
}

/// The row that this row copies, and how many bits differ.
fn planted(row: u64, most: u64) -> Option<(u64, u64)> {
    (row % 10 == 9).then(|| {
        let of = row - 1 - mix(row, 99) % 9;
        (of, (row / 10) % (most + 1))
    })
}

fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn hamming<const W: usize>(rows: u64, most: u64, memory_mb: u64, method: Method) -> Result<(), Box<dyn Error>> {
    let codes = codes::<W>(rows, most);
    let threads = 2;
    let options = Options { threads, memory_bytes: memory_mb << 20, method, ..Options::new(most as u32) };
    let groups = DisjointSet::<u32>::new(codes.len())?;
    let start = Instant::now();
    let report = group(&Codes::of(&codes), &options, &groups, |_| true)?;
    let seconds = start.elapsed().as_secs_f64();
    let (mut found, mut planted_pairs) = (vec![0_u64; most as usize + 1], vec![0_u64; most as usize + 1]);
    for row in 0..rows {
        if let Some((of, flips)) = planted(row, most) {
            planted_pairs[flips as usize] += 1;
            found[flips as usize] += u64::from(groups.same(row as u32, of as u32));
        }
    }
    let sum = |counts: &[u64]| counts.iter().sum::<u64>();
    println!(
        "{rows} codes of {} bits within {most}: {seconds:.2} s on {threads} threads, {:.2} M codes/s, peak RSS {:.0} MB (codes {} MB)",
        64 * W,
        rows as f64 / seconds / 1e6,
        peak_rss_mb(),
        (rows * 8 * W as u64) >> 20
    );
    let plan = &report.plan;
    println!(
        "  {} tables of {:?} bits, radius {:?}, exact {}; estimated {:.1} core seconds; stated recall at {most}: {:.4}",
        plan.tables,
        plan.key_bits,
        plan.key_radius,
        plan.exact,
        plan.estimated_core_seconds,
        plan.recall.last().map_or(f64::NAN, |at| at.recall)
    );
    println!(
        "  planted {} found {} ({:.5}); at distance {most}: {:.4}, at {}: {:.4}; asked {}, accepted {}, crowds {}, capped {}",
        sum(&planted_pairs),
        sum(&found),
        sum(&found) as f64 / sum(&planted_pairs) as f64,
        found[most as usize] as f64 / planted_pairs[most as usize] as f64,
        most / 2,
        found[most as usize / 2] as f64 / planted_pairs[most as usize / 2] as f64,
        report.asked,
        report.accepted,
        report.crowds,
        report.capped_pairs
    );
    Ok(())
}

/// Codes that differ from one logo in up to 11 bits.
fn crowd(rows: u64) -> Result<(), Box<dyn Error>> {
    let codes: Vec<[u64; 4]> = (0..rows)
        .map(|row| {
            let mut code: [u64; 4] = std::array::from_fn(|w| mix(7, w as u64));
            for k in 0..row % 12 {
                let at = mix(row, k) % 256;
                code[at as usize / 64] ^= 1 << (at % 64);
            }
            code
        })
        .collect();
    for (name, refuses) in [("accepted", false), ("three of four refused", true)] {
        for method in [Method::Auto, Method::Sampled] {
            let groups = DisjointSet::<u32>::new(codes.len())?;
            let start = Instant::now();
            let options = Options { threads: 2, method, ..Options::new(31) };
            let report = group(&Codes::of(&codes), &options, &groups, |pair| !refuses || (pair.a.row ^ pair.b.row).is_multiple_of(4))?;
            let mut labels = groups.labels();
            labels.sort_unstable();
            labels.dedup();
            println!(
                "{rows} nearly identical codes, {name}, {method:?}: {:.2} s, {} groups, asked {}, identical {}, crowds {}, capped {}",
                start.elapsed().as_secs_f64(),
                labels.len(),
                report.asked,
                report.identical,
                report.crowds,
                report.capped_pairs
            );
        }
    }
    Ok(())
}

/// Captions of 6 to 18 words; every fourth is a copy of an earlier one with one word changed.
fn texts(count: u64) -> Vec<String> {
    let word = |draw: u64| {
        // Word lengths of 2 to 9 letters, some words far more frequent than others.
        let rank = ((draw >> 32) as f64 / f64::from(u32::MAX)).powi(3);
        let id = (rank * 20_000.0) as u64;
        (0..2 + mix(id, 1) % 8).map(|k| (b'a' + (mix(id, 2 + k) % 26) as u8) as char).collect::<String>()
    };
    let words = |row: u64| (0..6 + mix(row, 500) % 13).map(|k| word(mix(row, k))).collect::<Vec<_>>();
    (0..count)
        .map(|row| {
            if row % 4 != 3 {
                return words(row).join(" ");
            }
            let mut copy = words(row - 1 - mix(row, 600) % 3);
            let at = (mix(row, 601) % copy.len() as u64) as usize;
            copy[at] = word(mix(row, 602));
            copy.join(" ")
        })
        .collect()
}

fn minhash(count: u64) -> Result<(), Box<dyn Error>> {
    let texts = texts(count);
    for (name, options) in [
        ("captions (5 characters, 16 x 6)", minhash::Options::captions()),
        ("128 permutations (5 characters, 16 x 8)", minhash::Options { rows: 8, ..minhash::Options::captions() }),
        ("words (3 words, 20 x 4)", minhash::Options::words()),
        ("datatrove (5 words, 14 x 8)", minhash::Options::datatrove()),
    ] {
        let hasher = MinHasher::new(options)?;
        let mut scratch = Scratch::default();
        let start = Instant::now();
        let (mut sum, mut shingles) = (0, 0);
        for text in &texts {
            if let Some(signature) = hasher.signature(text, &mut scratch) {
                sum ^= signature[0];
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        texts.iter().take(10_000).for_each(|text| shingles += hasher.shingles(text, &mut scratch).len());
        println!(
            "{name}: signatures on one thread {:.0} texts/s ({:.1} shingles a text, check {sum:x})",
            count as f64 / seconds,
            shingles as f64 / texts.len().min(10_000) as f64
        );
        let groups = DisjointSet::<u32>::new(texts.len())?;
        let start = Instant::now();
        let options = GroupOptions { min_jaccard: Some(0.5), threads: 2, memory_bytes: 256 << 20, folder: None };
        let report = group_texts(&hasher, texts.len(), |row| texts[row].as_str().into(), &options, &groups)?;
        let found = (0..count).filter(|row| row % 4 == 3 && groups.same(*row as u32, (row - 1 - mix(*row, 600) % 3) as u32)).count();
        println!(
            "  groups on two threads {:.0} texts/s, peak RSS {:.0} MB, {found} of {} copies; {:?}",
            count as f64 / start.elapsed().as_secs_f64(),
            peak_rss_mb(),
            count / 4,
            report.buckets
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |at: usize, default: u64| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let method = match args.get(3).map(String::as_str) {
        Some("exact") => Method::Exact,
        Some("sampled") => Method::Sampled,
        _ => Method::Auto,
    };
    match args.first().map(String::as_str) {
        Some("phash") => hamming::<1>(number(1, 1_000_000), 8, number(2, 1400), method),
        Some("crowd") => crowd(number(1, 1_000_000)),
        Some("minhash") => minhash(number(1, 200_000)),
        Some("write-texts") => {
            let mut out = std::io::BufWriter::new(std::fs::File::create(args.get(2).ok_or("a file")?)?);
            for text in texts(number(1, 200_000)) {
                writeln!(out, "{text}")?;
            }
            Ok(out.flush()?)
        }
        Some("write-codes") => {
            let mut out = std::io::BufWriter::new(std::fs::File::create(args.get(2).ok_or("a file")?)?);
            for code in codes::<4>(number(1, 1_000_000), 31) {
                for word in code {
                    out.write_all(&word.to_le_bytes())?;
                }
            }
            Ok(out.flush()?)
        }
        Some("hamming") | None => hamming::<4>(number(1, 1_000_000), 31, number(2, 1400), method),
        Some(other) => Err(format!("no mode `{other}`").into()),
    }
}
