//! Checks on pictures from elsewhere, where they are at hand: `TROMMEL_SHARED` names the folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::make::psnr;
use crate::image::{EncodeFormat, ImageError, ImageOptions, Processor, ResizeMode};

fn fixtures(folder: &str) -> Option<PathBuf> {
    // Tests run in the folder of their crate.
    let root = std::env::var_os("TROMMEL_SHARED").map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    let path = root.join("fixtures").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no {} (set TROMMEL_SHARED)", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let text = path.extension().is_some_and(|e| e == "md" || e == "json" || e == "txt");
            if path.is_dir() {
                folders.push(path);
            } else if !text {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn lossless() -> ImageOptions {
    let encode_format = EncodeFormat::Png;
    ImageOptions { resize_mode: ResizeMode::No, encode_format, encode_quality: Some(1), ..Default::default() }
}

#[test]
fn the_good_files_of_pngsuite_decode_and_the_broken_ones_are_refused() {
    let Some(folder) = fixtures("img-pngsuite") else { return };
    let mut processor = Processor::new().unwrap();
    let (mut good, mut broken) = (0, 0);
    for path in files(&folder).iter().filter(|path| path.extension().is_some_and(|e| e == "png")) {
        let result = processor.process(&std::fs::read(path).unwrap(), &[], &lossless());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('x') {
            assert!(result.is_err(), "{name}");
            broken += 1;
        } else {
            assert!(result.is_ok(), "{name}: {result:?}");
            good += 1;
        }
    }
    assert_eq!((good, broken), (161, 14));
}

#[test]
fn hostile_collections_cause_no_panic() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut processor = Processor::new().unwrap();
    let folders =
        ["img-jpeg-crash", "img-jpeg-variants", "img-pillow", "img-image-rs", "img-exif", "img-c2pa", "img-bombs", "img-svg-ssrf"];
    for folder in folders {
        let Some(folder) = fixtures(folder) else { return };
        for path in files(&folder) {
            let bytes = std::fs::read(&path).unwrap();
            let code = match processor.process(&bytes, &[], &ImageOptions::default()) {
                Ok(_) => "ok",
                Err(ImageError::Panic { reason }) => panic!("{}: {reason}", path.display()),
                Err(error) => error.code(),
            };
            *counts.entry(code).or_default() += 1;
        }
    }
    eprintln!("{counts:?}");
    assert!(counts["ok"] > 200);
}

#[test]
fn named_bombs_are_refused() {
    // `decompression_bomb_extents.gif` has an honest first frame, and no other is decoded.
    let Some(folder) = fixtures("img-pillow") else { return };
    let mut processor = Processor::new().unwrap();
    for path in files(&folder).iter().filter(|path| path.to_string_lossy().contains("decompression_bomb.")) {
        let result = processor.process(&std::fs::read(path).unwrap(), &[], &lossless());
        assert!(result.is_err(), "{}", path.display());
    }
}

#[test]
fn the_oriented_pictures_of_pillow_look_alike() {
    let Some(folder) = fixtures("img-pillow") else { return };
    let mut processor = Processor::new().unwrap();
    for extension in ["jpg", "webp"] {
        let mut pictures = (2..=8).map(|value| {
            let path = folder.join(format!("hopper_orientation_{value}.{extension}"));
            processor.process(&std::fs::read(path).unwrap(), &[], &lossless()).unwrap()
        });
        let first = pictures.next().unwrap();
        assert_eq!((first.width, first.orientation), (Some(128), 2));
        for picture in pictures {
            assert!(psnr(&first.bytes, &picture.bytes) > 30.0, "{extension} {}", picture.orientation);
        }
    }
}

#[test]
fn photos_cut_anywhere_are_refused_with_a_stable_code() {
    let Some(folder) = fixtures("photos-clipscore") else { return };
    let mut processor = Processor::new().unwrap();
    for path in files(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        for part in 1..100 {
            let cut = &bytes[..bytes.len() * part / 100];
            let error = processor.process(cut, &[], &ImageOptions::default()).unwrap_err();
            assert_eq!(error.code(), "truncated", "{} at {part} %", path.display());
        }
    }
}
