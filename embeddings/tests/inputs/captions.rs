//! Token ids.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use trommel_embeddings::checkpoint::Layout;
use trommel_embeddings::tokenizer::{CaptionTokenizer, Clean, Family, Rules};

use crate::{golden, layout};

/// Compares all cases of a `tokens.json`; returns (rows, rows that are equal) per case, and prints what differs.
pub(crate) fn compare(folder: &Path) -> Vec<(String, usize, usize)> {
    let file = crate::json(&folder.join("tokens.json"));
    let mut texts: Vec<String> = file["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect();
    for repeated in file["repeated"].as_array().unwrap() {
        texts.push(repeated[0].as_str().unwrap().repeat(repeated[1].as_u64().unwrap() as usize));
    }
    let mut found = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let family = match case["family"].as_str().unwrap() {
            "clip" => Family::Clip,
            "siglip" => Family::Siglip,
            _ => Family::Siglip2,
        };
        let rules = Rules {
            family,
            layout: layout(case["layout"].as_str().unwrap()),
            context: case["context"].as_u64().unwrap() as usize,
            clean: case["clean"].as_str().map_or(Clean::Lower, |name| Clean::from_name(name).unwrap()),
        };
        let tokenizer = CaptionTokenizer::from_folder(&folder.join(case["folder"].as_str().unwrap()), rules).unwrap();
        let (mut rows, mut equal) = (0, 0);
        for (text, ids) in texts.iter().zip(case["ids"].as_array().unwrap()) {
            let Value::Array(ids) = ids else { continue };
            let mut ids: Vec<u32> = ids.iter().map(|id| id.as_u64().unwrap() as u32).collect();
            ids.resize(rules.context, *ids.last().unwrap());
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(tokens.ids.len(), rules.context);
            assert_eq!(tokens.ids[tokens.used - 1], tokenizer.end(), "{text}");
            rows += 1;
            if tokens.ids == ids {
                equal += 1;
            } else {
                let text: String = text.chars().take(60).collect();
                eprintln!("{}: {text:?}\n  reference {ids:?}\n  ours      {:?}", tokenizer.id(), tokens.ids);
            }
        }
        found.push((tokenizer.id().to_owned(), rows, equal));
    }
    found
}

#[test]
fn token_ids_equal_the_reference() {
    for (id, rows, equal) in compare(&golden()) {
        eprintln!("{id}: {equal} of {rows} captions equal");
        assert_eq!(equal, rows, "{id}");
    }
}

fn clip(layout: Layout) -> CaptionTokenizer {
    CaptionTokenizer::from_folder(&golden().join("clip"), Rules { layout, ..Rules::transformers(Family::Clip) }).unwrap()
}

fn siglip(family: Family, folder: &str) -> CaptionTokenizer {
    CaptionTokenizer::from_folder(&golden().join(folder), Rules::transformers(family)).unwrap()
}

