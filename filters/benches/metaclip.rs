//! Megabytes of captions per second and core that are matched against 500 000 entries; MetaCLIP's own way with
//! `pyahocorasick` beside it in the same run.
//!
//! `cargo bench -p trommel-filters --no-default-features --bench metaclip [-- MEGABYTES]` (default 240). `TROMMEL_PEER_PYTHON`
//! names a python with `pyahocorasick`; it gets the entries and the first captions as files, and the sums of matches must
//! agree. Captions and entries are generated: Zipf's law over made-up words, entries in the proportions of MetaCLIP's list.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used, reason = "a bench may stop")]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use trommel_filters::concepts::{Borders, Entries, Matcher, Scratch};

/// Captions that the peer is given, in bytes: it takes about a second for them.
const PEER_BYTES: usize = 12_000_000;

struct Draws(u64);

impl Draws {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// A rank from 0 with probability about 1 / (rank + 1): Zipf's law with exponent 1.
    fn zipf(&mut self, n: usize) -> usize {
        (((n + 1) as f64).powf(self.unit()) as usize - 1).min(n - 1)
    }

    /// The rank of a word in running text: exponent 1 among the first 8 000, exponent 2 beyond, as Ferrer i Cancho and Solé (2001)
    /// found in a large corpus of English. One word in eleven is beyond.
    fn rank(&mut self, n: usize) -> usize {
        const COMMON: usize = 8000;
        if self.below(11) > 0 {
            return self.zipf(COMMON.min(n));
        }
        let tail = 1.0 - self.unit() * (1.0 - COMMON as f64 / n as f64);
        ((COMMON as f64 / tail) as usize).min(n - 1)
    }
}

/// Made-up words, the frequent ones short as in every language. One in twelve is not ASCII.
fn vocabulary(count: usize, draws: &mut Draws) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut words = Vec::with_capacity(count);
    while words.len() < count {
        let typical = 1.0 + (words.len() as f64 + 2.0).log2() / 2.6;
        let len = (typical * (0.6 + 0.8 * draws.unit())).round().max(1.0) as usize;
        let mut word: String = (0..len).map(|_| char::from(b"etaoinshrdlucmfwypvbgkjqxz"[draws.zipf(26)])).collect();
        if draws.below(12) == 0 {
            word.push(['é', 'ü', 'ñ', 'ж', '日'][draws.below(5)]);
        }
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

/// 500 000 entries: single words, pairs, and titles of two to five words (WordNet and Wikipedia hold about so many of each).
fn entries(words: &[String], draws: &mut Draws) -> Entries {
    let mut list: Vec<String> = words[..300_000].to_vec();
    let several = |draws: &mut Draws, len: usize| (0..len).map(|_| words[draws.zipf(words.len())].as_str()).collect::<Vec<_>>().join(" ");
    let mut seen: std::collections::HashSet<String> = list.iter().cloned().collect();
    while list.len() < 500_000 {
        let len = if list.len() < 430_000 { 2 } else { 2 + draws.below(4) };
        let entry = several(draws, len);
        if seen.insert(entry.clone()) {
            list.push(entry);
        }
    }
    list.into_iter().collect()
}

/// Captions one behind the other, as a column of strings has them in memory.
#[derive(Default)]
struct Captions {
    text: String,
    ends: Vec<usize>,
}

impl Captions {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut start, end)..end])
    }
}

