//! Writing an archive as numpy does.

use flate2::{Compress, Crc, FlushCompress, Status};

use super::super::VectorFileError;
use super::super::spool::Spool;
use super::{CENTRAL, END, END64, LIMIT_32, LOCAL, LOCATOR64};
use crate::storage::{ObjectWriter, Written};

/// The date that `numpy.savez` writes: 1980-01-01, the first that the format knows.
const DATE: u16 = 0x0021;
/// "Version needed": deflate, and zip64.
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;

/// How members are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As they are, like `numpy.savez`. Float vectors hardly shrink.
    #[default]
    Stored,
    /// Deflated, like `numpy.savez_compressed` and DataComp's own files.
    Deflated,
}

struct Done {
    name: String,
    compression: Compression,
    crc: u32,
    packed: u64,
    size: u64,
    offset: u64,
}

/// An archive that is being written.
pub(crate) struct ZipWriter {
    writer: ObjectWriter,
    place: String,
    offset: u64,
    done: Vec<Done>,
    /// From where on 64-bit fields are used; tests lower it.
    wide_from: u64,
}

impl ZipWriter {
    pub(crate) fn new(writer: ObjectWriter, place: &str, wide_from: u64) -> Self {
        Self { writer, place: place.to_owned(), offset: 0, done: Vec::new(), wide_from: wide_from.min(LIMIT_32) }
    }

    /// Adds a member that is `head` followed by a spooled body with checksum `crc`.
    pub(crate) async fn add(
        &mut self,
        name: &str,
        compression: Compression,
        head: &[u8],
        body: &mut Spool,
        crc: &Crc,
    ) -> Result<(), VectorFileError> {
        let size = head.len() as u64 + body.len();
        let mut whole = Crc::new();
        whole.update(head);
        whole.combine(crc);
        let mut packed = match compression {
            Compression::Stored => None,
            Compression::Deflated => Some(deflate(&self.place, head, body)?),
        };
        let length = packed.as_ref().map_or(size, Spool::len);
        let offset = self.offset;
        let done = Done { name: name.to_owned(), compression, crc: whole.sum(), packed: length, size, offset };
        let header = self.local(&done);
        self.put(header).await?;
        match &mut packed {
            Some(packed) => packed.copy_to(&self.place, &mut self.writer).await?,
            None => {
                self.writer.write(head.to_vec().into()).await?;
                body.copy_to(&self.place, &mut self.writer).await?;
            }
        }
        self.offset += length;
        self.done.push(done);
        Ok(())
    }

    /// Writes the directory and moves the archive into place.
    pub(crate) async fn finish(mut self) -> Result<Written, VectorFileError> {
        let start = self.offset;
        let records: Vec<u8> = self.done.iter().flat_map(|done| self.central(done)).collect();
        let length = records.len() as u64;
        self.put(records).await?;
        let count = self.done.len() as u64;
        let mut out = Vec::new();
        if start >= self.wide_from || length >= self.wide_from || count >= 0xffff {
            let at = self.offset;
            put32(&mut out, END64);
            put64(&mut out, 44);
            put16(&mut out, VERSION_64);
            put16(&mut out, VERSION_64);
            put64(&mut out, 0);
            for value in [count, count, length, start] {
                put64(&mut out, value);
            }
            put32(&mut out, LOCATOR64);
            put32(&mut out, 0);
            put64(&mut out, at);
            put32(&mut out, 1);
        }
        put32(&mut out, END);
        put32(&mut out, 0);
        put16(&mut out, count.min(0xffff) as u16);
        put16(&mut out, count.min(0xffff) as u16);
        put32(&mut out, self.narrow(length));
        put32(&mut out, self.narrow(start));
        put16(&mut out, 0);
        self.put(out).await?;
        Ok(self.writer.finish().await?)
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), VectorFileError> {
        self.offset += bytes.len() as u64;
        Ok(self.writer.write(bytes.into()).await?)
    }

    fn narrow(&self, value: u64) -> u32 {
        if value >= self.wide_from { u32::MAX } else { value as u32 }
    }

    fn local(&self, done: &Done) -> Vec<u8> {
        let wide = done.size >= self.wide_from || done.packed >= self.wide_from;
        let mut out = Vec::new();
        put32(&mut out, LOCAL);
        put16(&mut out, if wide { VERSION_64 } else { VERSION });
        self.common(done, wide, &mut out);
        put16(&mut out, if wide { 20 } else { 0 });
        out.extend_from_slice(done.name.as_bytes());
        if wide {
            put16(&mut out, 1);
            put16(&mut out, 16);
            put64(&mut out, done.size);
            put64(&mut out, done.packed);
        }
        out
    }

    fn central(&self, done: &Done) -> Vec<u8> {
        let wide = done.size >= self.wide_from || done.packed >= self.wide_from;
        let mut extra = Vec::new();
        if wide {
            put64(&mut extra, done.size);
            put64(&mut extra, done.packed);
        }
        if done.offset >= self.wide_from {
            put64(&mut extra, done.offset);
        }
        let mut out = Vec::new();
        put32(&mut out, CENTRAL);
        let version = if extra.is_empty() { VERSION } else { VERSION_64 };
        // Made on Unix: the permissions below mean something.
        put16(&mut out, 3 << 8 | version);
        put16(&mut out, version);
        self.common(done, wide, &mut out);
        put16(&mut out, if extra.is_empty() { 0 } else { extra.len() as u16 + 4 });
        put16(&mut out, 0);
        put32(&mut out, 0);
        put32(&mut out, 0o100_644 << 16);
        put32(&mut out, self.narrow(done.offset));
        out.extend_from_slice(done.name.as_bytes());
        if !extra.is_empty() {
            put16(&mut out, 1);
            put16(&mut out, extra.len() as u16);
            out.extend_from_slice(&extra);
        }
        out
    }

    /// The fields that local and central header share: flags to length of the name. Where one size is wide, both are.
    fn common(&self, done: &Done, wide: bool, out: &mut Vec<u8>) {
        put16(out, 0);
        put16(out, if done.compression == Compression::Deflated { 8 } else { 0 });
        put16(out, 0);
        put16(out, DATE);
        put32(out, done.crc);
        put32(out, if wide { u32::MAX } else { done.packed as u32 });
        put32(out, if wide { u32::MAX } else { done.size as u32 });
        put16(out, done.name.len() as u16);
    }
}

/// Deflates into a second spool: the length must be known before the header is written.
fn deflate(place: &str, head: &[u8], body: &mut Spool) -> Result<Spool, VectorFileError> {
    let mut packed = Spool::new();
    let mut deflate = Compress::new(flate2::Compression::default(), false);
    let mut out = Vec::with_capacity(1 << 18);
    body.rewind(place)?;
    let mut piece = head.to_vec();
    loop {
        let flush = if piece.is_empty() { FlushCompress::Finish } else { FlushCompress::None };
        let mut at = 0;
        loop {
            let before = deflate.total_in();
            let status = deflate.compress_vec(&piece[at..], &mut out, flush);
            let status = status.map_err(|e| VectorFileError::rows(place, format!("cannot be deflated: {e}")))?;
            at += (deflate.total_in() - before) as usize;
            let full = out.len() == out.capacity();
            packed.write(place, &out)?;
            out.clear();
            match flush {
                FlushCompress::Finish if status == Status::StreamEnd => return Ok(packed),
                FlushCompress::Finish => {}
                _ if at == piece.len() && !full => break,
                _ => {}
            }
        }
        piece = body.piece(place)?;
    }
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}
