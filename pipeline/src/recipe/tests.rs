use super::*;

fn error(text: &str) -> String {
    Recipe::parse("r.toml", text).unwrap_err().to_string()
}

const HEAD: &str = "[job]\noutput = \"out\"\n\n[source]\nwat = [\"a.wat\"]\n\n";

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
    let text = format!("{HEAD}[[stage]]\nuse = \"fetch\"\nimge_size = 512\n");
    let message = error(&text);
    assert!(message.starts_with("r.toml:9: unknown key `imge_size` in stage `fetch`; did you mean `image_size`?"), "{message}");
    assert!(message.ends_with("| imge_size = 512"), "{message}");
}

#[test]
fn an_unknown_stage_is_named_with_its_line() {
    let message = error(&format!("{HEAD}[[stage]]\nuse = \"fetsh\"\n"));
    assert!(message.starts_with("r.toml:8: no stage `fetsh`; did you mean `fetch`?"), "{message}");
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    let message = error(&format!("{HEAD}[[stage]]\nuse = \"fetch\"\n\nimage_size = \"big\"\n"));
    assert!(message.starts_with("r.toml:10: ") && message.contains("expected u32"), "{message}");
}

#[test]
fn a_recipe_of_another_version_is_refused() {
    let message = error(&format!("{}[[stage]]\nuse = \"write\"\n", HEAD.replace("[job]", "[job]\nversion = 7")));
    assert!(message.starts_with("r.toml:2: the recipe is written for version 7"), "{message}");
}

#[test]
fn broken_toml_is_named_with_its_line() {
    assert!(error("[job]\noutput = \n").starts_with("r.toml:2: "));
}

#[test]
fn defaults_are_those_of_the_flags() {
    let text = format!("{HEAD}[[stage]]\nuse = \"fetch\"\n[[stage]]\nuse = \"write\"\n");
    let recipe = Recipe::parse("r.toml", &text).unwrap();
    let StageSettings::Fetch(fetch) = &recipe.stages[0].value else { panic!("{:?}", recipe.stages[0]) };
    assert_eq!((fetch.image_size, fetch.number_sample_per_shard, fetch.extract_exif), (256, 10_000, true));
}

#[test]
fn the_schema_names_every_stage_and_key() {
    let schema = json_schema();
    let stages = schema["properties"]["stage"]["items"]["oneOf"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["properties"]["use"]["const"].as_str().unwrap()).collect();
    let choosing = ["keep", "cap", "sample", "balance", "baseline", "near", "decontaminate", "retrieve"];
    let others = ["dedupe", "fetch", "score", "hash", "write"];
    assert_eq!(names, [&["language"][..], &choosing, &others].concat());
    let fetch = stages.iter().find(|stage| stage["properties"]["use"]["const"] == "fetch").unwrap();
    assert!(fetch["properties"]["image_size"]["description"].as_str().is_some());
    let cap = stages.iter().find(|stage| stage["properties"]["use"]["const"] == "cap").unwrap();
    assert!(cap["properties"]["count"]["description"].as_str().is_some(), "a key that is a flag under another name has its doc too");
    assert_eq!(fetch["properties"]["image_size"]["default"], 256);
}

/// What a selection of one stage says, where it is refused.
fn refused(stage: &str) -> String {
    let (seed, stages) = parse_stages("s.toml", &format!("[[stage]]\n{stage}")).unwrap();
    selection_of(seed, &stages).map_or_else(|error| error.to_string(), |_| panic!("not refused: {stage}"))
}

#[test]
fn a_key_of_another_way_to_be_alike_is_refused_with_its_line() {
    let cases = [
        ("pictures", "k = 5", "k", "vectors"),
        ("pictures", "above = 0.9", "above", "vectors"),
        ("pictures", "preset = \"words\"", "preset", "captions"),
        ("captions", "recall = 0.5", "recall", "pictures"),
        ("captions", "vectors = \"sscd_img\"", "vectors", "vectors"),
        ("vectors", "vectors = \"sscd_img\"\nbands = 4", "bands", "captions"),
        // What is written is meant, also where it is the default.
        ("pictures", "k = 64", "k", "vectors"),
    ];
    for (of, keys, key, owner) in cases {
        let message = refused(&format!("use = \"near\"\nof = \"{of}\"\n{keys}\n"));
        let line = 3 + keys.lines().count();
        let expected = format!("s.toml:{line}: `{key}` (`--near-{key}`) belongs to `of = \"{owner}\"`");
        assert!(message.starts_with(&expected) && message.contains(&format!("`of = \"{of}\"`")), "{message}");
    }
}

#[test]
fn a_key_of_another_way_to_retrieve_is_refused_with_its_line() {
    let cases = [
        ("sample", "cap = 5", "cap", "clusters"),
        ("clusters", "at_least = 0.5", "at_least", "floor"),
        ("clusters", "k = 2", "k", "sample"),
    ];
    for (by, keys, key, owner) in cases {
        let message = refused(&format!("use = \"retrieve\"\nby = \"{by}\"\nqueries = [\"q.npy\"]\nkey = \"x_img\"\n{keys}\n"));
        assert!(message.starts_with(&format!("s.toml:6: `{key}` (`--retrieve-")), "{message}");
        assert!(message.contains(&format!("belongs to `by = \"{owner}\"`")), "{message}");
    }
}

#[test]
fn a_key_about_references_that_there_are_none_of_is_refused() {
    for (keys, key, of) in [
        ("at_least = 0.5", "at_least", "vectors"),
        ("text = \"alt\"", "text", "captions"),
        ("whole_groups = true", "whole_groups", "vectors"),
    ] {
        let message = refused(&format!("use = \"decontaminate\"\npictures = [\"val\"]\n{keys}\n"));
        assert!(message.starts_with(&format!("s.toml:4: `{key}` (`--reference-")), "{message}");
        assert!(message.contains(&format!("is about `{of}`")), "{message}");
    }
}

#[test]
fn flags_of_another_way_are_refused_by_their_names() {
    let near = near::NearSettings { near_of: "pictures".into(), near_k: 5, ..Default::default() };
    let retrieve = near::RetrieveSettings {
        retrieve_by: "sample".into(),
        query_vectors: vec!["q.npy".into()],
        query_key: "x_img".into(),
        retrieve_at_least: Some(0.3),
        ..Default::default()
    };
    for (stage, flag) in [(StageSettings::Near(near), "--near-k"), (StageSettings::Retrieve(retrieve), "--retrieve-at-least")] {
        let message = selection_of(0, &[Placed::of_flags(stage)]).unwrap_err().to_string();
        assert!(message.contains(&format!("(`{flag}`) belongs to ")), "{message}");
    }
}

#[test]
fn the_keys_of_the_way_that_is_chosen_are_taken() {
    for keys in [
        "of = \"pictures\"\nrecall = 0.9",
        "of = \"captions\"\ntext = \"alt\"\npreset = \"words\"\nbands = 4",
        "of = \"vectors\"\nvectors = \"x_img\"\nk = 5",
    ] {
        let (seed, stages) = parse_stages("s.toml", &format!("[[stage]]\nuse = \"near\"\n{keys}\n")).unwrap();
        assert!(selection_of(seed, &stages).is_ok(), "{keys}");
    }
}
