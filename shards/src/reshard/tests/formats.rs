use arrow::array::{Array, AsArray};

use super::make::{Folder, number, picture, uid};
use crate::reshard::{InputShard, Order, ReshardOptions, ShardFormat, Sizes};

fn options(format: ShardFormat, order: Order) -> ReshardOptions {
    ReshardOptions { format, order, sizes: Sizes::Exact(4), ..ReshardOptions::default() }
}

fn parquets(folder: &Folder, out: &str, count: usize) -> Vec<InputShard> {
    (0..count).map(|shard| InputShard::named(&folder.path(&format!("{out}/{shard:05}.parquet")))).collect()
}

/// Tars to parquet and back: pictures byte for byte, rows as they were.
#[test]
fn tars_become_parquet_and_come_back() {
    for with_table in [true, false] {
        let folder = Folder::new();
        let numbers: Vec<u128> = (0..10).collect();
        let inputs = [folder.shard("a", &numbers[..6], with_table), folder.shard("b", &numbers[6..], with_table)];
        let subset: Vec<_> = [(0, 1), (3, 2), (5, 1), (7, 1), (9, 3)].map(|(number, copies)| (uid(number), copies)).to_vec();
        let (plan, _) = folder.run("p", &inputs, Some(&subset), options(ShardFormat::Parquet, Order::Input)).unwrap();
        let wanted = [0, 3, 3, 5, 7, 9, 9, 9];
        let mut at = 0;
        for shard in 0..plan.shards() {
            let rows = folder.rows(&format!("p/{shard:05}.parquet"));
            assert_eq!(rows.column_by_name("json").is_some(), !with_table, "what the table says is not said again");
            for row in 0..rows.num_rows() {
                assert_eq!(rows["jpg"].as_binary::<i32>().value(row), picture(wanted[at]));
                assert_eq!(rows["uid"].as_string::<i32>().value(row), uid(wanted[at]).to_string());
                if with_table {
                    assert_eq!(rows["text"].as_string::<i32>().value(row), format!("caption {}", wanted[at]));
                }
                at += 1;
            }
        }
        assert_eq!(at, wanted.len());

        for order in [Order::Input, Order::Shuffled { seed: 5 }] {
            let middle = parquets(&folder, "p", plan.shards());
            let (back, _) = folder.run("t", &middle, None, options(ShardFormat::Webdataset, order.clone())).unwrap();
            assert!(back.failures().is_empty(), "{:?}", back.failures());
            let samples = folder.samples("t", &back).concat();
            let mut found: Vec<u128> = samples.iter().map(number).collect();
            if order != Order::Input {
                assert_ne!(found, wanted);
                found.sort_unstable();
            }
            assert_eq!(found, wanted);
            for sample in &samples {
                assert_eq!(sample.members.iter().map(|(ending, _)| ending.as_str()).collect::<Vec<_>>(), ["jpg", "json", "txt"]);
                let json: serde_json::Value = serde_json::from_slice(sample.member("json").unwrap()).unwrap();
                assert_eq!(json["uid"], uid(number(sample)).to_string());
                assert_eq!(sample.member("txt").unwrap(), format!("caption {}", number(sample)).into_bytes());
            }
        }

        // Parquet to parquet, with a limit in bytes, which the plan has to know the pictures' lengths for.
        let middle = parquets(&folder, "p", plan.shards());
        let limited = ReshardOptions { max_bytes: Some(1500), ..options(ShardFormat::Parquet, Order::Input) };
        let (again, _) = folder.run("q", &middle, Some(&[(uid(9), 1), (uid(3), 2)]), limited).unwrap();
        let rows: Vec<_> = (0..again.shards()).map(|shard| folder.rows(&format!("q/{shard:05}.parquet"))).collect();
        let pictures: Vec<Vec<u8>> =
            rows.iter().flat_map(|rows| rows["jpg"].as_binary::<i32>().iter().flatten().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
        assert_eq!(pictures, [picture(3), picture(3), picture(9)]);
        assert_eq!(again.counts().duplicate_uid, 1 + 2, "the copies of an earlier resharding are duplicates now");
    }
}

#[test]
fn rows_without_a_picture_are_no_samples() {
    use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
    use std::sync::Arc;
    let folder = Folder::new();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("uid", Arc::new(StringArray::from_iter_values((0..3).map(|number| uid(number).to_string())))),
        ("image", Arc::new(BinaryArray::from(vec![Some(&b"one"[..]), None, Some(&b"three"[..])]))),
        ("TEXT", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(folder.path("a.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let input = [InputShard::named(&folder.path("a.parquet"))];
    let (plan, _) = folder.run("out", &input, None, options(ShardFormat::Webdataset, Order::Input)).unwrap();
    assert_eq!((plan.counts().samples, plan.counts().without_picture), (2, 1));
    let samples = &folder.samples("out", &plan)[0];
    assert_eq!(samples.iter().map(|sample| sample.member("jpg").unwrap()).collect::<Vec<_>>(), [&b"one"[..], b"three"]);
    assert_eq!(samples.iter().map(|sample| sample.member("txt").unwrap()).collect::<Vec<_>>(), [&b"a"[..], b""]);
    let rows = folder.rows("out/00000.parquet");
    assert!(rows["TEXT"].is_null(1) && rows["TEXT"].is_valid(0));
}

#[test]
fn the_shards_among_some_files_are_found() {
    let file = |uri: &str| crate::source::SourceFile { uri: uri.to_owned(), size: 1, version: "v".into() };
    let files = ["b.tar", "a.tar", "a.parquet", "a_stats.json", "c.parquet", "d.tgz", "x.npz"].map(file);
    let shards = InputShard::among(&files);
    let found: Vec<_> = shards.iter().map(|shard| (shard.uri.as_str(), shard.table.as_deref(), shard.is_parquet)).collect();
    assert_eq!(found, [("a.tar", Some("a.parquet"), false), ("b.tar", None, false), ("c.parquet", None, true), ("d.tgz", None, false)]);
}
