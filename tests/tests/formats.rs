//! `fetch` and `extract` by themselves: every kind of list, every layout of output, img2dataset's and cc2dataset's
//! columns, and asking again for what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use trommel_tests::{
    Plain, Reply, Table, Trommel, Web, all_files, calm, data_files, fingerprint, picture, sample_keys, tables, tar_members,
};

/// A server of three pictures, one missing page and one that is no picture.
fn server() -> Plain {
    let images = [picture(0), picture(1), picture(2)];
    Plain::serve(move |path, _| match path {
        "/gone.jpg" => Reply(404, Vec::new()),
        "/text.jpg" => Reply(200, b"<!doctype html><title>no</title>".to_vec()),
        other => Reply(200, images[other.len() % 3].clone()),
    })
}

/// Rows of a list: url, caption, similarity.
fn rows(server: &Plain) -> Vec<(String, String, f64)> {
    let row = |path: &str, caption: &str, sim: f64| (server.url(path), caption.to_owned(), sim);
    vec![
        row("/a.jpg", "a red circle, on a blue ground", 0.5),
        row("/gone.jpg", "a picture that has gone", 0.25),
        row("/b,w_300,h_200/c.jpg?x=1,2", "commas in its \"url\"", 0.125),
        row("/text.jpg", "not a picture", 0.75),
        row("/d.jpg", "deux carrés verts", 1.5),
    ]
}

fn fetch(list: &Path, output: &Path) -> Trommel {
    Trommel::new(["fetch"])
        .arg(list)
        .arg("-o")
        .arg(output)
        .arg("--contact=https://example.org/bot")
        .arg("--allow-net=127.0.0.0/8")
        .arg("--per-host-delay=0")
        .arg("--host-rows=0")
        .arg("--image_size=64")
}

fn write_parquet(path: &Path, rows: &[(String, String, f64)]) {
    let text = |column: Vec<&String>| Arc::new(StringArray::from_iter_values(column)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("sim", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef),
        ("alt", text(rows.iter().map(|row| &row.1).collect())),
        ("url", text(rows.iter().map(|row| &row.0).collect())),
    ])
    .expect("columns of one length");
    let file = std::fs::File::create(path).expect("a temporary folder can be written to");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a schema that parquet takes");
    writer.write(&batch).expect("a batch of the schema");
    writer.close().expect("a file that can be written to");
}

fn gzip(path: &Path) -> PathBuf {
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    let file = std::fs::File::create(&packed).expect("a temporary folder can be written to");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    encoder.write_all(&std::fs::read(path).expect("the list is there")).expect("a file that can be written to");
    encoder.finish().expect("a file that can be written to");
    packed
}

/// The same rows as a list of every format, by format.
fn lists(folder: &Path, rows: &[(String, String, f64)]) -> BTreeMap<String, PathBuf> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let object = |row: &(String, String, f64)| serde_json::json!({ "sim": row.2, "alt": row.1, "url": row.0 }).to_string();
    let texts = [
        (
            "csv",
            "sim,alt,url\n".to_owned()
                + &rows.iter().map(|row| format!("{},{},{}\n", row.2, quoted(&row.1), quoted(&row.0))).collect::<String>(),
        ),
        (
            "tsv",
            "sim\talt\turl\n".to_owned()
                + &rows.iter().map(|row| format!("{}\t{}\t{}\n", row.2, quoted(&row.1), row.0)).collect::<String>(),
        ),
        ("json", format!("[{}]", rows.iter().map(object).collect::<Vec<_>>().join(",\n"))),
        ("jsonl", rows.iter().map(|row| object(row) + "\n").collect()),
        ("txt", rows.iter().map(|row| row.0.clone() + "\n").collect()),
    ];
    let mut files = BTreeMap::new();
    for (format, text) in texts {
        let path = folder.join(format!("list.{format}"));
        std::fs::write(&path, text).expect("a temporary folder can be written to");
        if matches!(format, "csv" | "jsonl" | "txt") {
            files.insert(format!("{format}.gz"), gzip(&path));
        }
        files.insert(format.to_owned(), path);
    }
    let path = folder.join("list.parquet");
    write_parquet(&path, rows);
    files.insert("parquet".to_owned(), path);
    files
}

