//! Recall by kind of near-copy, and precision: every pair of pictures, by brute force.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::time::Instant;

use trommel_filters::hashes::{
    CODE_DISTANCE, Hash64, Hash256, LOW_QUALITY, Luma, MATCH_DISTANCE, Prescale, Samples, Signature, phash, verify,
};

struct Row {
    original: u64,
    kind: String,
    pdq: Hash256,
    quality: u8,
    phash: Hash64,
    full: Vec<Hash64>,
    views: Vec<Hash64>,
    signature: Signature,
}

/// How often a method joined an original and its copy, of those that there are.
#[derive(Default)]
struct Found {
    pairs: u32,
    lively: u32,
    pdq: u32,
    phash: u32,
    candidates: u32,
    verified: u32,
}

fn read(truth: &str) -> Result<Vec<Row>, Box<dyn Error>> {
    let truth = std::fs::read_to_string(truth)?;
    let mut input = std::io::stdin().lock();
    let mut rows = Vec::new();
    for line in truth.lines().skip(1) {
        let mut cells = line.split(',').skip(1);
        let (Some(original), Some(kind)) = (cells.next(), cells.next()) else { return Err(line.into()) };
        let mut head = [0; 12];
        input.read_exact(&mut head)?;
        let side = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let mut pixels = vec![0; side(4) * side(8)];
        input.read_exact(&mut pixels)?;
        let picture = Luma::new(&pixels, side(4), side(8))?;
        let samples = Samples::new(picture, Prescale::None).ok_or("a picture is too small")?;
        let (pdq, signature) = (samples.pdq(), Signature::of(&samples));
        rows.push(Row {
            original: original.parse()?,
            kind: kind.to_owned(),
            pdq: pdq.hash,
            quality: pdq.quality,
            phash: phash(picture).hash,
            full: signature.full().to_vec(),
            views: signature.views().collect(),
            signature,
        });
    }
    Ok(rows)
}

/// Whether a code of one is near a full code of the other.
fn candidates(a: &Row, b: &Row) -> bool {
    let near = |codes: &[Hash64], full: &[Hash64]| codes.iter().any(|code| full.iter().any(|full| code.distance(*full) <= CODE_DISTANCE));
    near(&a.full, &b.full) || near(&a.views, &b.full) || near(&b.views, &a.full)
}

pub(crate) fn main(truth: &str) -> Result<(), Box<dyn Error>> {
    let rows = read(truth)?;
    let lively = |row: &Row| row.quality > LOW_QUALITY;
    let mut kinds: BTreeMap<&str, Found> = BTreeMap::new();
    // Pairs of pictures that do not show one original: joined by PDQ, by pHash, candidates, verified.
    let mut wrong = [0u64; 4];
    let mut right = [0u64; 4];
    let mut verifying = 0.0;
    let mut checked = 0u64;
    let mut similarities = Vec::new();
    let mut mistakes = Vec::new();
    for (at, a) in rows.iter().enumerate() {
        for b in &rows[at + 1..] {
            let both = lively(a) && lively(b);
            let pdq = both && a.pdq.distance(b.pdq) <= MATCH_DISTANCE;
            let phash = both && a.phash.distance(b.phash) <= 8;
            let candidates = candidates(a, b);
            let mut verified = false;
            if candidates {
                let start = Instant::now();
                let similarity = verify(&a.signature, &b.signature);
                verifying += start.elapsed().as_secs_f64();
                checked += 1;
                verified = similarity.is_some();
                if let Some(similarity) = similarity.filter(|_| a.original != b.original) {
                    mistakes.push((similarity, a, b));
                }
                similarities.push((similarity.unwrap_or(0.0), a.original == b.original));
            }
            let counts = if a.original == b.original { &mut right } else { &mut wrong };
            for (count, yes) in counts.iter_mut().zip([pdq, phash, candidates, verified]) {
                *count += u64::from(yes);
            }
            if a.original == b.original && (a.kind == "original") != (b.kind == "original") {
                let kind = if a.kind == "original" { &b.kind } else { &a.kind };
                let found = kinds.entry(kind).or_default();
                found.pairs += 1;
                found.lively += u32::from(both);
                found.pdq += u32::from(pdq);
                found.phash += u32::from(phash);
                found.candidates += u32::from(candidates);
                found.verified += u32::from(verified);
            }
        }
    }
    println!("{} pictures, {} of them not flat", rows.len(), rows.iter().filter(|row| lively(row)).count());
    println!("{:<12} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}", "kind", "pairs", "lively", "pdq", "phash", "codes", "verified");
    for (kind, found) in &kinds {
        let share = |count: u32| f64::from(count) / f64::from(found.lively.max(1));
        println!(
            "{kind:<12} {:>6} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>6.3}",
            found.pairs,
            f64::from(found.lively) / f64::from(found.pairs),
            share(found.pdq),
            share(found.phash),
            share(found.candidates),
            share(found.verified)
        );
    }
    for (name, at) in [("pdq <= 31", 0), ("phash <= 8", 1), ("codes", 2), ("codes, verified", 3)] {
        let precision = right[at] as f64 / (right[at] + wrong[at]).max(1) as f64;
        println!("{name}: {} right pairs, {} wrong, precision {precision:.5}", right[at], wrong[at]);
    }
    for (similarity, a, b) in mistakes.iter().take(40) {
        println!("wrong: {similarity:.3} {} {} and {} {}", a.original, a.kind, b.original, b.kind);
    }
    println!("{checked} verifications, {:.1} us each", verifying * 1e6 / checked.max(1) as f64);
    for least in [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9] {
        let above = |right: bool| similarities.iter().filter(|(value, same)| *value >= least && *same == right).count();
        println!("similarity >= {least}: {} right, {} wrong", above(true), above(false));
    }
    Ok(())
}
