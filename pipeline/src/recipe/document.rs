//! From TOML to settings, every error with its line.

use std::ops::Range;

use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::choosing::{BalanceSettings, BaselineSettings, CapSettings, SampleSettings};
use super::error::{Place, RecipeError};
use super::near::{DecontaminateSettings, NearSettings, RetrieveSettings};
use super::nearest;
use super::settings::{
    DedupeSettings, FetchSettings, HashSettings, JobSettings, KeepSettings, LanguageSettings, ScoreSettings, SourceSettings, WriteSettings,
};
use crate::crawl::fetch::FetchConfig;

/// Version of the recipe's language.
const VERSION: u32 = 1;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
    keys: Vec<(String, Place)>,
}

impl<T> Placed<T> {
    /// A value that stands in no file: one made from flags.
    pub fn of_flags(value: T) -> Self {
        Self { value, place: Place { file: "command line".into(), line: 0, text: String::new() }, keys: Vec::new() }
    }

    /// The place of a key, or of the whole when the key was not written.
    pub fn key(&self, name: &str) -> &Place {
        self.keys.iter().find(|(key, _)| key == name).map_or(&self.place, |(_, place)| place)
    }

    /// Whether a key was written.
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|(key, _)| key == name)
    }
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a recipe has a handful of stages")]
pub enum StageSettings {
    /// `language`
    Language(LanguageSettings),
    /// `keep`
    Keep(KeepSettings),
    /// `cap`
    Cap(CapSettings),
    /// `sample`
    Sample(SampleSettings),
    /// `balance`
    Balance(BalanceSettings),
    /// `baseline`
    Baseline(BaselineSettings),
    /// `near`
    Near(NearSettings),
    /// `decontaminate`
    Decontaminate(DecontaminateSettings),
    /// `retrieve`
    Retrieve(RetrieveSettings),
    /// `dedupe`
    Dedupe(DedupeSettings),
    /// `fetch`
    Fetch(FetchSettings),
    /// `score`
    Score(ScoreSettings),
    /// `hash`
    Hash(HashSettings),
    /// `write`
    Write(WriteSettings),
}

const STAGES: [&str; 14] = [
    "language",
    "keep",
    "cap",
    "sample",
    "balance",
    "baseline",
    "near",
    "decontaminate",
    "retrieve",
    "dedupe",
    "fetch",
    "score",
    "hash",
    "write",
];

/// Those that `trommel select` takes.
pub(super) const CHOOSING: [&str; 8] = ["keep", "cap", "sample", "balance", "baseline", "near", "decontaminate", "retrieve"];

impl StageSettings {
    /// Whether the stage needs to see all rows of finished shards.
    pub fn is_global(&self) -> bool {
        match self {
            Self::Keep(settings) => settings.is_global(),
            Self::Cap(_) | Self::Sample(_) | Self::Balance(_) | Self::Baseline(_) => true,
            Self::Near(_) | Self::Decontaminate(_) | Self::Retrieve(_) => true,
            _ => false,
        }
    }

    /// The word after `use`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Language(_) => "language",
            Self::Keep(_) => "keep",
            Self::Cap(_) => "cap",
            Self::Sample(_) => "sample",
            Self::Balance(_) => "balance",
            Self::Baseline(_) => "baseline",
            Self::Near(_) => "near",
            Self::Decontaminate(_) => "decontaminate",
            Self::Retrieve(_) => "retrieve",
            Self::Dedupe(_) => "dedupe",
            Self::Fetch(_) => "fetch",
            Self::Score(_) => "score",
            Self::Hash(_) => "hash",
            Self::Write(_) => "write",
        }
    }
}

/// A parsed recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// `[job]`
    pub job: Placed<JobSettings>,
    /// `[source]`
    pub source: Placed<SourceSettings>,
    /// `[network]`
    pub network: Placed<FetchConfig>,
    /// `[[stage]]`, in order.
    pub stages: Vec<Placed<StageSettings>>,
}

