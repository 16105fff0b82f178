use super::make::Normal;
use crate::clusters::*;
use crate::scores::{Metric, Rows};

/// 6,000 points of the square [-1, 1]², nine in ten of them in one corner of a sixteenth of its area.
fn skewed() -> Vec<f32> {
    let unit = |row, column| (0.5 + 0.5 * libm_erf(Normal(30).at(row, column))) * 2.0 - 1.0;
    (0..6000)
        .flat_map(|row| {
            let (x, y) = (unit(row, 0), unit(row, 1));
            if row % 10 == 0 { [x, y] } else { [0.75 + x / 4.0, 0.75 + y / 4.0] }
        })
        .collect()
}

/// A rough error function, to make even draws of normal ones: Winitzki's approximation.
fn libm_erf(x: f32) -> f32 {
    let x = x / std::f32::consts::SQRT_2;
    let square = x * x;
    let inner = -square * (4.0 / std::f32::consts::PI + 0.147 * square) / (1.0 + 0.147 * square);
    x.signum() * (1.0 - inner.exp()).sqrt()
}

fn level(clusters: usize, representatives: usize) -> LevelOptions {
    LevelOptions { clusters, representatives }
}

/// The share of centroids in the corner that holds a sixteenth of the square.
fn in_the_corner(centroids: &[f32]) -> f64 {
    let inside = centroids.chunks_exact(2).filter(|c| c[0] > 0.5 && c[1] > 0.5).count();
    inside as f64 / (centroids.len() / 2) as f64
}

#[test]
fn resampling_spreads_the_centroids_of_a_skewed_mixture() {
    let data = skewed();
    let rows = Rows::new(&data, 2, None).unwrap();
    let options = HierarchyOptions { threads: 2, ..HierarchyOptions::new(vec![level(300, 10), level(90, 2), level(40, 1)]) };
    let levels = hierarchy(&rows, Keys::RowNumbers, &options).unwrap();
    let plain = kmeans(&rows, Keys::RowNumbers, &KMeansOptions { iterations: 50, ..KMeansOptions::new(40) }).unwrap();
    let (ours, plain) = (in_the_corner(&levels[2].centroids), in_the_corner(&plain.centroids));
    let first = in_the_corner(&levels[0].centroids);
    assert!(plain > 0.5 && ours < 0.6 * plain && ours < 0.2, "k-means {plain}, level 1 {first}, level 3 {ours}");
}

#[test]
fn parents_are_the_nearest_centroids_of_the_level_above() {
    let (data, _) = Normal(31).mixture(2000, 6, 40, 0.4);
    let valid: Vec<bool> = (0..2000).map(|row| row != 17).collect();
    let rows = Rows::new(&data, 6, Some(&valid)).unwrap();
    let options = HierarchyOptions { resamplings: 3, threads: 2, ..HierarchyOptions::new(vec![level(100, 5), level(20, 1), level(4, 2)]) };
    let levels = hierarchy(&rows, Keys::RowNumbers, &options).unwrap();
    assert_eq!(levels.iter().map(Level::clusters).collect::<Vec<_>>(), [100, 20, 4]);
    assert_eq!(levels.iter().map(|level| level.assignments.len()).collect::<Vec<_>>(), [2000, 100, 20]);
    assert_eq!(levels[0].assignments.clusters[17], NO_CLUSTER);
    let below = Rows::new(&levels[0].centroids, 6, None).unwrap();
    let above = assign(&below, &Rows::new(&levels[1].centroids, 6, None).unwrap(), Metric::L2, 1).unwrap();
    assert_eq!(above, levels[1].assignments);
    let again = hierarchy(&rows, Keys::RowNumbers, &HierarchyOptions { threads: 5, ..options }).unwrap();
    assert!(levels.iter().zip(&again).all(|(a, b)| a.centroids == b.centroids && a.assignments.clusters == b.assignments.clusters));
}

#[test]
fn a_split_level_has_its_parts_within_the_first_clusters() {
    let (data, _) = Normal(32).mixture(3000, 6, 10, 0.2);
    let rows = Rows::new(&data, 6, None).unwrap();
    let split = Some(Split { first: 10, parts: 8 });
    let options = HierarchyOptions { split, threads: 2, ..HierarchyOptions::new(vec![level(80, 1), level(10, 3)]) };
    let levels = hierarchy(&rows, Keys::RowNumbers, &options).unwrap();
    assert_eq!((levels[0].clusters(), levels[1].clusters()), (80, 10));
    assert_eq!(levels[0].assignments.sizes(80).iter().sum::<u64>(), 3000);
    let far: f32 = levels[0].assignments.distances.iter().sum::<f32>() / 3000.0;
    let nearest = assign(&rows, &Rows::new(&levels[0].centroids, 6, None).unwrap(), Metric::L2, 2).unwrap();
    let near: f32 = nearest.distances.iter().sum::<f32>() / 3000.0;
    assert!(far >= near && far < 1.05 * near, "{far} {near}");
    let wrong = HierarchyOptions { split, ..HierarchyOptions::new(vec![level(80, 4)]) };
    assert!(hierarchy(&rows, Keys::RowNumbers, &wrong).is_err());
}
