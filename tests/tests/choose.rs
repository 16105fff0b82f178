//! Choosing: the stages behind finished shards in a recipe, and the verbs `select` and `reshard`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use trommel_shards::subset::{Subset, Uid128};
use trommel_shards::tar::{TarWriter, read_members};
use trommel_tests::{Scene, Trommel, all_files, fingerprint, tables};

/// The demo's stages, with a lexicon that the test writes.
fn stages(lexicon: &Path) -> String {
    format!(
        r#"
[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 1"

[[stage]]
use         = "fetch"
image_size  = 64
number_sample_per_shard = 40

[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"

[[stage]]
use = "keep"
top = 0.8
by  = "miniweb_clip"

[[stage]]
use   = "keep"
where = "width >= 16"

[[stage]]
use         = "balance"
method      = "m4"
attributes  = ["red=0.25"]
labels      = ["heart"]
lexicon     = {lexicon:?}
target_rate = 0.7
"#
    )
}

struct Chosen {
    scene: Scene,
    _lexicon: tempfile::TempDir,
}

impl Chosen {
    fn new(pages: u64) -> Self {
        let lexicon = tempfile::tempdir().expect("a temporary folder can be made");
        let file = lexicon.path().join("lexicon.toml");
        std::fs::write(&file, trommel::miniweb::words::Lang::lexicon()).expect("a temporary folder can be written to");
        Self { scene: Scene::new(pages, &stages(&file)), _lexicon: lexicon }
    }
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn uids(folder: &Path) -> BTreeSet<String> {
    tables(folder).iter().flat_map(|table| table.text("uid")).collect()
}

#[test]
fn a_recipe_chooses_among_its_shards_and_writes_what_it_chose() {
    let chosen = Chosen::new(120);
    let output = &chosen.scene.output;
    let again = chosen.scene.run(output).report(0);
    assert_eq!((&again["balances"], &again["units_done"]), (&true.into(), &0.into()), "{again}");
    // The bias that the web is known for is there before, and within its limits after.
    let report = json(&output.join("selection/report.json"));
    let findings = report["findings"].as_array().unwrap();
    let fit = &findings.iter().find(|finding| finding["found"]["fit"].is_object()).unwrap()["found"]["fit"];
    assert_eq!(fit["status"], "feasible", "{fit}");
    let number = |name: &str| fit[name].as_f64().unwrap();
    assert!(number("association_bias_before") > 0.1, "hearts are red too often: {fit}");
    assert!(number("representation_bias_after") <= 0.01 + 1e-9, "{fit}");
    let association = &fit["associations"][0];
    assert!(association["moment_after"].as_f64().unwrap().abs() <= association["limit"].as_f64().unwrap() + 1e-9, "{fit}");
    // Pictures of the raw shards are either in a final shard or in the exclusion table with a stage.
    let raw: BTreeSet<String> = tables(&output.join("raw"))
        .iter()
        .flat_map(|table| table.text("uid").into_iter().zip(table.text("status")).collect::<Vec<_>>())
        .filter(|(_, status)| status == "success")
        .map(|(uid, _)| uid)
        .collect();
    let kept = uids(output);
    let mut excluded = BTreeMap::new();
    let folders = all_files(&output.join("excluded"));
    for path in folders.values().filter(|path| path.display().to_string().contains("-select/")) {
        let table = trommel_tests::Table::read(path);
        for ((uid, stage), reason) in table.text("uid").into_iter().zip(table.text("stage")).zip(table.text("reason")) {
            excluded.insert(uid, (stage, reason));
        }
    }
    let gone: BTreeSet<String> = excluded.keys().cloned().collect();
    assert!(kept.len() > 50 && gone.len() > 20, "{} kept, {} gone", kept.len(), gone.len());
    assert!(kept.is_disjoint(&gone));
    assert_eq!(kept.union(&gone).cloned().collect::<BTreeSet<_>>(), raw, "subset and exclusions are a partition");
    let stages: BTreeSet<&str> = excluded.values().map(|(stage, _)| stage.as_str()).collect();
    assert!(stages.contains("5.keep") && stages.contains("7.balance"), "{stages:?}");
    // Final rows say how they were weighted, in the table and in the sample.
    for table in tables(output) {
        assert!(table.floats("m4_weight").iter().all(|weight| weight.is_some_and(|weight| weight > 0.0 && weight <= 1.0)));
    }
    let members = trommel_tests::tar_members(output);
    let sample = members.iter().find(|(name, _)| name.ends_with(".json")).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&sample.1).unwrap()["m4_weight"].is_number());
    // Pictures are those of the raw shards, byte for byte.
    let pictures = |folder: &Path| -> BTreeSet<Vec<u8>> {
        trommel_tests::tar_members(folder).into_iter().filter(|(name, _)| name.ends_with(".jpg")).map(|(_, bytes)| bytes).collect()
    };
    assert!(pictures(output).is_subset(&pictures(&output.join("raw"))));
}

#[test]
fn a_run_that_crashes_while_it_chooses_or_writes_ends_with_the_same_bytes() {
    let chosen = Chosen::new(60);
    let whole = fingerprint(&chosen.scene.output);
    let output = chosen.scene.path("crashed");
    let mut crashes = 0;
    for point in ["before-marker:1", "before-reshard-marker:1", "before-reshard-marker:2"] {
        crashes += usize::from(chosen.scene.run(&output).env("TROMMEL_FAILPOINT", point).end().code.is_none());
    }
    assert!(crashes >= 2, "{crashes} crashes");
    chosen.scene.run(&output).ends_with(0);
    assert_eq!(fingerprint(&output), whole);
}

fn select(scene: &Scene, output: &Path) -> Trommel {
    Trommel::new(["select", &scene.output.display().to_string(), "-o", &output.display().to_string()])
}

fn reshard(inputs: &Path, output: &Path) -> Trommel {
    Trommel::new(["reshard", &inputs.display().to_string(), "-o", &output.display().to_string()])
}

const FETCHED: &str = r#"
[[stage]]
use         = "fetch"
image_size  = 64
number_sample_per_shard = 30
"#;

#[test]
fn a_subset_is_selected_and_written_as_shards_of_exact_size() {
    let scene = Scene::new(40, FETCHED);
    let (subset, output) = (scene.path("subset.npy"), scene.path("shards"));
    let report = select(&scene, &subset).arg("--where").arg("status = 'success'").arg("--sample").arg("0.7").report(0);
    assert_eq!(report["balances"], true, "{report}");
    let kept = report["funnel"]["kept"].as_u64().unwrap();
    let opened = Subset::open(&subset.display().to_string()).unwrap();
    assert_eq!(opened.len(), kept);
    assert!(scene.path("subset.report.json").is_file() && scene.path("subset.excluded").is_dir());
    let run = || reshard(&scene.output, &output).arg("-s").arg(&subset).arg("--shard-size").arg("7").arg("--order").arg("shuffled");
    let report = run().report(0);
    assert_eq!(report["samples"]["copies"], kept, "{report}");
    let sizes: Vec<usize> = tables(&output).iter().map(trommel_tests::Table::rows).collect();
    assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == 7), "{sizes:?}");
    let wanted: BTreeSet<String> = opened.uids().map(|uid| uid.to_string()).collect();
    assert_eq!(uids(&output), wanted);
    // What is there stays; what is gone is written again, the same.
    let whole = fingerprint(&output);
    std::fs::remove_file(output.join("00001.tar")).unwrap();
    let report = run().report(0);
    assert_eq!((&report["shards_written"], report["shards_there_before"].as_u64().unwrap()), (&1.into(), sizes.len() as u64 - 1));
    assert_eq!(fingerprint(&output), whole);
}

