//! Tar shards: plain ustar written, ustar, GNU and PAX read.
//!
//! Shards hold files only, with fixed times and owners, so that the same samples give the same bytes. A member costs one
//! 512-byte header and its content padded to 512 bytes; img2dataset's PAX headers cost 1 KiB more for each.

mod header;
mod scan;
mod stream;

use thiserror::Error;

pub use header::member_header;
pub use scan::{MemberSpan, ReadAt, TarScanner};
pub use stream::{MAX_MEMBER_BYTES, OwnedMember, TarReadError, TarReader};

const BLOCK: usize = 512;
/// Largest name that a ustar header holds without a prefix.
const MAX_NAME: usize = 100;
/// Longest long-name or PAX header that is read: no honest one comes near.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// What is wrong with an archive, with the byte offset of the header.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TarError {
    /// A member name that ustar cannot hold.
    #[error("member name `{0}` is longer than 100 bytes")]
    NameTooLong(String),
    /// A member of 8 GiB or more.
    #[error("member `{0}` is too large for ustar: {1} bytes")]
    TooLarge(String, u64),
    /// The header's checksum does not match.
    #[error("header at byte {0} has a wrong checksum")]
    Checksum(u64),
    /// A field of the header is no number.
    #[error("header at byte {0} has an unreadable {1}")]
    Field(u64, &'static str),
    /// The archive ends inside a member.
    #[error("archive ends inside the member whose header is at byte {0}")]
    Truncated(u64),
    /// An extension header is larger than any honest one.
    #[error("extension header at byte {0} is too large: {1} bytes")]
    HeaderTooLarge(u64, u64),
}

/// Builds a ustar archive in memory, piece by piece: [`TarWriter::take`] hands out what has been built so far.
#[derive(Debug, Default)]
pub struct TarWriter {
    buffer: Vec<u8>,
    total: u64,
}

impl TarWriter {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a file with mode 0444, time 0 and root as owner.
    ///
    /// # Errors
    /// [`TarError::NameTooLong`] over 100 bytes, [`TarError::TooLarge`] from 8 GiB.
    pub fn append(&mut self, name: &str, content: &[u8]) -> Result<(), TarError> {
        if name.len() > MAX_NAME {
            return Err(TarError::NameTooLong(name.to_owned()));
        }
        let size = content.len() as u64;
        if size >= 1 << 33 {
            return Err(TarError::TooLarge(name.to_owned(), size));
        }
        self.buffer.extend_from_slice(&header::ustar(name.as_bytes(), size, b'0'));
        self.buffer.extend_from_slice(content);
        let padding = content.len().next_multiple_of(BLOCK) - content.len();
        self.buffer.resize(self.buffer.len() + padding, 0);
        Ok(())
    }

    /// Bytes built and not yet taken.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Takes what has been built since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.total += self.buffer.len() as u64;
        std::mem::take(&mut self.buffer)
    }

    /// Ends the archive (two zero blocks, padded to 10 KiB as every tar does) and takes the rest of it.
    pub fn finish(mut self) -> Vec<u8> {
        let written = self.total as usize + self.buffer.len();
        let end = (written + 2 * BLOCK).next_multiple_of(20 * BLOCK);
        self.buffer.resize(self.buffer.len() + end - written, 0);
        self.buffer
    }
}

fn checksum(header: &[u8; BLOCK]) -> u32 {
    // The checksum field itself counts as spaces.
    header.iter().enumerate().map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u32::from(byte) }).sum()
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name, lossily decoded.
    pub name: String,
    /// Its content.
    pub content: &'a [u8],
    /// Byte offset of its header.
    pub offset: u64,
}

