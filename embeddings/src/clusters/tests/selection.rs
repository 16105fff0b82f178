use super::make::Normal;
use crate::clusters::density::allocate;
use crate::clusters::*;
use crate::scores::{Metric, Rows};

fn assignments(clusters: &[u32], distances: &[f32]) -> Assignments {
    Assignments { clusters: clusters.to_vec(), distances: distances.to_vec() }
}

#[test]
fn prototypes_keep_the_hardest_but_leave_each_cluster_half_of_the_average() {
    // Cluster 0 holds all that is hard. 4 of 8 rows: one of each cluster is its floor (half of 2), the rest by difficulty.
    let of = assignments(&[0, 0, 0, 0, 1, 1, 1, 1], &[0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]);
    let kept = |options| prototypes(&of, Keys::RowNumbers, &options).unwrap().iter().map(|keep| u8::from(*keep)).collect::<Vec<_>>();
    assert_eq!(kept(PrototypeOptions::new(0.5)), [1, 1, 1, 0, 1, 0, 0, 0]);
    assert_eq!(kept(PrototypeOptions { floor: 0.0, ..PrototypeOptions::new(0.5) }), [1, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!(kept(PrototypeOptions { floor: 1.0, ..PrototypeOptions::new(0.5) }), [1, 1, 0, 0, 1, 1, 0, 0]);
    assert_eq!(kept(PrototypeOptions { end: KeepEnd::Easiest, ..PrototypeOptions::new(0.5) }), [0, 0, 0, 1, 0, 1, 1, 1]);
    assert!(prototypes(&of, Keys::RowNumbers, &PrototypeOptions::new(1.1)).is_err());
}

#[test]
fn prototypes_keep_the_number_that_was_asked_for_and_no_row_without_a_cluster() {
    let clusters: Vec<u32> = (0..1000_u32).map(|row| if row % 10 == 3 { NO_CLUSTER } else { (row * row) % 37 }).collect();
    let distances: Vec<f32> = (0..1000).map(|row| Normal(1).at(row, 0).abs()).collect();
    let of = assignments(&clusters, &distances);
    for fraction in [0.0, 0.01, 0.3, 0.77, 1.0] {
        let keep = prototypes(&of, Keys::RowNumbers, &PrototypeOptions::new(fraction)).unwrap();
        assert_eq!(keep.iter().filter(|keep| **keep).count(), (900.0 * fraction) as usize);
        assert!((0..1000).all(|row| !keep[row] || clusters[row] != NO_CLUSTER));
    }
}

#[test]
fn density_shares_solve_the_quadratic_program() {
    let sizes: Vec<u64> = (0..40).map(|cluster| 1 + (cluster * 37) % 113).collect();
    let complexity: Vec<f64> = (0..40).map(|cluster| f64::from(Normal(2).at(cluster, 0).abs())).collect();
    for (keep, balance) in [(200, 0.0), (900, 0.0), (900, 0.5), (sizes.iter().sum(), 0.0), (150, 1.0)] {
        let options = DensityOptions { balance, ..DensityOptions::new(keep) };
        let counts = allocate(&complexity, &sizes, &options).unwrap();
        assert_eq!(counts.iter().sum::<u64>(), keep);
        let least = if balance > 0.0 { (keep as f64 / 40.0 * balance) as u64 } else { 1 };
        let total: f64 = complexity.iter().map(|c| (c / 0.5).exp()).sum();
        let target = |at: usize| keep as f64 * (complexity[at] / 0.5).exp() / total;
        // The conditions of Karush, Kuhn and Tucker, up to rounding: strictly between the bounds all are equally far from
        // the target; nobody at the upper bound would give less, nobody at the lower bound more.
        let low = |at: usize| least.min(sizes[at] - 1);
        let inside: Vec<f64> =
            (0..40).filter(|&at| counts[at] > low(at) + 1 && counts[at] + 1 < sizes[at]).map(|at| target(at) - counts[at] as f64).collect();
        let lambda = if inside.is_empty() { continue } else { inside.iter().sum::<f64>() / inside.len() as f64 };
        for at in 0..40 {
            assert!((low(at)..=sizes[at]).contains(&counts[at]));
            let gap = target(at) - counts[at] as f64 - lambda;
            assert!(gap.abs() < 2.0 || (gap > 0.0 && counts[at] == sizes[at]) || (gap < 0.0 && counts[at] == low(at)), "{at}: {gap}");
        }
    }
}

#[test]
fn remainders_go_to_the_largest_and_then_to_the_first() {
    // Equal complexity: 10 rows for 4 clusters are 2.5 each.
    let counts = allocate(&[1.0; 4], &[9, 9, 9, 9], &DensityOptions::new(10)).unwrap();
    assert_eq!(counts, [3, 3, 2, 2]);
    // A small cluster is full; what it cannot take goes to the others alike.
    assert_eq!(allocate(&[1.0; 3], &[2, 50, 50], &DensityOptions::new(30)).unwrap(), [2, 14, 14]);
}

#[test]
fn density_refuses_what_the_bounds_do_not_allow() {
    let error = allocate(&[1.0; 2], &[3, 3], &DensityOptions::new(7)).unwrap_err().to_string();
    assert_eq!(error, "`keep` is 7, but the clusters keep 2 rows at least and 6 at most; a number between them is needed");
    assert!(allocate(&[1.0; 2], &[3, 3], &DensityOptions::new(1)).is_err());
}

#[test]
fn density_keeps_more_of_wide_and_lonely_clusters_and_the_hardest_of_each() {
    let dim = 8;
    let centroids = Normal(3).vectors(30, dim);
    let centroids = Rows::new(&centroids, dim, None).unwrap();
    let data: Vec<f32> = (0..3000 * dim)
        .map(|at| {
            let (row, column) = (at / dim, at % dim);
            // The clusters with larger numbers are wider.
            centroids.data()[row % 30 * dim + column] + (row % 30) as f32 * 0.01 * Normal(4).at(row, column)
        })
        .collect();
    let rows = Rows::new(&data, dim, None).unwrap();
    let of = assign(&rows, &centroids, Metric::Cosine, 2).unwrap();
    let found = density(&of, &centroids, Keys::RowNumbers, &DensityOptions { temperature: 0.01, ..DensityOptions::new(900) }).unwrap();
    assert_eq!((found.counts.iter().sum::<u64>(), found.keep.iter().filter(|keep| **keep).count()), (900, 900));
    let (wide, narrow) = (found.counts[25..].iter().sum::<u64>(), found.counts[..5].iter().sum::<u64>());
    assert!(wide > 2 * narrow, "{:?}", found.counts);
    for cluster in 0..30 {
        let mut own: Vec<usize> = (0..3000).filter(|&row| of.clusters[row] == cluster).collect();
        own.sort_by(|&a, &b| of.distances[b].total_cmp(&of.distances[a]));
        assert!(own.iter().enumerate().all(|(at, &row)| found.keep[row] == (at < found.counts[cluster as usize] as usize)));
    }
}
