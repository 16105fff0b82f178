//! `embed` over finished shards: vectors that are there already, clip-retrieval's folders, heads, prompts, and a model that
//! keeps the aspect ratio.

use std::path::{Path, PathBuf};

use trommel_shards::tar::TarWriter;
use trommel_shards::vectors::open_vectors;
use trommel_tests::{Scene, Table, Trommel, fingerprint, picture, tables};

const STAGES: &str = r#"
[[stage]]
use   = "keep"
where = "words(text) > 1"

[[stage]]
use         = "fetch"
image_size  = 64
number_sample_per_shard = 60

[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"
"#;

fn golden(path: &str) -> PathBuf {
    // Tests run in the folder of their crate.
    Path::new("../embeddings/tests/golden").join(path)
}

fn scores(folder: &Path, column: &str) -> Vec<Option<f32>> {
    tables(folder).iter().flat_map(|table| table.floats(column)).collect()
}

#[test]
fn vectors_that_are_stored_are_read_and_not_computed_again() {
    let scene = Scene::new(24, STAGES);
    let (read, computed) = (scene.path("read"), scene.path("computed"));
    let report = scene.embed(&scene.output, &read).report(0);
    assert_eq!(report["models"]["miniweb_clip"]["images"], 0, "nothing went through the model: {report}");
    let report = scene.embed(&scene.output, &computed).arg("--recompute").report(0);
    assert!(report["models"]["miniweb_clip"]["images"].as_u64().unwrap() > 20, "{report}");
    // The vectors are those of the fetched pictures, rounded to 16 bits.
    let (first, again) = (scores(&scene.output, "miniweb_clip"), scores(&read, "miniweb_clip"));
    assert!(first.iter().flatten().count() > 20);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first.is_some(), again.is_some());
        assert!(first.zip(*again).is_none_or(|(first, again)| (first - again).abs() < 2e-3), "{first:?} {again:?}");
    }
    let vectors =
        |folder: &Path| -> Vec<_> { tables(&folder.join("vectors")).iter().flat_map(|table| table.vectors("miniweb_clip_img")).collect() };
    assert_eq!(vectors(&scene.output), vectors(&read), "they come out as they went in");
    // A shard whose vectors are gone is computed, the others are not.
    std::fs::remove_file(scene.output.join("vectors/00000.parquet")).unwrap();
    let partly = scene.embed(&scene.output, &scene.path("partly")).report(0);
    let images = partly["models"]["miniweb_clip"]["images"].as_u64().unwrap();
    assert_eq!(images as usize, tables(&scene.output)[0].floats("miniweb_clip").iter().flatten().count(), "{partly}");
}

