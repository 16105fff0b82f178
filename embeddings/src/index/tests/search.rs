use super::{build, cut, ids, made, open, options, recall};
use crate::index::{Access, Allowed, Index, IndexError, IndexMetric, IndexOptions, SearchOptions};
use crate::neighbours::Vectors;
use crate::scores::Rows;

const DIM: usize = 16;

#[test]
fn every_kind_finds_what_brute_force_finds() {
    let (data, queries) = (made(1, 4000, DIM), made(1, 40, DIM));
    let asked = Rows::new(&queries, DIM, None).unwrap();
    for (kind, least) in [("Flat", 0.999), ("HNSW16", 0.98), ("IVF40,Flat", 0.98), ("SQ8", 0.9), ("PCAR12,IVF20,SQ8", 0.4)] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 2), &options(kind));
        let memory = ids(&open(folder.path(), Access::Memory), &asked, &SearchOptions::new(10));
        let found = recall(&memory, &data, &queries, DIM, |_| true);
        assert!(found >= least, "{kind}: {found}");
        assert_eq!(memory, ids(&open(folder.path(), Access::Mapped), &asked, &SearchOptions::new(10)), "{kind}, mapped");
    }
}

#[test]
fn more_lists_and_more_nodes_find_more() {
    let (data, queries) = (made(2, 6000, DIM), made(3, 60, DIM));
    let asked = Rows::new(&queries, DIM, None).unwrap();
    for kind in ["IVF80,Flat", "HNSW8"] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 1), &options(kind));
        let index = open(folder.path(), Access::Memory);
        let of = |effort| {
            let options = SearchOptions { probes: Some(effort), ef_search: Some(effort), ..SearchOptions::new(10) };
            recall(&ids(&index, &asked, &options), &data, &queries, DIM, |_| true)
        };
        let (little, much) = (of(1), of(80));
        assert!(little < much && much > 0.85, "{kind}: {little}, {much}");
    }
}

#[test]
fn a_filter_finds_the_nearest_of_the_allowed_rows() {
    let (data, queries) = (made(4, 5000, DIM), made(4, 20, DIM));
    let asked = Rows::new(&queries, DIM, None).unwrap();
    for kind in ["Flat", "HNSW16", "IVF40,Flat", "SQ8", "IVF20,PQ8x4fs"] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 1), &options(kind));
        let index = open(folder.path(), Access::Memory);
        for every in [2, 60, 900] {
            let allowed = Allowed::of(5000, (0..5000).step_by(every));
            let search = SearchOptions { allowed: Some(&allowed), ..SearchOptions::new(10) };
            let found = ids(&index, &asked, &search);
            let wanted = 10.min(5000_usize.div_ceil(every));
            assert!(found.iter().all(|hits| hits.len() == wanted && hits.iter().all(|&row| row % every as u64 == 0)), "{kind} {every}");
            let share = recall(&found, &data, &queries, DIM, |row| row % every as u64 == 0);
            assert!(share > if kind.contains("PQ") { 0.3 } else { 0.9 }, "{kind} {every}: {share}");
        }
        let nothing = Allowed::none(5000);
        assert!(ids(&index, &asked, &SearchOptions { allowed: Some(&nothing), ..SearchOptions::new(3) }).iter().all(Vec::is_empty));
    }
}

#[test]
fn a_filter_is_over_rows_where_some_were_left_out() {
    let mut data = made(5, 300, DIM);
    data[..DIM * 10].fill(0.0);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &cut(&data, DIM, 1), &options("Flat"));
    let query = Rows::new(&data[DIM * 77..DIM * 78], DIM, None).unwrap();
    let allowed = Allowed::of(300, [3, 77, 299, 400]);
    assert_eq!((allowed.count(), allowed.iter().collect::<Vec<_>>()), (3, vec![3, 77, 299]));
    let found = ids(&open(folder.path(), Access::Memory), &query, &SearchOptions { allowed: Some(&allowed), ..SearchOptions::new(5) });
    assert_eq!(found, [[77, 299]]);
}

