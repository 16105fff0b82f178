//! The scores against plain numpy. The golden values are made by `tests/models/make_scores.py`.

use serde_json::Value;
use trommel_embeddings::scores::{
    HalfRows, Learnability, Metric, NegClipLoss, NormSim2, Rows, ScoreError, best_caption, learnability, nearest, neg_clip_loss,
    neg_clip_loss_ordered, norm_sim_inf, norm_sim_inf_into, sigmoid_batch_losses, sigmoid_losses, softmax_losses,
};

struct Golden {
    all: Value,
    dim: usize,
}

impl Golden {
    fn read() -> Self {
        let all: Value = serde_json::from_str(include_str!("golden/scores/scores.json")).expect("the golden file has this shape");
        let dim = all["dim"].as_u64().expect("the golden file has this shape") as usize;
        Self { all, dim }
    }

    fn vectors(&self, key: &str) -> Vec<f32> {
        self.all[key]
            .as_array()
            .expect("the golden file has this shape")
            .iter()
            .map(|value| value.as_f64().expect("the golden file has this shape") as f32)
            .collect()
    }

    fn valid(&self, rows: usize) -> Vec<bool> {
        let missing = indices(&self.all["missing"]);
        (0..rows).map(|row| !missing.contains(&row)).collect()
    }
}

fn indices(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .expect("the golden file has this shape")
        .iter()
        .map(|value| value.as_u64().expect("the golden file has this shape") as usize)
        .collect()
}

fn near(found: &[Option<f32>], golden: &Value) {
    let golden = golden.as_array().expect("the golden file has this shape");
    assert_eq!(found.len(), golden.len());
    for (row, (found, golden)) in found.iter().zip(golden).enumerate() {
        match (found, golden.as_f64()) {
            (None, None) => {}
            (Some(found), Some(golden)) => {
                let error = (f64::from(*found) - golden).abs();
                assert!(error <= 1e-5 * golden.abs().max(1.0), "row {row}: {found} instead of {golden}");
            }
            other => panic!("row {row}: {other:?}"),
        }
    }
}

#[test]
fn neg_clip_loss_equals_numpy() {
    let golden = Golden::read();
    let (images, texts) = (golden.vectors("images"), golden.vectors("texts"));
    let valid = golden.valid(images.len() / golden.dim);
    let images = Rows::new(&images, golden.dim, Some(&valid)).unwrap();
    let texts = Rows::new(&texts, golden.dim, None).unwrap();
    let orders: Vec<Vec<usize>> = golden.all["orders"].as_array().unwrap().iter().map(indices).collect();
    for case in golden.all["neg_clip_loss"].as_array().unwrap() {
        let temperature = case["temperature"].as_f64().unwrap() as f32;
        let batch = case["batch"].as_u64().unwrap() as usize;
        for threads in [1, 3] {
            let settings = NegClipLoss { temperature, batch, threads, ..NegClipLoss::default() };
            let found = neg_clip_loss_ordered(&images, &texts, orders.clone(), &settings).unwrap();
            near(&found, &case["scores"]);
        }
    }
}

#[test]
fn norm_sim_equals_numpy_however_the_targets_come() {
    let golden = Golden::read();
    let (images, targets, dim) = (golden.vectors("images"), golden.vectors("targets"), golden.dim);
    let rows = Rows::new(&images, dim, None).unwrap();
    let mut sim = NormSim2::new(dim);
    let mut best = vec![None; rows.len()];
    for part in targets.chunks(3 * dim) {
        let part = Rows::new(part, dim, None).unwrap();
        sim.add(&part).unwrap();
        norm_sim_inf_into(&rows, &part, &mut best).unwrap();
    }
    assert_eq!(sim.targets(), targets.len() as u64 / dim as u64);
    near(&sim.score(&rows).unwrap(), &golden.all["norm_sim_2"]);
    near(&sim.score(&rows).unwrap(), &golden.all["norm_sim_2_direct"]);
    near(&best, &golden.all["norm_sim_inf"]);
    near(&norm_sim_inf(&rows, &Rows::new(&targets, dim, None).unwrap()).unwrap(), &golden.all["norm_sim_inf"]);
}

#[test]
fn the_nearest_centroid_equals_numpy() {
    let golden = Golden::read();
    let (images, centroids, dim) = (golden.vectors("images"), golden.vectors("centroids"), golden.dim);
    let (rows, centroids) = (Rows::new(&images, dim, None).unwrap(), Rows::new(&centroids, dim, None).unwrap());
    for (metric, key) in [(Metric::Cosine, "nearest_cosine"), (Metric::L2, "nearest_l2")] {
        let found = nearest(&rows, &centroids, metric).unwrap();
        let index: Vec<usize> = found.iter().map(|found| found.unwrap().index).collect();
        assert_eq!(index, indices(&golden.all[key][0]));
        let distance: Vec<Option<f32>> = found.iter().map(|found| found.map(|found| found.distance)).collect();
        near(&distance, &golden.all[key][1]);
    }
}

