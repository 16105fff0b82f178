//! Captions to token ids, equal to the reference tokenizers.
//!
//! | family | layout | reference | text before tokenising |
//! |---|---|---|---|
//! | CLIP | transformers | `CLIPTokenizer` | NFC, white space, lower case |
//! | CLIP | open_clip | `SimpleTokenizer` | [`Clean`], by default lower |
//! | SigLIP | transformers | `SiglipTokenizer` over `spiece.model` | lower case, no ASCII punctuation, white space |
//! | SigLIP | open_clip | `tokenizer.json` | [`Clean`], by the config canonicalize |
//! | SigLIP 2 | transformers | `Siglip2Tokenizer` | lower case |
//! | SigLIP 2 | open_clip | `tokenizer.json` | [`Clean`], by the config canonicalize |
//!
//! Every row has as many ids as the context is long; the end token is kept when a caption is cut. SigLIP 2 looks at the
//! padding: 64 ids, the rest filled with 0 on the right.
//!
//! open_clip cleans with ftfy's `fix_text`. Covered are its references of HTML (16 levels deep), Windows-1252
//! controls, ligatures, widths, quotes, line breaks, terminal escapes, control characters and NFC; not covered is the
//! repair of text that was decoded with the wrong encoding (`sÃ³` stays).
//!
//! Captions of any length: a caption is cut before it is tokenised only where words are provably independent, so that
//! the ids are the same. A megabyte without a space is tokenised whole, in about a second.

mod clean;
mod entities;
mod files;
mod open_clip;
mod sentencepiece;
mod siglip;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::checkpoint::Layout;
use crate::error::ModelError;
use crate::prepared::Tokens;
pub use clean::Clean;
use files::{Pairs, Settings};
use open_clip::SimpleTokenizer;
use sentencepiece::Unigram;
use siglip::SiglipPieces;

/// Captions up to this many bytes are never cut before they are tokenised.
const SHORT: usize = 4096;
/// Longer ones are an error: a caption of this size is a damaged row.
const LONGEST: usize = 64 << 20;

/// Which architecture a tokenizer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Start and end token, context 77.
    Clip,
    /// End token, which also pads, context 64.
    Siglip,
    /// End token, pad id 0, context 64.
    Siglip2,
}

/// What decides the ids beside the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The architecture.
    pub family: Family,
    /// The reference whose ids these are.
    pub layout: Layout,
    /// Ids of every caption.
    pub context: usize,
    /// open_clip's cleaning; not used in the layout of transformers.
    pub clean: Clean,
}

impl Rules {
    /// As transformers does, with the family's own context.
    pub fn transformers(family: Family) -> Self {
        let context = if family == Family::Clip { 77 } else { 64 };
        Self { family, layout: Layout::Transformers, context, clean: Clean::Lower }
    }

    /// As open_clip does, by `model_cfg.text_cfg` of a folder's `open_clip_config.json`.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Config`] for a tokenizer that is not known here.
    pub fn open_clip(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("open_clip_config.json");
        let config = files::read_json(&path)?.ok_or_else(|| files::wrong(&path, "not found"))?;
        let empty = Value::Null;
        let text = config.pointer("/model_cfg/text_cfg").unwrap_or(&empty);
        let context = match text.get("context_length") {
            None => 77,
            Some(length) => match length.as_u64() {
                Some(length @ 3..=65_536) => length as usize,
                _ => return Err(files::wrong(&path, format!("`context_length` is {length}, expected 3 to 65536"))),
            },
        };
        let hub = text.get("hf_tokenizer_name").is_some_and(|name| name.as_str().is_some_and(|name| !name.is_empty()));
        let mut clean = if hub { Clean::Whitespace } else { Clean::Lower };
        let arguments = text.get("tokenizer_kwargs").and_then(Value::as_object);
        for (key, value) in arguments.into_iter().flatten() {
            match (key.as_str(), value) {
                ("clean", Value::String(name)) => {
                    clean = Clean::from_name(name).ok_or_else(|| files::wrong(&path, format!("`tokenizer_kwargs.clean` is `{name}`")))?;
                }
                (_, Value::Null | Value::Bool(false)) => {}
                (key, value) => {
                    return Err(files::wrong(&path, format!("`tokenizer_kwargs.{key}` is {value}, which is not known here")));
                }
            }
        }
        let family = if !hub {
            Family::Clip
        } else {
            let file = folder.join("tokenizer.json");
            let value = files::read_json(&file)?.unwrap_or_default();
            match value.pointer("/model/type").and_then(Value::as_str) {
                Some("BPE") if value.pointer("/model/end_of_word_suffix").and_then(Value::as_str) != Some("</w>") => Family::Siglip2,
                Some("BPE") => return Err(files::wrong(&file, "CLIP's byte pairs behind `hf_tokenizer_name` are not known here")),
                _ => Family::Siglip,
            }
        };
        Ok(Self { family, layout: Layout::OpenClip, context, clean })
    }
}

