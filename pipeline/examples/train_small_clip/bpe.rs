//! A byte-level BPE in CLIP's conventions, learned from the captions of the miniature web.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, anyhow};
use serde_json::{Map, Value, json};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer};
use trommel::miniweb::caption::{describe, describe_briefly};
use trommel::miniweb::words::Lang;
use trommel::miniweb::world::Scene;

pub(crate) const START: &str = "<|startoftext|>";
pub(crate) const END: &str = "<|endoftext|>";
/// Fills a row behind its end. Ids rise from here to the end, because some readers look for the largest.
pub(crate) const PAD: &str = "<|pad|>";
const END_OF_WORD: &str = "</w>";
/// How many pairs are merged: enough that most words are one token or two.
const MERGES: usize = 1200;
/// How many scenes are described, in every language and in every way, to learn the merges from.
const SCENES: u64 = 200;

/// The tokenizer as `tokenizer.json` holds it.
pub(crate) fn learn(seed: u64) -> Result<Value> {
    let bare = Tokenizer::from_bytes(file(&[])?.to_string()).map_err(|error| anyhow!(error))?;
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..SCENES {
        let scene = Scene::nth(seed, n);
        for (lang, _) in Lang::SHARES {
            let long = (0..4).map(|variant| describe(&scene, lang, variant));
            for text in long.chain([describe_briefly(&scene, lang)]) {
                count_words(&bare, &text, &mut words)?;
            }
        }
    }
    file(&merges(words))
}

fn count_words(tokenizer: &Tokenizer, text: &str, words: &mut BTreeMap<String, usize>) -> Result<()> {
    use tokenizers::{NormalizedString, Normalizer};
    let mut normal = NormalizedString::from(text);
    if let Some(normalizer) = tokenizer.get_normalizer() {
        normalizer.normalize(&mut normal).map_err(|error| anyhow!(error))?;
    }
    let mut split = PreTokenizedString::from(normal);
    if let Some(splitter) = tokenizer.get_pre_tokenizer() {
        splitter.pre_tokenize(&mut split).map_err(|error| anyhow!(error))?;
    }
    for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
        *words.entry(word.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// The most frequent pair of neighbours becomes one, again and again; of equally frequent ones the first in the alphabet.
fn merges(words: BTreeMap<String, usize>) -> Vec<(String, String)> {
    let mut words: Vec<(Vec<String>, usize)> = words
        .into_iter()
        .map(|(word, count)| {
            let mut parts: Vec<String> = word.chars().map(String::from).collect();
            if let Some(last) = parts.last_mut() {
                last.push_str(END_OF_WORD);
            }
            (parts, count)
        })
        .collect();
    let mut found = Vec::with_capacity(MERGES);
    while found.len() < MERGES {
        let mut pairs: HashMap<(&str, &str), usize> = HashMap::new();
        for (parts, count) in &words {
            for pair in parts.windows(2) {
                *pairs.entry((&pair[0], &pair[1])).or_default() += count;
            }
        }
        let best = pairs.into_iter().max_by(|(a, n), (b, m)| n.cmp(m).then_with(|| b.cmp(a)));
        let Some(((left, right), _)) = best else { break };
        let (left, right) = (left.to_owned(), right.to_owned());
        for (parts, _) in &mut words {
            let mut at = 0;
            while at + 1 < parts.len() {
                if parts[at] == left && parts[at + 1] == right {
                    let tail = parts.remove(at + 1);
                    parts[at].push_str(&tail);
                }
                at += 1;
            }
        }
        found.push((left, right));
    }
    found
}

/// One visible character for each byte, in the order of GPT-2's and CLIP's vocabularies: the printable bytes stand for
/// themselves and come first, so that `!` has the id 0.
fn alphabet() -> Vec<char> {
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let hidden = (0..256).filter(|byte| !printable(byte)).count() as u32;
    (0..256).filter(printable).chain(256..256 + hidden).filter_map(char::from_u32).collect()
}

fn file(merges: &[(String, String)]) -> Result<Value> {
    let letters = alphabet();
    let tokens = letters
        .iter()
        .map(char::to_string)
        .chain(letters.iter().map(|letter| format!("{letter}{END_OF_WORD}")))
        .chain(merges.iter().map(|(left, right)| format!("{left}{right}")))
        .chain([PAD.to_owned(), START.to_owned(), END.to_owned()]);
    let mut vocabulary = Map::new();
    for token in tokens {
        let id = vocabulary.len();
        // Two merges may make the same token in two ways; it keeps its first id.
        vocabulary.entry(token).or_insert(json!(id));
    }
    let (pad, start, end) = (vocabulary[PAD].clone(), vocabulary[START].clone(), vocabulary[END].clone());
    let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    let special = |id: &Value, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(&pad, PAD), special(&start, START), special(&end, END)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"}
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split",
             "pattern": {"Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},
             "behavior": "Removed", "invert": true},
            &byte_level
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                           "trim_offsets": false, "add_prefix_space": false},
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
            "end_of_word_suffix": END_OF_WORD, "fuse_unk": false, "vocab": vocabulary, "merges": merges
        }
    }))
}

/// Turns captions into ids.
pub(crate) struct Words(Tokenizer);

impl Words {
    pub(crate) fn load(path: &std::path::Path) -> Result<Self> {
        Tokenizer::from_file(path).map(Self).map_err(|error| anyhow!("{}: {error}", path.display()))
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.0.get_vocab_size(true)
    }

    /// The id of a token.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.0.token_to_id(token)
    }

    /// The ids of a caption between the marks of start and end, at most `limit`; a longer one loses its tail, not its end.
    pub(crate) fn ids(&self, text: &str, limit: usize) -> Result<Vec<u32>> {
        let encoding = self.0.encode_fast(text, true).map_err(|error| anyhow!(error))?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some(end) = ids.last().copied().filter(|_| ids.len() > limit) {
            ids.truncate(limit);
            ids[limit - 1] = end;
        }
        Ok(ids)
    }
}