impl Recipe {
    /// Reads a recipe. `file` is its name, for errors.
    ///
    /// # Errors
    /// [`RecipeError`] with the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, RecipeError> {
        let reader = Reader { file, text };
        let table = DeTable::parse(text).map_err(|e| reader.toml(&e))?;
        let mut job = None;
        let mut source = None;
        let mut network = None;
        let mut stages = Vec::new();
        for (key, value) in table.into_inner() {
            match key.get_ref().as_ref() {
                "job" => job = Some(reader.section("[job]", key.span(), value)?),
                "source" => source = Some(reader.section("[source]", key.span(), value)?),
                "network" => network = Some(reader.section("[network]", key.span(), value)?),
                "stage" => stages = reader.stages(value)?,
                other => {
                    let hint = hint(other, ["job", "source", "network", "stage"]);
                    return Err(RecipeError::new(
                        &reader.place(key.span()),
                        format!("unknown table `{other}`{hint}; there are [job], [source], [network] and [[stage]]"),
                    ));
                }
            }
        }
        let whole = Place { file: file.to_owned(), line: 0, text: String::new() };
        let missing = |name: &str| RecipeError::new(&whole, format!("the table [{name}] is missing"));
        let job: Placed<JobSettings> = job.ok_or_else(|| missing("job"))?;
        if job.value.version != VERSION {
            return Err(RecipeError::new(
                job.key("version"),
                format!("the recipe is written for version {} of the language, this program reads version {VERSION}", job.value.version),
            ));
        }
        let source = source.ok_or_else(|| missing("source"))?;
        if stages.is_empty() {
            return Err(RecipeError::new(&whole, "no [[stage]]: a recipe ends with `use = \"write\"`"));
        }
        let network = network.unwrap_or_else(|| Placed { value: FetchConfig::default(), place: whole, keys: Vec::new() });
        Ok(Self { job, source, network, stages })
    }

    /// The recipe as it was resolved, defaults included.
    pub fn resolved(&self) -> serde_json::Value {
        let stages: Vec<serde_json::Value> = self
            .stages
            .iter()
            .map(|stage| {
                let mut value = match &stage.value {
                    StageSettings::Language(settings) => serde_json::to_value(settings),
                    StageSettings::Keep(settings) => serde_json::to_value(settings),
                    StageSettings::Cap(settings) => serde_json::to_value(settings),
                    StageSettings::Sample(settings) => serde_json::to_value(settings),
                    StageSettings::Balance(settings) => serde_json::to_value(settings),
                    StageSettings::Baseline(settings) => serde_json::to_value(settings),
                    StageSettings::Near(settings) => serde_json::to_value(settings),
                    StageSettings::Decontaminate(settings) => serde_json::to_value(settings),
                    StageSettings::Retrieve(settings) => serde_json::to_value(settings),
                    StageSettings::Dedupe(settings) => serde_json::to_value(settings),
                    StageSettings::Fetch(settings) => serde_json::to_value(settings),
                    StageSettings::Score(settings) => serde_json::to_value(settings),
                    StageSettings::Hash(settings) => serde_json::to_value(settings),
                    StageSettings::Write(settings) => serde_json::to_value(settings),
                }
                .unwrap_or_default();
                value["use"] = stage.value.name().into();
                value
            })
            .collect();
        serde_json::json!({ "job": self.job.value, "source": self.source.value, "network": self.network.value, "stage": stages })
    }
}

