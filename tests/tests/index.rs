//! The index: built over a dataset's vectors, asked by row, text, picture and vector.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use trommel_tests::{Random, Scene, Trommel, fingerprint, tables};

const STAGES: &str = r#"
[[stage]]
use         = "fetch"
image_size  = 96
number_sample_per_shard = 60

[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"
"#;

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

struct Indexed {
    scene: Scene,
    index: String,
}

impl Indexed {
    fn new() -> Self {
        let scene = Scene::new(60, STAGES);
        let index = scene.path("index").display().to_string();
        let meta = scene.output.display().to_string();
        let report = Trommel::new(["index", &meta, "-o", &index, "--key", "miniweb_clip_img"]).report(0);
        assert_eq!(report["factory"], "Flat", "{report}");
        assert_eq!(report["metric"], "cosine", "{report}");
        Self { scene, index }
    }

    fn search(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        lines(&Trommel::new(["search", &self.index, "--json"].iter().chain(arguments)).ends_with(0).out)
    }
}

/// A row with a vector.
fn some_row(folder: &Path) -> (String, Vec<f32>) {
    let table = &tables(folder)[0];
    let vectors = tables(&folder.join("vectors"))[0].vectors("miniweb_clip_img");
    let found = vectors.into_iter().enumerate().find_map(|(row, vector)| Some((table.text("uid")[row].clone(), vector?)));
    found.expect("a row has a vector")
}

#[test]
fn a_dataset_is_indexed_and_asked() {
    let indexed = Indexed::new();
    let (uid, vector) = some_row(&indexed.scene.output);
    // By row: the row itself is the nearest, and what follows is what a walk over all vectors finds.
    let found = indexed.search(&["--uid", &uid, "-k", "5"]);
    assert_eq!(found.len(), 5);
    assert_eq!(found[0]["uid"], uid.as_str());
    let mut all: Vec<(f32, String)> = Vec::new();
    for (table, vectors) in tables(&indexed.scene.output).iter().zip(tables(&indexed.scene.output.join("vectors"))) {
        for (uid, other) in table.text("uid").into_iter().zip(vectors.vectors("miniweb_clip_img")) {
            all.extend(other.map(|other| (other.iter().zip(&vector).map(|(a, b)| a * b).sum(), uid)));
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let similarity = |line: &serde_json::Value| line["similarity"].as_f64().unwrap() as f32;
    for (line, (expected, _)) in found.iter().zip(&all) {
        assert!((similarity(line) - expected).abs() < 1e-3, "{line} instead of {expected}");
    }
    // By text: what it says is what is found.
    let found = indexed.search(&["--text", "a red heart", "--model", "miniweb-clip", "-k", "3"]);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|line| line["url"].as_str().is_some_and(|url| url.starts_with("http"))), "{found:?}");
    // Among rows of a predicate only, also where those are few.
    let found = indexed.search(&["--uid", &uid, "--where", &format!("uid != '{uid}' and width >= 64"), "-k", "4"]);
    assert!(found.len() == 4 && found.iter().all(|line| line["uid"] != uid.as_str()), "{found:?}");
    let found = indexed.search(&["--uid", &uid, "--at-least", "0.9999"]);
    assert!(found.iter().any(|line| line["uid"] == uid.as_str()) && found.iter().all(|line| similarity(line) >= 0.9999));
    // As a page.
    let page = indexed.scene.path("found.html");
    Trommel::new(["search", &indexed.index, "--uid", &uid]).arg("--html").arg(&page).ends_with(0);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("data:image/jpeg;base64,") && html.contains(&uid));
    // Once more: what is there stays.
    let meta = indexed.scene.output.display().to_string();
    let file = Path::new(&indexed.index).join("index.faiss");
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    Trommel::new(["index", &meta, "-o", &indexed.index, "--key", "miniweb_clip_img"]).ends_with(0);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), before);
}

#[test]
fn an_index_knows_what_it_is_of() {
    let indexed = Indexed::new();
    let (uid, _) = some_row(&indexed.scene.output);
    let index = indexed.index.as_str();
    Trommel::new(["search", index]).ends_with(2).says(&["nothing is asked"]);
    Trommel::new(["search", index, "--uid", "00000000000000000000000000000000"]).ends_with(2).says(&["no row", "uid"]);
    Trommel::new(["search", index, "--text", "a heart"]).ends_with(2).says(&["--model"]);
    Trommel::new(["search", index, "--uid", &uid, "--where", "widht > 3"]).ends_with(2).says(&["widht"]);
    // Metadata of another dataset.
    let one = indexed.scene.output.join("00000.parquet").display().to_string();
    Trommel::new(["search", index, "--uid", &uid, "--meta", &one]).ends_with(2).says(&["rows"]);
    // Other vectors than there are.
    let meta = indexed.scene.output.display().to_string();
    let other = indexed.scene.path("other").display().to_string();
    Trommel::new(["index", &meta, "-o", &other, "--key", "nothing"]).ends_with(2).says(&["no vectors `nothing`"]);
    Trommel::new(["index", &meta, "-o", &other, "--key", "miniweb_clip_img", "--factory", "NoSuchIndex"]).ends_with(2);
}

