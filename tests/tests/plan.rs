//! `trommel plan`: from a recipe and measured rates to what it would cost.
#![allow(clippy::unwrap_used, reason = "what the tests share may panic as they do")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trommel_tests::{Done, Trommel};

/// What it reads is nowhere.
const RECIPE: &str = r#"[job]
output  = "s3://nowhere/out"
contact = "https://example.org/bot"

[source]
urls = ["s3://nowhere/list.parquet"]

[network]
tdmrep = false

[[stage]]
use   = "keep"
where = "chars(text) > 5"

[[stage]]
use          = "fetch"
thread_count = 1000
robots       = false

[[stage]]
use = "write"
"#;

/// A million rows, of which half are kept and half of those give a picture of 640 × 480; all hosts alike.
const ASSUMED: [&str; 18] = [
    "--pairs=1e6",
    "--pairs-at=source",
    "--hosts=1e6",
    "--host-exponent=0",
    "--host-shift=0",
    "--crawl-delay=none",
    "--extra-requests=0",
    "--answer-seconds=1",
    "--success-from-list=0.5",
    "--picture-pixels=307200",
    "--picture-bytes=100e3",
    // A sample of 20 kB with the tar around it.
    "--stored-bytes=17696",
    "--network-gbps=10",
    "--gpu-utilisation=0.5",
    "--limit-scope=run",
    "--crawl-seed=7",
    "--dedupe-kept=0.5",
    "--wat-candidates=1000",
];

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("recipe.toml"), RECIPE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn rates(&self, rates: &Value) -> PathBuf {
        let path = self.path("rates.json");
        std::fs::write(&path, rates.to_string()).unwrap();
        path
    }

    fn plan(&self, rates: &Path, machines: &str) -> Trommel {
        let call = Trommel::new(["plan"]).arg(self.path("recipe.toml")).arg("--rates").arg(rates);
        call.arg("--machines").arg(machines).args(ASSUMED)
    }

    fn fails(&self, rates: &Value, machines: &str, more: &[&str]) -> Done {
        self.plan(&self.rates(rates), machines).args(more).ends_with(2)
    }
}

/// Round rates, so that everything below can be worked out by hand.
fn rates() -> Value {
    let rate = |value: f64, unit: &str| json!({ "value": value, "unit": unit, "source": { "assumed": "round numbers" } });
    json!({
        "version": 1,
        "machine": { "processor": "a machine", "cores": 2, "memory_bytes": 0, "version": "0", "note": "" },
        "rates": {
            "keep_rows": rate(1e6, "rows/core s"),
            "fetch_urls": rate(10e3, "urls/core s"),
            "fetch_small": rate(500.0, "pictures/core s"),
            "fetch_large": rate(250.0, "pictures/core s"),
            "table_row_bytes": rate(100.0, "B/row"),
            "shard_row_bytes": rate(200.0, "B/row"),
            "exclusion_row_bytes": rate(50.0, "B/row"),
            "marker_bytes": rate(1000.0, "B/unit"),
        }
    })
}

#[track_caller]
fn close(found: &Value, hand: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - hand).abs() <= 1e-9 * hand, "{found} is not {hand}");
}

