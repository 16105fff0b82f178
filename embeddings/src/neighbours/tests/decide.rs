use super::made;
use crate::clusters::{Keys, NO_CLUSTER, uid_keys};
use crate::neighbours::{
    ClusterRetrieval, DATACOMP_FLOOR, Floor, NeighbourOptions, Vectors, datacomp, dinov2_relative, dinov2_self, nearest_reference,
    query_subset, relative_dedup, retrieve_by_clusters, retrieve_by_sample, self_dedup,
};
use crate::scores::Rows;

/// Unit vectors of the plane by their angles in degrees.
fn angles(degrees: &[f32]) -> Vec<f32> {
    degrees.iter().flat_map(|angle| [angle.to_radians().cos(), angle.to_radians().sin()]).collect()
}

#[test]
fn near_duplicates_are_groups_and_chains_join_them() {
    // cos 53° is 0.602, cos 54° is 0.588.
    let data = angles(&[0.0, 120.0, 53.0, 174.0, 260.0, 106.0]);
    let rows = Rows::new(&data, 2, None).unwrap();
    let mut pairs = 0;
    let found = self_dedup(&Vectors::new(&rows, "sscd"), &dinov2_self(), |_| pairs += 1).unwrap();
    // 0-53-106-120 is a chain; 174 is 54° from 120, and 68° from 106.
    assert_eq!(found.groups, [0, 0, 0, 3, 4, 0]);
    assert_eq!((found.shared(), found.surplus(), pairs), (1, 3, 6));
}

#[test]
fn a_component_with_a_reference_goes_whole() {
    // cos 63° is 0.454, cos 64° is 0.438.
    let pool = angles(&[0.0, 60.0, 200.0, 263.0]);
    let references = angles(&[120.0]);
    let (pool, references) = (Rows::new(&pool, 2, None).unwrap(), Rows::new(&references, 2, None).unwrap());
    let found = relative_dedup(&Vectors::new(&pool, "sscd"), &Vectors::new(&references, "sscd"), &dinov2_relative()).unwrap();
    assert_eq!(found.discarded, [true, true, false, false]);
    assert_eq!(found.groups, [0, 0, 2, 2, 0]);
    assert_eq!(found.nearest[0], None);
    assert_eq!(found.nearest[1].map(|nearest| nearest.0), Some(0));
}

#[test]
fn near_duplicates_in_the_pool_never_hide_a_reference() {
    // 100 equal rows; the reference is a little off, so none of the 64 nearest of any row is it.
    let pool = angles(&[10.0; 100]);
    let references = angles(&[30.0]);
    let (pool, references) = (Rows::new(&pool, 2, None).unwrap(), Rows::new(&references, 2, None).unwrap());
    let found = relative_dedup(&Vectors::new(&pool, ""), &Vectors::new(&references, ""), &dinov2_relative()).unwrap();
    assert!(found.discarded.iter().all(|&discarded| discarded));
}

#[test]
fn decontamination_takes_the_floor_itself() {
    let pool = [DATACOMP_FLOOR, (1.0 - DATACOMP_FLOOR * DATACOMP_FLOOR).sqrt(), 0.6, 0.8, f32::NAN, 0.0];
    let pool = Rows::new(&pool, 2, None).unwrap();
    let references = Rows::new(&[1.0, 0.0, -1.0, 0.0], 2, None).unwrap();
    let (pool, references) = (Vectors::new(&pool, "isc"), Vectors::new(&references, "isc"));
    let similarity = nearest_reference(&pool, &references, &NeighbourOptions::new(1, Floor::None)).unwrap().0;
    let scores: Vec<Option<f32>> = similarity.iter().map(|found| found.map(|found| found.similarity)).collect();
    assert!((scores[0].unwrap() - DATACOMP_FLOOR).abs() < 1e-6);
    assert_eq!(scores[2], None);
    let options = NeighbourOptions { floor: Floor::AtLeast(scores[0].unwrap()), ..datacomp() };
    let (found, report) = nearest_reference(&pool, &references, &options).unwrap();
    assert_eq!(found.iter().map(|found| found.map(|found| found.row)).collect::<Vec<_>>(), [Some(0), None, None]);
    assert_eq!(report.queries.not_finite, 1);
    let options = NeighbourOptions { floor: Floor::Above(scores[0].unwrap()), ..datacomp() };
    assert_eq!(nearest_reference(&pool, &references, &options).unwrap().0, [None, None, None]);
}

