//! Copying members into a tar.
//!
//! Some MiB of the output are laid out at a time: where each header and each content goes is known from the plan. Contents are
//! then read from the inputs straight to their places. Members that lie side by side in the input with one plain header
//! between them, as they will in the output, are read together, headers included, and the headers are written over: a
//! shard that is kept whole is read in pieces of many samples.

use std::ops::Range;

use bytes::BytesMut;

use super::super::ReshardError;
use super::super::input::{Read, Source};
use super::members::{Item, Piece, Reader, read_error};
use crate::tar::member_header;

const BLOCK: usize = 512;

/// Lays out and fills the archive's next piece.
pub(super) fn fill(reader: &mut Reader<'_>, items: &[Item], buffer: &mut BytesMut) -> Result<(), ReshardError> {
    let mut layout = Layout::default();
    for (number, item) in items.iter().enumerate() {
        for (ending, piece) in &item.members {
            layout.member(number, item, ending, piece).map_err(|e| reader.fail(&item.sample, e))?;
        }
    }
    buffer.resize(layout.length, 0);
    // Runs of one shard are handed to it together.
    let mut from = 0;
    while from < layout.runs.len() {
        let shard = items[layout.runs[from].item].sample.shard;
        let count = layout.runs[from..].iter().take_while(|run| items[run.item].sample.shard == shard).count();
        let runs = &layout.runs[from..from + count];
        let jobs: Vec<Read> = runs.iter().map(|run| Read { from: run.from, to: run.to.clone() }).collect();
        let read = reader.source(shard)?.read_all(&jobs, buffer);
        read.map_err(|(at, e)| {
            // A run may be of many samples: the one that the shard no longer holds is the one to name.
            let length = Source::open(reader.uri(shard)).map_or(0, |(_, length)| length);
            let is_lost = |item: &&Item| {
                let beyond = |piece: &Piece| matches!(piece, Piece::At { start, size } if start + size > length);
                item.sample.shard == shard && item.members.iter().any(|(_, piece)| beyond(piece))
            };
            let run = &runs[at];
            let item = items[run.item..].iter().find(is_lost).unwrap_or(&items[run.item]);
            read_error(reader.uri(shard), &item.sample, run.from, e)
        })?;
        from += count;
    }
    for (at, header) in &layout.headers {
        buffer[*at..at + header.len()].copy_from_slice(header);
    }
    for (at, bytes) in &layout.contents {
        buffer[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    for padding in &layout.paddings {
        buffer[padding.clone()].fill(0);
    }
    Ok(())
}

/// Where everything of a piece goes.
#[derive(Default)]
struct Layout<'a> {
    length: usize,
    headers: Vec<(usize, Vec<u8>)>,
    contents: Vec<(usize, &'a [u8])>,
    paddings: Vec<Range<usize>>,
    runs: Vec<Run>,
}

/// Bytes that are read at once.
struct Run {
    item: usize,
    shard: u32,
    from: u64,
    to: Range<usize>,
}

impl<'a> Layout<'a> {
    fn member(&mut self, number: usize, item: &'a Item, ending: &str, piece: &'a Piece) -> Result<(), crate::tar::TarError> {
        let header = member_header(&format!("{}.{ending}", item.key), piece.len())?;
        let at = self.length + header.len();
        let end = at + piece.len() as usize;
        let padded = end.next_multiple_of(BLOCK);
        match piece {
            Piece::Bytes(bytes) => self.contents.push((at, bytes)),
            Piece::At { size: 0, .. } => {}
            Piece::At { start, .. } => match self.runs.last_mut() {
                Some(run) if run.shard == item.sample.shard && joins(run, *start, at) => run.to.end = end,
                _ => self.runs.push(Run { item: number, shard: item.sample.shard, from: *start, to: at..end }),
            },
        }
        self.headers.push((self.length, header));
        self.paddings.push(end..padded);
        self.length = padded;
        Ok(())
    }
}

/// Whether a member follows a run at the same distance in the input and in the output, one header apart: no more is read
/// than is written.
fn joins(run: &Run, start: u64, at: usize) -> bool {
    let next = run.to.end.next_multiple_of(BLOCK) + BLOCK;
    next == at && start.checked_sub(run.from) == Some((at - run.to.start) as u64)
}
