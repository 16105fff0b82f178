//! Hashes of pictures: their speed on one core, and their values for a peer to compare with.
//!
//! `cargo bench -p trommel-filters --bench hashes` prints nanoseconds a picture;
//! `tests/bench/hashes_peers.py` writes pictures, runs this with `hash FILE`, and compares bits and times with
//! `imagehash` and `pdqhash`. A file holds pictures one after another: channels, width and height as little-endian
//! 32-bit numbers, then the pixels.
//!
//! `near TRUTH` reads such pictures from standard input, one per line of the table that
//! `tests/peers/near_pictures.py` wrote, and prints recall by kind and precision of PDQ, pHash and the signature;
//! `tests/bench/hashes_near.py` feeds it.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use trommel_filters::hashes::{Plane, Prescale, Signature, ahash, dhash, dhash_vertical, pdq, pdq_orientations, phash};

#[path = "hashes/near.rs"]
mod near;

/// The pictures of a file: channels, width, height, pixels.
fn pictures(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, usize, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut number = || {
            let (number, tail) = rest.split_first_chunk()?;
            rest = tail;
            Some(u32::from_le_bytes(*number) as usize)
        };
        let (channels, width, height) = (number()?, number()?, number()?);
        let (pixels, tail) = rest.split_at_checked(channels * width * height)?;
        rest = tail;
        Some((channels, width, height, pixels))
    })
}

fn print_hashes<const C: usize>(picture: Plane<'_, C>) {
    let (plain, meta) = (pdq(picture, Prescale::None), pdq(picture, Prescale::Meta));
    let turned = pdq_orientations(picture, Prescale::None);
    match (plain, meta, turned) {
        (Some(plain), Some(meta), Some(turned)) => {
            print!("{} {} {} {}", plain.quality, plain.hash, meta.quality, meta.hash);
            turned.all().iter().for_each(|hash| print!(" {hash}"));
        }
        _ => print!("0{}", " -".repeat(11)),
    }
    let p = phash(picture);
    println!(" {} {} {} {} {}", ahash(picture), dhash(picture), dhash_vertical(picture), p.hash, p.mirrored);
}

/// Seconds of the fastest of seven runs of `work`, each over all of `times` repetitions, a repetition.
fn seconds(times: u32, mut work: impl FnMut()) -> f64 {
    (0..7)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| work());
            start.elapsed().as_secs_f64() / f64::from(times)
        })
        .fold(f64::INFINITY, f64::min)
}

fn speed(width: usize, height: usize) -> Result<(), Box<dyn Error>> {
    let pixels: Vec<u8> = (0..width * height * 3).map(|at| (at / 3 % width * 255 / width + at / 3 / width % 23 * 4) as u8).collect();
    let rgb = Plane::<3>::new(&pixels, width, height)?;
    let grey = rgb.to_luma().into_owned();
    let luma = Plane::<1>::new(&grey, width, height)?;
    let times = (40_000_000 / (width * height * 3)).max(1) as u32;
    let line = |name: &str, seconds: f64| println!("{width}x{height} {name} {:.1} us", seconds * 1e6);
    line(
        "pdq_rgb",
        seconds(times, || {
            black_box(pdq(black_box(rgb), Prescale::None));
        }),
    );
    line(
        "pdq_rgb_meta",
        seconds(times, || {
            black_box(pdq(black_box(rgb), Prescale::Meta));
        }),
    );
    line(
        "pdq_luma",
        seconds(times, || {
            black_box(pdq(black_box(luma), Prescale::None));
        }),
    );
    line(
        "pdq_orientations_rgb",
        seconds(times, || {
            black_box(pdq_orientations(black_box(rgb), Prescale::None));
        }),
    );
    line(
        "phash_rgb",
        seconds(times, || {
            black_box(phash(black_box(rgb)));
        }),
    );
    line(
        "phash_luma",
        seconds(times, || {
            black_box(phash(black_box(luma)));
        }),
    );
    line(
        "signature_luma",
        seconds(times, || {
            black_box(Signature::new(black_box(luma)));
        }),
    );
    line(
        "dhash_luma",
        seconds(times, || {
            black_box(dhash(black_box(luma)));
        }),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["near", truth] => near::main(truth)?,
        ["hash", file] => {
            let bytes = std::fs::read(file)?;
            for (channels, width, height, pixels) in pictures(&bytes) {
                if channels == 3 {
                    print_hashes(Plane::<3>::new(pixels, width, height)?);
                } else {
                    print_hashes(Plane::<1>::new(pixels, width, height)?);
                }
            }
        }
        _ => {
            for (width, height) in [(512, 512), (512, 341), (1024, 768), (256, 256)] {
                speed(width, height)?;
            }
        }
    }
    Ok(())
}
