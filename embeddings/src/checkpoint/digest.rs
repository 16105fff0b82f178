//! Which file it was: sha256.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::ModelError;

/// sha256 of a file, read once, in 64 lower-case hexadecimal digits.
///
/// # Errors
/// [`ModelError::Io`].
pub fn sha256_of(path: &Path) -> Result<String, ModelError> {
    let io = |source| ModelError::Io { path: path.to_path_buf(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Whether a file is the one that was asked for.
///
/// # Errors
/// [`ModelError::Digest`] where not; [`ModelError::Io`].
pub fn expect_sha256(path: &Path, expected: &str) -> Result<(), ModelError> {
    same_digest(path.to_path_buf(), &sha256_of(path)?, expected)
}

pub(super) fn same_digest(path: PathBuf, found: &str, expected: &str) -> Result<(), ModelError> {
    if found.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(ModelError::Digest { path, found: found.to_owned(), expected: expected.to_owned() })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
