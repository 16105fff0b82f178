//! Embeddings equal those of transformers and open_clip, on small checkpoints of every family.
//!
//! `tests/golden/` is what `tests/models/make_checkpoints.py` writes. Checks at the real sizes are made with Python, where
//! `TROMMEL_PEER_PYTHON` names one that has the libraries.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{DType, Device};
use common::{Golden, cosine, largest_difference};
use trommel_embeddings::ModelError;
use trommel_embeddings::checkpoint::ModelFiles;
use trommel_embeddings::checkpoint::config::ModelConfig;
use trommel_embeddings::model::{ComputePath, DualEncoder, LoadOptions, Model};

const FAMILIES: [&str; 8] = [
    "clip_quickgelu",
    "clip_gelu_sharded",
    "siglip",
    "siglip_bf16",
    "siglip2_naflex",
    "open_clip_quickgelu",
    "open_clip_custom_text",
    "open_clip_siglip",
];

fn golden(name: &str) -> PathBuf {
    // Tests run in the folder of their crate.
    Path::new("tests/golden").join(name)
}

fn options(path: ComputePath, dtype: DType) -> LoadOptions {
    LoadOptions { device: Device::Cpu, dtype, path }
}

fn model(folder: &Path, options: &LoadOptions) -> Model {
    let resolved = folder.join("resolved.json");
    if resolved.is_file() {
        let config: ModelConfig = serde_json::from_slice(&std::fs::read(resolved).unwrap()).unwrap();
        return Model::with_config(config, &[folder.join("open_clip_model.safetensors")], options).unwrap();
    }
    Model::from_folder(folder, options).unwrap()
}

fn images(encoder: &mut dyn DualEncoder, golden: &Golden) -> Vec<Vec<f32>> {
    encoder.encode_images(&golden.pictures.iter().collect::<Vec<_>>()).unwrap()
}

fn texts(encoder: &mut dyn DualEncoder, golden: &Golden) -> Vec<Vec<f32>> {
    encoder.encode_texts(&golden.captions.iter().collect::<Vec<_>>()).unwrap()
}

#[track_caller]
fn assert_equal(what: &str, ours: &[Vec<f32>], theirs: &[Vec<f32>], least_cosine: f32, most_difference: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let (cosine, difference) = (cosine(ours, theirs), largest_difference(ours, theirs));
        assert!(
            cosine >= least_cosine && difference <= most_difference,
            "{what} {index}: cosine {cosine}, largest difference {difference}"
        );
    }
}

/// A checkpoint whose embeddings are all alike would prove nothing.
fn assert_told_apart(what: &str, rows: &[Vec<f32>]) {
    for (index, row) in rows.iter().enumerate() {
        for other in &rows[..index] {
            assert!(cosine(row, other) < 0.99, "{what}: inputs are not told apart");
        }
    }
}

#[test]
fn every_family_gives_the_embeddings_of_its_reference() {
    for family in FAMILIES {
        let folder = golden(family);
        let golden = Golden::read(&folder);
        assert_told_apart(family, &golden.image);
        assert_told_apart(family, &golden.text);
        for path in [ComputePath::Fastest, ComputePath::Candle] {
            let mut encoder = model(&folder, &options(path, DType::F32)).replica(2);
            let what = format!("{family} {path:?}");
            assert_equal(&format!("{what} image"), &images(&mut *encoder, &golden), &golden.image, 0.999_99, 2e-5);
            assert_equal(&format!("{what} text"), &texts(&mut *encoder, &golden), &golden.text, 0.999_99, 2e-5);
        }
    }
}

#[test]
fn sixteen_bits_stay_near() {
    for family in FAMILIES {
        let golden = Golden::read(&self::golden(family));
        for (dtype, least) in [(DType::F16, 0.9999), (DType::BF16, 0.995)] {
            let mut encoder = model(&self::golden(family), &options(ComputePath::Fastest, dtype)).replica(1);
            let what = format!("{family} {dtype:?}");
            assert_equal(&what, &images(&mut *encoder, &golden), &golden.image, least, 1.0);
            assert_equal(&what, &texts(&mut *encoder, &golden), &golden.text, least, 1.0);
        }
    }
}

#[test]
fn batches_and_threads_do_not_change_a_bit() {
    for family in FAMILIES {
        let (folder, golden) = (golden(family), Golden::read(&golden(family)));
        let model = model(&folder, &options(ComputePath::Fastest, DType::F32));
        let mut one = model.replica(1);
        let (all_images, all_texts) = (images(&mut *one, &golden), texts(&mut *one, &golden));
        let mut many = model.replica(3);
        assert_eq!(images(&mut *many, &golden), all_images, "{family}");
        assert_eq!(texts(&mut *many, &golden), all_texts, "{family}");
        for (picture, expected) in golden.pictures.iter().zip(&all_images) {
            assert_eq!(&one.encode_images(&[picture]).unwrap()[0], expected, "{family}");
        }
        for (caption, expected) in golden.captions.iter().zip(&all_texts) {
            assert_eq!(&one.encode_texts(&[caption]).unwrap()[0], expected, "{family}");
        }
    }
}