#[test]
fn indexes_of_one_training_are_merged() {
    let indexed = Indexed::new();
    let part = |name: &str| indexed.scene.output.join(name).display().to_string();
    let (a, b, both) = (indexed.scene.path("a"), indexed.scene.path("b"), indexed.scene.path("both"));
    let build = |meta: &str, output: &Path, like: Option<&Path>| {
        let mut command = Trommel::new(["index", meta, "--key", "miniweb_clip_img", "-o"]).arg(output);
        command = match like {
            Some(like) => command.arg("--like").arg(like),
            None => command.arg("--factory").arg("IVF4,Flat"),
        };
        command.ends_with(0);
    };
    build(&part("00000.parquet"), &a, None);
    build(&part("00001.parquet"), &b, Some(&a));
    Trommel::new(["index", "--merge"]).arg(&a).arg(&b).arg("-o").arg(&both).ends_with(0);
    let (uid, _) = some_row(&indexed.scene.output);
    let found = lines(&Trommel::new(["search", "--json", "--uid", &uid, "--probes", "4", "-k", "3"]).arg(&both).ends_with(0).out);
    assert_eq!((found.len(), found[0]["uid"].as_str()), (3, Some(uid.as_str())));
    // Mapped from the disk it answers the same.
    let mapped =
        lines(&Trommel::new(["search", "--json", "--mapped", "--uid", &uid, "--probes", "4", "-k", "3"]).arg(&both).ends_with(0).out);
    assert_eq!(found, mapped);
}

/// A table of so many uids, and beside it drawn vectors with the key `made`.
fn drawn(folder: &Path, rows: usize, dim: usize) -> PathBuf {
    let data = folder.join("data");
    std::fs::create_dir_all(data.join("vectors")).expect("a temporary folder can be written to");
    let uids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{row:032x}"))));
    let batch = RecordBatch::try_from_iter([("uid", uids)]).expect("one column");
    let file = File::create(data.join("00000.parquet")).expect("a temporary folder can be written to");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a schema that parquet takes");
    writer.write(&batch).expect("a temporary folder can be written to");
    writer.close().expect("a temporary folder can be written to");
    // An npy file: magic and version, the length of the header, the header up to a multiple of 64 bytes, the numbers.
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    header.push_str(&" ".repeat((64 - (11 + header.len()) % 64) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    bytes.extend(header.into_bytes());
    let mut random = Random(7);
    bytes.extend((0..rows * dim).flat_map(|_| (random.unit() as f32 - 0.5).to_le_bytes()));
    std::fs::write(data.join("vectors/00000.made.npy"), bytes).expect("a temporary folder can be written to");
    data
}

/// Kills a build again and again, each time at another moment, until `kills` have come before its end, and lets it go on.
fn killed_and_resumed(kind: &str, kills: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = drawn(folder.path(), 20_000, 16);
    let call = |index: &Path| {
        let options = ["--key", "made", "--part-rows", "500", "--factory", kind, "--quiet"];
        Trommel::new(["index"]).arg(&data).arg("-o").arg(index).args(options)
    };
    let uid = format!("{:032x}", 4321);
    let asked = |index: &Path| Trommel::new(["search", "--json", "--columns", "uid", "--uid", &uid]).arg(index);
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let started = Instant::now();
    call(&whole).ends_with(0);
    let mut took = started.elapsed();
    let (expected, answer) = (fingerprint(&whole), asked(&whole).ends_with(0).out);
    let nearest = lines(&answer);
    assert_eq!((nearest.len(), nearest[0]["uid"].as_str()), (10, Some(uid.as_str())), "{answer}");
    let mut random = Random(10);
    let mut hits = 0;
    for attempt in 0..10 * kills {
        if hits == kills {
            break;
        }
        let (mut ended, mut begun) = (false, false);
        while !ended && hits < kills {
            let moment = took.mul_f64(random.unit());
            let mut child = call(&killed).start();
            // A test that has to wait: what is shown is that the moment does not matter.
            std::thread::sleep(moment);
            match child.try_wait().expect("a child can be asked") {
                None => hits += 1,
                Some(status) => {
                    assert!(status.success(), "{kind}, attempt {attempt}: {status}");
                    ended = true;
                    // A build from its beginning was faster than the first one.
                    if !begun {
                        took = moment;
                    }
                }
            }
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
            begun = true;
            // What is not finished is no index. The description comes last.
            if !killed.join("index.json").exists() {
                let refused = asked(&killed).end();
                assert!(refused.code == Some(2) && refused.out.is_empty(), "{kind}, attempt {attempt}: {refused:?}");
            }
        }
        call(&killed).ends_with(0);
        assert_eq!(fingerprint(&killed), expected, "{kind}, attempt {attempt}");
        assert_eq!(asked(&killed).ends_with(0).out, answer, "{kind}, attempt {attempt}");
        std::fs::remove_dir_all(&killed).expect("a temporary folder can be removed");
    }
    assert_eq!(hits, kills, "{kind}: too few kills came before the end of the build");
}

#[test]
fn an_index_of_lists_whose_building_is_killed_ten_times_is_to_the_byte_the_one_that_was_not() {
    killed_and_resumed("IVF32,Flat", 10);
}

#[test]
fn a_graph_whose_building_is_killed_ten_times_is_to_the_byte_the_one_that_was_not() {
    killed_and_resumed("HNSW8", 10);
}
