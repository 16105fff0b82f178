//! Captions per second and core of the built-in detector, and its accuracy where the langid corpora are at hand.
//!
//! `cargo bench -p trommel-filters --bench language [-- MODEL]`; MODEL is a fastText file to be measured as well.
//! The corpora are looked for unpacked (`language-models/<code>/testdata/*.txt`, from lingua-rs) in the folder that
//! `TROMMEL_LANGID` names.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::Path;
use std::time::Instant;

use trommel_filters::language::{Cld2, FastText, LanguageDetector};

/// Words of captions in five languages, to be strung together.
const WORDS: &[&[&str]] = &[
    &["a", "the", "red", "house", "with", "garden", "old", "dog", "playing", "on", "beach", "vintage", "poster", "of"],
    &["das", "rote", "Haus", "mit", "Garten", "ein", "alter", "Hund", "spielt", "am", "Strand", "für", "Bild", "und"],
    &["la", "maison", "rouge", "avec", "jardin", "un", "vieux", "chien", "joue", "sur", "plage", "affiche", "de", "et"],
    &["красный", "дом", "с", "садом", "старая", "собака", "играет", "на", "пляже", "плакат", "и", "фото", "в", "море"],
    &["casa", "roja", "con", "jardín", "un", "perro", "viejo", "juega", "en", "la", "playa", "cartel", "de", "y"],
];

fn captions(count: usize) -> Vec<String> {
    let mut state = 1u64;
    let mut draw = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    (0..count)
        .map(|_| {
            let words = WORDS[draw(WORDS.len())];
            (0..3 + draw(10)).map(|_| words[draw(words.len())]).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn measure(name: &str, detector: &dyn LanguageDetector, texts: &[String]) {
    let bytes: usize = texts.iter().map(String::len).sum();
    // The best of five, as other processes only ever slow a run down.
    let seconds = (0..5)
        .map(|_| {
            let start = Instant::now();
            texts.iter().for_each(|text| {
                std::hint::black_box(detector.detect(text));
            });
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    let rate = texts.len() as f64 / seconds;
    println!("{name}: {rate:.0} texts/s on one core ({} bytes on average)", bytes / texts.len());
}

fn accuracy(name: &str, detector: &dyn LanguageDetector, corpora: &Path) {
    for kind in ["sentences", "word-pairs", "single-words"] {
        let mut texts = Vec::new();
        let mut right = 0;
        let Ok(folders) = std::fs::read_dir(corpora.join("language-models")) else {
            return;
        };
        for folder in folders.flatten() {
            let code = folder.file_name().to_string_lossy().into_owned();
            let Ok(text) = std::fs::read_to_string(folder.path().join(format!("testdata/{kind}.txt"))) else {
                continue;
            };
            for line in text.lines() {
                let lang = detector.detect(line).lang;
                right += usize::from(lang == code || (code == "nb" && lang == "no"));
                texts.push(line.to_owned());
            }
        }
        println!("{name}, {kind}: {:.4} right of {}", right as f64 / texts.len().max(1) as f64, texts.len());
        measure(&format!("{name}, {kind}"), detector, &texts);
    }
}

fn main() {
    let texts = captions(100_000);
    let mut detectors: Vec<(String, Box<dyn LanguageDetector>)> = vec![("cld2".into(), Box::new(Cld2::new()))];
    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        match FastText::load(&path) {
            Ok(model) => detectors.push((path, Box::new(model))),
            Err(error) => println!("{error}"),
        }
    }
    for (name, detector) in &detectors {
        measure(&format!("{name}, captions"), detector.as_ref(), &texts);
        match std::env::var_os("TROMMEL_LANGID") {
            Some(corpora) => accuracy(name, detector.as_ref(), Path::new(&corpora)),
            None => println!("{name}: set TROMMEL_LANGID for the accuracy"),
        }
    }
}
