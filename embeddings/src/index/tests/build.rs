use std::fs;
use std::ops::ControlFlow;

use super::{build, cut, ids, made, open, options, shards, uid};
use crate::index::{
    Access, IndexDescription, IndexError, IndexOptions, IndexProgress, IndexShard, SearchOptions, UidDigest, build_index, merge_indexes,
};
use crate::scores::Rows;

const KINDS: [&str; 6] = ["Flat", "HNSW16", "IVF30,Flat", "PCAR8,IVF20,PQ4x4", "SQ8", "IVF10,PQ4x4fs"];

#[test]
fn a_build_that_is_killed_after_any_step_goes_on_to_the_same_index() {
    let data = made(1, 3000, 16);
    let rows = cut(&data, 16, 3);
    for kind in KINDS {
        let (whole, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = IndexOptions { threads: 1, ..options(kind) };
        let description = build(whole.path(), &rows, &settings);
        let (mut runs, mut steps) = (0, Vec::new());
        let resumed = loop {
            // One step more each time, and leftovers of a file that was being written.
            let _ = fs::write(folder.path().join("index.faiss.tmp"), b"half");
            let _ = fs::write(folder.path().join("parts").join("000003.faiss.tmp"), b"half");
            runs += 1;
            let mut taken = 0;
            let answer = build_index(folder.path(), &shards(&rows), &settings, &mut |step| {
                taken += 1;
                if taken == runs {
                    steps.push(step);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            match answer {
                Err(IndexError::Stopped) => {}
                other => break other.unwrap(),
            }
        };
        assert_eq!(resumed, description);
        // Chosen, trained, two parts of each of three shards, finished; then it is there.
        assert_eq!(steps.len(), 9, "{kind}: {steps:?}");
        assert!(matches!(steps[4], IndexProgress::Added { parts: 3, of: 6, rows: 1700 }), "{:?}", steps[4]);
        assert_eq!(fs::read(whole.path().join("index.faiss")).unwrap(), fs::read(folder.path().join("index.faiss")).unwrap(), "{kind}");
        assert!(!folder.path().join("parts").exists() && !folder.path().join("building.json").exists());
        let queries = Rows::new(&data[..160], 16, None).unwrap();
        let search = SearchOptions::new(5);
        let of = |path| ids(&open(path, Access::Memory), &queries, &search);
        assert_eq!(of(whole.path()), of(folder.path()));
    }
}

#[test]
fn a_part_that_is_damaged_by_a_kill_is_made_again() {
    let data = made(2, 2000, 8);
    let rows = cut(&data, 8, 2);
    let folder = tempfile::tempdir().unwrap();
    let settings = options("IVF10,Flat");
    let mut steps = 0;
    let stopped = build_index(folder.path(), &shards(&rows), &settings, &mut |_| {
        steps += 1;
        if steps == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(IndexError::Stopped)));
    // Without its marker a part is not there, whatever else is.
    fs::remove_file(folder.path().join("parts/000001.json")).unwrap();
    fs::write(folder.path().join("parts/000001.faiss"), b"half").unwrap();
    let description = build(folder.path(), &rows, &settings);
    assert_eq!((description.rows, description.vectors), (2000, 2000));
}

#[test]
fn another_plan_is_refused_and_begins_anew_when_asked() {
    let data = made(3, 600, 8);
    let rows = cut(&data, 8, 2);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &rows, &options("Flat"));
    let again = |settings: &IndexOptions| build_index(folder.path(), &shards(&rows), settings, &mut |_| ControlFlow::Continue(()));
    assert!(again(&options("Flat")).is_ok());
    let error = again(&IndexOptions { seed: 3, ..options("Flat") }).unwrap_err();
    assert!(matches!(error, IndexError::OtherBuild { what: "seed", .. }), "{error}");
    let error = again(&IndexOptions { model: "other".into(), ..options("Flat") }).unwrap_err();
    assert!(error.to_string().contains("model m, and not other"), "{error}");
    assert!(again(&IndexOptions { seed: 3, fresh: true, ..options("Flat") }).is_ok());
    let changed = cut(&data[..3200], 8, 2);
    let error =
        build_index(folder.path(), &shards(&changed), &IndexOptions { seed: 3, ..options("Flat") }, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(IndexError::OtherBuild { what: "shard", .. })));
}

#[test]
fn rows_without_a_vector_are_counted_and_the_others_keep_their_numbers() {
    let mut data = made(4, 1500, 8);
    data[8..16].fill(0.0);
    data[5 * 8 + 3] = f32::NAN;
    let mut valid = vec![true; 1500];
    valid[900] = false;
    let rows = [Rows::new(&data[..8000], 8, Some(&valid[..1000])).unwrap(), Rows::new(&data[8000..], 8, None).unwrap()];
    for kind in ["Flat", "HNSW8", "IVF8,Flat"] {
        let folder = tempfile::tempdir().unwrap();
        let description = build(folder.path(), &rows, &options(kind));
        let left = description.left_out;
        assert_eq!((description.rows, description.vectors, left.null, left.zero, left.not_finite), (1500, 1497, 1, 1, 1));
        assert!(left.unnormalised > 1000);
        let index = open(folder.path(), Access::Memory);
        for row in [0, 2, 6, 899, 901, 1499] {
            let query = Rows::new(&data[row * 8..row * 8 + 8], 8, None).unwrap();
            let found = index.search(&crate::neighbours::Vectors::new(&query, "m"), &SearchOptions::new(1)).unwrap();
            let hit = found.hits[0][0];
            assert_eq!((hit.row, hit.uid), (row as u64, Some(uid(row))), "{kind}");
            assert!((hit.similarity - 1.0).abs() < 1e-5);
        }
        assert_eq!(index.row_of(uid(900)), Some(900));
        assert_eq!(index.uid(1500), None);
    }
}

#[test]
fn an_index_that_does_not_belong_to_the_metadata_says_both() {
    let data = made(5, 100, 4);
    let rows = cut(&data, 4, 1);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &rows, &options("Flat"));
    let index = open(folder.path(), Access::Memory);
    let digest = |rows: std::ops::Range<usize>| {
        let mut digest = UidDigest::default();
        rows.for_each(|row| digest.push(uid(row)));
        digest.finish()
    };
    assert!(index.check_belongs(100, Some(&digest(0..100))).is_ok());
    assert!(index.check_belongs(100, None).is_ok());
    let error = index.check_belongs(101, None).unwrap_err().to_string();
    assert!(error.contains("it has 100 rows") && error.contains("the metadata 101"), "{error}");
    assert!(matches!(index.check_belongs(100, Some(&digest(1..101))), Err(IndexError::OtherMetadata { .. })));
}

#[test]
fn merged_indexes_answer_as_one_that_was_built_whole() {
    let data = made(6, 4000, 16);
    let (all, halves) = (cut(&data, 16, 1), cut(&data, 16, 2));
    let queries = Rows::new(&data[..320], 16, None).unwrap();
    for kind in ["Flat", "HNSW16", "IVF30,Flat", "PCAR8,IVF20,PQ4x4"] {
        let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        let path = |at: usize| folders[at].path();
        build(path(0), &all, &options(kind));
        // The training of the whole, so that all three are comparable.
        let like = IndexOptions { trained_like: Some(path(0).to_path_buf()), ..options(kind) };
        build_index(path(1), &shards(&halves)[..1], &like, &mut |_| ControlFlow::Continue(())).unwrap();
        build_index(path(2), &shards(&halves)[1..], &like, &mut |_| ControlFlow::Continue(())).unwrap();
        let merged = merge_indexes(&[path(1), path(2)], path(3), &IndexOptions::default()).unwrap();
        assert_eq!((merged.rows, merged.vectors, merged.sources.len()), (4000, 4000, 2));
        assert_eq!(merged.uids_sha256, IndexDescription::read(path(0)).unwrap().uids_sha256);
        let of = |at| ids(&open(path(at), Access::Memory), &queries, &SearchOptions::new(10));
        assert_eq!(of(0), of(3), "{kind}");
        assert!(matches!(merge_indexes(&[path(1), path(2)], path(3), &IndexOptions::default()), Err(IndexError::Merge { .. })));
    }
}

#[test]
fn indexes_of_different_training_are_not_merged() {
    let data = made(7, 2000, 8);
    let rows = cut(&data, 8, 2);
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    build(folders[0].path(), &rows[..1], &options("IVF10,Flat"));
    build(folders[1].path(), &rows[1..], &options("IVF10,Flat"));
    let error = merge_indexes(&[folders[0].path(), folders[1].path()], folders[2].path(), &IndexOptions::default()).unwrap_err();
    assert!(error.to_string().contains("its training is"), "{error}");
    assert!(!folders[2].path().join("index.json").exists());
}

#[test]
fn what_cannot_be_built_is_an_error() {
    let data = made(8, 60, 8);
    let (eight, four) = (Rows::new(&data, 8, None).unwrap(), Rows::new(&data, 4, None).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let refused = |shards: &[IndexShard<'_>], kind: &str| {
        build_index(folder.path(), shards, &IndexOptions { fresh: true, ..options(kind) }, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    let both = [IndexShard::new("a", &eight), IndexShard::new("b", &four)];
    assert!(matches!(refused(&both, "Flat"), IndexError::Dimensions { expected: 8, found: 4, .. }));
    assert!(matches!(refused(&[], "Flat"), IndexError::Empty));
    let error = refused(&both[..1], "Nonsense12");
    assert!(matches!(error, IndexError::Faiss { .. }), "{error}");
    assert!(matches!(refused(&both[..1], "IVF100,Flat"), IndexError::Clusters(_)));
    let uids = [IndexShard::new("a", &eight).with_uids(|| Ok(vec![uid(0)]))];
    assert!(matches!(refused(&uids, "Flat"), IndexError::Uids { rows: 60, uids: 1, .. }));
}

#[test]
fn a_description_of_another_version_is_refused() {
    let data = made(9, 50, 4);
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &cut(&data, 4, 1), &options("Flat"));
    let path = folder.path().join("index.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format_version\": 1", "\"format_version\": 2")).unwrap();
    let error = IndexDescription::read(folder.path()).unwrap_err();
    assert!(error.to_string().contains("format version 2, this program reads 1"), "{error}");
    fs::write(&path, text.replace("\"vectors\": 50", "\"vectors\": 49")).unwrap();
    let error = crate::index::Index::open(folder.path(), Access::Memory).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { what: "the number of vectors", .. }), "{error}");
}
