//! Files that are whole and durable, or not there.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::IndexError;
use super::error::io;

/// Ending of a file that is being written. What a killed program left under it is overwritten.
const TEMPORARY: &str = ".tmp";

/// Lets `write` make a file under a temporary name, makes it durable and moves it into place.
pub(super) fn put(path: &Path, write: impl FnOnce(&Path) -> Result<(), IndexError>) -> Result<(), IndexError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    write(&temporary)?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(io(&temporary))?;
    fs::rename(&temporary, path).map_err(io(path))?;
    // The name is durable when its folder is.
    match path.parent() {
        Some(folder) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder)),
        None => Ok(()),
    }
}

/// A file of these bytes.
pub(super) fn put_bytes(path: &Path, bytes: &[u8]) -> Result<(), IndexError> {
    put(path, |temporary| fs::write(temporary, bytes).map_err(io(temporary)))
}

/// A file of JSON, readable by people.
pub(super) fn put_json(path: &Path, value: &impl Serialize) -> Result<(), IndexError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| IndexError::Description { path: path.to_path_buf(), message: error.to_string() })?;
    text.push(b'\n');
    put_bytes(path, &text)
}

/// Lower-case hexadecimal SHA-256 of a file.
pub(super) fn sha256(path: &Path) -> Result<String, IndexError> {
    let mut file = File::open(path).map_err(io(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(path)(error)),
        }
    }
}

/// Writes files one after the other.
pub(super) fn concatenate(parts: &[PathBuf], out: &Path) -> Result<(), IndexError> {
    let mut file = File::create(out).map_err(io(out))?;
    for part in parts {
        let mut from = File::open(part).map_err(io(part))?;
        std::io::copy(&mut from, &mut file).map_err(io(out))?;
    }
    file.flush().map_err(io(out))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}
