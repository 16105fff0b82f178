//! M4 over ten million rows: counting and solving, the streaming form, applying. The caps over as many scores.
//!
//! `cargo bench -p trommel-filters --bench m4 [-- ROWS]`; `python3 tests/bench/m4_numpy.py [ROWS]` does the streaming update in numpy on the
//! same rows, and both print the bias that is left.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::Instant;

use trommel_filters::balance::Draw;
use trommel_filters::balance::hard_cap::{HardCap, hard_cap};
use trommel_filters::balance::m4::{Attribute, M4Error, M4Fit, M4Options, M4Problem, M4Stream, PatternCounts, SolverOptions, fit_with};
use trommel_filters::balance::soft_cap::{SoftCap, soft_cap, soft_cap_one_by_one};

const THREADS: usize = 2;
const ATTRIBUTES: [(&str, f64); 3] = [("a", 0.45), ("b", 0.3), ("c", 0.3)];
const LABELS: [&str; 4] = ["p", "q", "r", "s"];

/// SplitMix64's finaliser over a counter: simple enough to be written again in numpy.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Seven bits from one hash each: three attributes, four labels that go with them; and a utility from 1/16 to 1.
fn corpus(rows: usize) -> (Vec<u64>, Vec<f32>) {
    (0..rows as u64)
        .map(|i| {
            let byte = |k: u64| mix(i.wrapping_mul(8).wrapping_add(k).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 56;
            let s = [byte(0) < 152, byte(1) < 64, byte(2) < 60];
            let rate = |s: bool, with: u64, without: u64| if s { with } else { without };
            let y = [byte(3) < rate(s[0], 46, 20), byte(4) < rate(s[1], 26, 13), byte(5) < rate(s[2], 5, 15), byte(6) < 26];
            let bits: u64 = s.iter().chain(&y).enumerate().map(|(bit, on)| u64::from(*on) << bit).sum();
            (bits, ((byte(7) >> 4) + 1) as f32 / 16.0)
        })
        .unzip()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

fn print(name: &str, seconds: f64, fit: &M4Fit, weights: &[f64]) {
    let report = fit.report();
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let most = report.associations.iter().map(|line| line.moment_after.abs()).fold(0.0, f64::max);
    println!(
        "{name}: {seconds:.3} s, {:.1} M rows/s; RB {:.6} -> {:.6}, AB {:.6} -> {:.6}, largest moment {most:.6}, mean weight {mean:.9}",
        weights.len() as f64 / seconds / 1e6,
        report.representation_bias_before,
        report.representation_bias_after,
        report.association_bias_before,
        report.association_bias_after,
    );
}

fn m4(rows: &[u64], utilities: &[f32]) -> Result<(), M4Error> {
    let attributes = ATTRIBUTES.map(|(name, target)| Attribute::new(name, target)).to_vec();
    let options = M4Options { eta: 0.65, ..M4Options::new(attributes, LABELS.map(String::from).to_vec()) };
    for (name, utility) in [("u = 1", None), ("16 utilities", Some(utilities))] {
        let kind = match utility {
            None => trommel_filters::balance::m4::Utility::One,
            Some(_) => trommel_filters::balance::m4::Utility::Exact,
        };
        let problem = M4Problem::new(M4Options { utility: kind, ..options.clone() })?;

        let (counts, count_seconds) = timed(|| {
            let mut counts = PatternCounts::new(&problem);
            counts.add_rows_on(rows, utility, THREADS).map(|()| counts)
        });
        let counts = counts?;
        let (fit, fit_seconds) = timed(|| fit_with(&problem, &counts, &SolverOptions { threads: THREADS, ..SolverOptions::default() }));
        let fit = fit?;
        let (weights, apply_seconds) = timed(|| fit.weights.apply_on(rows, utility, THREADS));
        let patterns = counts.patterns();
        println!(
            "  {patterns} patterns, {} iterations: count {count_seconds:.3} s, solve {fit_seconds:.3} s, apply {apply_seconds:.3} s",
            fit.iterations
        );
        print(&format!("histogram, {name}, {THREADS} threads"), count_seconds + fit_seconds + apply_seconds, &fit, &weights?);

        let (stream, fit_seconds) = timed(|| {
            let mut stream = M4Stream::new(&problem);
            stream.add_rows(rows, utility).map(|()| stream)
        });
        let stream = stream?;
        let mut passes = 0;
        let (fit, mean_seconds) = timed(|| {
            stream.finish(|pass| {
                passes += 1;
                pass.add_rows_on(rows, utility, THREADS)
            })
        });
        let fit = fit?;
        let (weights, apply_seconds) = timed(|| fit.weights.apply_on(rows, utility, THREADS));
        println!("  update {fit_seconds:.3} s on one thread, {passes} passes for the mean {mean_seconds:.3} s, apply {apply_seconds:.3} s");
        print(&format!("streaming, {name}"), fit_seconds + mean_seconds + apply_seconds, &fit, &weights?);
    }
    Ok(())
}

fn main() {
    let rows = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(10_000_000);
    let (bits, utilities) = corpus(rows);
    if let Err(error) = m4(&bits, &utilities) {
        println!("{error}");
    }

    let draw = Draw::new(0, "bench");
    let uids: Vec<u128> = (0..rows as u128).collect();
    let scores: Vec<f32> = uids.iter().map(|uid| draw.gumbel(*uid, 1 << 40) as f32 * 1.95).collect();
    let target = rows as u64;
    let say = |name: &str, draws: Result<Vec<u32>, _>, seconds: f64| match draws {
        Ok(draws) => {
            let (rows, most) = (draws.iter().filter(|n| **n > 0).count(), draws.iter().max().copied().unwrap_or(0));
            let all: u64 = draws.iter().map(|n| u64::from(*n)).sum();
            println!("{name}: {seconds:.2} s for {all} draws of {rows} rows, at most {most} of one");
        }
        Err::<_, trommel_filters::balance::hard_cap::CapError>(error) => println!("{name}: {error}"),
    };
    // A tenth of the published rounds tells the cost of a round.
    let options = SoftCap { target: target / 10, per_round: target.div_ceil(1280), threads: THREADS, alpha: 0.15 };
    let (draws, seconds) = timed(|| soft_cap(&draw, &scores, &uids, &options));
    say("soft cap, 128 of 1280 rounds (a tenth of the draws)", draws, seconds);
    let (draws, seconds) = timed(|| soft_cap_one_by_one(&draw, &scores, &uids, target, 0.15, THREADS));
    say("soft cap, one by one", draws, seconds);
    let (draws, seconds) = timed(|| hard_cap(&draw, &scores, &uids, &HardCap { threads: THREADS, ..HardCap::new(target) }));
    say("hard cap", draws, seconds);
}
