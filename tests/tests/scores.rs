//! Scores from the small built-in model: in the pass that fetches, over finished shards, killed and resumed, and over
//! pictures that do not decode.

use std::collections::HashMap;
use std::path::Path;

use trommel::miniweb::MiniWebConfig;
use trommel::miniweb::caption::CaptionKind;
use trommel_shards::tar::{TarWriter, read_members};
use trommel_tests::{Scene, Table, Trommel, Web, calm, fingerprint, recipe, tables};

const STAGES: &str = r#"
[[stage]]
use   = "keep"
where = "words(text) > 1"

[[stage]]
use         = "fetch"
image_size  = 64
resize_mode = "keep_ratio_largest"
number_sample_per_shard = 60

[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"
"#;

fn vectors(folder: &Path) -> Vec<Table> {
    tables(&folder.join("vectors"))
}

#[test]
fn pictures_are_scored_in_the_pass_that_fetches_them() {
    let scene = Scene::new(40, STAGES);
    assert_eq!(tables(&scene.output).len(), vectors(&scene.output).len(), "each shard has its vectors");
    let (mut right, mut wrong, mut scored, mut unscored) = (0.0, 0.0, 0_u32, 0_u32);
    for (table, beside) in tables(&scene.output).iter().zip(vectors(&scene.output)) {
        let field = table.schema.field_with_name("miniweb_clip").unwrap();
        for key in ["trommel.model", "trommel.weights_sha256", "trommel.preprocessing", "trommel.tokenizer", "trommel.precision"] {
            assert!(!field.metadata()[key].is_empty(), "{key} is in the column's metadata");
        }
        assert_eq!(table.text("uid"), beside.text("uid"), "vectors are row for row with the table");
        assert_eq!(table.text("key"), beside.text("key"));
        let (images, texts) = (beside.vectors("miniweb_clip_img"), beside.vectors("miniweb_clip_txt"));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for (row, (score, status)) in table.floats("miniweb_clip").iter().zip(table.text("status")).enumerate() {
            assert_eq!(score.is_some(), status == "success", "a row has a score exactly when it has a picture");
            assert_eq!(images[row].is_some(), score.is_some());
            let (Some(score), Some(image), Some(text)) = (score, &images[row], &texts[row]) else {
                unscored += 1;
                continue;
            };
            assert!((dot(image, text) - score).abs() < 2e-3, "the score is the cosine of the vectors");
            scored += 1;
            right += f64::from(*score);
            let other = texts.iter().flatten().nth((row + 7) % 20).unwrap();
            wrong += f64::from(dot(image, other));
        }
    }
    assert!(scored > 40 && unscored > 5, "{scored} scored, {unscored} not");
    let (right, wrong) = (right / f64::from(scored), wrong / f64::from(scored));
    assert!(right > wrong + 0.2, "captions fit their own picture: {right}, others {wrong}");
}

/// Area under the ROC curve: how often a right pair has a higher score than a wrong one.
fn auc(right: &[f32], wrong: &[f32]) -> f64 {
    let won = |a: f32, b: f32| {
        if a > b {
            1.0
        } else if a == b {
            0.5
        } else {
            0.0
        }
    };
    let sum: f64 = right.iter().map(|&right| wrong.iter().map(|&wrong| won(right, wrong)).sum::<f64>()).sum();
    sum / (right.len() as f64 * wrong.len() as f64)
}

#[test]
#[allow(clippy::print_stderr, reason = "the figure is what the test is for")]
fn right_captions_have_higher_scores_than_wrong_ones_on_pictures_that_training_has_not_seen() {
    // Training draws its scenes from other seeds; files in ten formats, sizes and shapes, over HTTP, resized and encoded again.
    let web = Web::launch(MiniWebConfig { seed: 4242, pages: 120, ..calm(120) });
    let folder = tempfile::tempdir().unwrap();
    let (crawl, file, output) = (folder.path().join("crawl"), folder.path().join("job.toml"), folder.path().join("out"));
    web.write_wats(&crawl, 2);
    std::fs::write(&file, recipe("job", &crawl, &output, STAGES)).unwrap();
    Trommel::run(&file).ends_with(0);
    let mut scores = HashMap::new();
    for table in tables(&output) {
        let [pages, urls, texts] = ["page_url", "url", "text"].map(|name| table.text(name));
        for (row, score) in table.floats("miniweb_clip").into_iter().enumerate() {
            if let Some(score) = score {
                scores.insert((pages[row].clone(), urls[row].clone(), texts[row].clone()), score);
            }
        }
    }
    let (mut right, mut wrong, mut worthless) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in web.web().truth() {
        let (Some(url), Some(text)) = (candidate.url, candidate.alt) else { continue };
        let Some(&score) = scores.get(&(candidate.page_url, url, text)) else { continue };
        match candidate.expected.caption {
            _ if candidate.expected.scene.is_none() => {}
            CaptionKind::Right | CaptionKind::Short => right.push(score),
            CaptionKind::Wrong => wrong.push(score),
            CaptionKind::Boilerplate | CaptionKind::Repeated => worthless.push(score),
            CaptionKind::Contact | CaptionKind::Missing => {}
        }
    }
    assert!(right.len() > 100 && wrong.len() > 20, "{} right, {} wrong pairs show too little", right.len(), wrong.len());
    let (of_wrong, of_worthless) = (auc(&right, &wrong), auc(&right, &worthless));
    eprintln!(
        "AUC of {} right captions over {} of other pictures: {of_wrong:.4}; over {} worthless ones: {of_worthless:.4}",
        right.len(),
        wrong.len(),
        worthless.len()
    );
    assert!(of_wrong >= 0.97, "{of_wrong}");
}

#[test]
fn shards_that_are_scored_later_have_the_same_scores() {
    let scene = Scene::new(24, STAGES);
    let output = scene.path("embedded");
    // The recipe has stored the vectors beside the shards; here it is the picture that counts.
    let report = scene.embed(&scene.output, &output).arg("--recompute").report(0);
    assert_eq!(report["balances"], true, "{report}");
    let (before, after) = (tables(&scene.output), tables(&output));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.text("uid"), after.text("uid"), "no row is lost, none is moved");
    }
    // The stored picture has been through JPEG, the first one had not.
    let all = |tables: &[Table]| tables.iter().flat_map(|table| table.floats("miniweb_clip")).collect::<Vec<_>>();
    for (before, after) in all(&before).iter().zip(all(&after)) {
        assert_eq!(before.is_some(), after.is_some());
        let (Some(before), Some(after)) = (before, after) else { continue };
        assert!((before - after).abs() < 0.1, "{before} {after}");
    }
    let again = scene.embed(&scene.output, &output).arg("--recompute").report(0);
    assert_eq!(again["units_done"], 0, "{again}");
}

