//! Weights in safetensors files, read through a memory map.
//!
//! One file, or several with an index. Values of 16 bits become `f32`. A file that is cut off, a tensor that is missing or
//! of another shape than the config says, and values that are not finite are errors that name the file and the tensor.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::error::ModelError;

/// The tensors of a model, not yet read.
#[derive(Debug)]
pub struct Weights {
    files: Vec<(PathBuf, Mmap)>,
    tensors: BTreeMap<String, Place>,
}

#[derive(Debug, Clone)]
struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    bytes: usize,
}

impl Weights {
    /// Maps the files and reads their headers. The files must not change while the value lives.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Weights`] for a file that is no safetensors file, that is cut off, or that repeats a
    /// tensor of another.
    pub fn open(paths: &[PathBuf]) -> Result<Self, ModelError> {
        let mut weights = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for path in paths {
            weights.add(path)?;
        }
        if weights.tensors.is_empty() {
            let path = paths.first().cloned().unwrap_or_default();
            return Err(ModelError::Weights { path, message: "no tensors".to_owned() });
        }
        Ok(weights)
    }

    fn add(&mut self, path: &Path) -> Result<(), ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let wrong = |message: String| ModelError::Weights { path: path.to_owned(), message };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Err(wrong("the file is empty".to_owned()));
        }
        // SAFETY: the map is read only; that nobody truncates the file meanwhile is the contract of `open`.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let base = map.as_ptr() as usize;
        let parsed = SafeTensors::deserialize(&map)
            .map_err(|error| wrong(format!("not a whole safetensors file of {} bytes: {error}", map.len())))?;
        let index = self.files.len();
        for (name, view) in parsed.iter() {
            let place = Place {
                file: index,
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                start: view.data().as_ptr() as usize - base,
                bytes: view.data().len(),
            };
            if self.tensors.insert(name.to_owned(), place).is_some() {
                return Err(wrong(format!("tensor `{name}` is in two files")));
            }
        }
        self.files.push((path.to_owned(), map));
        Ok(())
    }

    /// The files, in the order in which they were given.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|place| place.shape.as_slice())
    }

    /// The values of a tensor, which must have this shape.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when it is missing, has another shape or a type that holds no real numbers, or when values
    /// are not finite; they are counted.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(place) = self.tensors.get(name) else {
            return Err(self.error(0, format!("tensor `{name}` is missing")));
        };
        let wrong = |message| self.error(place.file, message);
        if place.shape != shape {
            return Err(wrong(format!("tensor `{name}` has the shape {:?}, expected {shape:?}", place.shape)));
        }
        let (_, map) = &self.files[place.file];
        let bytes = &map[place.start..place.start + place.bytes];
        let values: Vec<f32> = match place.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()).collect(),
            Dtype::F64 => bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight) as f32).collect(),
            other => return Err(wrong(format!("tensor `{name}` is of type {other:?}, expected f32, f16 or bf16"))),
        };
        let broken = values.iter().filter(|value| !value.is_finite()).count();
        if broken > 0 {
            let of = values.len();
            return Err(wrong(format!("tensor `{name}` holds {broken} values of {of} that are not finite")));
        }
        Ok(values)
    }

    /// An error about these weights, told of the file at `file`.
    pub(crate) fn error(&self, file: usize, message: String) -> ModelError {
        let path = self.files.get(file).map(|(path, _)| path.clone()).unwrap_or_default();
        ModelError::Weights { path, message }
    }
}
