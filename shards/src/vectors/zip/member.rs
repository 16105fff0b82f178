//! Reading one member front to back.

use std::io::{self, BufReader, Read, Take};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use parquet::file::reader::ChunkReader;

use super::{Entry, Fields, LOCAL, LOCAL_BYTES};
use crate::source::Input;

/// Opens a member. The reader gives exactly `entry.size` bytes, and an error instead of the end when the content is not
/// what the directory promises.
pub(crate) fn open_member(input: &Input, entry: &Entry) -> Result<Box<dyn Read + Send>, String> {
    let broken = || "the local header does not agree with the directory".to_owned();
    let header = input.get_bytes(entry.offset, LOCAL_BYTES as usize + entry.name.len()).map_err(|e| e.to_string())?;
    let mut fields = Fields(&header);
    let agrees = fields.u32() == Some(LOCAL);
    fields.take(4).ok_or_else(broken)?;
    let method = fields.u16().ok_or_else(broken)?;
    fields.take(16).ok_or_else(broken)?;
    let (name, extra) = (fields.u16().ok_or_else(broken)?, fields.u16().ok_or_else(broken)?);
    if !agrees || (method == 8) != entry.deflated || usize::from(name) != entry.name.len() || fields.0 != entry.name.as_bytes() {
        return Err(broken());
    }
    let start = entry.offset + LOCAL_BYTES + u64::from(name) + u64::from(extra);
    if start.checked_add(entry.packed).is_none_or(|end| end > entry.limit) {
        return Err("the member overlaps what follows it".into());
    }
    let packed = BufReader::with_capacity(1 << 18, input.get_read(start).map_err(|e| e.to_string())?.take(entry.packed));
    let packed = if entry.deflated { Packed::Deflated(Box::new(DeflateDecoder::new(packed))) } else { Packed::Stored(packed) };
    Ok(Box::new(Member { packed, crc: Crc::new(), wanted: entry.crc, left: entry.size }))
}

type Raw = BufReader<Take<Box<dyn Read + Send>>>;

enum Packed {
    Stored(Raw),
    Deflated(Box<DeflateDecoder<Raw>>),
}

impl Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(raw) => raw.read(buffer),
            Self::Deflated(decoder) => decoder.read(buffer),
        }
    }

    /// Bytes of the archive that the content did not use.
    fn unused(&self) -> u64 {
        let raw = match self {
            Self::Stored(raw) => raw,
            Self::Deflated(decoder) => decoder.get_ref(),
        };
        raw.buffer().len() as u64 + raw.get_ref().limit()
    }
}

struct Member {
    packed: Packed,
    crc: Crc,
    wanted: u32,
    left: u64,
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if self.packed.read(&mut [0])? != 0 {
                return Err(io::Error::other("unpacks to more bytes than the archive says"));
            }
            return match (self.crc.sum() == self.wanted, self.packed.unused()) {
                (true, 0) => Ok(0),
                (true, _) => Err(io::Error::other("ends before its packed bytes do")),
                (false, _) => Err(io::Error::other("has a wrong checksum")),
            };
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.packed.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::other(format!("unpacks to {} bytes less than the archive says", self.left)));
        }
        self.crc.update(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}
