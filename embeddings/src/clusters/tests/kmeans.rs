use half::f16;

use super::make::{Normal, unit};
use crate::clusters::kernel::{Kernel, MAX_COLUMNS, MAX_ROWS};
use crate::clusters::matrix::{Block, Panels, Taken};
use crate::clusters::search::{By, Scratch, Searcher};
use crate::clusters::*;
use crate::scores::{HalfRows, Metric, Rows, ScoreError, nearest};

fn options(clusters: usize) -> KMeansOptions {
    KMeansOptions { threads: 2, ..KMeansOptions::new(clusters) }
}

#[test]
fn the_nearest_are_those_of_a_plain_search_on_every_set_of_instructions() {
    for (rows, dim, clusters) in [(1, 1, 1), (37, 7, 5), (200, 33, 70), (401, 768, 33)] {
        let (data, centroids) = (Normal(1).vectors(rows, dim), Normal(2).vectors(clusters, dim));
        let rows_of = Rows::new(&data, dim, None).unwrap();
        let exact: Vec<Vec<(f64, usize)>> = data
            .chunks_exact(dim)
            .map(|x| {
                let square = |c: &[f32]| x.iter().zip(c).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                let mut all: Vec<(f64, usize)> = centroids.chunks_exact(dim).enumerate().map(|(at, c)| (square(c), at)).collect();
                all.sort_by(|a, b| a.partial_cmp(b).unwrap());
                all
            })
            .collect();
        for kernel in Kernel::available() {
            let mut searcher = Searcher::new(kernel);
            searcher.fill(&centroids, dim, By::Distance, |_| true);
            let mut block = Block::new(rows, dim);
            block.read("vectors", &rows_of, 0..rows, Taken::AsStored).unwrap();
            let (mut one, mut two) = (vec![[0; 1]; rows], vec![[0; 2]; rows]);
            searcher.find(&block, &mut Scratch::new(), &mut one);
            searcher.find(&block, &mut Scratch::new(), &mut two);
            for ((one, two), exact) in one.iter().zip(&two).zip(&exact) {
                assert_eq!((one[0] as usize, two[0] as usize), (exact[0].1, exact[0].1));
                assert_eq!(two[1], exact.get(1).map_or(NO_CLUSTER, |second| second.1 as u32));
            }
        }
    }
}

#[test]
fn every_kernel_gives_the_same_tile() {
    let (dim, rows) = (100, 11);
    let (data, columns) = (Normal(3).vectors(rows, dim), Normal(4).vectors(16, dim));
    let source = Rows::new(&data, dim, None).unwrap();
    let mut block = Block::new(rows, dim);
    block.read("vectors", &source, 0..rows, Taken::AsStored).unwrap();
    let mut results = Vec::new();
    for kernel in Kernel::available() {
        let mut panels = Panels::new(kernel);
        panels.pack(dim, columns.chunks_exact(dim));
        let mut all = Vec::new();
        for first in (0..rows).step_by(kernel.rows) {
            let here = kernel.rows.min(rows - first);
            let mut tile = [0.0; MAX_ROWS * MAX_COLUMNS];
            kernel.product(dim, &block.values()[first * block.ld..], block.ld, panels.iter().next().unwrap(), &mut tile, here);
            all.extend(tile.chunks_exact(kernel.columns).take(here).flat_map(|row| row[..16].to_vec()));
        }
        results.push(all);
    }
    for other in &results[1..] {
        for (a, b) in results[0].iter().zip(other) {
            assert!((a - b).abs() < 1e-4);
        }
    }
}

#[test]
fn assignments_agree_with_the_scores_nearest() {
    let (data, centroids) = (Normal(5).vectors(500, 24), Normal(6).vectors(40, 24));
    let valid: Vec<bool> = (0..500).map(|row| row % 7 != 3).collect();
    let rows = Rows::new(&data, 24, Some(&valid)).unwrap();
    let usable: Vec<bool> = (0..40).map(|row| row != 11).collect();
    let centroids = Rows::new(&centroids, 24, Some(&usable)).unwrap();
    for metric in [Metric::L2, Metric::Cosine] {
        let [ours, second] = assign_two(&rows, &centroids, metric, 3).unwrap();
        assert_eq!(assign(&rows, &centroids, metric, 1).unwrap().clusters, ours.clusters);
        for (row, expected) in nearest(&rows, &centroids, metric).unwrap().into_iter().enumerate() {
            assert_eq!(ours.get(row).map(|found| found.index), expected.map(|found| found.index));
            if let Some(expected) = expected {
                assert!((ours.distances[row] - expected.distance).abs() < 1e-5);
                assert!(second.distances[row] >= ours.distances[row] && second.clusters[row] != 11);
            }
        }
        assert_eq!(ours.sizes(40).iter().sum::<u64>(), valid.iter().filter(|valid| **valid).count() as u64);
    }
}

#[test]
fn clusters_that_lie_apart_are_found() {
    let (data, of) = Normal(7).mixture(2000, 16, 10, 0.05);
    let rows = Rows::new(&data, 16, None).unwrap();
    let found = kmeans(&rows, Keys::RowNumbers, &KMeansOptions { init: Init::PlusPlus { points: 2000 }, ..options(10) }).unwrap();
    for a in 0..200 {
        for b in 0..200 {
            let together = found.assignments.clusters[a] == found.assignments.clusters[b];
            assert_eq!(together, of[a] == of[b]);
        }
    }
    assert!(found.objective < 2000.0 * 16.0 * 0.05 * 0.05 * 1.05);
    assert!(found.objectives.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-9)));
}

