use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{cosine, made};
use crate::neighbours::{Edge, Floor, NeighbourError, NeighbourOptions, NeighbourReport, Search, Vectors, neighbours};
use crate::scores::Rows;

fn all(queries: &Rows<'_>, base: Option<&Rows<'_>>, options: &NeighbourOptions) -> (Vec<Edge>, NeighbourReport) {
    let mut edges = Vec::new();
    let base = base.map(|base| Vectors::new(base, "m"));
    let report = neighbours(&Vectors::new(queries, "m"), base.as_ref(), options, |some| {
        edges.extend_from_slice(some);
        ControlFlow::Continue(())
    });
    (edges, report.unwrap())
}

fn oracle(queries: &Rows<'_>, base: Option<&Rows<'_>>, k: usize, floor: f64) -> Vec<(u32, u32, f64)> {
    let mut found = Vec::new();
    let searched = base.unwrap_or(queries);
    for row in 0..queries.len() {
        let mut near: Vec<(f64, u32)> = (0..searched.len())
            .filter(|&other| base.is_some() || other != row)
            .map(|other| (cosine(queries.get(row).unwrap(), searched.get(other).unwrap()), other as u32))
            .filter(|near| near.0 > floor)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.extend(near.into_iter().take(k).map(|(cosine, other)| (row as u32, other, cosine)));
    }
    found
}

#[test]
fn exact_neighbours_are_those_of_brute_force() {
    let (data, other) = (made(1, 900, 19, 3), made(5, 333, 19, 4));
    let (rows, base) = (Rows::new(&data, 19, None).unwrap(), Rows::new(&other, 19, None).unwrap());
    for (k, floor, searched) in [(7, 0.3, None), (64, 0.6, None), (1, -1.0, Some(&base)), (400, 0.1, Some(&base))] {
        let options = NeighbourOptions::new(k, Floor::Above(floor as f32));
        let (edges, report) = all(&rows, searched, &options);
        let expected = oracle(&rows, searched, k, floor);
        assert_eq!(edges.len(), expected.len(), "k {k}");
        // Of rows that are equally similar up to rounding either may come first, so ranks are compared by similarity.
        for (edge, &(row, _, cosine)) in edges.iter().zip(&expected) {
            assert_eq!(edge.row, row);
            assert!((cosine - f64::from(edge.similarity)).abs() < 1e-6, "{edge:?} against {cosine}");
        }
        assert_eq!((report.edges, report.search, report.recall), (edges.len() as u64, Search::Exact, None));
        assert!(edges.iter().all(|edge| {
            let other = searched.unwrap_or(&rows).get(edge.neighbour as usize).unwrap();
            (cosine(rows.get(edge.row as usize).unwrap(), other) - f64::from(edge.similarity)).abs() < 1e-6
        }));
    }
}

#[test]
fn threads_memory_and_blocks_change_nothing() {
    let data = made(2, 9000, 8, 2);
    let rows = Rows::new(&data, 8, None).unwrap();
    for search in [Search::Exact, Search::Lists { lists: 40, probes: 6 }] {
        let options = NeighbourOptions { search, threads: 1, ..NeighbourOptions::new(20, Floor::Above(0.8)) };
        let one = all(&rows, None, &options);
        assert_eq!(one, all(&rows, None, &NeighbourOptions { threads: 5, ..options }));
        // The least batch is of 4096 rows.
        assert_eq!(one, all(&rows, None, &NeighbourOptions { memory: 0, threads: 2, ..options }));
    }
}