#[test]
fn a_range_gives_all_above_the_floor() {
    let (data, queries) = (made(6, 3000, DIM), made(6, 10, DIM));
    let asked = Rows::new(&queries, DIM, None).unwrap();
    let exact = {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 1), &options("Flat"));
        let all = open(folder.path(), Access::Memory).search(&Vectors::new(&asked, "m"), &SearchOptions::new(3000)).unwrap();
        all.hits.into_iter().map(|hits| hits.into_iter().filter(|hit| hit.similarity >= 0.7).count()).collect::<Vec<_>>()
    };
    assert!(exact.iter().any(|&count| count > 20));
    for kind in ["Flat", "HNSW16", "IVF20,Flat"] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 1), &options(kind));
        let index = open(folder.path(), Access::Memory);
        let search = SearchOptions { probes: Some(20), ..SearchOptions::new(1) };
        let found = index.search_range(&Vectors::new(&asked, "m"), 0.7, &search).unwrap();
        assert!(found.hits.iter().flatten().all(|hit| hit.similarity >= 0.7));
        let counts: Vec<usize> = found.hits.iter().map(Vec::len).collect();
        let (all, wanted): (usize, usize) = (counts.iter().sum(), exact.iter().sum());
        assert!(all as f64 >= 0.98 * wanted as f64 && all <= wanted, "{kind}: {counts:?} of {exact:?}");
        let even = Allowed::of(3000, (0..3000).step_by(2));
        let filtered = index.search_range(&Vectors::new(&asked, "m"), 0.7, &SearchOptions { allowed: Some(&even), ..search }).unwrap();
        let expected: usize = found.hits.iter().flatten().filter(|hit| hit.row % 2 == 0).count();
        assert_eq!(filtered.hits.iter().map(Vec::len).sum::<usize>(), expected);
    }
}

#[test]
fn distances_and_products_are_taken_as_they_are() {
    let data = [1.0, 0.0, 3.0, 0.0, 0.0, 2.0];
    let rows = [Rows::new(&data, 2, None).unwrap()];
    let query = Rows::new(&[2.0, 0.0], 2, None).unwrap();
    let of = |metric| {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &rows, &IndexOptions { metric, ..options("Flat") });
        let index = open(folder.path(), Access::Memory);
        let hits = index.search(&Vectors::new(&query, "m"), &SearchOptions::new(9)).unwrap().hits.remove(0);
        let near = index.search_range(&Vectors::new(&query, "m"), 1.0, &SearchOptions::new(1)).unwrap().hits.remove(0);
        (hits.into_iter().map(|hit| (hit.row, hit.similarity)).collect::<Vec<_>>(), near.len())
    };
    assert_eq!(of(IndexMetric::InnerProduct), (vec![(1, 6.0), (0, 2.0), (2, 0.0)], 2));
    assert_eq!(of(IndexMetric::L2), (vec![(0, 1.0), (1, 1.0), (2, 8.0)], 2));
    assert_eq!(of(IndexMetric::Cosine), (vec![(0, 1.0), (1, 1.0), (2, 0.0)], 2));
}

#[test]
fn queries_that_do_not_fit_are_errors_that_name_both() {
    let data = made(7, 50, 4);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &cut(&data, 4, 1), &options("Flat"));
    let index = open(folder.path(), Access::Memory);
    let (four, two) = (Rows::new(&data, 4, None).unwrap(), Rows::new(&data, 2, None).unwrap());
    let error = index.search(&Vectors::new(&four, "other"), &SearchOptions::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "queries: vectors of model `other`, the index has vectors of model `m`");
    let error = index.search(&Vectors::new(&two, "m"), &SearchOptions::new(1)).unwrap_err();
    assert!(matches!(error, IndexError::Dimensions { expected: 4, found: 2, .. }));
    let allowed = Allowed::none(49);
    let search = SearchOptions { allowed: Some(&allowed), ..SearchOptions::new(1) };
    assert!(matches!(index.search(&Vectors::new(&four, "m"), &search), Err(IndexError::OtherMetadata { rows: 49, .. })));
    assert!(matches!(index.search(&Vectors::new(&four, "m"), &SearchOptions::new(0)), Err(IndexError::Setting { .. })));
}

#[test]
fn a_query_without_a_direction_finds_nothing_and_the_others_do() {
    let data = made(8, 50, 4);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &cut(&data, 4, 1), &options("Flat"));
    let mut queries = data[..12].to_vec();
    queries[4..8].fill(0.0);
    queries[8] = f32::NAN;
    let queries = Rows::new(&queries, 4, None).unwrap();
    let answer = open(folder.path(), Access::Memory).search(&Vectors::new(&queries, ""), &SearchOptions::new(2)).unwrap();
    assert_eq!(answer.hits.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0]);
    assert_eq!((answer.queries.zero, answer.queries.not_finite), (1, 1));
}

#[test]
fn a_file_of_faiss_opens_without_a_description() {
    let data = made(9, 2000, DIM);
    for kind in ["Flat", "IVF16,Flat", "HNSW16"] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &cut(&data, DIM, 1), &options(kind));
        let queries = Rows::new(&data[..DIM * 5], DIM, None).unwrap();
        let expected = ids(&open(folder.path(), Access::Memory), &queries, &SearchOptions::new(10));
        for access in [Access::Memory, Access::Mapped] {
            let index = Index::open_file(&folder.path().join("index.faiss"), access, IndexMetric::Cosine, "m").unwrap();
            assert_eq!(ids(&index, &queries, &SearchOptions::new(10)), expected);
        }
        let other = Index::open_file(&folder.path().join("index.faiss"), Access::Memory, IndexMetric::L2, "m");
        assert!(matches!(other, Err(IndexError::Damaged { .. })));
    }
}