#[test]
fn a_run_of_embed_that_crashes_ends_with_the_bytes_of_one_that_did_not() {
    let scene = Scene::new(24, STAGES);
    let (undisturbed, crashed) = (scene.path("whole"), scene.path("crashed"));
    let embed = |output: &Path| scene.embed(&scene.output, output).arg("--recompute");
    embed(&undisturbed).ends_with(0);
    let mut crashes = 0;
    while embed(&crashed).env("TROMMEL_FAILPOINT", "before-marker:1").end().code.is_none() {
        crashes += 1;
        assert!(crashes < 3 * tables(&undisturbed).len() + 3, "no run gets any further");
        // Without the failpoint one unit more is done each time; the last run does the rest.
        if crashes == 2 {
            break;
        }
    }
    assert!(crashes > 0);
    embed(&crashed).ends_with(0);
    assert_eq!(fingerprint(&crashed), fingerprint(&undisturbed));
    // The recipe's own run is no different.
    let again = scene.path("again");
    Trommel::run(&scene.recipe).arg("--output").arg(&again).env("TROMMEL_FAILPOINT", "between-tar-and-parquet:2").end();
    Trommel::run(&scene.recipe).arg("--output").arg(&again).ends_with(0);
    assert_eq!(fingerprint(&again), fingerprint(&scene.output));
}

