//! Finds out where the files of an archive lie, without reading them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::stream::MAX_MEMBER_BYTES;
use super::{BLOCK, MAX_HEADER_BYTES, TarError, TarReadError, checksum, header_name, number, pax_records, text};

/// A file that is read at any place.
pub trait ReadAt {
    /// Reads some bytes from a place on: fewer than asked for only at the end.
    ///
    /// # Errors
    /// Whatever the disk or the store says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Where a file of an archive lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpan {
    /// Its name, lossily decoded.
    pub name: String,
    /// Byte offset of its header.
    pub header: u64,
    /// Byte offset of its content.
    pub start: u64,
    /// Bytes of its content.
    pub size: u64,
}

/// The files of an archive, in order, by their headers alone: contents are passed over.
///
/// What stands in the window that was read last is not read again, so that the short members of a sample, which lie side
/// by side, cost one read together. A wide window reads the archive from front to back, which suits a store that
/// answers slowly; 4 KiB suit a disk.
///
/// Every member is checked to lie within the archive, and the archive to have its end mark: a shard that was cut is an
/// error, wherever it was cut. After an error the scanner is at its end.
pub struct TarScanner<'a, R: ReadAt + ?Sized> {
    source: &'a R,
    length: u64,
    window: Vec<u8>,
    window_at: u64,
    window_bytes: usize,
    at: u64,
    ended: bool,
}

impl<'a, R: ReadAt + ?Sized> TarScanner<'a, R> {
    /// Scans an archive of `length` bytes.
    pub fn new(source: &'a R, length: u64, window_bytes: usize) -> Self {
        let window_bytes = window_bytes.max(BLOCK);
        Self { source, length, window: Vec::new(), window_at: 0, window_bytes, at: 0, ended: false }
    }

    /// Bytes of the archive, from the window where they are in it.
    fn bytes(&mut self, at: u64, count: usize, header: u64) -> Result<&[u8], TarReadError> {
        let held = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let held = held.filter(|from| from + count <= self.window.len());
        let from = match held {
            Some(from) => from,
            None => {
                self.window.resize(count.max(self.window_bytes), 0);
                let read = self.source.read_at(at, &mut self.window).map_err(|e| TarReadError::Io(at, e))?;
                self.window.truncate(read);
                self.window_at = at;
                if read < count {
                    return Err(TarError::Truncated(header).into());
                }
                0
            }
        };
        Ok(&self.window[from..from + count])
    }

    /// The content of a member.
    ///
    /// # Errors
    /// When the source refuses or ends.
    pub fn content(&mut self, member: &MemberSpan) -> Result<Vec<u8>, TarReadError> {
        // The size was checked against the length of the archive.
        self.bytes(member.start, member.size as usize, member.header).map(<[u8]>::to_vec)
    }

    fn advance(&mut self) -> Result<Option<MemberSpan>, TarReadError> {
        let mut long_name: Option<String> = None;
        let mut pax_size: Option<u64> = None;
        loop {
            let offset = self.at;
            let mut header = [0; BLOCK];
            header.copy_from_slice(self.bytes(offset, BLOCK, offset)?);
            if header.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            let stored = number(&header[148..156]).ok_or(TarError::Field(offset, "checksum"))?;
            if stored != u64::from(checksum(&header)) {
                return Err(TarError::Checksum(offset).into());
            }
            let mut size = number(&header[124..136]).ok_or(TarError::Field(offset, "size"))?;
            let kind = header[156];
            let is_file = matches!(kind, b'0' | 0 | b'7');
            if is_file {
                size = pax_size.take().unwrap_or(size);
            }
            let start = offset + BLOCK as u64;
            let end = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK as u64));
            let end = end.filter(|&end| end <= self.length).ok_or(TarError::Truncated(offset))?;
            if is_file {
                let name = long_name.take().unwrap_or_else(|| header_name(&header));
                if size > MAX_MEMBER_BYTES {
                    return Err(TarReadError::MemberTooLarge(name, size));
                }
                self.at = end;
                return Ok(Some(MemberSpan { name, header: offset, start, size }));
            }
            if matches!(kind, b'L' | b'x' | b'g') && size > MAX_HEADER_BYTES {
                return Err(TarError::HeaderTooLarge(offset, size).into());
            }
            match kind {
                b'L' => long_name = Some(text(self.bytes(start, size as usize, offset)?)),
                b'x' => {
                    for (key, value) in pax_records(self.bytes(start, size as usize, offset)?) {
                        match key {
                            "path" => long_name = Some(value.to_owned()),
                            "size" => pax_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                _ => (long_name, pax_size) = (None, None),
            }
            self.at = end;
        }
    }
}

impl<R: ReadAt + ?Sized> Iterator for TarScanner<'_, R> {
    type Item = Result<MemberSpan, TarReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let member = self.advance().transpose();
        self.ended = !matches!(member, Some(Ok(_)));
        member
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TarWriter, member_header, read_members};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_scan_finds_what_the_reader_in_memory_gives(
            files in prop::collection::vec(("[a-z0-9]{1,150}", prop::collection::vec(any::<u8>(), 0..3000)), 0..6),
            damage in prop::option::of((0_usize..4096, any::<u8>())),
            cut in prop::option::of(0_usize..8000),
            window in 1_usize..5000,
        ) {
            let mut bytes = Vec::new();
            for (name, content) in &files {
                bytes.extend(member_header(name, content.len() as u64).unwrap());
                bytes.extend_from_slice(content);
                bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            }
            bytes.extend(TarWriter::new().finish());
            if let Some((at, with)) = damage && at < bytes.len() {
                bytes[at] = with;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut);
            }
            let mut scanner = TarScanner::new(&bytes[..], bytes.len() as u64, window);
            let mut found = Vec::new();
            let error = loop {
                match scanner.next() {
                    Some(Ok(member)) => {
                        let content = scanner.content(&member).unwrap();
                        found.push((member.name, content, member.header));
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            match read_members(&bytes) {
                Ok(members) => {
                    let members: Vec<_> = members.into_iter().map(|m| (m.name, m.content.to_vec(), m.offset)).collect();
                    // The reader in memory lets an archive end without its mark.
                    prop_assert!(error.is_none() || matches!(error, Some(TarReadError::Tar(TarError::Truncated(_)))));
                    prop_assert_eq!(found, members);
                }
                Err(_) => prop_assert!(error.is_some()),
            }
        }
    }
}