#[test]
fn retrieval_counts_how_often_a_row_was_found() {
    let pool = angles(&[0.0, 10.0, 20.0, 180.0]);
    let queries = angles(&[4.0, 9.0, 26.0]);
    let (pool, queries) = (Rows::new(&pool, 2, None).unwrap(), Rows::new(&queries, 2, None).unwrap());
    let (pool, queries) = (Vectors::new(&pool, ""), Vectors::new(&queries, ""));
    let (found, _) = retrieve_by_sample(&queries, &pool, &NeighbourOptions::new(2, Floor::None)).unwrap();
    let short: Vec<(u32, u32, u32)> = found.iter().map(|found| (found.row, found.times, found.query)).collect();
    assert_eq!(short, [(0, 2, 0), (1, 3, 1), (2, 1, 2)]);
}

#[test]
fn a_union_in_pieces_is_the_union() {
    let (pool, queries) = (made(7, 40, 4, 3), made(8, 300, 4, 3));
    let (pool, queries) = (Rows::new(&pool, 4, None).unwrap(), Rows::new(&queries, 4, None).unwrap());
    let (found, report) =
        retrieve_by_sample(&Vectors::new(&queries, ""), &Vectors::new(&pool, ""), &NeighbourOptions::new(6, Floor::None)).unwrap();
    assert_eq!(found.iter().map(|found| u64::from(found.times)).sum::<u64>(), report.edges);
    assert_eq!(report.edges, 1800);
    assert!(found.windows(2).all(|pair| pair[0].row < pair[1].row));
}

#[test]
fn clusters_with_more_than_three_queries_give_their_rows() {
    let pool: Vec<u32> = (0..1000).map(|row| if row % 10 == 9 { NO_CLUSTER } else { row % 10 % 4 }).collect();
    let queries = [0, 0, 0, 2, 2, 2, 2, NO_CLUSTER, 3, 3, 3, 3, 3, 77, 77, 77, 77];
    let keys = uid_keys(&(0..1000).map(|row| format!("{row}")).collect::<Vec<_>>());
    let options = ClusterRetrieval { per_cluster: 150, ..ClusterRetrieval::default() };
    let found = retrieve_by_clusters(&pool, Keys::Given(&keys), &queries, &options).unwrap();
    // Clusters 2 and 3 have 200 rows each; 0 has three queries only, 77 no rows.
    assert_eq!((found.clusters, found.before_cap, found.rows.len()), (2, 300, 300));
    assert!(found.rows.iter().all(|&row| pool[row as usize] == 2 || pool[row as usize] == 3));
    let capped = retrieve_by_clusters(&pool, Keys::Given(&keys), &queries, &ClusterRetrieval { cap: 50, ..options }).unwrap();
    assert_eq!((capped.rows.len(), capped.before_cap), (50, 300));
    assert!(capped.rows.iter().all(|row| found.rows.contains(row)));
    // The draw follows the key: turned around, the same rows are taken.
    let (turned, turned_keys): (Vec<u32>, Vec<u64>) = (pool.iter().rev().copied().collect(), keys.iter().rev().copied().collect());
    let again = retrieve_by_clusters(&turned, Keys::Given(&turned_keys), &queries, &options).unwrap();
    assert_eq!(again.rows.iter().rev().map(|row| 999 - row).collect::<Vec<_>>(), found.rows);
}

#[test]
fn a_subset_names_the_query_of_each_row() {
    let pool = angles(&[0.0, 45.0, 90.0, 270.0]);
    let queries = angles(&[5.0, 88.0]);
    let (pool, queries) = (Rows::new(&pool, 2, None).unwrap(), Rows::new(&queries, 2, None).unwrap());
    let (pool, queries) = (Vectors::new(&pool, ""), Vectors::new(&queries, ""));
    let (found, _) = query_subset(&pool, &queries, &NeighbourOptions::new(1, Floor::AtLeast(0.9))).unwrap();
    assert_eq!(found.iter().map(|drawn| (drawn.row, drawn.query)).collect::<Vec<_>>(), [(0, 0), (2, 1)]);
    assert!(query_subset(&pool, &queries, &NeighbourOptions::new(1, Floor::None)).is_err());
}
