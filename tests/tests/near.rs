//! Alike rows, end to end: hashes as columns, groups of near-copies, block lists, decontamination, retrieval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use trommel::miniweb::truth::Repeat;
use trommel_shards::tar::read_members;
use trommel_tests::{FETCH as PLAIN, Plain, Reply, Scene, Table, Trommel, Web, all_files, calm, fingerprint, recipe, tables};

const FETCH: &str = r#"
[[stage]]
use = "dedupe"
by  = ["url"]

[[stage]]
use         = "fetch"
image_size  = 160
resize_only_if_bigger = true
min_image_size = 32
max_aspect_ratio = 3.0
number_sample_per_shard = 60
"#;

const HASH: &str = r#"
[[stage]]
use = "hash"
"#;

const NEAR: &str = r#"
[[stage]]
use = "near"
of  = "pictures"
"#;

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// PDQ's quality of each row; -1 where there is no picture.
fn qualities(table: &Table) -> Vec<i32> {
    table.integers("pdq_quality").into_iter().map(|quality| quality.unwrap_or(-1)).collect()
}

/// The tables in a folder and in those below it.
fn below(folder: &Path) -> Vec<Table> {
    all_files(folder)
        .values()
        .filter(|path| path.extension().is_some_and(|ending| ending == "parquet"))
        .map(|path| Table::read(path))
        .collect()
}

fn column(folder: &Path, name: &str) -> Vec<String> {
    tables(folder).iter().flat_map(|table| table.text(name)).collect()
}

