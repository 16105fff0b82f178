//! Against PyTorch: weights and scores by `tests/models/make_heads.py` (torch 2, CPU, f32).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use super::*;

fn golden(name: &str) -> PathBuf {
    // Tests run in the folder of their crate.
    Path::new("tests/golden/heads").join(name)
}

fn golden_scores(name: &str) -> Vec<f32> {
    let text = std::fs::read_to_string(golden("scores.json")).unwrap();
    let all: HashMap<String, Vec<f32>> = serde_json::from_str(&text).unwrap();
    all[name].clone()
}

/// As `value` in the script: numbers in `-scale` to `scale` by an integer hash.
fn value(salt: u64, count: usize, scale: f64) -> Vec<f32> {
    let number = |i: u64| {
        let mut x = (i * 2_654_435_761 + salt * 40503) & 0xffff_ffff;
        x = ((x ^ (x >> 15)) * 2_246_822_519) & 0xffff_ffff;
        x ^= x >> 13;
        ((x as f64 / 2_f64.powi(31) - 1.0) * scale) as f32
    };
    (0..count as u64).map(number).collect()
}

/// As `rows` in the script.
fn rows(count: usize, dim: usize) -> Vec<f32> {
    let mut rows = value(7, count * dim, 1.0);
    for row in rows.chunks_mut(dim) {
        crate::normalize(row).unwrap();
    }
    rows
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn write(path: &Path, tensors: &Tensors) {
    let views =
        tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(data)).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// Parameters by the formula, in the order of a state dict.
fn formula(names_and_shapes: &[(String, Vec<usize>)]) -> Tensors {
    let fill = |(salt, (name, shape)): (usize, &(String, Vec<usize>))| {
        let scale = if shape.len() == 2 { (3.0 / shape[1] as f64).sqrt() } else { 0.5 };
        let mut data = value(salt as u64, shape.iter().product(), scale);
        if name.ends_with("var") {
            data.iter_mut().for_each(|value| *value = value.abs() * 0.02 + 0.001);
        }
        (name.clone(), shape.clone(), data)
    };
    names_and_shapes.iter().enumerate().map(fill).collect()
}

fn linear(name: &str, inputs: usize, outputs: usize) -> [(String, Vec<usize>); 2] {
    [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
}

fn close(name: &str, got: &[f32]) {
    let expected = golden_scores(name);
    let far = got.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-5 * b.abs().max(1.0));
    assert!(got.len() == expected.len() && !far, "{name}: {got:?}, PyTorch says {expected:?}");
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn load_error(path: &Path, dim: usize) -> String {
    Head::load(path, dim).unwrap_err().to_string()
}

#[test]
fn small_heads_score_as_in_pytorch_from_safetensors_and_from_its_own_files() {
    for (file, name) in [
        ("linear.safetensors", "linear"),
        ("linear.pth", "linear"),
        ("gelu.ckpt", "gelu"),
        ("each.safetensors", "each"),
        ("batchnorm.safetensors", "batchnorm"),
    ] {
        let head = Head::load(&golden(file), 8).unwrap();
        close(name, &head.score(&rows(3, 8), 3, 8).unwrap());
    }
}

#[test]
fn published_heads_are_known_by_their_shape() {
    let chain = |widths: &[usize], places: &[usize]| {
        let layers = widths.windows(2).zip(places);
        layers.flat_map(|(pair, place)| linear(&format!("layers.{place}"), pair[0], pair[1])).collect::<Vec<_>>()
    };
    let folder = folder();
    let check = |name: &str, parameters: &[(String, Vec<usize>)], dim: usize| {
        let path = folder.path().join(format!("{name}.safetensors"));
        write(&path, &formula(parameters));
        let head = Head::load(&path, dim).unwrap();
        close(name, &head.score(&rows(3, dim), 3, dim).unwrap());
    };
    check("aesthetic-v2", &chain(&[768, 1024, 128, 64, 16, 1], &[0, 2, 4, 6, 7]), 768);
    check("h14-nsfw", &chain(&[1024, 1024, 2048, 1024, 256, 128, 16, 1], &[0, 3, 6, 9, 12, 15, 16]), 1024);
    let mut parameters: Vec<(String, Vec<usize>)> =
        ["weight", "bias", "running_mean", "running_var"].map(|part| (format!("norm.{part}"), vec![768])).into();
    // The formula counts it, and the loader passes over it.
    parameters.push(("norm.num_batches_tracked".to_owned(), vec![1]));
    for (name, inputs, outputs) in [("dense", 768, 64), ("dense1", 64, 512), ("dense2", 512, 256), ("dense3", 256, 1)] {
        parameters.extend(linear(name, inputs, outputs));
    }
    check("l14-nsfw", &parameters, 768);
}

#[test]
fn a_score_has_the_same_bits_in_every_batch() {
    let head = Head::load(&golden("gelu.ckpt"), 8).unwrap();
    let rows = rows(100, 8);
    let together = head.score(&rows, 100, 8).unwrap();
    let alone: Vec<f32> = rows.chunks(8).map(|row| head.score(row, 1, 8).unwrap()[0]).collect();
    assert_eq!(together, alone);
}

#[test]
fn a_row_that_is_not_finite_has_the_score_nan_and_its_neighbours_theirs() {
    let folder = folder();
    let path = folder.path().join("relu.safetensors");
    write(&path, &formula(&[linear("0", 2, 2), linear("2", 2, 1)].concat()));
    std::fs::write(path.with_extension("json"), r#"{"activation": "relu"}"#).unwrap();
    let head = Head::load(&path, 2).unwrap();
    let scores = head.score(&[1.0, 0.0, f32::NAN, 0.0, f32::INFINITY, 1.0], 3, 2).unwrap();
    assert!(scores[0].is_finite() && scores[1].is_nan() && scores[2].is_nan(), "{scores:?}");
}

#[test]
fn embeddings_of_another_size_are_refused_with_both_sizes() {
    let error = load_error(&golden("linear.safetensors"), 512);
    assert!(error.contains("takes embeddings of 8 components, the model gives 512"), "{error}");
    let head = Head::load(&golden("linear.safetensors"), 8).unwrap();
    assert!(head.score(&[0.0; 16], 4, 4).unwrap_err().to_string().contains("of 8 components, got 4"));
    assert!(head.score(&[0.0; 17], 2, 8).unwrap_err().to_string().contains("17 values are not 2 embeddings"));
    assert_eq!(head.score(&[], 0, 8).unwrap(), Vec::<f32>::new());
}

#[test]
fn what_lies_between_unknown_layers_is_not_guessed() {
    let folder = folder();
    let path = folder.path().join("own.safetensors");
    write(&path, &formula(&[linear("layers.0", 4, 3), linear("layers.2", 3, 2)].concat()));
    let error = load_error(&path, 4);
    assert!(error.contains("own.json") && error.contains("4 -> 3 -> 2") && error.contains("relu"), "{error}");
    let with = |json: &str| {
        std::fs::write(path.with_extension("json"), json).unwrap();
        Head::load(&path, 4).map_err(|error| error.to_string())
    };
    assert!(with(r#"{"activation": "relu"}"#).unwrap_err().contains("has 2 outputs"));
    assert!(with(r#"{"activation": "relu", "class": 2}"#).unwrap_err().contains("`class` is 2"));
    assert!(with(r#"{"activation": ["relu", "none"], "class": 0}"#).unwrap_err().contains("lists 2, but 2 layers have 1 gaps"));
    assert!(with(r#"{"activations": "relu"}"#).unwrap_err().contains("unknown field `activations`"));
    assert!(with("{").unwrap_err().contains("own.json"));
    assert!(with(r#"{"activation": ["relu"], "class": 1}"#).is_ok());
}

#[test]
fn damaged_weights_are_refused_with_the_tensors_name() {
    let folder = folder();
    let path = folder.path().join("bad.safetensors");
    let check = |tensors: Tensors, says: &[&str]| {
        write(&path, &tensors);
        let error = load_error(&path, 4);
        assert!(says.iter().all(|part| error.contains(part)), "{error}");
    };
    let broken = [linear("layers.0", 4, 3), linear("layers.2", 5, 1)].concat();
    check(formula(&broken), &["`layers.0.weight` gives 3 values, but `layers.2.weight` after it takes 5"]);
    let mut tensors = formula(&linear("head", 4, 1));
    tensors[0].2[2] = f32::NAN;
    check(tensors, &["tensor `head.weight`: value 2 is NaN"]);
    let mut shapes = linear("head", 4, 1);
    shapes[1].1 = vec![3];
    check(formula(&shapes), &["`head.bias` has 3 values", "1 outputs"]);
    check(formula(&[("conv.weight".into(), vec![1, 1, 2, 2])]), &["no two-dimensional", "conv.weight"]);
    let extra = [linear("head", 4, 1).to_vec(), vec![("embed.table".to_owned(), vec![4])]].concat();
    check(formula(&extra), &["tensor `embed.table` belongs to no layer"]);
    let norm = [linear("head", 4, 1).to_vec(), vec![("norm.mean".to_owned(), vec![4])]].concat();
    check(formula(&norm), &["`norm.variance` is missing"]);
}

#[test]
fn files_that_are_no_heads_are_refused_with_what_would_be_right() {
    let folder = folder();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        load_error(&path, 4)
    };
    assert!(load_error(&folder.path().join("none.pth"), 4).contains("none.pth"));
    assert!(file("head.onnx", b"").contains("a head is `.safetensors`"));
    assert!(file("cut.safetensors", b"\x08\0\0").contains("no safetensors file"));
    assert!(file("old.pth", b"\x80\x02\x8a\x0al\xfc\x9c\x46").contains("save `model.state_dict()` as safetensors"));
    let whole = std::fs::read(golden("linear.pth")).unwrap();
    assert!(file("cut.pth", &whole[..whole.len() / 2]).contains("no state dict that can be read"));
}

#[test]
fn keras_normalisation_divides_by_the_deviation() {
    let folder = folder();
    let path = folder.path().join("keras.safetensors");
    let tensors: Tensors = vec![
        ("norm.mean".into(), vec![2], vec![1.0, 2.0]),
        ("norm.variance".into(), vec![2], vec![4.0, 0.25]),
        ("linear_1.weight".into(), vec![1, 2], vec![1.0, 10.0]),
    ];
    write(&path, &tensors);
    let head = Head::load(&path, 2).unwrap();
    // (3 - 1) / 2 + 10 * (3 - 2) / 0.5
    assert_eq!(head.score(&[3.0, 3.0], 1, 2).unwrap(), [21.0]);
}

#[test]
fn zero_shot_scores_are_the_softmax_or_the_difference_of_two_cosines() {
    let positive = vec![vec![2.0, 0.0], vec![0.0, 0.5]];
    let negative = vec![vec![-3.0, 0.0]];
    let root = 0.5_f32.sqrt();
    let difference = ZeroShot::new(&positive, &negative, ZeroShotScore::Difference).unwrap();
    let scores = difference.score(&[1.0, 0.0, 0.0, -1.0], 2, 2).unwrap();
    assert!((scores[0] - (root + 1.0)).abs() < 1e-6 && (scores[1] + root).abs() < 1e-6, "{scores:?}");
    let softmax = ZeroShot::new(&positive, &negative, ZeroShotScore::Softmax { scale: 2.0 }).unwrap();
    let got = softmax.score(&[0.0, -1.0], 1, 2).unwrap()[0];
    let (a, b) = ((-2.0 * root).exp(), 1.0_f32);
    assert!((got - a / (a + b)).abs() < 1e-6, "{got}");
    assert!(softmax.score(&[f32::NAN, 0.0], 1, 2).unwrap()[0].is_nan());
}

#[test]
fn prompts_that_give_no_direction_are_refused() {
    let score = ZeroShotScore::Difference;
    let says = |positive: &[Vec<f32>], negative: &[Vec<f32>]| ZeroShot::new(positive, negative, score).unwrap_err().to_string();
    let one = [vec![1.0, 0.0]];
    assert!(says(&[], &one).contains("at least one positive prompt"));
    assert!(says(&one, &[vec![0.0, 0.0]]).contains("negative prompt 0: a zero vector"));
    assert!(says(&one, &[vec![1.0, 0.0], vec![-1.0, 0.0]]).contains("cancel each other out"));
    assert!(says(&one, &[vec![1.0, 0.0, 0.0]]).contains("2 components, negative ones 3"));
    assert!(says(&[vec![1.0, 0.0], vec![1.0]], &one).contains("positive prompt 1: 1 components"));
    let scale = ZeroShotScore::Softmax { scale: f32::NAN };
    assert!(ZeroShot::new(&one, &one, scale).is_err());
}