fn captions(bytes: usize, words: &[String], entries: &Entries, draws: &mut Draws) -> Captions {
    let mut captions = Captions::default();
    while captions.text.len() < bytes {
        let len = if draws.below(50) == 0 { 40 + draws.below(200) } else { 5 + draws.below(16) };
        let mut caption = String::new();
        for i in 0..len {
            if i > 0 {
                caption.push_str([" ", " ", " ", " ", " ", " ", ", ", " - ", ". ", " "][draws.below(10)]);
            }
            match draws.below(20) {
                0 => caption.push_str(entries.get(draws.below(entries.len()) as u32).unwrap()),
                1 => {
                    // Capitalised, as in titles: another word for the matcher.
                    let word = &words[draws.rank(words.len())];
                    caption.extend(word.chars().next().into_iter().flat_map(char::to_uppercase).chain(word.chars().skip(1)));
                }
                2 => caption.push_str(&draws.below(100_000).to_string()),
                _ => caption.push_str(&words[draws.rank(words.len())]),
            }
        }
        captions.text.push_str(&caption);
        captions.ends.push(captions.text.len());
    }
    captions
}

/// Seconds that this thread has been on a core: what a shared machine does beside it does not count. The wall clock where the
/// system does not say.
fn seconds(since: Instant) -> f64 {
    let on_core = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = on_core.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    nanos.map_or(since.elapsed().as_secs_f64(), |nanos| nanos as f64 / 1e9)
}

fn matches<'a>(matcher: &Matcher, texts: impl Iterator<Item = &'a str>) -> (u64, f64) {
    let mut scratch = Scratch::default();
    let since = Instant::now();
    let before = seconds(since);
    let mut sum = 0;
    matcher.find_each(texts, &mut scratch, |_, ids| sum += ids.len() as u64);
    (sum, seconds(since) - before)
}

/// The peer's figures: matches and megabytes per second.
fn peer<'a>(python: &str, folder: &Path, entries: &Entries, mut texts: impl Iterator<Item = &'a str>) -> (u64, f64) {
    entries.write_json(std::fs::File::create(folder.join("entries.json")).unwrap()).unwrap();
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("captions.txt")).unwrap());
    texts.try_for_each(|text| writeln!(file, "{text}")).unwrap();
    file.flush().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/metaclip_pyahocorasick.py");
    let out = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let out = String::from_utf8(out.stdout).unwrap();
    let mut numbers = out.split_whitespace();
    (numbers.next().unwrap().parse().unwrap(), numbers.next().unwrap().parse().unwrap())
}

fn main() {
    let megabytes: usize = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(240);
    let mut draws = Draws(1);
    let words = vocabulary(600_000, &mut draws);
    let entries = entries(&words, &mut draws);
    let texts = captions(megabytes * 1_000_000, &words, &entries, &mut draws);
    let bytes = texts.text.len();
    let start = Instant::now();
    let matcher = Matcher::new(&entries, Borders::Spaced).unwrap();
    println!(
        "{} entries: built in {:.2} s, {} MB; {} captions of {} bytes on average",
        entries.len(),
        start.elapsed().as_secs_f64(),
        matcher.heap_bytes() / 1_000_000,
        texts.ends.len(),
        bytes / texts.ends.len()
    );
    // Other processes only ever slow a run down: the best of three.
    let runs: Vec<(u64, f64)> = (0..3).map(|_| matches(&matcher, texts.iter())).collect();
    let best = runs.iter().map(|run| run.1).fold(f64::INFINITY, f64::min);
    let rate = bytes as f64 / 1e6 / best;
    println!("trommel: {rate:.0} MB/s on one core, {} matches in {bytes} bytes", runs[0].0);

    let count = texts.ends.partition_point(|end| *end <= PEER_BYTES);
    let Some(python) = std::env::var("TROMMEL_PEER_PYTHON").ok().filter(|python| Path::new(python).exists()) else {
        println!("SKIPPED: TROMMEL_PEER_PYTHON names no python; ours alone is measured");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (theirs, their_rate) = peer(&python, folder.path(), &entries, texts.iter().take(count));
    let (ours, _) = matches(&matcher, texts.iter().take(count));
    assert_eq!(ours, theirs, "sums of matches over the first {count} captions");
    println!("pyahocorasick: {their_rate:.2} MB/s, the same {theirs} matches in the first {count} captions");
    println!("ratio: {:.1}", rate / their_rate);
}
