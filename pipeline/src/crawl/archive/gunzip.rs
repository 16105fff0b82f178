//! Gzip: a whole member at a time with libdeflate, in pieces with zlib where a member is odd or too large.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{Crc, DecompressionError, Decompressor};

use super::feed::{CHUNK_BYTES, Feed, FeedCounts};
use super::raw::{MarkKind, Raw};
use super::window::Window;

/// First size of the output. Common Crawl's members are 1 KB to 1 MB when inflated.
const FIRST_OUTPUT_BYTES: usize = 1 << 20;
/// With fewer bytes than this in the window more are read before a member is tried whole.
const LOW_WATER_BYTES: usize = 64 << 10;
/// Inflated bytes looked at before a place is believed to be a member.
const TRIAL_BYTES: usize = 4 << 10;

pub(crate) struct Gunzip {
    whole: Decompressor,
    stream: Option<Stream>,
    /// Most inflated bytes of a member that is inflated whole.
    most: usize,
    /// Output size to try first; only grows.
    output: usize,
    /// Looking for the next member after damage.
    lost: bool,
    members: u64,
}

/// A member that is inflated piece by piece.
struct Stream {
    inflate: Decompress,
    crc: Crc,
    length: u32,
    /// Bytes of the window that are inflated already. They are kept as long as they fit, to look there for the next member if this one is damaged.
    at: usize,
    ended: bool,
}

impl Gunzip {
    pub(crate) fn new(most: usize) -> Self {
        Self { whole: Decompressor::new(), stream: None, most, output: FIRST_OUTPUT_BYTES.min(most), lost: false, members: 0 }
    }

