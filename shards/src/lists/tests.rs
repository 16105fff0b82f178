use std::io::Write;

use arrow::array::{Array, AsArray};

use super::*;

fn write(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn urls(uri: &str, url: &str) -> Vec<String> {
    let (_, batches) = open(uri, None, &[], 2).unwrap();
    batches
        .flat_map(|batch| {
            let batch = batch.unwrap();
            let column = arrow::compute::cast(batch.column_by_name(url).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
            let column = column.as_string::<i32>().clone();
            (0..column.len()).map(move |i| column.value(i).to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_format_gives_the_same_urls() {
    let dir = tempfile::tempdir().unwrap();
    let want = vec!["http://a.test/1,2.jpg", "http://b.test/x", "http://c.test/y"];
    let txt = b"http://a.test/1,2.jpg\r\n\nhttp://b.test/x\nhttp://c.test/y";
    let csv = b"url,n\n\"http://a.test/1,2.jpg\",1\nhttp://b.test/x,2\nhttp://c.test/y,3\n";
    let tsv = b"url\tn\nhttp://a.test/1,2.jpg\t1\nhttp://b.test/x\t2\nhttp://c.test/y\t3\n";
    let jsonl = b"{\"url\":\"http://a.test/1,2.jpg\"}\n{\"url\":\"http://b.test/x\"}\n{\"url\":\"http://c.test/y\"}\n";
    let records = b"[{\"url\":\"http://a.test/1,2.jpg\"},{\"url\":\"http://b.test/x\"},{\"url\":\"http://c.test/y\"}]";
    let columns = br#"{"url":{"0":"http://a.test/1,2.jpg","1":"http://b.test/x","2":"http://c.test/y"}}"#;
    for (name, bytes) in [("a.txt", &txt[..]), ("a.csv", csv), ("a.tsv", tsv), ("a.jsonl", jsonl), ("r.json", records), ("c.json", columns)]
    {
        assert_eq!(urls(&write(&dir, name, bytes), "url"), want, "{name}");
        let packed = format!("{name}.gz");
        assert_eq!(urls(&write(&dir, &packed, &gz(bytes)), "url"), want, "{packed}");
        let packed = format!("{name}.zst");
        assert_eq!(urls(&write(&dir, &packed, &zstd::encode_all(bytes, 1).unwrap()), "url"), want, "{packed}");
    }
}

#[test]
fn a_missing_column_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.csv", b"URL,TEXT\nhttp://a.test/,x\n");
    let (schema, _) = open(&file, None, &[], 10).unwrap();
    let choice = ColumnChoice { url: "url".into(), caption: None, additional: Some(vec![]) };
    let error = Columns::resolve(&file, &schema, &choice, "text").unwrap_err().to_string();
    assert!(error.ends_with("has no column `url`; it has `URL`, `TEXT`; did you mean `URL`?"), "{error}");
}

#[test]
fn a_bad_row_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.csv", b"url,n\nhttp://a.test/,1\nhttp://b.test/,1,2,3\n");
    let result: Result<Vec<_>, _> = match open(&file, None, &[], 10) {
        Ok((_, batches)) => batches.collect(),
        Err(e) => Err(e),
    };
    let error = result.unwrap_err().to_string();
    assert!(error.contains("a.csv") && error.contains("line 3"), "{error}");
}

#[test]
fn an_unknown_ending_asks_for_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.xyz", b"http://a.test/\n");
    assert!(matches!(open(&file, None, &[], 10), Err(ListError::UnknownFormat(_))));
    assert!(open(&file, Some(ListFormat::Txt), &[], 10).is_ok());
}

#[test]
fn captions_that_look_like_numbers_stay_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.csv", b"url,caption\nhttp://a.test/,007\nhttp://b.test/,1.50\n");
    let (_, batches) = open(&file, None, &["url", "caption"], 10).unwrap();
    let batch = batches.map(Result::unwrap).next().unwrap();
    let captions = batch.column_by_name("caption").unwrap().as_string::<i32>();
    assert_eq!((captions.value(0), captions.value(1)), ("007", "1.50"));
}

#[test]
fn a_column_whose_name_is_taken_is_kept_under_another() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.csv", b"url,caption,text,key\nhttp://a.test/,new,old,7\n");
    let (schema, _) = open(&file, None, &[], 10).unwrap();
    let choice = ColumnChoice { url: "url".into(), caption: Some("caption".into()), additional: None };
    let columns = Columns::resolve(&file, &schema, &choice, "text").unwrap();
    let names: Vec<String> = columns.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["source_text", "source_key", "text", "url"]);
}