const ENDINGS: [&str; 5] = ["", "http_404", "", "html_instead_of_image", ""];

#[test]
fn every_kind_of_list_gives_the_same_rows_and_pictures() {
    let server = server();
    let rows = rows(&server);
    let folder = tempfile::tempdir().unwrap();
    let mut pictures = BTreeSet::new();
    for (format, list) in lists(folder.path(), &rows) {
        let output = folder.path().join(format!("out-{format}"));
        let call = fetch(&list, &output);
        let has_text = !format.starts_with("txt");
        let report = if has_text { call.arg("--caption_col").arg("alt") } else { call }.report(0);
        assert_eq!((&report["funnel"]["rows"], &report["funnel"]["kept"]), (&5.into(), &3.into()), "{format}: {report}");
        let table = tables(&output).remove(0);
        assert_eq!(table.text("url"), rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>(), "{format}");
        assert_eq!(table.text("error_code"), ENDINGS, "{format}");
        if has_text {
            assert_eq!(table.text("text"), rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>(), "{format}");
            let kind = table.schema.field_with_name("sim").unwrap().data_type().to_string();
            assert_eq!(kind, "Float64", "{format}");
        }
        pictures.insert(tar_members(&output).into_iter().filter(|(name, _)| name.ends_with(".jpg")).collect::<Vec<_>>());
    }
    assert_eq!(pictures.len(), 1, "the same pictures under the same keys");
    assert_eq!(pictures.first().unwrap().len(), 3);
}

#[test]
fn every_layout_holds_the_same_pictures_and_validates() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let list = lists(folder.path(), &rows(&server)).remove("parquet").unwrap();
    let output = |format: &str| folder.path().join(format);
    for format in ["webdataset", "parquet", "files", "dummy"] {
        fetch(&list, &output(format)).arg("--caption_col=alt").arg(format!("--output_format={format}")).ends_with(0);
        Trommel::new(["validate"]).arg(output(format)).ends_with(0);
    }
    let names = |format: &str| data_files(&output(format)).into_keys().filter(|name| !name.starts_with("excluded")).collect::<Vec<_>>();
    assert_eq!(names("webdataset"), ["00000.parquet", "00000.tar", "00000_stats.json", "funnel.json"]);
    assert_eq!(names("parquet"), ["00000.parquet", "00000_stats.json", "funnel.json"]);
    assert_eq!(names("dummy"), ["00000_stats.json", "funnel.json"]);

    let members = tar_members(&output("webdataset"));
    assert_eq!(sample_keys(&members), ["000000000", "000000002", "000000004"]);
    let files: Vec<_> =
        all_files(&output("files").join("00000")).into_iter().map(|(name, path)| (name, std::fs::read(path).unwrap())).collect();
    assert_eq!(files, members);
    let pictures: Vec<Vec<u8>> = members.iter().filter(|(name, _)| name.ends_with(".jpg")).map(|(_, bytes)| bytes.clone()).collect();
    let column: Vec<Vec<u8>> = tables(&output("parquet"))[0].binary("jpg").into_iter().filter(|bytes| !bytes.is_empty()).collect();
    assert_eq!(column, pictures);
    for format in ["webdataset", "files"] {
        assert!(!tables(&output(format))[0].names().contains(&"jpg"));
    }
}

#[test]
fn a_flipped_byte_is_found_in_every_output() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let list = lists(folder.path(), &rows(&server)).remove("csv").unwrap();
    for format in ["webdataset", "parquet", "files"] {
        let output = folder.path().join(format);
        fetch(&list, &output).arg("--caption_col=alt").arg(format!("--output_format={format}")).ends_with(0);
        for (name, path) in data_files(&output).into_iter().filter(|(name, _)| name != "funnel.json") {
            let good = std::fs::read(&path).unwrap();
            let mut bad = good.clone();
            bad[good.len() / 2] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            Trommel::new(["validate"]).arg(&output).ends_with(1).says(&[&format!("`{name}`"), "has changed"]);
            std::fs::write(&path, &good).unwrap();
        }
        Trommel::new(["validate"]).arg(&output).ends_with(0);
        std::fs::remove_file(output.join("00000.parquet")).unwrap();
        Trommel::new(["validate"]).arg(&output).ends_with(1).says(&["`00000.parquet`", "missing"]);
    }
}