    /// Inflates the member at the front of the window whole. `None`: not possible, whatever the reason.
    fn whole_member(&mut self, window: &mut Window, raw: &mut Raw, header: usize) -> io::Result<Option<()>> {
        loop {
            let input = &window.data()[header..];
            let out = raw.free(self.output);
            match self.whole.deflate_decompress(input, out) {
                Ok(n) => {
                    // libdeflater does not say how much input it used. The trailer does: it is CRC-32 and length of
                    // what was just inflated, 64 bits that nothing else has.
                    let mut trailer = [0u8; 8];
                    trailer[..4].copy_from_slice(&libdeflater::crc32(&out[..n]).to_le_bytes());
                    trailer[4..].copy_from_slice(&(n as u32).to_le_bytes());
                    let Some(at) = memchr::memmem::find(input, &trailer) else {
                        if self.more(window)? {
                            continue;
                        }
                        return Ok(None);
                    };
                    let offset = window.offset();
                    raw.mark(MarkKind::Member, offset);
                    raw.wrote(n);
                    window.consume(header + at + 8);
                    raw.mark(MarkKind::End, window.offset());
                    return Ok(Some(()));
                }
                Err(DecompressionError::InsufficientSpace) => {
                    if self.output >= self.most {
                        return Ok(None);
                    }
                    self.output = (self.output * 4).min(self.most);
                }
                Err(DecompressionError::BadData) => {
                    if !self.more(window)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Reads more of the input into the window; `false` when there is no more or no room.
    fn more(&self, window: &mut Window) -> io::Result<bool> {
        let before = window.read_to();
        if !window.is_full() {
            window.fill()?;
        }
        Ok(window.read_to() > before)
    }

    fn stream_piece(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()> {
        let Some(stream) = self.stream.as_mut() else {
            return Ok(());
        };
        if stream.at == window.len() && !window.eof() {
            if window.is_full() {
                let half = window.len() / 2;
                window.consume(half);
                stream.at -= half;
            }
            window.fill()?;
        }
        if stream.ended {
            return self.trailer(window, raw, counts);
        }
        let input = &window.data()[stream.at..];
        let out = raw.free(CHUNK_BYTES);
        let (in_before, out_before) = (stream.inflate.total_in(), stream.inflate.total_out());
        let status = stream.inflate.decompress(input, &mut out[..CHUNK_BYTES], FlushDecompress::None);
        let used = (stream.inflate.total_in() - in_before) as usize;
        let made = (stream.inflate.total_out() - out_before) as usize;
        stream.crc.update(&out[..made]);
        stream.length = stream.length.wrapping_add(made as u32);
        stream.at += used;
        raw.wrote(made);
        match status {
            Ok(Status::StreamEnd) => {
                stream.ended = true;
                self.trailer(window, raw, counts)
            }
            Ok(_) if used > 0 || made > 0 => Ok(()),
            Ok(_) if !window.eof() => Ok(()),
            Ok(_) => {
                // The file ends inside the member: what there is may be used.
                window.consume(window.len());
                self.stream = None;
                raw.eof = true;
                Ok(())
            }
            Err(_) => {
                self.damage(window, raw, counts);
                Ok(())
            }
        }
    }

    fn trailer(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()> {
        let Some(stream) = self.stream.as_mut() else {
            return Ok(());
        };
        if window.len() < stream.at + 8 && !window.eof() {
            // Give up what lies before the trailer, if it is in the way.
            let before = stream.at.min(window.len());
            window.consume(before);
            stream.at = 0;
            window.want(8)?;
        }
        let rest = &window.data()[stream.at..];
        if rest.len() < 8 {
            window.consume(window.len());
            self.stream = None;
            raw.eof = true;
            return Ok(());
        }
        let crc = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]);
        if crc == stream.crc.sum() && length == stream.length {
            window.consume(stream.at + 8);
            self.stream = None;
            raw.mark(MarkKind::End, window.offset());
        } else {
            self.damage(window, raw, counts);
        }
        Ok(())
    }

    fn damage(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) {
        raw.mark(MarkKind::Damage, window.offset());
        self.stream = None;
        self.lost = true;
        if window.len() > 0 {
            window.consume(1);
            counts.skipped += 1;
        }
    }

    /// Moves the window to the next place where a member begins. `true` when there is one.
    fn next_member(&mut self, window: &mut Window, counts: &mut FeedCounts) -> io::Result<bool> {
        loop {
            window.want(64 << 10)?;
            if window.len() == 0 {
                return Ok(false);
            }
            let data = window.data();
            let mut from = 0;
            let mut found = None;
            while let Some(at) = memchr::memmem::find(&data[from..], &[0x1f, 0x8b, 8]) {
                let at = from + at;
                // A header near the end of the window is judged once more of it is there.
                if data.len() - at < 1024 && !window.eof() {
                    found = Some((at, false));
                    break;
                }
                if header_len(&data[at..]).is_some_and(|header| self.believable(&data[at + header..])) {
                    found = Some((at, true));
                    break;
                }
                from = at + 1;
            }
            match found {
                Some((at, sure)) => {
                    counts.skipped += at as u64;
                    window.consume(at);
                    if sure {
                        return Ok(true);
                    }
                    let before = window.read_to();
                    window.fill()?;
                    if window.read_to() == before && !window.eof() {
                        window.consume(1);
                        counts.skipped += 1;
                    }
                }
                None => {
                    // Two bytes may be the beginning of a magic number.
                    let keep = if window.eof() { 0 } else { 2 };
                    let gone = window.len().saturating_sub(keep);
                    counts.skipped += gone as u64;
                    window.consume(gone);
                    if window.eof() && window.len() == 0 {
                        return Ok(false);
                    }
                    window.fill()?;
                }
            }
        }
    }

    /// Whether the deflate stream at `input` looks like one: it begins with a record, or it inflates for a while.
    fn believable(&self, input: &[u8]) -> bool {
        let mut out = [0u8; TRIAL_BYTES];
        let mut inflate = Decompress::new(false);
        let input = &input[..input.len().min(64 << 10)];
        let result = inflate.decompress(input, &mut out, FlushDecompress::None);
        let made = inflate.total_out() as usize;
        if out[..made].starts_with(b"WARC/") {
            return true;
        }
        match result {
            Ok(Status::StreamEnd) => {
                let used = inflate.total_in() as usize;
                input.get(used..used + 8).is_some_and(|trailer| {
                    trailer[..4] == libdeflater::crc32(&out[..made]).to_le_bytes() && trailer[4..8] == (made as u32).to_le_bytes()
                })
            }
            Ok(_) => made == TRIAL_BYTES,
            Err(_) => false,
        }
    }
}

impl Feed for Gunzip {
    fn feed(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()> {
        if self.stream.is_some() {
            return self.stream_piece(window, raw, counts);
        }
        if window.len() < LOW_WATER_BYTES {
            window.fill()?;
        }
        if window.len() == 0 {
            raw.eof = true;
            return Ok(());
        }
        let header = if self.lost { None } else { header_len(window.data()) };
        let Some(header) = header else {
            if !self.lost && !window.data().iter().all(|byte| *byte == 0) {
                counts.gap = Some(window.offset());
            }
            self.lost = false;
            if !self.next_member(window, counts)? {
                raw.eof = true;
            }
            return Ok(());
        };
        self.members += 1;
        if self.whole_member(window, raw, header)?.is_none() {
            raw.mark(MarkKind::Member, window.offset());
            self.stream = Some(Stream { inflate: Decompress::new(false), crc: Crc::new(), length: 0, at: header, ended: false });
            return self.stream_piece(window, raw, counts);
        }
        Ok(())
    }

    fn seekable(&self) -> bool {
        true
    }
}

/// Length of the gzip header at the front of `data` (RFC 1952), or `None` when there is none.
pub(crate) fn header_len(data: &[u8]) -> Option<usize> {
    let fixed = data.get(..10)?;
    if fixed[..3] != [0x1f, 0x8b, 8] || fixed[3] & 0xe0 != 0 {
        return None;
    }
    let flags = fixed[3];
    let mut at = 10;
    if flags & 4 != 0 {
        let extra = data.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += memchr::memchr(0, data.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= data.len()).then_some(at)
}
