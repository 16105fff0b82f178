//! A sliding window over the input.

use std::io::{self, Read};

use super::ArchiveInput;

/// First size of the window for reading a file through. Members that are larger make it grow, up to the limit.
pub(crate) const FIRST_BYTES: usize = 1 << 20;

/// The unread part of the input, as one slice, with the offset of its first byte in the file.
pub(crate) struct Window {
    input: ArchiveInput,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    eof: bool,
    most: usize,
}

impl Window {
    pub(crate) fn new(input: ArchiveInput, first: usize, most: usize) -> Self {
        let most = most.max(64 << 10);
        Self { input, buffer: vec![0; first.min(most)], start: 0, end: 0, offset: 0, eof: false, most }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset just behind the last byte taken from the input.
    pub(crate) fn read_to(&self) -> u64 {
        self.offset + self.len() as u64
    }

    pub(crate) fn eof(&self) -> bool {
        self.eof
    }

    /// Whether the window holds as much as it ever may.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len());
        self.start += n;
        self.offset += n as u64;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads until the buffer is full or the input ends; when it was full already, doubles it first (up to the limit).
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        if self.eof {
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() && self.buffer.len() < self.most {
            let bytes = (self.buffer.len() * 2).min(self.most);
            self.buffer.resize(bytes, 0);
        }
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes at least `n` bytes available, unless the input ends first or `n` is over the limit.
    pub(crate) fn want(&mut self, n: usize) -> io::Result<()> {
        while self.len() < n && !self.eof && !self.is_full() {
            self.fill()?;
        }
        Ok(())
    }
}

/// A [`Window`] is also a plain reader, for the decoders that want one.
impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.len() == 0 {
            self.fill()?;
        }
        let n = self.len().min(out.len());
        out[..n].copy_from_slice(&self.data()[..n]);
        self.consume(n);
        Ok(n)
    }
}
