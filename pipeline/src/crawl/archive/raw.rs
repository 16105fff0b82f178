//! The inflated bytes that are not parsed yet, with the places where members begin and where damage lies.

use std::collections::VecDeque;

/// A place in the inflated stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Absolute position in the inflated stream.
    pub(crate) at: u64,
    /// Offset in the file: of the member that begins here, or of the damage.
    pub(crate) file_offset: u64,
    pub(crate) kind: MarkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// A compressed member begins here.
    Member,
    /// A compressed member ended here, whole.
    End,
    /// The bytes before are the readable part of a damaged member.
    Damage,
}

/// Buffer of inflated bytes. Reuses its front whenever it runs empty, so that the usual case
/// (one member, one record) stays in the same few pages.
pub(crate) struct Raw {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Absolute position of `buffer[start]`.
    position: u64,
    marks: VecDeque<Mark>,
    pub(crate) eof: bool,
}

impl Raw {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, position: 0, marks: VecDeque::new(), eof: false }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn end_position(&self) -> u64 {
        self.position + self.len() as u64
    }

    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len());
        self.start += n;
        self.position += n as u64;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// At least `n` writable bytes behind the data.
    pub(crate) fn free(&mut self, n: usize) -> &mut [u8] {
        if self.buffer.len() - self.end < n {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() - self.end < n {
                let bytes = self.end + n;
                if self.end == 0 {
                    // A fresh zeroed buffer is given lazily by the system; growing in place would touch every page.
                    self.buffer = vec![0; bytes];
                } else {
                    self.buffer.resize(bytes, 0);
                }
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Declares `n` bytes of [`Raw::free`] as written.
    pub(crate) fn wrote(&mut self, n: usize) {
        self.end += n;
    }

    pub(crate) fn mark(&mut self, kind: MarkKind, file_offset: u64) {
        let at = self.end_position();
        self.marks.push_back(Mark { at, file_offset, kind });
    }

    /// Marks that are at or before the present position, oldest first, are taken away.
    pub(crate) fn pass_mark(&mut self) -> Option<Mark> {
        if self.marks.front().is_some_and(|mark| mark.at <= self.position) { self.marks.pop_front() } else { None }
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// Bytes up to the first damage, and whether there is one.
    pub(crate) fn sound(&self) -> (usize, bool) {
        match self.marks.iter().find(|mark| mark.kind == MarkKind::Damage) {
            Some(mark) => ((mark.at.saturating_sub(self.position)) as usize, true),
            None => (self.len(), false),
        }
    }
}