#[test]
fn a_picture_that_does_not_decode_keeps_its_row_and_shifts_nothing() {
    let scene = Scene::new(24, STAGES);
    let shards = scene.path("damaged");
    std::fs::create_dir(&shards).unwrap();
    let original = std::fs::read(scene.output.join("00000.tar")).unwrap();
    let mut tar = TarWriter::new();
    let mut hurt = Vec::new();
    for (number, member) in read_members(&original).unwrap().into_iter().enumerate() {
        let damage = member.name.ends_with(".jpg") && number % 4 == 0;
        if damage {
            hurt.push(member.name.trim_end_matches(".jpg").to_owned());
        }
        tar.append(&member.name, if damage { &member.content[..member.content.len() / 3] } else { member.content }).unwrap();
    }
    std::fs::write(shards.join("00000.tar"), tar.finish()).unwrap();
    std::fs::copy(scene.output.join("00000.parquet"), shards.join("00000.parquet")).unwrap();
    let (whole, partly) = (scene.path("whole"), scene.path("partly"));
    scene.embed(&scene.output.join("00000.tar"), &whole).arg("--recompute").ends_with(0);
    scene.embed(&shards, &partly).ends_with(0);
    assert!(hurt.len() > 3, "{hurt:?}");
    let (whole, partly) = (&tables(&whole)[0], &tables(&partly)[0]);
    assert_eq!(whole.text("uid"), partly.text("uid"));
    let rows = whole.floats("miniweb_clip").into_iter().zip(partly.floats("miniweb_clip")).zip(partly.text("key"));
    for ((whole, partly), key) in rows {
        if hurt.contains(&key) {
            assert_eq!(partly, None, "{key} has no picture");
        } else {
            // Other rows are in other batches of the model now: the last bits may differ.
            assert!(whole.zip(partly).is_none_or(|(whole, partly)| (whole - partly).abs() < 1e-5), "{key}: {whole:?} {partly:?}");
            assert_eq!(whole.is_some(), partly.is_some());
        }
    }
}

#[test]
fn tars_without_a_table_and_parquet_shards_are_scored_too() {
    let scene = Scene::new(24, STAGES);
    let shards = scene.path("alone");
    std::fs::create_dir(&shards).unwrap();
    std::fs::copy(scene.output.join("00000.tar"), shards.join("00000.tar")).unwrap();
    let (alone, npz) = (scene.path("alone-scored"), scene.path("npz"));
    scene.embed(&shards, &alone).ends_with(0);
    let with_table = tables(&scene.output);
    let known: HashMap<String, Option<f32>> = with_table[0].text("uid").into_iter().zip(with_table[0].floats("miniweb_clip")).collect();
    let alone = &tables(&alone)[0];
    assert_eq!(alone.rows(), known.values().flatten().count(), "a tar alone has the rows with pictures");
    for (uid, score) in alone.text("uid").iter().zip(alone.floats("miniweb_clip")) {
        let known = known[uid].unwrap();
        assert!((score.unwrap() - known).abs() < 0.1, "{uid}: {score:?} {known}");
    }
    scene.embed(&shards, &npz).arg("--vectors").arg("npz").ends_with(0);
    let file = npz.join("00000.npz").display().to_string();
    let keys = trommel_shards::vectors::npz_keys(&file).unwrap();
    assert_eq!(keys, ["miniweb_clip_img", "miniweb_clip_txt"]);
    let block = trommel_shards::vectors::open_vectors(&file, Some("miniweb_clip_img"), 1000).unwrap().next_block().unwrap().unwrap();
    assert_eq!(block.rows, alone.rows());
}

#[test]
fn mistakes_about_models_are_answered_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut tar = TarWriter::new();
    tar.append("0.jpg", b"no picture").unwrap();
    tar.append("0.txt", b"a caption").unwrap();
    std::fs::write(path("0.tar"), tar.finish()).unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    let embed = |model: &str| Trommel::new(["embed", &path("0.tar"), "-o", &path("out"), "--model", model]);
    embed(&path("empty")).ends_with(2).says(&["config.json"]);
    embed(&path("nowhere")).ends_with(2).says(&["nowhere"]);
    let wrong = "0".repeat(64);
    embed("miniweb-clip").arg("--sha256").arg(&wrong).ends_with(2).says(&["sha256", &wrong]);
    embed("miniweb-clip").arg("--device").arg("cuda:0").ends_with(2).says(&["cuda"]);
    embed("miniweb-clip").arg("--batch-size").arg("0").ends_with(2).says(&["at least one row"]);
    embed("miniweb-clip").arg("--prompts").arg("fine").ends_with(2).says(&["positive", "negative"]);
    embed("miniweb-clip").arg("--compat").arg("datacomp").ends_with(2).says(&["512", "768", "name"]);
    assert!(!folder.path().join("out/_trommel").exists(), "nothing ran");
    // A picture that does not decode is data.
    embed("miniweb-clip").ends_with(0);
    assert_eq!(tables(&folder.path().join("out"))[0].floats("miniweb_clip"), [None]);
}
