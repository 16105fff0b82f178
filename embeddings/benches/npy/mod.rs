//! Arrays for the peers of the benches: npy files, written plainly.

use std::io::Write;
use std::path::Path;

/// Writes an array: numpy's name of its kind, its shape, and its bytes.
pub(crate) fn write(path: &Path, kind: &str, shape: &str, bytes: &[u8]) {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut file = std::fs::File::create(path).unwrap();
    // Magic, version, length and the header make whole lines of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(length as u16).to_le_bytes()).unwrap();
    file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes()).unwrap();
    file.write_all(bytes).unwrap();
}