#[test]
fn a_recipe_is_planned_with_the_totals_that_were_worked_out_by_hand() {
    let scene = Scene::new();
    let plan = scene.plan(&scene.rates(&rates()), "all=1x16c/0.5").arg("--keep=1.keep=0.5").report(0);
    let names: Vec<&str> = plan["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["source", "1.keep", "2.fetch"]);
    let [source, keep, fetch] = [&plan["stages"][0], &plan["stages"][1], &plan["stages"][2]];
    close(&source["rows_in"], 1e6);
    close(&keep["rows_out"], 500e3);
    // A second for a million rows; 50 s of urls and 500 s of pictures.
    close(&plan["totals"]["cpu_hours"], (1.0 + 50.0 + 500.0) / 3600.0);
    // The list once, and what is left of it twice.
    close(&plan["totals"]["bytes_read"], 100e6 + 2.0 * 50e6);
    close(&plan["totals"]["bytes_downloaded"], 25e9);
    // No rules of hosts are asked for.
    close(&plan["totals"]["requests"], 500e3);
    close(&keep["metadata"]["tables"], 500e3 * 50.0);
    // 250,000 samples of 20 kB; packed rows and rows beside shards for every url; markers.
    let markers = fetch["metadata"]["markers"].as_f64().unwrap();
    close(&fetch["bytes_written"], 250e3 * 20e3 + 500e3 * 300.0 + markers);
    close(&fetch["limits"]["connections"], 500.0 / 3600.0);
    assert_eq!(fetch["bound"], "connections");
    let hours = plan["totals"]["wall_hours"].as_f64().unwrap();
    close(&plan["totals"]["cost"], hours * 0.5);
    // The same as a table.
    let text = scene.plan(&scene.path("rates.json"), "all=1x16c/0.5").arg("--keep=1.keep=0.5").ends_with(0).out;
    for part in ["stage", "1.keep", "2.fetch", "total", "25.0 G", "a machine (2 cores)"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn what_a_plan_lacks_is_named() {
    let scene = Scene::new();
    let keep = ["--keep=1.keep=0.5"];
    let mut few = rates();
    few["rates"].as_object_mut().unwrap().remove("keep_rows");
    scene.fails(&few, "all=1x16c", &keep).says(&["`keep_rows`", "`1.keep`", "trommel plan --calibrate"]);
    scene.fails(&rates(), "all=1x16c", &[]).says(&["`1.keep`", "--keep 1.keep="]);
    scene.fails(&rates(), "all=1x16c", &["--keep=1.kep=0.5"]).says(&["--keep 1.kep", "did you mean `1.keep`?"]);
    scene.fails(&rates(), "all=1x16c", &["--keep=1.keep=2"]).says(&["--keep", "up to 1"]);
    scene.fails(&rates(), "all=1x16c/8B300", &keep).says(&["--machines", "B300"]);
    scene.fails(&rates(), "fech=1x16c", &keep).says(&["--machines", "fech"]);
    scene.fails(&rates(), "fetch=1x16c", &keep).says(&["`source`", "extract="]);
    scene.fails(&json!({ "version": 1 }), "all=1x16c", &keep).says(&["rates.json", "--calibrate"]);
    scene.fails(&rates(), "all=1x16c", &["--keep=1.keep=0.5", "--crawl-delay=often"]).says(&["--crawl-delay", "SHARE=SECONDS", "0.1=10"]);
    Trommel::new(["plan", "--calibrate", "--only", "fetch_smal"])
        .ends_with(2)
        .says(&["`--only fetch_smal`", "did you mean `fetch_small`?"]);
    Trommel::new(["plan"]).arg(scene.path("recipe.toml")).ends_with(2).says(&["--pairs", "--machines", "--rates"]);
}

#[test]
fn what_was_calibrated_can_be_planned_with() {
    let scene = Scene::new();
    let measured = Trommel::new(["plan", "--calibrate", "--only", "language_captions", "--note", "a test"]).ends_with(0);
    measured.says(&["measuring language_captions"]);
    let mut file: Value = serde_json::from_str(&measured.out).unwrap();
    assert_eq!(file["machine"]["note"], "a test");
    let rates_of_file = file["rates"].as_object_mut().unwrap();
    assert_eq!(rates_of_file.keys().collect::<Vec<_>>(), ["language_captions"]);
    let value = rates_of_file["language_captions"]["value"].as_f64().unwrap();
    // The others by hand.
    rates_of_file.extend(rates()["rates"].as_object().unwrap().clone());
    let recipe = RECIPE.replace("use   = \"keep\"\nwhere = \"chars(text) > 5\"", "use = \"language\"");
    std::fs::write(scene.path("recipe.toml"), recipe).unwrap();
    let plan = scene.plan(&scene.rates(&file), "all=1x16c").report(0);
    assert_eq!(plan["stages"][1]["name"], "1.language");
    close(&plan["stages"][1]["cpu_hours"], 1e6 / value / 3600.0);
    assert_eq!(plan["measured_on"]["note"], "a test");
}