/// Reads the stages of a selection: a `seed`, and `[[stage]]` tables. `file` is its name, for errors.
///
/// # Errors
/// [`RecipeError`] with the line.
pub fn parse_stages(file: &str, text: &str) -> Result<(u64, Vec<Placed<StageSettings>>), RecipeError> {
    let reader = Reader { file, text };
    let table = DeTable::parse(text).map_err(|e| reader.toml(&e))?;
    let (mut seed, mut stages) = (0, Vec::new());
    for (key, value) in table.into_inner() {
        let place = reader.place(key.span());
        match key.get_ref().as_ref() {
            "seed" => {
                let read = u64::deserialize(ValueDeserializer::from(value));
                seed = read.map_err(|e| RecipeError::new(&place, format!("`seed`: {}", e.message())))?;
            }
            "stage" => stages = reader.stages(value)?,
            other => {
                let message = format!("unknown key `{other}`{}; a selection has `seed` and [[stage]]", hint(other, ["seed", "stage"]));
                return Err(RecipeError::new(&place, message));
            }
        }
    }
    Ok((seed, stages))
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line = self.text[..start].matches('\n').count() + 1;
        Place { file: self.file.to_owned(), line, text: self.text.lines().nth(line - 1).unwrap_or_default().trim().to_owned() }
    }

    fn toml(&self, error: &toml::de::Error) -> RecipeError {
        RecipeError::new(&self.place(error.span().unwrap_or(0..0)), error.message().replace('\n', "; "))
    }

    /// A table whose keys are the fields of `T`.
    fn section<T: DeserializeOwned + Serialize + Default>(
        &self,
        name: &str,
        span: Range<usize>,
        value: Spanned<DeValue<'_>>,
    ) -> Result<Placed<T>, RecipeError> {
        let place = self.place(span);
        let DeValue::Table(table) = value.get_ref() else {
            return Err(RecipeError::new(&place, format!("{name} is a table")));
        };
        let known = fields::<T>();
        let mut keys = Vec::new();
        for key in table.keys() {
            let word = key.get_ref().as_ref();
            let at = self.place(key.span());
            if !known.iter().any(|field| field == word) && !(ALIASES.contains(&(name, word))) {
                let hint = hint(word, known.iter().map(String::as_str));
                let list = known.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
                return Err(RecipeError::new(&at, format!("unknown key `{word}` in {name}{hint}; there are {list}")));
            }
            keys.push((word.to_owned(), at));
        }
        let value = T::deserialize(ValueDeserializer::from(value)).map_err(|e| {
            let at = e.span().map_or_else(|| place.clone(), |span| self.place(span));
            RecipeError::new(&at, format!("{} in {name}", e.message().replace('\n', "; ")))
        })?;
        Ok(Placed { value, place, keys })
    }

    fn stages(&self, value: Spanned<DeValue<'_>>) -> Result<Vec<Placed<StageSettings>>, RecipeError> {
        let place = self.place(value.span());
        let DeValue::Array(stages) = value.into_inner() else {
            return Err(RecipeError::new(&place, "stages are written as [[stage]]"));
        };
        stages.into_iter().map(|stage| self.stage(stage)).collect()
    }

    fn stage(&self, stage: Spanned<DeValue<'_>>) -> Result<Placed<StageSettings>, RecipeError> {
        let span = stage.span();
        let place = self.place(span.clone());
        let DeValue::Table(mut table) = stage.into_inner() else {
            return Err(RecipeError::new(&place, "stages are written as [[stage]]"));
        };
        let list = || STAGES.map(|name| format!("`{name}`")).join(", ");
        let Some(used) = table.remove("use") else {
            return Err(RecipeError::new(&place, format!("the stage has no `use`: one of {}", list())));
        };
        let at = self.place(used.span());
        let DeValue::String(name) = used.get_ref() else {
            return Err(RecipeError::new(&at, format!("`use` is one of {}", list())));
        };
        let title = format!("stage `{name}`");
        let rest = Spanned::new(span.clone(), DeValue::Table(table));
        macro_rules! read {
            ($variant:ident) => {{
                let placed = self.section(&title, span, rest)?;
                Placed { value: StageSettings::$variant(placed.value), place: at, keys: placed.keys }
            }};
        }
        Ok(match name.as_ref() {
            "language" => read!(Language),
            "keep" => read!(Keep),
            "cap" => read!(Cap),
            "sample" => read!(Sample),
            "balance" => read!(Balance),
            "baseline" => read!(Baseline),
            "near" => read!(Near),
            "decontaminate" => read!(Decontaminate),
            "retrieve" => read!(Retrieve),
            "dedupe" => read!(Dedupe),
            "fetch" => read!(Fetch),
            "score" => read!(Score),
            "hash" => read!(Hash),
            "write" => read!(Write),
            other => return Err(RecipeError::new(&at, format!("no stage `{other}`{}; there are {}", hint(other, STAGES), list()))),
        })
    }
}