#[test]
fn near_copies_of_a_crawl_are_grouped_and_the_largest_stays() {
    let scene = Scene::new(160, &format!("{FETCH}{HASH}{NEAR}"));
    let raw = scene.output.join("raw");
    let report = json(&scene.output.join("selection/report.json"));
    let near = &report["findings"][0]["found"]["near"];
    assert!(near["groups"].as_u64().unwrap() > 3, "{near}");
    // Every row of the raw shards is kept, or has lost against one that is.
    let all: BTreeSet<String> = column(&raw, "uid").into_iter().collect();
    let kept: BTreeSet<String> = column(&scene.output, "uid").into_iter().collect();
    let excluded = below(&scene.output.join("excluded"));
    let near_rows =
        || excluded.iter().flat_map(|table| std::iter::zip(table.text("stage"), std::iter::zip(table.text("uid"), table.text("value"))));
    let lost: BTreeMap<String, String> = near_rows().filter(|(stage, _)| stage.ends_with(".near")).map(|(_, pair)| pair).collect();
    assert_eq!(lost.len() as u64, near["duplicates"].as_u64().unwrap());
    for (uid, winner) in &lost {
        assert!(all.contains(uid) && !kept.contains(uid) && kept.contains(winner), "{uid} lost against {winner}");
    }
    // The table of groups and the column of the final shards say the same.
    let groups = tables(&scene.output.join("selection/groups"));
    let members: usize = groups.iter().map(Table::rows).sum();
    assert_eq!(members as u64, near["groups"].as_u64().unwrap() + near["duplicates"].as_u64().unwrap());
    let of_table: BTreeSet<String> = groups.iter().flat_map(|table| table.text("dup_group")).collect();
    let of_shards: BTreeSet<String> = column(&scene.output, "dup_group").into_iter().filter(|group| !group.is_empty()).collect();
    assert_eq!(of_table, of_shards);
    // The page shows pictures, and needs nothing but itself.
    let page = std::fs::read_to_string(scene.output.join("selection/groups.html")).unwrap();
    assert!(page.matches("data:image/jpeg;base64,").count() > 6 && !page.contains("<script"));
    // Again, and with one thread: the same bytes.
    let again = scene.path("again");
    scene.run(&again).arg("--threads").arg("1").ends_with(0);
    for name in ["selection/subset.parquet", "selection/report.json", "selection/groups.html"] {
        assert!(std::fs::read(again.join(name)).unwrap() == std::fs::read(scene.output.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn planted_copies_are_found() {
    // What the web knows: slots that show an earlier slot's scene in another size, format or quality.
    let web = Web::launch(calm(240));
    let folder = tempfile::tempdir().unwrap();
    let (crawl, output) = (folder.path().join("crawl"), folder.path().join("out"));
    web.write_wats(&crawl, 1);
    let file = folder.path().join("job.toml");
    std::fs::write(&file, recipe("job", &crawl, &output, &format!("{FETCH}{HASH}{NEAR}keep_all = true\n"))).unwrap();
    Trommel::run(&file).ends_with(0);
    let rows: BTreeMap<String, String> =
        tables(&output.join("raw")).iter().flat_map(|table| std::iter::zip(table.text("url"), table.text("uid"))).collect();
    let flat: BTreeSet<String> = tables(&output.join("raw"))
        .iter()
        .flat_map(|table| std::iter::zip(qualities(table), table.text("uid")))
        .filter(|(quality, _)| *quality <= 49)
        .map(|(_, uid)| uid)
        .collect();
    let groups: BTreeMap<String, String> = tables(&output.join("selection/groups"))
        .iter()
        .flat_map(|table| std::iter::zip(table.text("uid"), table.text("dup_group")))
        .collect();
    let (mut planted, mut found) = (0, 0);
    // A scene that is painted in another shape is another composition, not a copy.
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for candidate in web.web().truth() {
        let (Some(scene), Some(look), Some(url)) = (&candidate.expected.scene, &candidate.expected.look, &candidate.url) else { continue };
        let Some(uid) = rows.get(url) else { continue };
        let earlier =
            shown.entry(format!("{scene:?} {:.1}", f64::from(look.width) / f64::from(look.height))).or_insert_with(|| uid.clone());
        let (a, b) = (uid, &*earlier);
        if !matches!(candidate.expected.repeat, Repeat::SamePicture | Repeat::SameBytes) || a == b {
            continue;
        }
        if flat.contains(a) || flat.contains(b) {
            continue;
        }
        planted += 1;
        found += usize::from(groups.get(a).is_some_and(|group| Some(group) == groups.get(b)));
    }
    assert!(planted >= 5, "{planted} copies are in the shards");
    assert!(found * 5 >= planted * 4, "{found} of {planted} planted copies share a group");
}

#[test]
fn blocked_pictures_leave_a_count_and_a_case_and_nothing_else() {
    // Without the dedupe, whose exclusions name the rows that stay.
    let fetch =
        FETCH.split_once("[[stage]]\nuse         = \"fetch\"").map(|(_, rest)| format!("[[stage]]\nuse = \"fetch\"{rest}")).unwrap();
    // As the pictures are: the list knows nothing of the borders that ours will have.
    let whole = fetch.replace("image_size  = 160", "image_size  = 160\nresize_mode = \"no\"");
    let plain = Scene::new(60, &format!("{whole}{HASH}"));
    let table = &tables(&plain.output)[0];
    let (uids, urls, digests, hashes) = (table.text("uid"), table.text("url"), table.text("sha256"), table.text("pdq"));
    let good: Vec<usize> = (0..table.rows()).filter(|&row| table.text("status")[row] == "success" && qualities(table)[row] > 60).collect();
    let (by_digest, by_sight) = (good[0], *good.iter().find(|&&row| digests[row] != digests[good[0]]).unwrap());
    let list = plain.path("list.txt");
    std::fs::write(&list, format!("sha256:{} case-a\npdq:{}, case-b\n", digests[by_digest], hashes[by_sight])).unwrap();
    let stages = std::fs::read_to_string(&plain.recipe).unwrap();
    let blocked = plain.path("blocked.toml");
    std::fs::write(&blocked, stages.replace("resize_mode = \"no\"", &format!("block_list = [{:?}]", list.display().to_string()))).unwrap();
    let output = plain.path("without");
    let report = Trommel::run(&blocked).arg("--output").arg(&output).report(0);
    assert_eq!(report["balances"], true, "{report}");
    let excluded = below(&output.join("excluded"));
    let rows: Vec<(String, String)> = excluded
        .iter()
        .flat_map(|table| {
            let reasons = std::iter::zip(table.text("reason"), table.text("value"));
            std::iter::zip(reasons, std::iter::zip(table.text("uid"), table.text("url")))
        })
        .filter(|((reason, _), _)| reason == "in a block list")
        .map(|((_, case), names)| {
            assert_eq!(names, (String::new(), String::new()), "neither uid nor url is told");
            (case, String::new())
        })
        .collect();
    let cases: BTreeSet<&str> = rows.iter().map(|(case, _)| case.as_str()).collect();
    assert_eq!(cases, BTreeSet::from(["case-a", "case-b"]));
    // Nothing in the output folder but the lists of work that were there before the pictures knows them.
    for (name, path) in all_files(&output) {
        if name.contains("_trommel/") || name.starts_with("0-") || name.contains("/0-") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        for row in [by_digest, by_sight] {
            for said in [&urls[row], &uids[row], &digests[row]] {
                assert!(!bytes.windows(said.len()).any(|window| window == said.as_bytes()), "{name} says {said}");
            }
        }
    }
}

#[test]
fn hashes_of_shards_are_those_of_the_fetched_pictures() {
    let scene = Scene::new(30, &format!("{FETCH}{HASH}"));
    let again = scene.path("hashed");
    let shards = scene.output.display().to_string();
    Trommel::new(["hash", &shards, "-o", &again.display().to_string()]).ends_with(0);
    let (first, second) = (column(&scene.output, "pdq"), column(&again, "pdq"));
    assert_eq!(first.len(), second.len());
    let bits = |text: &str| -> Vec<u32> { text.chars().map(|digit| digit.to_digit(16).unwrap()).collect() };
    let mut compared = 0;
    let quality: Vec<i32> = tables(&again).iter().flat_map(qualities).collect();
    for ((a, b), quality) in first.iter().zip(&second).zip(quality) {
        assert_eq!(a.is_empty(), b.is_empty());
        if quality > 60 {
            let distance: u32 = bits(a).iter().zip(bits(b)).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!(distance <= 24, "a JPEG later the hash is {distance} bits off");
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
    // Everything again gives the same bytes.
    let twice = scene.path("twice");
    Trommel::new(["hash", &shards, "-o", &twice.display().to_string(), "--threads", "1"]).ends_with(0);
    assert_eq!(fingerprint(&again), fingerprint(&twice));
}

#[test]
fn references_are_taken_out_by_picture_caption_and_vector() {
    let score = "\n[[stage]]\nuse = \"score\"\nmodel = \"miniweb-clip\"\nvectors = \"parquet\"\n";
    let scene = Scene::new(80, &format!("{FETCH}{score}{HASH}"));
    // Three pictures of the dataset are an evaluation set.
    let tar = scene.output.join("00000.tar");
    let archive = std::fs::read(&tar).unwrap();
    let members = read_members(&archive).unwrap();
    let table = &tables(&scene.output)[0];
    let (uids, texts) = (table.text("uid"), table.text("text"));
    let keys = table.text("key");
    let good: Vec<usize> =
        (0..table.rows()).filter(|&row| qualities(table)[row] > 70 && texts[row].split(' ').count() > 4).take(3).collect();
    let folder = scene.path("evaluation");
    std::fs::create_dir(&folder).unwrap();
    for &row in &good[..2] {
        let name = format!("{}.jpg", keys[row]);
        let picture = members.iter().find(|member| member.name == name).unwrap();
        std::fs::write(folder.join(&name), picture.content).unwrap();
    }
    let captions = scene.path("captions.txt");
    std::fs::write(&captions, format!("{}!\n", texts[good[2]].to_uppercase())).unwrap();
    let subset = scene.path("clean.txt");
    let report = Trommel::new(["select", &scene.output.display().to_string(), "-o", &subset.display().to_string()])
        .arg("--decontaminate")
        .arg("eval")
        .arg("--reference-pictures")
        .arg(&folder)
        .arg("--reference-captions")
        .arg(&captions)
        .report(0);
    let kept = std::fs::read_to_string(&subset).unwrap();
    for &row in &good {
        assert!(!kept.contains(&uids[row]), "{} is still in", uids[row]);
    }
    let leaked = report["findings"][0]["found"]["decontaminate"]["pictures"]["leaked"].as_u64().unwrap();
    assert!((2..20).contains(&leaked), "{report}");
    // DataComp's rule, by vectors: a picture's own vector is as near as can be.
    let vectors = scene.output.join("vectors/00000.parquet");
    let clean = scene.path("vectors.txt");
    let report = Trommel::new(["select", &scene.output.display().to_string(), "-o", &clean.display().to_string(), "--allow-empty"])
        .arg("--reference-vectors")
        .arg(&vectors)
        .arg("--reference-key")
        .arg("miniweb_clip_img")
        .arg("--reference-at-least")
        .arg("0.9999")
        .report(0);
    let kept = std::fs::read_to_string(&clean).unwrap();
    let of_first: Vec<_> = std::iter::zip(&uids, tables(&scene.output.join("vectors"))[0].vectors("miniweb_clip_img")).collect();
    assert!(of_first.iter().filter(|(_, vector)| vector.is_some()).all(|(uid, _)| !kept.contains(uid.as_str())), "{report}");
    assert!(!kept.is_empty(), "rows of other shards are left");
}

/// A bitmap of one grey.
fn grey(value: u8) -> Vec<u8> {
    bitmap(64, |_, _| value)
}

/// A square bitmap of greys, by the place from the left and from below.
fn bitmap(side: u32, grey: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let header = 54_u32;
    for number in [header + 3 * side * side, 0, header, 40, side, side, 1 | 24 << 16, 0, 3 * side * side, 2835, 2835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    // The lines of these sides need no filling up.
    assert_eq!(side % 4, 0);
    bytes.extend((0..side * side).flat_map(|at| [grey(at % side, at / side); 3]));
    bytes
}

#[test]
fn a_flat_picture_is_found_in_another_size() {
    let ramp = |side: u32, turned: bool| bitmap(side, |x, y| (30 + if turned { y } else { x } * 90 / side) as u8);
    let server = Plain::serve(move |path, _| Reply(200, ramp(240, path.contains("turned"))));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list: String = ["same", "turned"].map(|name| format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{name}.bmp")))).concat();
    std::fs::write(path("list.jsonl"), list).unwrap();
    Trommel::new(["fetch", &path("list.jsonl"), "-o", &path("fetched")]).args(PLAIN).ends_with(0);
    Trommel::new(["hash", &path("fetched"), "-o", &path("hashed"), "--hashes", "near"]).ends_with(0);
    std::fs::create_dir(path("evaluation")).unwrap();
    std::fs::write(folder.path().join("evaluation/ramp.bmp"), ramp(100, false)).unwrap();
    let report = Trommel::new(["select", &path("hashed"), "-o", &path("clean.txt"), "--decontaminate", "eval"])
        .arg("--reference-pictures")
        .arg(path("evaluation"))
        .report(0);
    let found = &report["findings"][0]["found"]["decontaminate"];
    assert_eq!((&found["reference_pictures"]["flat"], &found["reference_pictures"]["blank"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!((&found["pictures"]["leaked"], &found["pictures"]["not_compared"]), (&json!(1), &json!(0)), "{report}");
    let table = &tables(Path::new(&path("fetched")))[0];
    let turned = table.text("url").iter().position(|url| url.contains("turned")).unwrap();
    assert_eq!(std::fs::read_to_string(path("clean.txt")).unwrap().split_whitespace().collect::<Vec<_>>(), [&table.text("uid")[turned]]);
}

#[test]
fn a_picture_that_is_too_flat_for_anything_else_is_found_by_its_pixels() {
    let server = Plain::serve(|path, _| Reply(200, grey(if path.contains("dark") { 60 } else { 190 })));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list: String = ["dark", "light"].map(|name| format!("{{\"url\":\"{}\"}}\n", server.url(&format!("/{name}.bmp")))).concat();
    std::fs::write(path("list.jsonl"), list).unwrap();
    Trommel::new(["fetch", &path("list.jsonl"), "-o", &path("fetched")]).args(PLAIN).ends_with(0);
    Trommel::new(["hash", &path("fetched"), "-o", &path("hashed"), "--hashes", "near,pixels"]).ends_with(0);
    let dark = tables(Path::new(&path("fetched")))[0].text("url").iter().position(|url| url.contains("dark")).unwrap();
    let key = &tables(Path::new(&path("fetched")))[0].text("key")[dark];
    let archive = std::fs::read(folder.path().join("fetched/00000.tar")).unwrap();
    let members = read_members(&archive).unwrap();
    let picture = members.iter().find(|member| member.name == format!("{key}.jpg")).unwrap();
    std::fs::create_dir(path("evaluation")).unwrap();
    std::fs::write(folder.path().join("evaluation/dark.jpg"), picture.content).unwrap();
    let report = Trommel::new(["select", &path("hashed"), "-o", &path("clean.txt"), "--decontaminate", "eval"])
        .arg("--reference-pictures")
        .arg(path("evaluation"))
        .report(0);
    assert_eq!(report["findings"][0]["found"]["decontaminate"]["reference_pictures"]["flat"], 1, "{report}");
    assert_eq!((report["funnel"]["rows"].as_u64(), report["funnel"]["kept"].as_u64()), (Some(2), Some(1)), "{report}");
    let uid = &tables(Path::new(&path("fetched")))[0].text("uid")[dark];
    assert!(!std::fs::read_to_string(path("clean.txt")).unwrap().contains(uid.as_str()));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let scene = Scene::new(12, FETCH);
    let select = |arguments: &[&str]| {
        let base = ["select", &scene.output.display().to_string(), "-o", &scene.path("never.txt").display().to_string()].map(str::to_owned);
        Trommel::new(base.into_iter().chain(arguments.iter().map(|text| (*text).to_owned()))).ends_with(2)
    };
    select(&["--near", "pictures"]).says(&["near_signature", "hash"]);
    select(&["--near", "vectors"]).says(&["vectors"]);
    select(&["--near", "captoins"]).says(&["did you mean `captions`"]);
    select(&["--near", "captions", "--near-preset", "x"]).says(&["no preset `x`", "datatrove"]);
    select(&["--decontaminate", "eval"]).says(&["pictures", "captions", "vectors"]);
    select(&["--retrieve", "floor", "--query-vectors", "no.npy", "--query-key", "x", "--retrieve-at-least", "0.2"]).says(&["no.npy"]);
    let list = scene.path("list.txt");
    std::fs::write(&list, "md5:zz\n").unwrap();
    let stages = std::fs::read_to_string(&scene.recipe).unwrap();
    let broken = scene.path("broken.toml");
    std::fs::write(
        &broken,
        stages.replace("image_size  = 160", &format!("image_size = 160\nblock_list = [{:?}]", list.display().to_string())),
    )
    .unwrap();
    Trommel::run(&broken).ends_with(2).says(&["list.txt`, line 1", "32 hexadecimal digits"]);
}