#[test]
fn compat_img2dataset_has_that_programs_columns_keys_and_json() {
    let server = server();
    let rows = rows(&server);
    let folder = tempfile::tempdir().unwrap();
    let list = lists(folder.path(), &rows).remove("parquet").unwrap();
    let output = folder.path().join("out");
    fetch(&list, &output)
        .arg("--compat=img2dataset")
        .arg("--caption_col=alt")
        .arg("--save_additional_columns=sim")
        .arg("--number_sample_per_shard=2")
        .ends_with(0);
    let added = ["key", "status", "error_message", "width", "height", "original_width", "original_height", "exif", "sha256"];
    let found = tables(&output);
    assert_eq!(found.len(), 3);
    for table in &found {
        assert_eq!(table.names(), [&["sim", "caption", "url"][..], &added].concat());
        let kinds: Vec<String> = table.schema.fields().iter().map(|field| field.data_type().to_string()).collect();
        let wanted = "Float64 Utf8 Utf8 Utf8 Utf8 Utf8 Int32 Int32 Int32 Int32 Utf8 Utf8";
        assert_eq!(kinds.join(" "), wanted);
    }
    // ceil(log10(2)) = 1 digit for the row behind 5 for the shard.
    let keys: Vec<String> = found.iter().flat_map(|table| table.text("key")).collect();
    assert_eq!(keys, ["000000", "000001", "000010", "000011", "000020"]);
    let members = tar_members(&output);
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["000000.jpg", "000000.json", "000000.txt"]);
    let text = String::from_utf8(members.iter().find(|(name, _)| name == "000020.json").unwrap().1.clone()).unwrap();
    assert!(text.starts_with("{\n    \"sim\": 1.5,\n    \"caption\": \"deux carr\\u00e9s verts\",\n    \"url\": "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let order: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(order, [&["sim", "caption", "url"][..], &added].concat());
    let stats: serde_json::Value = serde_json::from_slice(&std::fs::read(output.join("00000_stats.json")).unwrap()).unwrap();
    let order: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        order,
        ["count", "successes", "failed_to_download", "failed_to_resize", "duration", "start_time", "end_time", "status_dict"]
    );
    assert_eq!((&stats["count"], &stats["successes"], &stats["failed_to_download"]), (&2.into(), &1.into(), &1.into()));
}

