//! Content codings, decoded as the bytes arrive, at most one layer, bounded in size and in ratio.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use super::body::Limits;
use super::outcome::FetchFailure;

/// The ratio is looked at once this much has come out: small bodies may shrink as they like.
const RATIO_FROM: u64 = 1 << 20;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding named by all `Content-Encoding` values together.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Self, FetchFailure> {
        let mut found = Self::Identity;
        for value in values {
            for word in value.split(|b| *b == b',') {
                let word = String::from_utf8_lossy(word).trim().to_ascii_lowercase();
                let coding = match word.as_str() {
                    "" | "identity" | "none" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    _ => {
                        let name: String = word.chars().take(40).collect();
                        return Err(FetchFailure::new("unsupported_encoding", format!("content coding `{name}`")));
                    }
                };
                if found != Self::Identity {
                    return Err(FetchFailure::new("unsupported_encoding", "more than one layer of content coding"));
                }
                found = coding;
            }
        }
        Ok(found)
    }
}

/// Where decoders write to; refuses the byte that is too many.
struct Bounded {
    out: Vec<u8>,
    max: u64,
    /// `wire * ratio` as far as known; grows with every chunk.
    ratio_max: u64,
    broken: bool,
}

impl Write for Bounded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = (self.out.len() + buf.len()) as u64;
        if len > self.max || (len > RATIO_FROM && len > self.ratio_max) {
            self.broken = true;
            return Err(io::Error::other("decoded size"));
        }
        self.out.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Kind {
    Gzip(MultiGzDecoder<Bounded>),
    /// The first byte decides between zlib (what the standard means) and raw deflate (what some send).
    DeflateUnknown(Bounded),
    Zlib(ZlibDecoder<Bounded>),
    Raw(DeflateDecoder<Bounded>),
    Brotli(Box<brotli::DecompressorWriter<Bounded>>),
    Zstd(Box<Zstd>),
    Done,
}

/// zstd by hand, because its writer does not say whether the last frame was whole.
struct Zstd {
    raw: zstd::stream::raw::Decoder<'static>,
    sink: Bounded,
    buffer: Box<[u8]>,
    /// What the library still expects; 0 at the end of a frame.
    hint: usize,
}

impl Zstd {
    fn write_all(&mut self, chunk: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(chunk);
        loop {
            let mut output = OutBuffer::around(&mut self.buffer[..]);
            self.hint = self.raw.run(&mut input, &mut output)?;
            let full = output.pos() == output.capacity();
            self.sink.write_all(output.as_slice())?;
            if input.pos() >= chunk.len() && !full {
                return Ok(());
            }
        }
    }

    fn end(&self) -> io::Result<()> {
        if self.hint == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A push decoder.
pub(crate) struct Decoder {
    kind: Kind,
    ratio: u64,
}

impl Decoder {
    /// A decoder for `coding`, none for identity.
    pub(crate) fn new(coding: Coding, limits: &Limits) -> Result<Option<Self>, FetchFailure> {
        let sink = Bounded { out: Vec::new(), max: limits.max_decoded, ratio_max: 0, broken: false };
        let kind = match coding {
            Coding::Identity => return Ok(None),
            Coding::Gzip => Kind::Gzip(MultiGzDecoder::new(sink)),
            Coding::Deflate => Kind::DeflateUnknown(sink),
            Coding::Brotli => Kind::Brotli(Box::new(brotli::DecompressorWriter::new(sink, 16 << 10))),
            Coding::Zstd => {
                let bad = |e: io::Error| FetchFailure::new("bad_encoding", e.to_string());
                let mut raw = zstd::stream::raw::Decoder::new().map_err(bad)?;
                // RFC 9659: 8 MiB of window for the web.
                raw.set_parameter(DParameter::WindowLogMax(23)).map_err(bad)?;
                Kind::Zstd(Box::new(Zstd { raw, sink, buffer: vec![0; 32 << 10].into(), hint: 0 }))
            }
        };
        Ok(Some(Self { kind, ratio: limits.max_ratio.max(1) }))
    }

    fn sink(&mut self) -> Option<&mut Bounded> {
        Some(match &mut self.kind {
            Kind::Gzip(d) => d.get_mut(),
            Kind::DeflateUnknown(s) => s,
            Kind::Zlib(d) => d.get_mut(),
            Kind::Raw(d) => d.get_mut(),
            Kind::Brotli(d) => d.get_mut(),
            Kind::Zstd(d) => &mut d.sink,
            Kind::Done => return None,
        })
    }

    /// Decodes `chunk`; `wire` bytes have arrived in all.
    pub(crate) fn push(&mut self, chunk: &[u8], wire: u64) -> Result<(), FetchFailure> {
        if chunk.is_empty() {
            return Ok(());
        }
        let ratio = self.ratio;
        if let Some(sink) = self.sink() {
            sink.ratio_max = wire.saturating_mul(ratio);
        }
        if matches!(self.kind, Kind::DeflateUnknown(_))
            && let Kind::DeflateUnknown(sink) = std::mem::replace(&mut self.kind, Kind::Done)
        {
            // RFC 1950: the low half of the first byte is 8 for zlib; a raw stream cannot start a block so.
            self.kind = if chunk.first().is_some_and(|b| b & 0x0f == 8) {
                Kind::Zlib(ZlibDecoder::new(sink))
            } else {
                Kind::Raw(DeflateDecoder::new(sink))
            };
        }
        let written = match &mut self.kind {
            Kind::Gzip(d) => d.write_all(chunk),
            Kind::Zlib(d) => d.write_all(chunk),
            Kind::Raw(d) => d.write_all(chunk),
            Kind::Brotli(d) => d.write_all(chunk),
            Kind::Zstd(d) => d.write_all(chunk),
            Kind::DeflateUnknown(_) | Kind::Done => Ok(()),
        };
        written.map_err(|e| self.failure(&e))
    }

    fn failure(&mut self, error: &io::Error) -> FetchFailure {
        match self.sink() {
            Some(sink) if sink.broken => {
                FetchFailure::new("decoded_too_large", format!("the body decodes to more than {} bytes", sink.out.len()))
            }
            _ => FetchFailure::new("bad_encoding", format!("the body does not decode: {error}")),
        }
    }

    /// The decoded body, once the wire has nothing more.
    pub(crate) fn finish(mut self) -> Result<Bytes, FetchFailure> {
        let ended = match &mut self.kind {
            Kind::Gzip(d) => d.try_finish(),
            Kind::Zlib(d) => d.try_finish(),
            Kind::Raw(d) => d.try_finish(),
            Kind::Brotli(d) => d.close(),
            Kind::Zstd(d) => d.end(),
            Kind::DeflateUnknown(_) | Kind::Done => Ok(()),
        };
        ended.map_err(|e| self.failure(&e))?;
        Ok(self.sink().map(|s| std::mem::take(&mut s.out)).unwrap_or_default().into())
    }
}