enum Engine {
    /// A pipeline of the crate `tokenizers`, after a cleaning.
    Pipeline { tokenizer: Box<Tokenizer>, clean: Option<Clean>, words_apart: bool },
    /// open_clip's own.
    Simple(Box<SimpleTokenizer>),
    /// SentencePiece.
    Pieces(Box<SiglipPieces>),
}

/// Turns captions into the ids of one model. Shared between threads.
pub struct CaptionTokenizer {
    engine: Engine,
    folder: PathBuf,
    context: usize,
    start: Option<u32>,
    end: u32,
    pad: u32,
    /// One more than the largest id.
    size: usize,
    id: String,
}

impl std::fmt::Debug for CaptionTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptionTokenizer").field("folder", &self.folder).field("id", &self.id).finish_non_exhaustive()
    }
}

impl CaptionTokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, `vocab.json` with `merges.txt`, `spiece.model`,
    /// whichever the reference would read.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Config`] for a file that is damaged, or a start, end or pad token that the
    /// vocabulary lacks; [`ModelError::NotFound`] when no file is there.
    pub fn from_folder(folder: &Path, rules: Rules) -> Result<Self, ModelError> {
        if rules.context < 3 {
            return Err(ModelError::Input(format!("a context of {} tokens has no room for a caption", rules.context)));
        }
        let settings = Settings::read(folder)?;
        match rules.family {
            Family::Clip => Self::clip(folder, rules, &settings),
            Family::Siglip => Self::siglip(folder, rules, &settings),
            Family::Siglip2 => Self::siglip2(folder, rules, &settings),
        }
    }

    fn clip(folder: &Path, rules: Rules, settings: &Settings) -> Result<Self, ModelError> {
        const END: &str = "<|endoftext|>";
        let pairs = Pairs::read(folder)?.ok_or_else(|| missing(folder, "`tokenizer.json`, `vocab.json` with `merges.txt`"))?;
        let (start, end) = (settings.token("bos_token", "<|startoftext|>"), settings.token("eos_token", END));
        let (pad, unknown) = (settings.token("pad_token", END), settings.token("unk_token", END));
        let broken = |message: String| files::wrong(folder, message);
        let tokenizer = pairs.clip(&[&start, &end, &pad, &unknown], &unknown).map_err(broken)?;
        let id = |key: &str, token: &str| lookup(folder, key, token, tokenizer.token_to_id(token));
        let (start, end) = (id("bos_token", &start)?, id("eos_token", &end)?);
        let size = size_of(&tokenizer);
        let (engine, pad) = match rules.layout {
            Layout::Transformers => {
                let pad = id("pad_token", &pad)?;
                (Engine::Pipeline { tokenizer: Box::new(tokenizer), clean: None, words_apart: true }, pad)
            }
            // `torch.zeros`, whatever the vocabulary has there.
            Layout::OpenClip => {
                let words = pairs.clip_words().map_err(broken)?;
                let simple = SimpleTokenizer::new(words, rules.clean, start, end).map_err(broken)?;
                (Engine::Simple(Box::new(simple)), 0)
            }
        };
        Ok(Self::assemble(engine, folder, rules, (Some(start), end, pad), size))
    }

    fn siglip(folder: &Path, rules: Rules, settings: &Settings) -> Result<Self, ModelError> {
        const END: &str = "</s>";
        let (end, pad) = (settings.token("eos_token", END), settings.token("pad_token", END));
        let unknown = settings.token("unk_token", "<unk>");
        let (pieces, json) = (folder.join("spiece.model"), folder.join("tokenizer.json"));
        if pieces.is_file() && (rules.layout == Layout::Transformers || !json.is_file()) {
            let model = Unigram::read(&pieces)?;
            let id = |key: &str, token: &str| lookup(folder, key, token, model.id(token));
            let (end_id, pad_id, unknown_id) = (id("eos_token", &end)?, id("pad_token", &pad)?, id("unk_token", &unknown)?);
            let mut special = vec![(end, end_id), (pad, pad_id), (unknown.clone(), unknown_id)];
            special.dedup();
            let size = model.len();
            let lower = settings.flag("do_lower_case").unwrap_or(true);
            let engine = Engine::Pieces(Box::new(SiglipPieces::new(model, lower, unknown, special)));
            return Ok(Self::assemble(engine, folder, rules, (None, end_id, pad_id), size));
        }
        let bytes = files::read(&json)?.ok_or_else(|| missing(folder, "`spiece.model`, `tokenizer.json`"))?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| files::wrong(&json, error.to_string()))?;
        plain(&mut tokenizer).map_err(|message| files::wrong(&json, message))?;
        let id = |key: &str, token: &str| lookup(folder, key, token, tokenizer.token_to_id(token));
        let (end, pad) = (id("eos_token", &end)?, id("pad_token", &pad)?);
        let clean = match rules.layout {
            Layout::OpenClip => rules.clean,
            // Without its `spiece.model`, the class cannot be loaded there; this is the nearest that is known.
            Layout::Transformers => Clean::Canonicalize,
        };
        let size = size_of(&tokenizer);
        let engine = Engine::Pipeline { tokenizer: Box::new(tokenizer), clean: Some(clean), words_apart: true };
        Ok(Self::assemble(engine, folder, rules, (None, end, pad), size))
    }

    fn siglip2(folder: &Path, rules: Rules, settings: &Settings) -> Result<Self, ModelError> {
        let pairs = Pairs::read(folder)?.ok_or_else(|| missing(folder, "`tokenizer.json`"))?;
        let names = [("bos_token", "<bos>"), ("eos_token", "<eos>"), ("pad_token", "<pad>"), ("unk_token", "<unk>")];
        let [start, end, pad, unknown] = names.map(|(key, default)| settings.token(key, default));
        let lower = rules.layout == Layout::Transformers;
        let tokenizer = pairs.gemma(&[&start, &end, &pad, &unknown], &unknown, lower).map_err(|message| files::wrong(folder, message))?;
        let id = |key: &str, token: &str| lookup(folder, key, token, tokenizer.token_to_id(token));
        let (end, pad) = (id("eos_token", &end)?, id("pad_token", &pad)?);
        let size = size_of(&tokenizer);
        let clean = (rules.layout == Layout::OpenClip).then_some(rules.clean);
        let engine = Engine::Pipeline { tokenizer: Box::new(tokenizer), clean, words_apart: pairs.words_apart() };
        Ok(Self::assemble(engine, folder, rules, (None, end, pad), size))
    }

    fn assemble(engine: Engine, folder: &Path, rules: Rules, marks: (Option<u32>, u32, u32), size: usize) -> Self {
        let (start, end, pad) = marks;
        let kind = match rules.family {
            Family::Clip => "clip",
            Family::Siglip => "siglip",
            Family::Siglip2 => "siglip2",
        };
        let text = match &engine {
            Engine::Pieces(_) => "spiece".to_owned(),
            Engine::Simple(_) => format!("open_clip-{}", rules.clean.name()),
            Engine::Pipeline { clean: Some(clean), .. } => format!("open_clip-{}", clean.name()),
            Engine::Pipeline { clean: None, .. } => "lower".to_owned(),
        };
        let id = format!("{kind}:{text}:context{}:pad{pad}", rules.context);
        Self { engine, folder: folder.to_path_buf(), context: rules.context, start, end, pad, size, id }
    }

    /// Short text for provenance, as `siglip2:lower:context64:pad0`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ids of every caption.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The end token, where CLIP pools.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// What fills a row behind the end token.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// Whether the ids fit a model with so many embeddings of tokens and of positions.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the tokenizer and what does not fit.
    pub fn check(&self, vocab_size: usize, context: usize) -> Result<(), ModelError> {
        if self.size > vocab_size {
            let message = format!("the tokenizer has ids up to {}, the model {vocab_size} embeddings", self.size - 1);
            return Err(files::wrong(&self.folder, message));
        }
        if self.context > context {
            let message = format!("the tokenizer fills {} positions, the model has {context}", self.context);
            return Err(files::wrong(&self.folder, message));
        }
        Ok(())
    }

    /// Token ids of one caption.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a caption of more than 64 MiB, or one that the vocabulary cannot spell.
    pub fn encode(&self, text: &str) -> Result<Tokens, ModelError> {
        if text.len() > LONGEST {
            return Err(ModelError::Input(format!("a caption of {} bytes; the limit is {LONGEST}", text.len())));
        }
        let failed = |message: String| ModelError::Input(format!("a caption cannot be tokenised: {message}"));
        let room = self.context - 1 - usize::from(self.start.is_some());
        let ids = match &self.engine {
            Engine::Simple(simple) => simple.encode(text, room).map_err(failed)?,
            Engine::Pieces(pieces) => pieces.encode(text, room),
            Engine::Pipeline { tokenizer, clean, words_apart } => {
                let cleaned = clean.map(|clean| clean.apply(text));
                let text = cleaned.as_deref().unwrap_or(text);
                let text = if *words_apart { first_words(text, room) } else { text };
                let encoding = tokenizer.encode_fast(text, false).map_err(|error| failed(error.to_string()))?;
                encoding.get_ids().to_vec()
            }
        };
        let kept = ids.len().min(room);
        let mut row = Vec::with_capacity(self.context);
        row.extend(self.start);
        row.extend_from_slice(&ids[..kept]);
        row.push(self.end);
        let used = row.len();
        row.resize(self.context, self.pad);
        Ok(Tokens { ids: row, used, truncated: ids.len() > room })
    }
}

