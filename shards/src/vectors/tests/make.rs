//! Folders, vectors and files for the tests.

use crate::storage::Storage;
use crate::vectors::{VectorBlock, VectorFileError, VectorReader};

/// A folder that goes away with the test.
pub(crate) fn folder() -> (Storage, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Storage::open(dir.path().to_str().unwrap()).unwrap(), dir)
}

/// Components that half precision holds exactly.
pub(crate) fn components(rows: usize, dim: usize) -> Vec<f32> {
    (0..rows * dim).map(|at| ((at * 37 % 1021) as f32 - 500.0) / 64.0).collect()
}

/// All blocks of a reader as one.
pub(crate) fn all(reader: Result<VectorReader, VectorFileError>) -> Result<VectorBlock, VectorFileError> {
    let mut whole = VectorBlock::default();
    let reader = reader?;
    let (rows, dim) = (reader.rows(), reader.dim());
    let mut valid = Vec::new();
    for block in reader {
        let block = block?;
        assert_eq!((block.start, block.dim), (whole.rows as u64, dim));
        assert_eq!(block.data.len(), block.rows * dim);
        valid.extend(block.valid.unwrap_or(vec![true; block.rows]));
        whole.rows += block.rows;
        whole.data.extend(block.data);
        for (from, to) in [(block.uids, &mut whole.uids), (block.keys, &mut whole.keys)] {
            if let Some(from) = from {
                to.get_or_insert_default().extend(from);
            }
        }
    }
    assert_eq!(whole.rows as u64, rows);
    whole.dim = dim;
    whole.valid = valid.contains(&false).then_some(valid);
    Ok(whole)
}

/// A zip archive of stored members, with whatever is wrong with them: name, content, claimed size, flags and offset.
pub(crate) struct Member<'a> {
    pub name: &'a str,
    pub content: &'a [u8],
    pub method: u16,
    pub size: u32,
    pub flags: u16,
    /// Offset that the directory claims, when it lies.
    pub offset: Option<u32>,
}

impl<'a> Member<'a> {
    pub(crate) fn honest(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, content, method: 0, size: content.len() as u32, flags: 0, offset: None }
    }
}

pub(crate) fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let mut crc = flate2::Crc::new();
        crc.update(member.content);
        let mut common = Vec::new();
        for value in [20, member.flags, member.method, 0, 0x21] {
            common.extend_from_slice(&u16::to_le_bytes(value));
        }
        for value in [crc.sum(), member.content.len() as u32, member.size] {
            common.extend_from_slice(&value.to_le_bytes());
        }
        common.extend_from_slice(&(member.name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        let offset = member.offset.unwrap_or(out.len() as u32);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(member.name.as_bytes());
        out.extend_from_slice(member.content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(member.name.as_bytes());
    }
    let (start, length, count) = (out.len() as u32, directory.len() as u32, members.len() as u16);
    out.extend(directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}