#[test]
fn copies_are_written_and_nothing_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir(&input).unwrap();
    let uid = |row: u64| format!("{row:032x}");
    for shard in 0..3_u64 {
        let mut tar = TarWriter::new();
        for row in shard * 10..shard * 10 + 10 {
            tar.append(&format!("{row:09}.jpg"), format!("no picture at all, {row}").as_bytes()).unwrap();
            tar.append(&format!("{row:09}.json"), format!("{{\"uid\": \"{}\", \"row\": {row}}}", uid(row)).as_bytes()).unwrap();
        }
        std::fs::write(input.join(format!("{shard:05}.tar")), tar.finish()).unwrap();
    }
    let list: String = [3, 3, 3, 12, 29].iter().map(|&row| uid(row) + "\n").collect();
    std::fs::write(folder.path().join("subset.txt"), list).unwrap();
    let run = |output: &Path| reshard(&input, output).arg("-s").arg(folder.path().join("subset.txt")).arg("--shard-compat").arg("datacomp");
    let report = run(&output).report(0);
    assert_eq!((&report["samples"]["selected"], &report["samples"]["copies"]), (&3.into(), &5.into()), "{report}");
    let tar = std::fs::read(output.join("00000000.tar")).unwrap();
    let names: Vec<String> =
        read_members(&tar[..]).unwrap().iter().map(|member| member.name.to_owned()).filter(|name| name.ends_with(".jpg")).collect();
    let expected: Vec<String> =
        [(3, 0), (3, 1), (3, 2), (12, 0), (29, 0)].iter().map(|(row, copy)| format!("{}-{copy}.jpg", uid(*row))).collect();
    assert_eq!(names, expected);
    for file in ["00000000_stats.json", "meta.json", "sizes.json", "sample_ids.npy"] {
        assert!(output.join(file).is_file(), "{file}");
    }
    // A shard that is cut off fails by name; the others go on.
    let whole = std::fs::read(input.join("00001.tar")).unwrap();
    std::fs::write(input.join("00001.tar"), &whole[..whole.len() / 3]).unwrap();
    let partly = folder.path().join("partly");
    run(&partly).ends_with(1).says(&["00001.tar"]);
    let tar = std::fs::read(partly.join("00000000.tar")).unwrap();
    assert_eq!(read_members(&tar[..]).unwrap().iter().filter(|member| member.name.ends_with(".jpg")).count(), 4);
    assert!(Uid128::parse(&uid(3)).is_some());
}

