use super::make::{Normal, unit};
use crate::clusters::draw::Draws;
use crate::clusters::*;
use crate::scores::{Learnability, Rows, ScoreError};

const DIM: usize = 12;

struct Side {
    images: Vec<f32>,
    texts: Vec<f32>,
    scale: f32,
    bias: f32,
}

fn side(seed: u64, rows: usize, scale: f32, bias: f32) -> Side {
    let (mut images, mut texts) = (Normal(seed).vectors(rows, DIM), Normal(seed + 1).vectors(rows, DIM));
    texts.iter_mut().zip(&images).for_each(|(text, image)| *text = 0.7 * *text + 0.5 * image);
    unit(&mut images, DIM);
    unit(&mut texts, DIM);
    Side { images, texts, scale, bias }
}

/// The whole matrix `scale f_i·g_j + bias`.
fn matrix(side: &Side, bias: f32) -> Vec<Vec<f64>> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let row =
        |image: &[f32]| side.texts.chunks_exact(DIM).map(|text| f64::from(side.scale) * product(image, text) + f64::from(bias)).collect();
    side.images.chunks_exact(DIM).map(row).collect()
}

/// The selection as its formulas say it, from whole matrices.
fn plain(learner: &Side, reference: &Side, options: &JestOptions) -> Vec<usize> {
    let sigmoid = options.loss == JointLoss::Sigmoid;
    let of = |side: &Side| matrix(side, if sigmoid { side.bias } else { 0.0 });
    let (z, zr) = (of(learner), of(reference));
    let rows = z.len();
    let nll = |z: &[Vec<f64>], i: usize, j: usize| (1.0 + (if i == j { -z[i][j] } else { z[i][j] }).exp()).ln();
    let joint = |z: &[Vec<f64>], j: usize, chosen: &[usize]| {
        if sigmoid {
            return nll(z, j, j) + chosen.iter().map(|&k| nll(z, k, j) + nll(z, j, k)).sum::<f64>();
        }
        let sum = |value: &dyn Fn(usize) -> f64| chosen.iter().chain([&j]).map(|&k| value(k).exp()).sum::<f64>().ln();
        (sum(&|k| z[j][k]) + sum(&|k| z[k][j])) / 2.0 - z[j][j]
    };
    let score = |j: usize, chosen: &[usize]| match options.kind {
        Learnability::Learnable => joint(&z, j, chosen) - joint(&zr, j, chosen),
        Learnability::EasyReference => -joint(&zr, j, chosen),
        Learnability::HardLearner => joint(&z, j, chosen),
    };
    let mut chosen: Vec<usize> = Vec::new();
    for chunk in 0..options.chunks {
        let wanted = options.select * (chunk + 1) / options.chunks - chosen.len();
        let draws = Draws::new(options.seed, "jest", options.step * (1 << 20) + chunk as u64);
        // Without negatives the softmax loss of a pair alone is nothing, and all are alike.
        let alone = |j: usize| if sigmoid { score(j, &[]) } else { 0.0 };
        let least = (0..rows).map(alone).fold(f64::INFINITY, f64::min);
        let divisor = if options.mean_of_terms && sigmoid { (2 * chosen.len() + 1) as f64 } else { 1.0 };
        let logit = |j: usize| match (chunk, options.first) {
            (0, FirstChunk::Uniform) => 0.0,
            (0, FirstChunk::Diagonal) => (alone(j) - least).max(1e-30).ln(),
            _ => score(j, &chosen) / divisor,
        };
        let mut all: Vec<(f64, usize)> =
            (0..rows).filter(|j| !chosen.contains(j)).map(|j| (logit(j) - (-draws.unit(j as u64).ln()).ln(), j)).collect();
        all.sort_by(|a, b| b.partial_cmp(a).unwrap());
        chosen.extend(all.into_iter().take(wanted).map(|(_, j)| j));
    }
    chosen
}

fn ours(learner: &Side, reference: &Side, options: &JestOptions) -> Vec<usize> {
    let rows = |data| Rows::new(data, DIM, None).unwrap();
    let (li, lt, ri, rt) = (rows(&learner.images), rows(&learner.texts), rows(&reference.images), rows(&reference.texts));
    let learner = PairVectors { images: &li, texts: &lt, scale: learner.scale, bias: learner.bias };
    let reference = PairVectors { images: &ri, texts: &rt, scale: reference.scale, bias: reference.bias };
    jest_select(&learner, &reference, Keys::RowNumbers, options).unwrap()
}

#[test]
fn the_selection_is_that_of_a_plain_implementation() {
    let (learner, reference) = (side(50, 300, 5.0, -4.0), side(52, 300, 8.0, -5.0));
    let base = JestOptions { chunks: 7, seed: 3, threads: 2, ..JestOptions::new(60) };
    for loss in [JointLoss::Sigmoid, JointLoss::Softmax] {
        for kind in [Learnability::Learnable, Learnability::EasyReference, Learnability::HardLearner] {
            for (first, mean_of_terms) in [(FirstChunk::Uniform, false), (FirstChunk::Diagonal, true)] {
                let options = JestOptions { loss, kind, first, mean_of_terms, ..base };
                assert_eq!(ours(&learner, &reference, &options), plain(&learner, &reference, &options), "{options:?}");
            }
        }
    }
}

#[test]
fn the_selection_depends_on_the_step_and_not_on_threads() {
    let (learner, reference) = (side(60, 2000, 5.0, -4.0), side(62, 2000, 8.0, -5.0));
    let options = JestOptions { threads: 1, ..JestOptions::new(400) };
    let one = ours(&learner, &reference, &options);
    assert_eq!(one, ours(&learner, &reference, &JestOptions { threads: 5, ..options }));
    assert_ne!(one, ours(&learner, &reference, &JestOptions { step: 1, ..options }));
    let mut sorted = one.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 400);
}

#[test]
fn selected_pairs_have_a_higher_joint_score_than_random_ones() {
    let (learner, reference) = (side(70, 1000, 10.0, -5.0), side(72, 1000, 10.0, -5.0));
    let (z, zr) = (matrix(&learner, -5.0), matrix(&reference, -5.0));
    let total = |rows: &[usize]| -> f64 {
        let nll = |z: &[Vec<f64>], i: usize, j: usize| (1.0 + (if i == j { -z[i][j] } else { z[i][j] }).exp()).ln();
        rows.iter().flat_map(|&i| rows.iter().map(move |&j| (i, j))).map(|(i, j)| nll(&z, i, j) - nll(&zr, i, j)).sum()
    };
    let selected = ours(&learner, &reference, &JestOptions::new(200));
    let random: Vec<usize> = (0..200).collect();
    assert!(total(&selected) > total(&random) + 100.0, "{} {}", total(&selected), total(&random));
}

#[test]
fn nulls_are_not_selected_and_too_few_pairs_are_refused() {
    let data = side(80, 10, 5.0, -4.0);
    let valid: Vec<bool> = (0..10).map(|row| row != 4).collect();
    let (images, texts) = (Rows::new(&data.images, DIM, Some(&valid)).unwrap(), Rows::new(&data.texts, DIM, None).unwrap());
    let pairs = PairVectors { images: &images, texts: &texts, scale: 5.0, bias: -4.0 };
    let mut all = jest_select(&pairs, &pairs, Keys::RowNumbers, &JestOptions { chunks: 3, ..JestOptions::new(9) }).unwrap();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert!(matches!(
        jest_select(&pairs, &pairs, Keys::RowNumbers, &JestOptions::new(10)),
        Err(ScoreError::Setting { name: "select", .. })
    ));
}
