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