#[test]
fn the_best_caption_equals_numpy_and_the_first_of_equals_wins() {
    let golden = Golden::read();
    let (images, texts, dim) = (golden.vectors("images"), golden.vectors("texts"), golden.dim);
    let offsets = indices(&golden.all["offsets"]);
    let images = Rows::new(&images[..(offsets.len() - 1) * dim], dim, None).unwrap();
    let found = best_caption(&images, &Rows::new(&texts, dim, None).unwrap(), &offsets).unwrap();
    for (found, golden) in found.iter().zip(golden.all["best_caption"].as_array().unwrap()) {
        assert_eq!(found.map(|found| found.index as u64), golden[0].as_u64());
        near(&[found.map(|found| found.score)], &Value::Array(vec![golden[1].clone()]));
    }
    let image = Rows::new(&[1.0, 0.0], 2, None).unwrap();
    let equal = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    let choose = |valid: &[bool]| best_caption(&image, &Rows::new(&equal, 2, Some(valid)).unwrap(), &[0, 3]).unwrap()[0];
    assert_eq!(choose(&[true, true, true]).map(|choice| choice.index), Some(1));
    assert_eq!(choose(&[true, false, true]).map(|choice| choice.index), Some(2));
    assert_eq!(choose(&[false, false, false]), None);
}

#[test]
fn the_losses_of_jest_equal_numpy() {
    let golden = Golden::read();
    let (images, texts) = (golden.vectors("images"), golden.vectors("texts"));
    let valid = golden.valid(images.len() / golden.dim);
    let images = Rows::new(&images, golden.dim, None).unwrap();
    let texts = Rows::new(&texts, golden.dim, Some(&valid)).unwrap();
    let number = |key: &str| golden.all[key].as_f64().unwrap() as f32;
    let (scale, bias) = (number("scale"), number("bias"));
    near(&sigmoid_losses(&images, &texts, scale, bias).unwrap(), &golden.all["sigmoid"]);
    near(&sigmoid_batch_losses(&images, &texts, scale, bias).unwrap(), &golden.all["sigmoid_batch"]);
    near(&softmax_losses(&images, &texts, scale).unwrap(), &golden.all["softmax"]);
}

#[test]
fn learnability_is_the_difference_of_two_losses() {
    let (learner, reference) = ([Some(3.0), None, Some(1.0)], [Some(1.0), Some(1.0), None]);
    let of = |kind| learnability(&learner, &reference, kind).unwrap();
    assert_eq!(of(Learnability::Learnable), [Some(2.0), None, None]);
    assert_eq!(of(Learnability::EasyReference), [Some(-1.0), Some(-1.0), None]);
    assert_eq!(of(Learnability::HardLearner), [Some(3.0), None, Some(1.0)]);
    let error = learnability(&[Some(f32::NAN)], &[None], Learnability::Learnable);
    assert_eq!(error, Err(ScoreError::NotFinite { what: "learner losses", row: 0 }));
}

#[test]
fn the_order_of_the_rows_changes_no_score() {
    let golden = Golden::read();
    let dim = golden.dim;
    let (images, texts) = (golden.vectors("images"), golden.vectors("texts"));
    let uids: Vec<String> = (0..images.len() / dim).map(|row| format!("{row:032x}")).collect();
    let settings = NegClipLoss { batch: 10, rounds: 4, seed: 3, ..NegClipLoss::default() };
    let score = |order: &[usize]| {
        let turn = |vectors: &[f32]| order.iter().flat_map(|&row| vectors[row * dim..(row + 1) * dim].to_vec()).collect::<Vec<f32>>();
        let uids: Vec<&str> = order.iter().map(|&row| uids[row].as_str()).collect();
        let (images, texts) = (turn(&images), turn(&texts));
        let rows = |vectors| Rows::new(vectors, dim, None).unwrap();
        let scores = neg_clip_loss(&rows(&images), &rows(&texts), &uids, &settings).unwrap();
        let mut scores: Vec<(usize, Option<f32>)> = order.iter().copied().zip(scores).collect();
        scores.sort_by_key(|(row, _)| *row);
        scores
    };
    let order: Vec<usize> = (0..uids.len()).collect();
    let turned: Vec<usize> = order.iter().rev().copied().collect();
    assert_eq!(score(&order), score(&turned));
}