/// Shorter names that the design's recipes use.
const ALIASES: [(&str, &str); 7] = [
    ("stage `fetch`", "resize"),
    ("stage `fetch`", "min_side"),
    ("stage `fetch`", "max_aspect"),
    ("stage `fetch`", "concurrency"),
    ("stage `fetch`", "unit_rows"),
    ("stage `score`", "head"),
    ("stage `write`", "output_format"),
];

fn fields<T: Serialize + Default>() -> Vec<String> {
    match serde_json::to_value(T::default()) {
        Ok(serde_json::Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

pub(super) fn json_schema() -> serde_json::Value {
    /// A table, from the flags' definitions: names, defaults, docs.
    fn table<T: Args + Serialize + Default>() -> serde_json::Value {
        let flags = T::augment_args(clap::Command::new("schema"));
        let defaults = serde_json::to_value(T::default()).unwrap_or_default();
        let mut properties = serde_json::Map::new();
        for (key, default) in defaults.as_object().into_iter().flatten() {
            // A key that another stage has too is a flag with the stage's name in front.
            let names =
                |id: &str| id == key || (key == "where" && id == "predicate") || id.split_once('_').is_some_and(|(_, rest)| rest == key);
            let exact = flags.get_arguments().find(|flag| flag.get_id() == key.as_str());
            let doc = exact.or_else(|| flags.get_arguments().find(|flag| names(flag.get_id().as_str()))).and_then(|flag| flag.get_help());
            let mut property = serde_json::json!({ "description": doc.map(ToString::to_string), "default": default });
            let kind = match default {
                serde_json::Value::Bool(_) => Some("boolean"),
                serde_json::Value::Number(number) if number.is_f64() => Some("number"),
                serde_json::Value::Number(_) => Some("integer"),
                serde_json::Value::String(_) => Some("string"),
                serde_json::Value::Array(_) => Some("array"),
                _ => None,
            };
            if let Some(kind) = kind {
                property["type"] = kind.into();
            }
            properties.insert(key.clone(), property);
        }
        serde_json::json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
    fn stage<T: Args + Serialize + Default>(name: &str) -> serde_json::Value {
        let mut schema = table::<T>();
        schema["properties"]["use"] = serde_json::json!({ "const": name });
        schema["required"] = serde_json::json!(["use"]);
        schema
    }
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trommel recipe",
        "type": "object",
        "required": ["job", "source", "stage"],
        "additionalProperties": false,
        "properties": {
            "job": table::<JobSettings>(),
            "source": table::<SourceSettings>(),
            "network": { "type": "object", "description": "Every setting of the fetcher.", "properties": serde_json::to_value(FetchConfig::default()).map(|value| match value {
                serde_json::Value::Object(map) => map.into_iter().map(|(key, default)| (key, serde_json::json!({ "default": default }))).collect::<serde_json::Map<_, _>>(),
                _ => serde_json::Map::new(),
            }).unwrap_or_default(), "additionalProperties": false },
            "stage": { "type": "array", "minItems": 1, "items": { "oneOf": [
                stage::<LanguageSettings>("language"),
                stage::<KeepSettings>("keep"),
                stage::<CapSettings>("cap"),
                stage::<SampleSettings>("sample"),
                stage::<BalanceSettings>("balance"),
                stage::<BaselineSettings>("baseline"),
                stage::<NearSettings>("near"),
                stage::<DecontaminateSettings>("decontaminate"),
                stage::<RetrieveSettings>("retrieve"),
                stage::<DedupeSettings>("dedupe"),
                stage::<FetchSettings>("fetch"),
                stage::<ScoreSettings>("score"),
                stage::<HashSettings>("hash"),
                stage::<WriteSettings>("write"),
            ] } },
        },
    })
}
