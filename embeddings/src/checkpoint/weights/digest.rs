//! Which weights they were: a digest of the files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ModelError;

/// A file of weights and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeightFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// The sha256 of a file, read in pieces.
///
/// # Errors
/// [`ModelError::Io`].
pub fn sha256(path: &Path) -> Result<WeightFile, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let (mut hasher, mut piece, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut piece).map_err(io)?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
    }
    Ok(WeightFile { path: path.to_owned(), bytes, sha256: hex(&hasher.finalize()) })
}

/// One digest for all: that of the file, or, of several, the digest of their hexadecimal digests, one per line in order.
pub fn combined(files: &[WeightFile]) -> String {
    if let [one] = files {
        return one.sha256.clone();
    }
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.sha256.as_bytes());
        hasher.update(b"\n");
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