#[test]
fn large_tiles_add_up() {
    // More rows and columns than a tile has, against the sum taken whole.
    let (rows, dim) = (5000_usize, 4_usize);
    let data: Vec<f32> = (0..rows * dim).map(|at| ((at * 7919 % 2003) as f32 / 1001.5) - 1.0).collect();
    let whole = Rows::new(&data, dim, None).unwrap();
    let order: Vec<usize> = (0..rows).collect();
    let settings = NegClipLoss { temperature: 0.05, batch: rows, ..NegClipLoss::default() };
    let found = neg_clip_loss_ordered(&whole, &whole, [order], &settings).unwrap();
    for row in [0, 1023, 1024, 4095, 4096, 4999] {
        let of = |row: usize| &data[row * dim..(row + 1) * dim];
        let product = |a: usize, b: usize| of(a).iter().zip(of(b)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let logits: Vec<f64> = (0..rows).map(|other| product(row, other) / 0.05).collect();
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        let log = max + logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln();
        let exact = product(row, row) - 0.05 * log;
        assert!((f64::from(found[row].unwrap()) - exact).abs() < 1e-5, "{row}: {:?} instead of {exact}", found[row]);
    }
}

#[test]
fn half_precision_is_scored_where_it_lies() {
    let golden = Golden::read();
    let images: Vec<half::f16> = golden.vectors("images").into_iter().map(half::f16::from_f32).collect();
    let wide: Vec<f32> = images.iter().map(|component| component.to_f32()).collect();
    let uids: Vec<String> = (0..wide.len() / golden.dim).map(|row| row.to_string()).collect();
    let settings = NegClipLoss { batch: 10, rounds: 1, ..NegClipLoss::default() };
    let half = HalfRows::new(&images, golden.dim).unwrap();
    let whole = Rows::new(&wide, golden.dim, None).unwrap();
    assert_eq!(neg_clip_loss(&half, &half, &uids, &settings), neg_clip_loss(&whole, &whole, &uids, &settings));
}

#[test]
fn what_cannot_be_scored_is_an_error_that_says_so() {
    let two = Rows::new(&[1.0, 0.0], 2, None).unwrap();
    let three = Rows::new(&[1.0, 0.0, 0.0], 3, None).unwrap();
    let nan = Rows::new(&[f32::NAN, 0.0], 2, None).unwrap();
    let null = Rows::new(&[f32::NAN, 0.0], 2, Some(&[false])).unwrap();
    let settings = NegClipLoss::default();
    let error = neg_clip_loss(&two, &three, &["a"], &settings).unwrap_err();
    assert_eq!(error.to_string(), "captions: vectors of 3 components against vectors of 2");
    let error = neg_clip_loss(&two, &two, &["a", "b"], &settings).unwrap_err();
    assert_eq!(error.to_string(), "uids: 2 rows, 1 expected");
    assert_eq!(neg_clip_loss(&nan, &two, &["a"], &settings).unwrap_err().to_string(), "images: row 0 is not finite");
    assert_eq!(neg_clip_loss(&null, &two, &["a"], &settings), Ok(vec![None]));
    let cold = NegClipLoss { temperature: 0.0, ..settings };
    assert!(neg_clip_loss(&two, &two, &["a"], &cold).unwrap_err().to_string().contains("`temperature` is 0"));
    assert_eq!(norm_sim_inf(&two, &null), Err(ScoreError::Empty { what: "targets" }));
    assert_eq!(NormSim2::new(2).score(&two), Err(ScoreError::Empty { what: "targets" }));
    assert_eq!(NormSim2::new(2).add(&nan), Err(ScoreError::NotFinite { what: "targets", row: 0 }));
    assert_eq!(nearest(&two, &null, Metric::L2), Err(ScoreError::Empty { what: "centroids" }));
    let zero = Rows::new(&[0.0, 0.0], 2, None).unwrap();
    assert_eq!(nearest(&zero, &two, Metric::Cosine), Ok(vec![None]));
    assert_eq!(nearest(&two, &zero, Metric::Cosine), Err(ScoreError::Empty { what: "centroids" }));
    assert_eq!(nearest(&two, &zero, Metric::L2).unwrap()[0].unwrap().distance, 1.0);
    assert!(best_caption(&two, &two, &[0]).is_err() && best_caption(&two, &two, &[1, 1]).is_err());
}

#[test]
fn mapped_files_are_one_sequence_of_rows() {
    use trommel_embeddings::scores::{MappedVectors, VectorSource};
    use trommel_shards::storage::Storage;
    use trommel_shards::vectors::{NpyWriter, Precision};

    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
    let golden = Golden::read();
    let (data, dim) = (golden.vectors("images"), golden.dim);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut paths = Vec::new();
    for (number, part) in data.chunks(10 * dim).enumerate() {
        let name = format!("img_emb_{number}.npy");
        let mut npy = NpyWriter::create(&storage, &name, dim, Precision::F32).unwrap();
        let valid: Vec<bool> = (0..part.len() / dim).map(|row| (number, row) != (1, 5)).collect();
        npy.append(Rows::new(part, dim, Some(&valid)).unwrap()).unwrap();
        runtime.block_on(npy.finish()).unwrap();
        paths.push(storage.uri_of(&name));
    }
    let mapped = MappedVectors::open(&paths).unwrap();
    assert_eq!((mapped.len(), mapped.dim()), (data.len() / dim, dim));
    let valid: Vec<bool> = (0..mapped.len()).map(|row| row != 15).collect();
    let rows = Rows::new(&data, dim, Some(&valid)).unwrap();
    let uids: Vec<String> = (0..rows.len()).map(|row| row.to_string()).collect();
    let settings = NegClipLoss { batch: 10, rounds: 2, ..NegClipLoss::default() };
    assert_eq!(neg_clip_loss(&mapped, &mapped, &uids, &settings), neg_clip_loss(&rows, &rows, &uids, &settings));
}