#[test]
fn the_result_depends_neither_on_threads_nor_on_precision_that_is_not_used() {
    let (data, _) = Normal(8).mixture(3000, 20, 30, 0.5);
    let halves: Vec<f16> = data.iter().map(|&x| f16::from_f32(x)).collect();
    let data: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
    let (rows, halves) = (Rows::new(&data, 20, None).unwrap(), HalfRows::new(&halves, 20).unwrap());
    for init in [Init::Random, Init::PlusPlus { points: 1000 }] {
        for spherical in [false, true] {
            let options = KMeansOptions { init, spherical, sample: Sample::Ratio(0.8), ..options(40) };
            let one = kmeans(&rows, Keys::RowNumbers, &KMeansOptions { threads: 1, ..options }).unwrap();
            assert_eq!(one, kmeans(&rows, Keys::RowNumbers, &KMeansOptions { threads: 5, ..options }).unwrap());
            assert_eq!(one, kmeans(&halves, Keys::RowNumbers, &options).unwrap());
            assert_ne!(one, kmeans(&rows, Keys::RowNumbers, &KMeansOptions { seed: 1, ..options }).unwrap());
        }
    }
}

#[test]
fn the_first_centroids_follow_the_keys_and_not_the_order() {
    let (data, _) = Normal(9).mixture(600, 8, 6, 0.3);
    let turned: Vec<f32> = data.chunks_exact(8).rev().flatten().copied().collect();
    let keys = uid_keys(&(0..600).map(|row| row.to_string()).collect::<Vec<_>>());
    let turned_keys: Vec<u64> = keys.iter().rev().copied().collect();
    for init in [Init::Random, Init::PlusPlus { points: 300 }] {
        let options = KMeansOptions { iterations: 0, init, sample: Sample::PerCentroid(50), ..options(7) };
        let one = kmeans(&Rows::new(&data, 8, None).unwrap(), Keys::Given(&keys), &options).unwrap();
        let other = kmeans(&Rows::new(&turned, 8, None).unwrap(), Keys::Given(&turned_keys), &options).unwrap();
        assert_eq!(one.centroids, other.centroids);
    }
}

#[test]
fn one_step_of_lloyd_is_the_mean_and_an_empty_cluster_stays() {
    // Two equal vectors are both first centroids: one of them gets everything, the other nothing.
    let data = [0.0, 0.0, 0.0, 0.0, 4.0, 0.0];
    let rows = Rows::new(&data, 2, None).unwrap();
    let found = kmeans(&rows, Keys::RowNumbers, &options(3)).unwrap();
    let mut centroids: Vec<&[f32]> = found.centroids.chunks_exact(2).collect();
    centroids.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(centroids, [[0.0, 0.0], [0.0, 0.0], [4.0, 0.0]]);
    assert_eq!(found.objective, 0.0);
    assert_eq!(found.assignments.sizes(3).iter().filter(|size| **size == 0).count(), 1);
}

#[test]
fn null_and_zero_vectors_have_no_cluster() {
    let data = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 9.0, 9.0];
    let rows = Rows::new(&data, 2, Some(&[true, true, true, false])).unwrap();
    let found = kmeans(&rows, Keys::RowNumbers, &KMeansOptions { spherical: true, ..options(2) });
    // A zero vector may be drawn as the first centroid; it then keeps nothing.
    let found = found.unwrap();
    assert_eq!((found.assignments.clusters[1], found.assignments.clusters[3]), (NO_CLUSTER, NO_CLUSTER));
    assert!(found.assignments.get(0).is_some() && found.assignments.get(3).is_none());
}

#[test]
fn what_cannot_be_clustered_is_refused() {
    let data = [1.0, 0.0, f32::NAN, 1.0];
    let rows = Rows::new(&data, 2, None).unwrap();
    let of = |options: KMeansOptions| kmeans(&rows, Keys::RowNumbers, &options).unwrap_err();
    assert_eq!(of(KMeansOptions { iterations: 1, ..options(2) }), ScoreError::NotFinite { what: "vectors", row: 1 });
    assert_eq!(of(options(3)).to_string(), "`clusters` is 3 for 2 vectors; no more clusters than vectors are possible");
    assert!(matches!(of(options(0)), ScoreError::Setting { name: "clusters", .. }));
    assert!(matches!(of(KMeansOptions { sample: Sample::Ratio(1.5), ..options(1) }), ScoreError::Setting { .. }));
    let wrong = kmeans(&rows, Keys::Given(&[1]), &options(1)).unwrap_err();
    assert_eq!(wrong, ScoreError::Lengths { what: "keys", expected: 2, found: 1 });
}

#[test]
fn faiss_runs_and_its_objective_is_no_better_than_ours() {
    let (mut data, _) = Normal(10).mixture(4000, 32, 50, 0.4);
    unit(&mut data, 32);
    let rows = Rows::new(&data, 32, None).unwrap();
    for spherical in [false, true] {
        let options = KMeansOptions { spherical, ..options(50) };
        let ours = kmeans(&rows, Keys::RowNumbers, &options).unwrap();
        let theirs = kmeans(&rows, Keys::RowNumbers, &KMeansOptions { engine: Engine::Faiss, ..options }).unwrap();
        assert_eq!(theirs.centroids.len(), 50 * 32);
        // Random beginnings differ by some per cent.
        assert!(
            ours.objective < theirs.objective * 1.1 && theirs.objective < ours.objective * 1.1,
            "{} {}",
            ours.objective,
            theirs.objective
        );
    }
}
