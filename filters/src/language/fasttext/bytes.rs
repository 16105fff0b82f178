//! A reader over the bytes of a model that cannot run past their end.

use super::Malformed;

/// Reads little-endian values one after the other.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// An error at the place that has been reached.
    pub(super) fn error(&self, reason: &'static str) -> Malformed {
        Malformed { offset: self.offset, reason }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.offset..];
        if len > rest.len() {
            return Err(self.error("the file ends too early"));
        }
        self.offset += len;
        Ok(&rest[..len])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.take(1)?[0] != 0)
    }

    /// A count that must not be negative.
    pub(super) fn count32(&mut self) -> Result<usize, Malformed> {
        let n = self.i32()?;
        usize::try_from(n).map_err(|_| self.error("a negative count"))
    }

    /// A count that must not be negative.
    pub(super) fn count64(&mut self) -> Result<usize, Malformed> {
        let n = self.i64()?;
        usize::try_from(n).map_err(|_| self.error("a negative count"))
    }

    /// The bytes before the next NUL, which is consumed.
    pub(super) fn until_nul(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.offset..];
        let len = memchr::memchr(0, rest).ok_or_else(|| self.error("a word without an end"))?;
        self.offset += len + 1;
        Ok(&rest[..len])
    }

    /// `len` floats; nothing is allocated before they are known to be there.
    pub(super) fn f32s(&mut self, len: usize) -> Result<Vec<f32>, Malformed> {
        let size = len.checked_mul(4).ok_or_else(|| self.error("a matrix beyond all bounds"))?;
        let raw = self.take(size)?;
        Ok(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}