#[test]
fn retry_failed_asks_again_only_for_what_failed_for_a_passing_reason() {
    let image = picture(0);
    let server = Plain::serve(move |path, before| match path {
        "/gone.jpg" => Reply(404, Vec::new()),
        // Out of order for the first two visits.
        "/flaky.jpg" | "/sick.jpg" if before < 2 => Reply(500, Vec::new()),
        _ => Reply(200, image.clone()),
    });
    let paths = ["/a.jpg", "/flaky.jpg", "/gone.jpg", "/b.jpg", "/sick.jpg", "/c.jpg"];
    let folder = tempfile::tempdir().unwrap();
    let (list, output) = (folder.path().join("urls.txt"), folder.path().join("out"));
    std::fs::write(&list, paths.map(|path| server.url(path) + "\n").concat()).unwrap();
    let call = || fetch(&list, &output).arg("--number-sample-per-shard=4").arg("--retries=0");
    let ends = || {
        let mut ends = BTreeMap::<String, Vec<String>>::new();
        for table in tables(&output) {
            for ((url, uid), status) in table.text("url").into_iter().zip(table.text("uid")).zip(table.text("error_code")) {
                ends.entry(format!("{} {uid}", &url[url.rfind('/').unwrap()..])).or_default().push(status);
            }
        }
        assert!(ends.len() == 6 && ends.values().all(|rows| rows.len() == 1), "one row for each uid: {ends:?}");
        ends.into_iter().map(|(name, mut ends)| (name.split(' ').next().unwrap().to_owned(), ends.remove(0))).collect::<BTreeMap<_, _>>()
    };
    let asked = || paths.map(|path| server.asked(path));

    let report = call().report(0);
    assert_eq!(report["funnel"]["kept"], 3, "{report}");
    assert_eq!((ends()["/flaky.jpg"].as_str(), ends()["/gone.jpg"].as_str()), ("http_500", "http_404"));
    call().ends_with(0);
    assert_eq!(asked(), [1; 6], "a plain second run asks nobody");

    // Still out of order.
    let report = call().arg("--retry-failed").report(0);
    assert_eq!((asked(), &report["funnel"]["kept"]), ([1, 2, 1, 1, 2, 1], &3.into()), "{report}");
    assert_eq!(report["balances"], true);
    assert_eq!(ends()["/flaky.jpg"], "http_500");

    // Mended.
    let report = call().arg("--retry-failed").report(0);
    assert_eq!((asked(), &report["funnel"]["kept"]), ([1, 3, 1, 1, 3, 1], &5.into()), "{report}");
    assert_eq!(report["funnel"]["rows"], 6);
    let found = ends();
    assert_eq!(found.iter().filter(|(_, end)| !end.is_empty()).map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/gone.jpg"]);
    let members = tar_members(&output);
    assert_eq!(sample_keys(&members).len(), 5);
    Trommel::new(["validate"]).arg(&output).ends_with(0);

    // Nothing is left that could go better; and a plain run finds all done.
    let before = fingerprint(&output);
    call().arg("--retry-failed").ends_with(0);
    let report = call().report(0);
    assert_eq!((&report["units_done"], asked()), (&0.into(), [1, 3, 1, 1, 3, 1]), "{report}");
    assert_eq!(fingerprint(&output), before);
}

#[test]
fn extract_gives_the_types_that_are_asked_for_and_cc2datasets_columns() {
    let web = Web::launch(calm(20));
    let folder = tempfile::tempdir().unwrap();
    let path = web.write_wats(folder.path(), 1).remove(0);
    let extract = |name: &str, arguments: &[&str]| -> Vec<Table> {
        let output = folder.path().join(name);
        let call = Trommel::new(["extract"]).arg(&path).arg("-o").arg(&output);
        arguments.iter().fold(call, |call, argument| call.arg(argument)).ends_with(0);
        tables(&output)
    };
    let count = |tables: &[Table]| tables.iter().map(Table::rows).sum::<usize>();
    let image = extract("image", &[]);
    let kinds: BTreeSet<String> = image.iter().flat_map(|table| table.text("kind")).collect();
    assert_eq!(kinds, BTreeSet::from(["image".to_owned()]));
    assert_eq!(image[0].names()[..3], ["uid", "url", "text"]);
    assert!(image.iter().flat_map(|table| table.text("text")).all(|text| !text.is_empty()));
    let all = extract("image-only", &["--types=image_only"]);
    assert!(count(&all) > count(&image), "images without a text come too");
    extract("others", &["--types=image,audio,video,text"]);

    // The rows of cc2dataset: every `IMG@/src` with an `alt`, however short.
    let compat = extract("compat", &["--compat=cc2dataset"]);
    assert_eq!(compat[0].names()[..5], ["uid", "url", "alt", "cc_filename", "page_url"]);
    let mut found: Vec<(String, String, String)> = Vec::new();
    for table in &compat {
        let (page, url, alt) = (table.text("page_url"), table.text("url"), table.text("alt"));
        // It takes links with the spaces around them, which a browser strips.
        found.extend(page.into_iter().zip(url).zip(alt).map(|((page, url), alt)| (page, url.trim().to_owned(), alt)));
    }
    let wanted = web.web().truth().into_iter().filter(|candidate| candidate.in_wat).filter_map(|candidate| {
        let alt = candidate.alt.filter(|alt| !alt.is_empty())?;
        Some((candidate.page_url, candidate.url.filter(|url| url.starts_with("http"))?, alt))
    });
    let (found, wanted): (BTreeSet<_>, BTreeSet<_>) = (found.into_iter().collect(), wanted.collect());
    let (more, less): (Vec<_>, Vec<_>) = (found.difference(&wanted).collect(), wanted.difference(&found).collect());
    assert!(more.is_empty() && less.is_empty(), "too many: {more:#?}\nmissing: {less:#?}");
}