#[test]
fn mistakes_in_choosing_are_answered_before_anything_runs() {
    let scene = Scene::new(12, FETCHED);
    let output = scene.path("x.npy");
    let with = |arguments: &[&str]| arguments.iter().fold(select(&scene, &output), |command, argument| command.arg(argument));
    with(&[]).ends_with(2).says(&["nothing is chosen"]);
    with(&["--where", "wdith > 3"]).ends_with(2).says(&["wdith", "did you mean `width`"]);
    with(&["--top", "0.3"]).ends_with(2).says(&["by"]);
    with(&["--baseline", "basic_fliter"]).ends_with(2).says(&["did you mean `basic_filter`"]);
    with(&["--baseline", "clip_score", "--fraction", "0.3"]).ends_with(2).says(&["clip_l14_similarity_score"]);
    with(&["--balance", "m4", "--attribute", "red"]).ends_with(2).says(&["NAME=SHARE"]);
    with(&["--balance", "m4", "--attribute", "red=0.5", "--lexicon", "/nowhere/x.toml"]).ends_with(2).says(&["lexicon", "/nowhere/x.toml"]);
    with(&["--where", "width > 100000"]).ends_with(2).says(&["nothing is left", "--allow-empty"]);
    with(&["--where", "width > 100000", "--allow-empty"]).ends_with(0);
    assert_eq!(Subset::open(&output.display().to_string()).unwrap().len(), 0);
    let txt = scene.path("x.csv");
    select(&scene, &txt).arg("--where").arg("width > 1").ends_with(2).says(&["`.npy`"]);
    reshard(&scene.path("nothing-here"), &scene.path("y")).ends_with(2).says(&["nothing-here"]);
    reshard(&scene.output, &scene.path("y")).arg("--order").arg("random").ends_with(2).says(&["order", "shuffled"]);
    // In a recipe the line is named.
    let recipe = scene.path("wrong.toml");
    let stages = format!("{FETCHED}\n[[stage]]\nuse = \"keep\"\ntop = 0.5\nby  = \"scroe\"\n");
    let text = trommel_tests::recipe("wrong", &scene.path("crawl"), &scene.path("out"), &stages);
    std::fs::write(&recipe, text).unwrap();
    Trommel::run(&recipe).ends_with(2).says(&["wrong.toml:", "scroe"]);
    let stages = "[[stage]]\nuse = \"cap\"\nby = [\"url\"]\ncount = 1\n";
    std::fs::write(&recipe, trommel_tests::recipe("wrong", &scene.path("crawl"), &scene.path("out"), stages)).unwrap();
    Trommel::run(&recipe).ends_with(2).says(&["behind `fetch`"]);
}
