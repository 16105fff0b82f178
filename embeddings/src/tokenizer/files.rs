//! The files of a tokenizer, and the pipelines that the reference's classes build from them.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::error::ModelError;

/// The largest known, Gemma's, has 34 MB.
const LARGEST_FILE: u64 = 256 << 20;

pub(super) fn wrong(path: &Path, message: impl Into<String>) -> ModelError {
    ModelError::Config { path: path.to_path_buf(), message: message.into() }
}

/// Bytes of a file of the tokenizer when it is there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_path_buf(), source };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > LARGEST_FILE => Err(wrong(path, "too large for a file of a tokenizer")),
        Ok(_) => std::fs::read(path).map(Some).map_err(io),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
    }
}

pub(super) fn read_json(path: &Path) -> Result<Option<Value>, ModelError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(path, format!("not JSON: {error}")))
}

/// Settings beside the vocabulary.
pub(super) struct Settings {
    config: Value,
    special: Value,
}

impl Settings {
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        Ok(Self {
            config: read_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default(),
            special: read_json(&folder.join("special_tokens_map.json"))?.unwrap_or_default(),
        })
    }

    /// Text of `bos_token`, `eos_token`, `pad_token` or `unk_token`; `tokenizer_config.json` goes first.
    pub(super) fn token(&self, key: &str, default: &str) -> String {
        let text = |value: &Value| Some(value.as_str().or_else(|| value.get("content")?.as_str())?.to_owned());
        let found = [&self.config, &self.special].into_iter().find_map(|file| text(file.get(key)?));
        found.unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key)?.as_bool()
    }
}

/// A vocabulary of byte pairs with its merges, as `tokenizer.json` has it under `model`, and the added tokens.
pub(super) struct Pairs {
    model: Value,
    added: Value,
}

impl Pairs {
    /// From `tokenizer.json`, else from `vocab.json` and `merges.txt`. `None` when there is neither.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join("tokenizer.json");
        if let Some(mut file) = read_json(&path)? {
            let model = file.get_mut("model").map(Value::take).unwrap_or_default();
            let kind = model.get("type").and_then(Value::as_str);
            if kind.unwrap_or("BPE") != "BPE" || model.get("merges").is_none() {
                return Err(wrong(&path, format!("`model.type` is {kind:?}, expected a BPE")));
            }
            let added = file.get_mut("added_tokens").map(Value::take).unwrap_or_default();
            return Ok(Some(Self { model, added }));
        }
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        match (read_json(&vocab)?, read(&merges)?) {
            (Some(words), Some(lines)) => {
                let lines = String::from_utf8(lines).map_err(|_| wrong(&merges, "not UTF-8"))?;
                let pairs = lines.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
                let pairs: Option<Vec<[&str; 2]>> = pairs.map(|line| line.trim_end().split_once(' ').map(|(a, b)| [a, b])).collect();
                let pairs = pairs.ok_or_else(|| wrong(&merges, "a line is not a pair"))?;
                Ok(Some(Self { model: json!({"vocab": words, "merges": pairs}), added: Value::Null }))
            }
            (Some(_), None) => Err(wrong(&vocab, "`merges.txt` is not beside it")),
            (None, _) => Ok(None),
        }
    }

    /// Added tokens of the file, else those given.
    fn added(&self, vocabulary: &[&str]) -> Value {
        if self.added.as_array().is_some_and(|tokens| !tokens.is_empty()) {
            return self.added.clone();
        }
        let vocab = self.model.get("vocab");
        let mut tokens: Vec<(u64, Value)> = Vec::new();
        for token in vocabulary {
            let Some(id) = vocab.and_then(|vocab| vocab.get(*token)?.as_u64()) else { continue };
            let flags = json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true});
            tokens.push((id, flags));
        }
        tokens.sort_by_key(|(id, _)| *id);
        tokens.dedup_by_key(|(id, _)| *id);
        tokens.into_iter().map(|(_, token)| token).collect()
    }

    fn build(&self, settings: &[(&str, Value)], added: Value, normalizer: Value, pre_tokenizer: Value) -> Result<Tokenizer, String> {
        let mut model = Map::new();
        model.insert("type".to_owned(), "BPE".into());
        for key in ["vocab", "merges"] {
            model.insert(key.to_owned(), self.model.get(key).cloned().unwrap_or_default());
        }
        for (key, value) in settings {
            model.insert((*key).to_owned(), value.clone());
        }
        let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null, "model": model});
        let bytes = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
        Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())
    }

    /// The pipeline of transformers' `CLIPTokenizer`, whatever the file says of normaliser and splitting: that class
    /// takes only vocabulary and merges from it.
    pub(super) fn clip(&self, special: &[&str], unknown: &str) -> Result<Tokenizer, String> {
        let pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        let settings = [
            ("continuing_subword_prefix", "".into()),
            ("end_of_word_suffix", "</w>".into()),
            ("fuse_unk", false.into()),
            ("unk_token", unknown.into()),
        ];
        let normalizer = json!({"type": "Sequence", "normalizers": [{"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]});
        let pre_tokenizer = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]});
        self.build(&settings, self.added(special), normalizer, pre_tokenizer)
    }

    /// Only the merges of a CLIP vocabulary: for words that are already apart.
    pub(super) fn clip_words(&self) -> Result<Tokenizer, String> {
        let settings = [("end_of_word_suffix", "</w>".into()), ("fuse_unk", false.into())];
        self.build(&settings, json!([]), Value::Null, Value::Null)
    }

    /// The pipeline of transformers' `Siglip2Tokenizer` (`lower`) or `GemmaTokenizer`.
    pub(super) fn gemma(&self, special: &[&str], unknown: &str, lower: bool) -> Result<Tokenizer, String> {
        let settings = [("fuse_unk", true.into()), ("byte_fallback", true.into()), ("unk_token", unknown.into())];
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let normalizer = if lower { json!({"type": "Sequence", "normalizers": [{"type": "Lowercase"}, replace]}) } else { replace };
        let pre_tokenizer = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
        self.build(&settings, self.added(special), normalizer, pre_tokenizer)
    }

    /// Whether merges never cross from a word to the space before the next, so that words can be looked at one by one.
    pub(super) fn words_apart(&self) -> bool {
        let Some(vocab) = self.model.get("vocab").and_then(Value::as_object) else { return false };
        let inner = |word: &String| word.trim_start_matches('\u{2581}').contains('\u{2581}');
        vocab.contains_key("\u{2581}") && !vocab.keys().any(inner)
    }
}
