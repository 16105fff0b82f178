use super::make::Normal;
use crate::clusters::*;
use crate::scores::{Rows, ScoreError};

#[test]
fn pictures_in_marked_clusters_are_those_of_a_plain_loop() {
    let dim = 20;
    let (vectors, targets, centroids) = (Normal(40).vectors(700, dim), Normal(41).vectors(12, dim), Normal(42).vectors(90, dim));
    let valid: Vec<bool> = (0..700).map(|row| row % 50 != 1).collect();
    let plain = |data: &[f32]| -> Vec<usize> {
        let product = |x: &[f32], c: &[f32]| x.iter().zip(c).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let nearest = |x: &[f32]| {
            let products: Vec<f64> = centroids.chunks_exact(dim).map(|c| product(x, c)).collect();
            (0..90).max_by(|&a, &b| products[a].total_cmp(&products[b])).unwrap()
        };
        data.chunks_exact(dim).map(nearest).collect()
    };
    let of = Rows::new(&centroids, dim, None).unwrap();
    let mut marked = vec![false; 90];
    // In two parts, as DataComp's five files.
    for part in targets.chunks(6 * dim) {
        mark_centroids(&Rows::new(part, dim, None).unwrap(), &of, &mut marked, 2).unwrap();
    }
    let targets = plain(&targets);
    assert!((0..90).all(|centroid| marked[centroid] == targets.contains(&centroid)));
    let found = in_marked(&Rows::new(&vectors, dim, Some(&valid)).unwrap(), &of, &marked, 2).unwrap();
    for (row, nearest) in plain(&vectors).into_iter().enumerate() {
        assert_eq!(found[row], valid[row].then(|| targets.contains(&nearest)));
    }
    assert!(matches!(in_marked(&of, &of, &marked[1..], 1), Err(ScoreError::Lengths { what: "marks", .. })));
}

#[test]
fn a_longer_centroid_draws_vectors_that_are_nearer_to_another() {
    let centroids = [1.0, 0.0, 3.0, 3.0];
    let vectors = [1.0, 0.1];
    let found = largest_product(&Rows::new(&vectors, 2, None).unwrap(), &Rows::new(&centroids, 2, None).unwrap(), 1).unwrap();
    assert_eq!(found, [1]);
}