#[test]
fn vectors_of_other_rows_or_of_another_model_are_not_taken() {
    let scene = Scene::new(48, STAGES);
    // Another shard's vectors: as many files, other rows.
    let vectors = |name: &str| scene.output.join("vectors").join(name);
    std::fs::copy(vectors("00001.parquet"), vectors("00000.parquet")).unwrap();
    let output = scene.path("mixed");
    scene.embed(&scene.output, &output).ends_with(1).says(&["vectors/00000.parquet", "recompute"]);
    scene.embed(&scene.output, &output).arg("--recompute").ends_with(0);
    // What a caption of another column would have given is not in the file.
    let other = scene.path("other");
    let report = scene.embed(&scene.output.join("00001.tar"), &other).arg("--text").arg("url").report(0);
    assert!(report["models"]["miniweb_clip"]["images"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn clip_retrievals_folders_hold_the_pairs_that_have_both_vectors() {
    let scene = Scene::new(24, STAGES);
    let output = scene.path("clip");
    scene.embed(&scene.output, &output).arg("--vectors").arg("clip-retrieval").ends_with(0);
    for (number, table) in tables(&scene.output).iter().enumerate() {
        let named = |kind: &str, ending: &str| output.join(format!("{kind}/{kind}_{number:05}.{ending}"));
        let metadata = Table::read(&named("metadata", "parquet"));
        let scored: Vec<usize> = (0..table.rows()).filter(|&row| table.floats("miniweb_clip")[row].is_some()).collect();
        let of = |name: &str| -> Vec<String> { scored.iter().map(|&row| table.text(name)[row].clone()).collect() };
        assert_eq!(metadata.text("image_path"), of("key"));
        assert_eq!((metadata.text("caption"), metadata.text("uid")), (of("text"), of("uid")));
        for kind in ["img_emb", "text_emb"] {
            let file = named(kind, "npy").display().to_string();
            assert_eq!(open_vectors(&file, None, 100).unwrap().rows() as usize, scored.len(), "{file}");
        }
    }
    let folder = output.display().to_string();
    let mut reader = open_vectors(&folder, Some("img_emb"), 1000).unwrap();
    let mut rows = 0;
    while let Some(block) = reader.next_block().unwrap() {
        rows += block.rows;
    }
    assert_eq!(rows, scores(&scene.output, "miniweb_clip").iter().flatten().count());
}

/// A linear head that gives the sum of the first two components.
#[allow(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]
fn sum_head(file: &Path, dim: usize) {
    let header = format!(
        r#"{{"weight":{{"dtype":"F32","shape":[1,{dim}],"data_offsets":[0,{end}]}},"bias":{{"dtype":"F32","shape":[1],"data_offsets":[{end},{all}]}}}}"#,
        end = dim * 4,
        all = dim * 4 + 4
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    for at in 0..dim {
        bytes.extend(if at < 2 { 1.0_f32 } else { 0.0 }.to_le_bytes());
    }
    bytes.extend(0.0_f32.to_le_bytes());
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn heads_and_prompts_are_columns_beside_the_score() {
    let scene = Scene::new(24, STAGES);
    let (head, output) = (scene.path("sum.safetensors"), scene.path("judged"));
    let vectors: Vec<_> = tables(&scene.output.join("vectors")).iter().flat_map(|table| table.vectors("miniweb_clip_img")).collect();
    let dim = vectors.iter().flatten().next().unwrap().len();
    sum_head(&head, dim);
    let embed = || scene.embed(&scene.output, &output).arg("--head").arg(format!("first_two={}", head.display()));
    let with_prompts = || embed().arg("--prompts").arg("red").arg("--positive").arg("a red circle").arg("--negative").arg("a blue square");
    with_prompts().ends_with(0);
    let sums = scores(&output, "first_two");
    for (vector, sum) in vectors.iter().zip(&sums) {
        assert_eq!(vector.is_some(), sum.is_some(), "a head's score is null exactly where there is no vector");
        let Some(vector) = vector else { continue };
        assert!((vector[0] + vector[1] - sum.unwrap()).abs() < 1e-3);
    }
    let red = scores(&output, "red");
    assert!(red.iter().flatten().all(|score| (0.0..=1.0).contains(score)), "a softmax over prompts is a probability");
    let table = &tables(&output)[0];
    let (mut seen, mut others) = (Vec::new(), Vec::new());
    for (text, score) in tables(&output).iter().flat_map(|table| table.text("text")).zip(&red) {
        let Some(score) = score else { continue };
        if text.contains("red ") {
            seen.push(*score)
        } else if text.contains("blue ") {
            others.push(*score)
        }
    }
    let mean = |scores: &[f32]| scores.iter().sum::<f32>() / scores.len() as f32;
    assert!(seen.len() > 2 && others.len() > 2, "{} red, {} blue", seen.len(), others.len());
    assert!(mean(&seen) > mean(&others), "{} {}", mean(&seen), mean(&others));
    let said = table.schema.field_with_name("first_two").unwrap().metadata()["trommel.head_sha256"].clone();
    assert_eq!(said.len(), 64);
    // A head for vectors of another length does not fit.
    sum_head(&head, dim + 1);
    embed().ends_with(2).says(&["sum.safetensors", "64"]);
}

/// The golden NaFlex model, with a vocabulary as large as the golden tokenizer's.
#[allow(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]
fn naflex(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden("inputs/siglip2").join(name), folder.join(name)).unwrap();
    }
    const VOCABULARY: usize = 800;
    let config = std::fs::read_to_string(golden("siglip2_naflex/config.json")).unwrap();
    let config = config.replace(r#""vocab_size": 60"#, &format!(r#""vocab_size": {VOCABULARY}"#));
    std::fs::write(folder.join("config.json"), config).unwrap();
    let bytes = std::fs::read(golden("siglip2_naflex/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let (mut fresh, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in header.as_object().unwrap() {
        if name == "__metadata__" {
            continue;
        }
        let place = |at: usize| 8 + length + tensor["data_offsets"][at].as_u64().unwrap() as usize;
        let (mut values, mut shape) = (bytes[place(0)..place(1)].to_vec(), tensor["shape"].clone());
        if name.ends_with("token_embedding.weight") {
            let rows = shape[0].as_u64().unwrap() as usize;
            values = values.iter().copied().cycle().take(values.len() / rows * VOCABULARY).collect();
            shape[0] = VOCABULARY.into();
        }
        let start = data.len();
        data.extend(values);
        fresh.insert(name.clone(), serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }));
    }
    let header = serde_json::to_vec(&fresh).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

#[test]
fn a_model_that_keeps_the_aspect_ratio_takes_as_many_patches_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    naflex(&path("naflex"));
    let mut tar = TarWriter::new();
    for number in 0..6_u64 {
        tar.append(&format!("{number}.jpg"), &picture(number)).unwrap();
        tar.append(&format!("{number}.txt"), format!("picture number {number}").as_bytes()).unwrap();
    }
    std::fs::write(path("0.tar"), tar.finish()).unwrap();
    let embed = |output: &str, patches: &str| {
        let model = path("naflex").display().to_string();
        Trommel::new(["embed", &path("0.tar").display().to_string(), "-o", &path(output).display().to_string(), "--model", &model])
            .arg("--max-num-patches")
            .arg(patches)
            .ends_with(0);
        (scores(&path(output), "naflex"), tables(&path(output))[0].schema.field_with_name("naflex").unwrap().metadata().clone())
    };
    let (few, said_few) = embed("few", "16");
    let (many, said_many) = embed("many", "64");
    assert_eq!((few.iter().flatten().count(), many.iter().flatten().count()), (6, 6));
    assert_ne!(few, many, "more patches show more");
    assert_ne!(said_few["trommel.preprocessing"], said_many["trommel.preprocessing"], "and the column says so");
    let (again, _) = embed("again", "64");
    assert_eq!(again, many);
    assert_eq!(fingerprint(&path("again")), fingerprint(&path("many")));
}
