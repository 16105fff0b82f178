use super::make::{Normal, unit};
use crate::clusters::*;
use crate::scores::{Metric, Rows};

/// SemDeDup's `M` as its definition says it.
fn plain(data: &[f32], dim: usize, assignments: &Assignments, keep: KeepFirst) -> Vec<Option<f32>> {
    let mut result = vec![None; assignments.len()];
    let clusters = assignments.clusters.iter().filter(|&&cluster| cluster != NO_CLUSTER).max().unwrap() + 1;
    for cluster in 0..clusters {
        let mut rows: Vec<usize> = (0..assignments.len()).filter(|&row| assignments.clusters[row] == cluster).collect();
        rows.sort_by(|&a, &b| {
            let (a, b) = if keep == KeepFirst::Hard { (b, a) } else { (a, b) };
            assignments.distances[a].total_cmp(&assignments.distances[b])
        });
        for (at, &j) in rows.iter().enumerate() {
            let of = |row: usize| &data[row * dim..][..dim];
            let cosine = |i: usize| of(i).iter().zip(of(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            result[j] = Some(rows[..at].iter().map(|&i| cosine(i) as f32).fold(0.0, f32::max));
        }
    }
    result
}

fn close(ours: &[Option<f32>], plain: &[Option<f32>]) {
    for (row, (ours, plain)) in ours.iter().zip(plain).enumerate() {
        match (ours, plain) {
            (Some(ours), Some(plain)) => assert!((ours - plain).abs() < 2e-6, "row {row}: {ours} {plain}"),
            _ => assert_eq!(ours, plain, "row {row}"),
        }
    }
}

#[test]
fn similarities_are_those_of_a_plain_loop_over_5000_vectors() {
    let dim = 48;
    let (mut data, _) = Normal(20).mixture(5000, dim, 60, 0.2);
    unit(&mut data, dim);
    let valid: Vec<bool> = (0..5000).map(|row| row % 101 != 7).collect();
    let rows = Rows::new(&data, dim, Some(&valid)).unwrap();
    // Two clusters only: more rows than a thread takes at a time, and a part that is cut short.
    let centroids = Normal(21).vectors(2, dim);
    let assignments = assign(&rows, &Rows::new(&centroids, dim, None).unwrap(), Metric::Cosine, 2).unwrap();
    for keep in [KeepFirst::Hard, KeepFirst::Easy] {
        let options = SemDedupOptions { keep, threads: 2, ..SemDedupOptions::default() };
        let ours = semdedup(&rows, &assignments, None, Keys::RowNumbers, &options).unwrap();
        close(&ours, &plain(&data, dim, &assignments, keep));
        assert_eq!(ours, semdedup(&rows, &assignments, None, Keys::RowNumbers, &SemDedupOptions { threads: 7, ..options }).unwrap());
        assert_eq!(ours.iter().filter(|similarity| similarity.is_none()).count(), 50);
    }
}

#[test]
fn a_chain_of_duplicates_leaves_its_first_and_singletons_stay() {
    // Four directions 10 degrees apart, sorted by distance to a centroid at the fourth; the fifth is alone in cluster 1.
    let data: Vec<f32> =
        [0.0_f32, 10.0, 20.0, 30.0, 200.0].iter().flat_map(|angle| [angle.to_radians().cos(), angle.to_radians().sin()]).collect();
    let rows = Rows::new(&data, 2, None).unwrap();
    let assignments = Assignments { clusters: vec![0, 0, 0, 0, 1], distances: vec![0.4, 0.3, 0.2, 0.1, 0.0] };
    let found = semdedup(&rows, &assignments, None, Keys::RowNumbers, &SemDedupOptions::default()).unwrap();
    let ten = 10.0_f32.to_radians().cos();
    close(&found, &[Some(0.0), Some(ten), Some(ten), Some(ten), Some(0.0)]);
    assert_eq!(duplicates(&found, 0.1, DuplicateRule::Above).unwrap(), [false, true, true, true, false]);
    assert_eq!(duplicates(&found, 0.01, DuplicateRule::Above).unwrap(), [false; 5]);
    assert!(duplicates(&found, 1.5, DuplicateRule::Above).is_err());
}

#[test]
fn the_two_rules_differ_at_the_limit_alone() {
    let similarities = [Some(0.75), Some(0.5), None];
    assert_eq!(duplicates(&similarities, 0.25, DuplicateRule::Above).unwrap(), [false, false, false]);
    assert_eq!(duplicates(&similarities, 0.25, DuplicateRule::AtLeast).unwrap(), [true, false, false]);
}

#[test]
fn a_second_cluster_finds_duplicates_on_both_sides_of_a_border_and_drops_one_of_them() {
    // The border between the two centroids runs between two equal-looking vectors.
    let data: Vec<f32> = [44.0_f32, 46.0].iter().flat_map(|angle| [angle.to_radians().cos(), angle.to_radians().sin()]).collect();
    let rows = Rows::new(&data, 2, None).unwrap();
    let centroids = [1.0, 0.0, 0.0, 1.0];
    let [first, second] = assign_two(&rows, &Rows::new(&centroids, 2, None).unwrap(), Metric::Cosine, 1).unwrap();
    assert_eq!((first.clusters[0], first.clusters[1]), (0, 1));
    let options = SemDedupOptions::default();
    let of = |second| semdedup(&rows, &first, second, Keys::RowNumbers, &options).unwrap();
    assert_eq!(duplicates(&of(None), 0.05, DuplicateRule::Above).unwrap(), [false, false]);
    let found = duplicates(&of(Some(&second)), 0.05, DuplicateRule::Above).unwrap();
    assert_eq!(found.iter().filter(|goes| **goes).count(), 1);
}

#[test]
fn a_random_order_follows_the_keys() {
    let (mut data, _) = Normal(22).mixture(300, 8, 5, 0.1);
    unit(&mut data, 8);
    let keys = uid_keys(&(0..300).map(|row| row.to_string()).collect::<Vec<_>>());
    let options = SemDedupOptions { keep: KeepFirst::Random, ..SemDedupOptions::default() };
    let everything = Assignments { clusters: vec![0; 300], distances: vec![0.0; 300] };
    let one = semdedup(&Rows::new(&data, 8, None).unwrap(), &everything, None, Keys::Given(&keys), &options).unwrap();
    let turned: Vec<f32> = data.chunks_exact(8).rev().flatten().copied().collect();
    let turned_keys: Vec<u64> = keys.iter().rev().copied().collect();
    let other = semdedup(&Rows::new(&turned, 8, None).unwrap(), &everything, None, Keys::Given(&turned_keys), &options).unwrap();
    assert_eq!(one, other.into_iter().rev().collect::<Vec<_>>());
}