/// The start of a long caption that is sure to have more than `enough` tokens, or all of it.
///
/// The cut is before a space, where every pipeline here begins a new word; a word with a letter or digit is at least one
/// token in each of them, and no normaliser here looks beyond a space. So the first `enough` tokens are the same.
fn first_words(text: &str, enough: usize) -> &str {
    if text.len() <= SHORT {
        return text;
    }
    let (mut words, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ' ' {
            if inside {
                words += 1;
                if words > enough {
                    return &text[..at];
                }
            }
            inside = false;
        } else {
            inside |= c.is_alphanumeric();
        }
    }
    text
}

/// Without what the file says of padding, truncation and special tokens: the rules decide them.
fn plain(tokenizer: &mut Tokenizer) -> Result<(), String> {
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    Ok(())
}

fn size_of(tokenizer: &Tokenizer) -> usize {
    tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
}

fn lookup(folder: &Path, key: &str, token: &str, id: Option<u32>) -> Result<u32, ModelError> {
    id.ok_or_else(|| files::wrong(folder, format!("`{key}` is `{token}`, which the vocabulary lacks")))
}

fn missing(folder: &Path, looked_for: &str) -> ModelError {
    ModelError::NotFound { model: folder.display().to_string(), message: format!("no tokenizer: looked for {looked_for}") }
}
