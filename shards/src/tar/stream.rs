//! Reads an archive from front to back, a member at a time: a shard of any size costs the memory of its largest member.

use std::io::Read;

use thiserror::Error;

use super::{BLOCK, MAX_HEADER_BYTES, TarError, checksum, header_name, number, pax_records, text};

/// Largest member that is read into memory, in bytes. Pictures and their captions stay far below.
pub const MAX_MEMBER_BYTES: u64 = 1 << 30;

/// An archive that cannot be read to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TarReadError {
    /// The archive is broken.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The source refused.
    #[error("the archive cannot be read at byte {0}: {1}")]
    Io(u64, #[source] std::io::Error),
    /// A member is larger than [`MAX_MEMBER_BYTES`].
    #[error("member `{0}` is too large to be a sample: {1} bytes")]
    MemberTooLarge(String, u64),
}

/// A file of an archive, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedMember {
    /// Its name, lossily decoded.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Byte offset of its header.
    pub offset: u64,
}

/// The files of an archive, in order: ustar with prefixes, GNU long names, PAX paths and sizes.
///
/// After an error the reader is at its end: what follows a broken header cannot be found again.
pub struct TarReader<R> {
    source: R,
    at: u64,
    ended: bool,
}

impl<R: Read> TarReader<R> {
    /// Reads from the first byte on. The source should be buffered, or give large pieces.
    pub fn new(source: R) -> Self {
        Self { source, at: 0, ended: false }
    }

    /// Fills a buffer; false when the source ended before its first byte.
    fn fill(&mut self, buffer: &mut [u8], header: u64) -> Result<bool, TarReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(TarError::Truncated(header).into()),
                Ok(count) => filled += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(TarReadError::Io(self.at + filled as u64, e)),
            }
        }
        self.at += filled as u64;
        Ok(true)
    }

    /// The content of a member and the padding behind it. Memory grows with what really comes, not with what the header
    /// promises.
    fn content(&mut self, size: u64, header: u64) -> Result<Vec<u8>, TarReadError> {
        let mut content = Vec::with_capacity(size.min(1 << 20) as usize);
        let count = self.source.by_ref().take(size).read_to_end(&mut content).map_err(|e| TarReadError::Io(self.at, e))?;
        self.at += count as u64;
        if count as u64 != size {
            return Err(TarError::Truncated(header).into());
        }
        let mut padding = [0; BLOCK];
        let rest = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        if rest > 0 && !self.fill(&mut padding[..rest], header)? {
            return Err(TarError::Truncated(header).into());
        }
        Ok(content)
    }

    fn advance(&mut self) -> Result<Option<OwnedMember>, TarReadError> {
        let mut long_name: Option<String> = None;
        let mut pax_size: Option<u64> = None;
        loop {
            let offset = self.at;
            let mut header = [0; BLOCK];
            if !self.fill(&mut header, offset)? {
                // An archive that just stops has lost its end mark, and perhaps more.
                return Err(TarError::Truncated(offset).into());
            }
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
                let name = long_name.take().unwrap_or_else(|| header_name(&header));
                if size > MAX_MEMBER_BYTES {
                    return Err(TarReadError::MemberTooLarge(name, size));
                }
                let content = self.content(size, offset)?;
                return Ok(Some(OwnedMember { name, content, offset }));
            }
            if size > MAX_HEADER_BYTES {
                return Err(TarError::HeaderTooLarge(offset, size).into());
            }
            let content = self.content(size, offset)?;
            match kind {
                b'L' => long_name = Some(text(&content)),
                b'x' => {
                    for (key, value) in pax_records(&content) {
                        match key {
                            "path" => long_name = Some(value.to_owned()),
                            "size" => pax_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                _ => long_name = None,
            }
        }
    }
}

impl<R: Read> Iterator for TarReader<R> {
    type Item = Result<OwnedMember, TarReadError>;

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
    use super::super::{TarWriter, read_members};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_stream_gives_what_the_reader_in_memory_gives(
            files in prop::collection::vec(("[a-z0-9]{1,90}", prop::collection::vec(any::<u8>(), 0..2000)), 0..6),
            damage in prop::option::of((0_usize..4096, any::<u8>())),
        ) {
            let mut tar = TarWriter::new();
            for (name, content) in &files {
                tar.append(name, content).unwrap();
            }
            let mut bytes = tar.finish();
            if let Some((at, with)) = damage && at < bytes.len() {
                bytes[at] = with;
            }
            let streamed: Result<Vec<_>, _> = TarReader::new(&bytes[..]).map(|m| m.map(|m| (m.name, m.content))).collect();
            match read_members(&bytes) {
                Ok(members) => {
                    let members: Vec<_> = members.into_iter().map(|m| (m.name, m.content.to_vec())).collect();
                    prop_assert_eq!(streamed.unwrap(), members);
                }
                Err(_) => prop_assert!(streamed.is_err()),
            }
        }
    }

    #[test]
    fn an_archive_without_its_end_is_cut() {
        let mut tar = TarWriter::new();
        tar.append("a", b"x").unwrap();
        let bytes = tar.take();
        let mut reader = TarReader::new(&bytes[..]);
        assert_eq!(reader.next().unwrap().unwrap().name, "a");
        assert!(matches!(reader.next(), Some(Err(TarReadError::Tar(TarError::Truncated(1024))))));
        assert!(reader.next().is_none());
    }
}
