use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef};

use super::make::{Folder, number, sample, tar, uid};
use crate::reshard::{BoxError, Extra, ImageHook, ImageMember, InputShard, NewImage, Order, ReshardOptions, Sizes};
use crate::subset::Uid128;

/// A weight for even numbers.
struct Weights;

impl Extra for Weights {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("weight", DataType::Float32, true)]))
    }

    fn rows(&self, uids: &[Option<Uid128>]) -> Result<RecordBatch, BoxError> {
        let of = |wanted: Uid128| {
            (0..50).find(|&number| uid(number) == wanted).filter(|number: &u128| number.is_multiple_of(2)).map(|number| number as f32 / 4.0)
        };
        let column: ArrayRef = Arc::new(Float32Array::from_iter(uids.iter().map(|uid| uid.and_then(of))));
        Ok(RecordBatch::try_new(self.schema(), vec![column])?)
    }
}

#[test]
fn added_columns_are_in_the_json_and_in_the_table() {
    let folder = Folder::new();
    let inputs = [folder.shard("a", &[1, 2, 3], true), folder.shard("b", &[4, 5], false)];
    let options = ReshardOptions {
        extra: Some(Arc::new(Weights)),
        order: Order::Shuffled { seed: 0 },
        sizes: Sizes::Exact(4),
        ..ReshardOptions::default()
    };
    let (plan, _) = folder.run("out", &inputs, Some(&[(uid(2), 2), (uid(3), 1), (uid(4), 1), (uid(5), 1)]), options).unwrap();
    for (shard, samples) in folder.samples("out", &plan).iter().enumerate() {
        let rows = folder.rows(&format!("out/{}.parquet", plan.name(shard)));
        let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["uid", "text", "key", "width", "height", "weight"]);
        for (row, sample) in samples.iter().enumerate() {
            let number = number(sample);
            let weight = rows["weight"].as_primitive::<Float32Type>();
            let json = String::from_utf8(sample.member("json").unwrap().to_vec()).unwrap();
            let old = format!(
                "{{\"key\": \"{}\", \"uid\": \"{}\", \"n\": {number}}}",
                if number < 4 { format!("a{:04}", number - 1) } else { format!("b{:04}", number - 4) },
                uid(number)
            );
            if number.is_multiple_of(2) {
                assert_eq!(weight.iter().nth(row).flatten(), Some(number as f32 / 4.0));
                let plain = old.replace(": ", ":").replace(", ", ",");
                assert_eq!(json, format!("{},\"weight\":{:?}}}", plain.trim_end_matches('}'), number as f32 / 4.0));
            } else {
                assert_eq!(weight.iter().nth(row).flatten(), None);
                assert_eq!(json, old, "a json without additions is copied byte for byte");
            }
            // The shard without a table leaves its columns empty, but for what names the row.
            assert_eq!(rows["text"].as_string::<i32>().iter().nth(row).flatten().is_some(), number < 4);
            assert_eq!(rows["uid"].as_string::<i32>().value(row), uid(number).to_string());
        }
    }
}

#[test]
fn a_json_that_is_none_takes_no_columns() {
    let folder = Folder::new();
    let input = folder.shard("a", &[2], true);
    let mut members = sample("a0000", 2);
    members[1].1 = b"[1]".to_vec();
    folder.file("a.tar", &tar(&members));
    let options = ReshardOptions { extra: Some(Arc::new(Weights)), ..ReshardOptions::default() };
    let error = folder.run("out", &[input], None, options).unwrap_err().to_string();
    assert!(error.contains("sample `a0000`: its json takes no columns"), "{error}");
}

#[test]
fn a_hook_may_change_a_picture_and_its_ending() {
    let folder = Folder::new();
    let input = [folder.shard("a", &[1, 2, 3], false)];
    let hook = || -> ImageHook {
        Box::new(|image: ImageMember<'_>| {
            let is_two = image.uid == Some(uid(2));
            Ok(is_two.then(|| NewImage { ending: "webp".into(), bytes: image.bytes.to_ascii_uppercase() }))
        })
    };
    let options = ReshardOptions { hook: Some(Arc::new(hook)), ..ReshardOptions::default() };
    let (plan, _) = folder.run("out", &input, None, options).unwrap();
    let samples = &folder.samples("out", &plan)[0];
    assert_eq!([number(&samples[0]), number(&samples[2])], [1, 3]);
    assert!(samples[1].member("jpg").is_none());
    assert_eq!(samples[1].member("webp").unwrap(), super::make::picture(2).to_ascii_uppercase());
    let failing = || -> ImageHook { Box::new(|_| Err("it is too dark".into())) };
    let options = ReshardOptions { hook: Some(Arc::new(failing)), ..ReshardOptions::default() };
    let error = folder.run("dark", &input, None, options).unwrap_err().to_string();
    assert!(error.ends_with("a.tar`: sample `a0000`: picture: it is too dark"), "{error}");
}

#[test]
fn datacomps_files_are_beside_its_shards() {
    let folder = Folder::new();
    let input = [folder.shard("a", &[1, 2, 3], false)];
    let options = ReshardOptions { sizes: Sizes::Exact(2), ..ReshardOptions::datacomp() };
    let (plan, _) = folder.run("out", &input, Some(&[(uid(1), 2), (uid(3), 1)]), options).unwrap();
    super::make::run(plan.write_datacomp_files(&folder.storage("out"))).unwrap();
    let files = folder.files("out");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["00000000.tar", "00000000_stats.json", "00000001.tar", "00000001_stats.json", "meta.json", "sample_ids.npy", "sizes.json"]
    );
    assert_eq!(files["00000000_stats.json"], b"{\"successes\": 2}");
    assert_eq!(files["sizes.json"], br#"{"00000000.tar":2,"00000001.tar":1}"#);
    let meta: serde_json::Value = serde_json::from_slice(&files["meta.json"]).unwrap();
    assert_eq!((&meta["output_shard_count"], &meta["output_shard_format"]), (&2.into(), &"{:08d}.tar".into()));
    assert_eq!(files["sample_ids.npy"].len(), 128 + 3 * 16);
    let keys: Vec<String> = folder.samples("out", &plan).iter().flatten().map(|sample| sample.key.clone()).collect();
    assert_eq!(keys, [format!("{}-0", uid(1)), format!("{}-1", uid(1)), format!("{}-0", uid(3))]);
}

#[test]
fn long_names_and_folders_are_kept() {
    let folder = Folder::new();
    let key = format!("some/folder/{}", "x".repeat(150));
    folder.file("a.tar", &tar(&sample(&key, 1)));
    let (plan, _) = folder.run("out", &[InputShard::named(&folder.path("a.tar"))], None, ReshardOptions::default()).unwrap();
    let samples = &folder.samples("out", &plan)[0];
    assert_eq!((samples[0].key.as_str(), number(&samples[0])), (key.as_str(), 1));
}