#[test]
fn vocab_and_merges_are_the_same_as_the_one_file() {
    let one = crate::json(&golden().join("clip/tokenizer.json"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.json"), one["model"]["vocab"].to_string()).unwrap();
    let pairs = one["model"]["merges"].as_array().unwrap();
    let lines: Vec<String> = pairs.iter().map(|p| format!("{} {}", p[0].as_str().unwrap(), p[1].as_str().unwrap())).collect();
    std::fs::write(folder.path().join("merges.txt"), format!("#version: 0.2\n{}\n", lines.join("\n"))).unwrap();
    let two = CaptionTokenizer::from_folder(folder.path(), Rules::transformers(Family::Clip)).unwrap();
    let one = clip(Layout::Transformers);
    for text in ["a photo of a cat", "<|startoftext|> x", "Ünïcode 一只猫", ""] {
        assert_eq!(one.encode(text).unwrap(), two.encode(text).unwrap());
    }
    std::fs::remove_file(folder.path().join("merges.txt")).unwrap();
    let error = CaptionTokenizer::from_folder(folder.path(), Rules::transformers(Family::Clip)).unwrap_err();
    assert!(error.to_string().contains("merges.txt"), "{error}");
}

#[test]
fn a_cut_caption_has_the_ids_of_the_whole_one() {
    // Around the length from which captions are cut: the beginning decides alone.
    let all = [clip(Layout::Transformers), clip(Layout::OpenClip), siglip(Family::Siglip, "siglip"), siglip(Family::Siglip2, "siglip2")];
    for tokenizer in &all {
        for word in ["cat ", "é1 ", "猫 x  ", "\u{2581} a ", "!, ok "] {
            let short = tokenizer.encode(&word.repeat(4000 / word.len())).unwrap();
            let long = tokenizer.encode(&word.repeat(40_000 / word.len())).unwrap();
            assert!(short.truncated && long.truncated, "{} {word:?}", tokenizer.id());
            assert_eq!(short.ids, long.ids, "{} {word:?}", tokenizer.id());
        }
    }
}

#[test]
fn a_caption_of_a_megabyte_is_tokenised_with_or_without_spaces() {
    let all = [clip(Layout::Transformers), clip(Layout::OpenClip), siglip(Family::Siglip, "siglip"), siglip(Family::Siglip2, "siglip2")];
    for tokenizer in &all {
        for unit in ["a photo of a cat ", "x", "猫", " ", "!", "\0", "&amp;"] {
            let text = unit.repeat((1 << 20) / unit.len());
            let start = Instant::now();
            let tokens = tokenizer.encode(&text).unwrap();
            eprintln!("{} 1 MiB of {unit:?}: {:.0} ms", tokenizer.id(), start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(tokens.ids.len(), tokenizer.context());
        }
    }
}

#[test]
fn padding_is_the_family_s_own() {
    let tokens = siglip(Family::Siglip2, "siglip2").encode("A Cat").unwrap();
    assert_eq!(tokens.ids.len(), 64);
    assert_eq!(tokens.ids[tokens.used - 1], 1);
    assert!(tokens.ids[tokens.used..].iter().all(|&id| id == 0));
    assert_eq!(tokens, siglip(Family::Siglip2, "siglip2").encode("a cat").unwrap());
    let tokens = siglip(Family::Siglip, "siglip").encode("").unwrap();
    assert_eq!((tokens.used, tokens.ids), (1, vec![1; 64]));
    let (transformers, open_clip) = (clip(Layout::Transformers), clip(Layout::OpenClip));
    assert_eq!(transformers.encode("").unwrap().ids[2], transformers.end());
    assert_eq!(open_clip.encode("").unwrap().ids[2], 0);
}

#[test]
fn a_tokenizer_that_does_not_fit_is_an_error_that_names_it() {
    let tokenizer = clip(Layout::Transformers);
    tokenizer.check(49_408, 77).unwrap();
    let error = tokenizer.check(100, 77).unwrap_err().to_string();
    assert!(error.contains("golden/inputs/clip") && error.contains("100"), "{error}");
    assert!(tokenizer.check(49_408, 64).unwrap_err().to_string().contains("77"));
}

#[test]
fn a_damaged_tokenizer_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let load = |family| CaptionTokenizer::from_folder(folder.path(), Rules::transformers(family)).unwrap_err().to_string();
    assert!(load(Family::Clip).contains("looked for"));
    assert!(load(Family::Siglip).contains("spiece.model"));
    let pieces = std::fs::read(golden().join("siglip/spiece.model")).unwrap();
    for length in [0, 1, 100, pieces.len() / 2, pieces.len() - 1] {
        std::fs::write(folder.path().join("spiece.model"), &pieces[..length]).unwrap();
        assert!(load(Family::Siglip).contains("spiece.model"), "{length}");
    }
    std::fs::write(folder.path().join("tokenizer.json"), "{\"model\": {\"type\": \"WordPiece\"}}").unwrap();
    assert!(load(Family::Clip).contains("WordPiece"));
    let mut one = crate::json(&golden().join("clip/tokenizer.json"));
    one["added_tokens"] = serde_json::json!([]);
    one["model"]["vocab"].as_object_mut().unwrap().remove("<|startoftext|>");
    std::fs::write(folder.path().join("tokenizer.json"), one.to_string()).unwrap();
    assert!(load(Family::Clip).contains("bos_token"));
}

#[test]
fn open_clip_configs_choose_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let rules = |text: &str| {
        let config = format!(r#"{{"model_cfg": {{"text_cfg": {text}}}}}"#);
        std::fs::write(folder.path().join("open_clip_config.json"), config).unwrap();
        Rules::open_clip(folder.path())
    };
    let found = rules("{}").unwrap();
    assert_eq!((found.family, found.context, found.clean), (Family::Clip, 77, Clean::Lower));
    let found = rules(r#"{"context_length": 64, "hf_tokenizer_name": "a/b", "tokenizer_kwargs": {"clean": "canonicalize"}}"#).unwrap();
    assert_eq!((found.family, found.context, found.clean), (Family::Siglip, 64, Clean::Canonicalize));
    assert!(rules(r#"{"tokenizer_kwargs": {"reduction_mask": "random"}}"#).unwrap_err().to_string().contains("reduction_mask"));
}