/// Reads all files of an archive that lies in memory: ustar with prefixes, GNU long names, PAX paths and sizes.
///
/// # Errors
/// [`TarError`] with the offset of the first broken header; what stands before it is lost with it, since a shard with a
/// broken member is a broken shard.
pub fn read_members(bytes: &[u8]) -> Result<Vec<Member<'_>>, TarError> {
    let mut members = Vec::new();
    let mut at = 0_usize;
    let mut long_name: Option<String> = None;
    let mut pax_size: Option<u64> = None;
    while let Some(header) = bytes.get(at..at + BLOCK) {
        let offset = at as u64;
        let header: &[u8; BLOCK] = header.try_into().map_err(|_| TarError::Truncated(offset))?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(members);
        }
        let stored = number(&header[148..156]).ok_or(TarError::Field(offset, "checksum"))?;
        if stored != u64::from(checksum(header)) {
            return Err(TarError::Checksum(offset));
        }
        let mut size = number(&header[124..136]).ok_or(TarError::Field(offset, "size"))?;
        let kind = header[156];
        if matches!(kind, b'0' | 0 | b'7') {
            size = pax_size.take().unwrap_or(size);
        }
        let start = at + BLOCK;
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size)).ok_or(TarError::Truncated(offset))?;
        let content = bytes.get(start..end).ok_or(TarError::Truncated(offset))?;
        match kind {
            b'L' | b'x' | b'g' if size > MAX_HEADER_BYTES => return Err(TarError::HeaderTooLarge(offset, size)),
            b'L' => long_name = Some(text(content)),
            b'x' => {
                for (key, value) in pax_records(content) {
                    match key {
                        "path" => long_name = Some(value.to_owned()),
                        "size" => pax_size = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            b'0' | 0 | b'7' => {
                let name = long_name.take().unwrap_or_else(|| header_name(header));
                members.push(Member { name, content, offset });
            }
            _ => long_name = None,
        }
        at = end.next_multiple_of(BLOCK);
    }
    if at > bytes.len() || bytes.len() - at > 0 {
        return Err(TarError::Truncated(at as u64));
    }
    Ok(members)
}

fn header_name(header: &[u8; BLOCK]) -> String {
    let name = text(&header[..100]);
    let prefix = if &header[257..262] == b"ustar" && header[263..265] == *b"00" { text(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Octal with padding, or GNU's base-256 for large values.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x7f);
        for &byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let digits = std::str::from_utf8(field).ok()?.trim_matches(|c: char| c == '\0' || c == ' ');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn pax_records(mut content: &[u8]) -> Vec<(&str, &str)> {
    let mut records = Vec::new();
    while let Some(space) = content.iter().position(|&byte| byte == b' ') {
        let Some(length) = std::str::from_utf8(&content[..space]).ok().and_then(|digits| digits.parse::<usize>().ok()) else { break };
        let Some(record) = content.get(space + 1..length) else { break };
        if let Some((key, value)) = std::str::from_utf8(record).ok().and_then(|record| record.trim_end_matches('\n').split_once('=')) {
            records.push((key, value));
        }
        content = &content[length..];
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(files in prop::collection::vec(("[a-z0-9]{1,90}", prop::collection::vec(any::<u8>(), 0..2000)), 0..8)) {
            let mut tar = TarWriter::new();
            let mut bytes = Vec::new();
            for (name, content) in &files {
                tar.append(name, content).unwrap();
                bytes.extend(tar.take());
            }
            bytes.extend(tar.finish());
            prop_assert_eq!(bytes.len() % 10240, 0);
            let read: Vec<_> = read_members(&bytes).unwrap().into_iter().map(|m| (m.name, m.content.to_vec())).collect();
            prop_assert_eq!(read, files);
        }

        #[test]
        fn damage_never_panics(content in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..2048, with in any::<u8>()) {
            let mut tar = TarWriter::new();
            tar.append("a.bin", &content).unwrap();
            let mut bytes = tar.finish();
            bytes[at] = with;
            let _ = read_members(&bytes);
            let _ = read_members(&bytes[..at]);
        }
    }

    #[test]
    fn a_long_name_is_refused() {
        let name = "n".repeat(101);
        assert_eq!(TarWriter::new().append(&name, b""), Err(TarError::NameTooLong(name)));
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let mut tar = TarWriter::new();
        tar.append("a", &[1; 5000]).unwrap();
        let bytes = tar.finish();
        assert_eq!(read_members(&bytes[..3000]), Err(TarError::Truncated(0)));
    }

    #[test]
    fn pax_paths_and_gnu_long_names_are_read() {
        let mut tar = TarWriter::new();
        tar.append("ignored", b"30 path=a/very/long/name.jpeg\n").unwrap();
        tar.append("short", b"x").unwrap();
        let mut bytes = tar.finish();
        bytes[156] = b'x';
        let mut header: [u8; 512] = bytes[..512].try_into().unwrap();
        let sum = checksum(&header);
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes[..512].copy_from_slice(&header);
        assert_eq!(read_members(&bytes).unwrap()[0].name, "a/very/long/name.jpeg");
    }
}
