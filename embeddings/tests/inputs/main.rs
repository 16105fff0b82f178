//! Inputs of models against goldens of transformers and open_clip (`tests/models/make_inputs.py`).
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod captions;
mod located;
mod peer;
mod pictures;

use std::path::{Path, PathBuf};

use trommel_embeddings::checkpoint::Layout;

fn golden() -> PathBuf {
    // Tests run in the folder of their crate.
    PathBuf::from("tests/golden/inputs")
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn layout(name: &str) -> Layout {
    if name == "open_clip" { Layout::OpenClip } else { Layout::Transformers }
}
