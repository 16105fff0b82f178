//! Access to a JSON object by key, with errors that name the file and the key.

use std::path::Path;

use serde_json::{Map, Value};

use super::Activation;
use crate::error::ModelError;

/// A JSON object of a config file, and where it stands in it.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    path: &'a Path,
    prefix: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn root(path: &'a Path, value: &'a Value) -> Result<Self, ModelError> {
        let map = value.as_object().ok_or_else(|| ModelError::Config { path: path.to_owned(), message: "not a JSON object".to_owned() })?;
        Ok(Self { path, prefix: String::new(), map })
    }

    /// An object without keys, of the same file: all defaults.
    pub(super) fn empty<'b>(&'b self, nothing: &'b Value) -> Result<Fields<'b>, ModelError> {
        Fields::root(self.path, nothing)
    }

    pub(super) fn error(&self, message: &str) -> ModelError {
        ModelError::Config { path: self.path.to_owned(), message: message.to_owned() }
    }

    pub(super) fn unknown(&self, found: &str) -> ModelError {
        ModelError::UnknownArchitecture { path: self.path.to_owned(), found: found.to_owned(), known: super::KNOWN.to_owned() }
    }

    /// The key as it is found from the root of the file.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn wrong(&self, key: &str, wanted: &str) -> ModelError {
        let found = self.map.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        self.error(&format!("`{}` is {found}, expected {wanted}", self.place(key)))
    }

    /// The value of a key; `null` is as good as nothing.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn section(&self, key: &str) -> Result<Fields<'a>, ModelError> {
        let value = self.get(key).ok_or_else(|| self.error(&format!("`{}` is missing", self.place(key))))?;
        let map = value.as_object().ok_or_else(|| self.wrong(key, "an object"))?;
        Ok(Fields { path: self.path, prefix: format!("{}.", self.place(key)), map })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    pub(super) fn size(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|size| usize::try_from(size).ok())
                .filter(|&size| size < 1 << 32)
                .ok_or_else(|| self.wrong(key, "a whole number")),
        }
    }

    pub(super) fn required_size(&self, key: &str) -> Result<usize, ModelError> {
        if !self.has(key) {
            return Err(self.error(&format!("`{}` is missing", self.place(key))));
        }
        self.size(key, 0)
    }

    /// A side that may be written as a number or as a pair of equal numbers.
    pub(super) fn side(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key).and_then(Value::as_array) {
            None => self.size(key, default),
            Some(pair) => match pair.iter().map(Value::as_u64).collect::<Vec<_>>()[..] {
                [Some(height), Some(width)] if height == width => Ok(height as usize),
                _ => Err(self.wrong(key, "a number, or two that are equal")),
            },
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    pub(super) fn word(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(key, "a string")),
        }
    }

    /// An id; a list of several ends of text, which newer configs may hold, is refused.
    pub(super) fn id(&self, key: &str, default: Option<u32>) -> Result<Option<u32>, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
                Some(id) => Ok(Some(id)),
                None => Err(self.wrong(key, "one token id")),
            },
        }
    }

    /// The activation by the name that transformers gives it.
    pub(super) fn activation(&self, key: &str, default: Activation) -> Result<Activation, ModelError> {
        match self.word(key)? {
            None => Ok(default),
            Some("gelu") => Ok(Activation::Gelu),
            Some("quick_gelu") => Ok(Activation::QuickGelu),
            Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
            Some(other) => Err(self.error(&format!(
                "`{}` is the unknown activation `{other}`; known are gelu, quick_gelu, gelu_pytorch_tanh and gelu_new",
                self.place(key)
            ))),
        }
    }
}
