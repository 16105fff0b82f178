//! The model that comes with the program: a small CLIP that knows the miniature web and nothing else.
//!
//! Its files are inside the library. They are unpacked into a folder of the cache, named by their digest, and loaded from
//! there as any other checkpoint: so the demo and the tests go the way that real models go.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::ModelError;

/// What the model is called.
pub const MINIWEB_CLIP: &str = "miniweb-clip";

const FILES: [(&str, &[u8]); 5] = [
    ("config.json", include_bytes!("../../models/miniweb-clip/config.json")),
    ("model.safetensors", include_bytes!("../../models/miniweb-clip/model.safetensors")),
    ("preprocessor_config.json", include_bytes!("../../models/miniweb-clip/preprocessor_config.json")),
    ("tokenizer.json", include_bytes!("../../models/miniweb-clip/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../models/miniweb-clip/tokenizer_config.json")),
];

/// The folder of a built-in model, unpacked when it is not there yet; `None` for any other name.
///
/// # Errors
/// [`ModelError::Io`] when the files cannot be written.
pub fn builtin(model: &str) -> Result<Option<PathBuf>, ModelError> {
    if model != MINIWEB_CLIP {
        return Ok(None);
    }
    let mut digest = Sha256::new();
    for (name, content) in FILES {
        digest.update(name);
        digest.update(content);
    }
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache().join(format!("{MINIWEB_CLIP}-{digest}")).join(MINIWEB_CLIP);
    for (name, content) in FILES {
        unpack(&folder, name, content)?;
    }
    Ok(Some(folder))
}

/// `$XDG_CACHE_HOME/trommel`, `~/.cache/trommel`, or a folder of the system's for temporary files.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".cache"));
    set("XDG_CACHE_HOME").or_else(home).map_or_else(std::env::temp_dir, |cache| cache.join("trommel"))
}

/// Writes a file unless it is there with this content. Another process may be doing the same: the last rename wins, with
/// the same bytes.
fn unpack(folder: &Path, name: &str, content: &[u8]) -> Result<(), ModelError> {
    let path = folder.join(name);
    if std::fs::read(&path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let fail = |source| ModelError::Io { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(fail)?;
    let temporary = folder.join(format!("{name}.{}.tmp", std::process::id()));
    std::fs::write(&temporary, content).map_err(fail)?;
    std::fs::rename(&temporary, &path).map_err(fail)
}