#[test]
fn a_model_says_what_it_is() {
    let folder = golden("siglip");
    let model = Model::from_folder(&folder, &LoadOptions::default()).unwrap();
    let info = model.info();
    assert_eq!((info.architecture.name(), info.dim, info.image_size()), ("siglip", 16, Some(14)));
    assert_eq!((info.config.text.context, info.config.text.vocabulary), (10, 60));
    assert!((info.logits.scale - 4.6_f32.exp()).abs() < 1e-3 && info.logits.bias == -12.5 && info.logits.sigmoid);
    let files = ModelFiles::in_folder(&folder).unwrap();
    assert_eq!((files.weights.len(), files.weights_sha256().unwrap().len(), info.dtype), (1, 64, "f32"));
    // 4 bytes a value; the rest of the file is its header.
    let bytes = std::fs::metadata(&files.weights[0]).unwrap().len();
    assert!(info.parameters * 4 < bytes && info.parameters * 4 + 16_384 > bytes);
    let sharded = Model::from_folder(&golden("clip_gelu_sharded"), &LoadOptions::default()).unwrap();
    assert!(ModelFiles::in_folder(&golden("clip_gelu_sharded")).unwrap().weights.len() > 1);
    assert!(!sharded.info().logits.sigmoid && sharded.info().logits.bias == 0.0);
}

fn refused(folder: &Path) -> ModelError {
    Model::from_folder(folder, &LoadOptions::default()).unwrap_err()
}

#[test]
fn weights_that_do_not_fit_the_config_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden("clip_quickgelu")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        std::fs::write(&config, text.replace(from, to)).unwrap();
        refused(folder.path()).to_string()
    };
    let shape = with("\"vocab_size\": 60", "\"vocab_size\": 61");
    assert!(shape.contains("`text_model.embeddings.token_embedding.weight` has the shape [60, 16]"), "{shape}");
    let missing = with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(missing.contains("model.safetensors`: tensor `vision_model.encoder.layers.2"), "{missing}");
    let left = with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    assert!(left.contains("nothing that the config speaks of"), "{left}");
}

#[test]
fn inputs_that_do_not_fit_the_model_are_refused() {
    let golden = Golden::read(&golden("clip_gelu_sharded"));
    let patches = Golden::read(&self::golden("siglip2_naflex"));
    let mut encoder = model(&self::golden("clip_gelu_sharded"), &LoadOptions::default()).replica(1);
    let said = |error: ModelError| error.to_string();
    let kind = said(encoder.encode_images(&[&patches.pictures[0]]).unwrap_err());
    assert!(kind.contains("the model takes a square of 14"), "{kind}");
    let mut caption = golden.captions[0].clone();
    caption.ids.push(0);
    assert!(said(encoder.encode_texts(&[&caption]).unwrap_err()).contains("11 tokens"));
    caption.ids.truncate(10);
    caption.ids[1] = 60;
    assert!(said(encoder.encode_texts(&[&caption]).unwrap_err()).contains("token id 60"));
    caption.ids.fill(5);
    assert!(said(encoder.encode_texts(&[&caption]).unwrap_err()).contains("end-of-text token 59"));
    assert!(encoder.encode_texts(&[]).unwrap().is_empty());
    assert!(encoder.encode_images(&[]).unwrap().is_empty());
}

#[test]
fn nan_goes_through_and_stays_in_its_row() {
    for path in [ComputePath::Fastest, ComputePath::Candle] {
        let mut golden = Golden::read(&golden("siglip"));
        let mut encoder = model(&self::golden("siglip"), &options(path, DType::F32)).replica(1);
        let whole = images(&mut *encoder, &golden);
        if let trommel_embeddings::Prepared::Fixed { data, .. } = &mut golden.pictures[1] {
            data[7] = f32::NAN;
        }
        let broken = images(&mut *encoder, &golden);
        assert!(broken[1].iter().all(|value| value.is_nan()), "{path:?}");
        assert_eq!((&broken[0], &broken[2]), (&whole[0], &whole[2]), "{path:?}");
    }
}

#[test]
fn the_real_sizes_give_the_embeddings_of_their_reference() {
    let Ok(python) = std::env::var("TROMMEL_PEER_PYTHON") else {
        eprintln!("SKIPPED: TROMMEL_PEER_PYTHON does not name a Python with torch, transformers and open_clip");
        return;
    };
    let script = Path::new("../tests/models/make_checkpoints.py");
    for family in ["clip_b32", "siglip_b16", "siglip2_naflex_b16", "open_clip_b32", "open_clip_siglip_b16"] {
        // One at a time: each is half a gigabyte.
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new(&python).arg(script).arg(folder.path()).args(["--big", family]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let folder = folder.path().join(family);
        assert!(ModelFiles::in_folder(&folder).is_ok());
        let golden = Golden::read(&folder);
        assert_told_apart(family, &golden.image);
        assert_told_apart(family, &golden.text);
        for path in [ComputePath::Fastest, ComputePath::Candle] {
            let mut encoder = model(&folder, &options(path, DType::F32)).replica(2);
            let (image, text) = (images(&mut *encoder, &golden), texts(&mut *encoder, &golden));
            let least = |ours: &[Vec<f32>], theirs: &[Vec<f32>]| ours.iter().zip(theirs).map(|(a, b)| cosine(a, b)).fold(1.0_f32, f32::min);
            let most = |ours: &[Vec<f32>], theirs: &[Vec<f32>]| {
                ours.iter().zip(theirs).map(|(a, b)| largest_difference(a, b)).fold(0.0_f32, f32::max)
            };
            eprintln!(
                "{family} {path:?}: images {} {:e}, texts {} {:e}",
                least(&image, &golden.image),
                most(&image, &golden.image),
                least(&text, &golden.text),
                most(&text, &golden.text)
            );
            assert_equal(&format!("{family} {path:?} image"), &image, &golden.image, 0.9999, 1e-3);
            assert_equal(&format!("{family} {path:?} text"), &text, &golden.text, 0.9999, 1e-3);
        }
    }
}