#[test]
fn lists_find_most_and_say_how_many() {
    let data = made(3, 4000, 24, 2);
    let rows = Rows::new(&data, 24, None).unwrap();
    let options = NeighbourOptions {
        search: Search::Lists { lists: 64, probes: 12 },
        recall_sample: 4000,
        ..NeighbourOptions::new(10, Floor::Above(0.7))
    };
    let (edges, report) = all(&rows, None, &options);
    let exact = oracle(&rows, None, 10, 0.7);
    let found: HashSet<(u32, u32)> = edges.iter().map(|edge| (edge.row, edge.neighbour)).collect();
    let share = exact.iter().filter(|pair| found.contains(&(pair.0, pair.1))).count() as f64 / exact.len() as f64;
    let recall = report.recall.unwrap();
    assert!((recall - share).abs() < 0.002, "{recall} against {share}");
    assert!(recall > 0.9, "{recall}");
    // All lists are all rows.
    let options = NeighbourOptions { search: Search::Lists { lists: 64, probes: 64 }, ..options };
    let (edges, report) = all(&rows, None, &options);
    assert_eq!(report.recall, Some(1.0));
    assert_eq!(edges, all(&rows, None, &NeighbourOptions { search: Search::Exact, ..options }).0);
}

#[test]
fn rows_without_a_direction_are_left_out_and_counted() {
    let data = [3.0, 4.0, 0.0, 0.0, f32::NAN, 1.0, 6.0, 8.0, 1.0, 0.0, f32::INFINITY, 0.0, 3e30, 4e30, 3e-30, 4e-30];
    let valid = [true, true, true, true, false, true, true, true];
    let rows = Rows::new(&data, 2, Some(&valid)).unwrap();
    let (edges, report) = all(&rows, None, &NeighbourOptions::new(5, Floor::AtLeast(0.999)));
    let survey = report.queries;
    assert_eq!((survey.rows, survey.usable, survey.null, survey.zero, survey.not_finite, survey.unnormalised), (8, 4, 1, 1, 2, 4));
    // The four are one direction, however long.
    assert_eq!(edges.len(), 12);
    assert!(edges.iter().all(|edge| (edge.similarity - 1.0).abs() < 1e-6));
}

#[test]
fn other_models_and_other_lengths_are_errors_that_name_both() {
    let data = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let (two, three) = (Rows::new(&data, 2, None).unwrap(), Rows::new(&data, 3, None).unwrap());
    let options = NeighbourOptions::new(1, Floor::None);
    let of = |a: &Vectors<'_>, b: &Vectors<'_>| neighbours(a, Some(b), &options, |_| ControlFlow::Continue(())).unwrap_err();
    let error = of(&Vectors::new(&two, "clip"), &Vectors::new(&two, "sscd"));
    assert_eq!(error, NeighbourError::Models { queries: "clip".into(), base: "sscd".into() });
    let error = of(&Vectors::new(&two, "sscd"), &Vectors::new(&three, "sscd"));
    assert_eq!(error.to_string(), "vectors of 2 components (model `sscd`) are searched among vectors of 3 (model `sscd`)");
}

#[test]
fn settings_without_meaning_are_errors() {
    let rows = Rows::new(&[1.0, 0.0], 2, None).unwrap();
    let refused = |options: NeighbourOptions| {
        let of = neighbours(&Vectors::new(&rows, ""), None, &options, |_| ControlFlow::Continue(()));
        matches!(of, Err(NeighbourError::Setting { .. }))
    };
    let plain = NeighbourOptions::new(1, Floor::None);
    assert!(refused(NeighbourOptions { k: 0, ..plain }));
    assert!(refused(NeighbourOptions { floor: Floor::Above(1.5), ..plain }));
    assert!(refused(NeighbourOptions { floor: Floor::AtLeast(f32::NAN), ..plain }));
    assert!(refused(NeighbourOptions { search: Search::Lists { lists: 3, probes: 4 }, ..plain }));
    assert!(!refused(plain));
}

#[test]
fn nothing_has_no_neighbours_and_a_receiver_can_end_the_search() {
    let nothing = Rows::new(&[], 4, None).unwrap();
    assert!(all(&nothing, None, &NeighbourOptions::new(3, Floor::None)).0.is_empty());
    let data = made(4, 50, 4, 2);
    let rows = Rows::new(&data, 4, None).unwrap();
    assert!(all(&rows, Some(&nothing), &NeighbourOptions::new(3, Floor::None)).0.is_empty());
    let options = NeighbourOptions::new(3, Floor::None);
    let report = neighbours(&Vectors::new(&rows, ""), None, &options, |_| ControlFlow::Break(())).unwrap();
    assert!(report.stopped);
}
