//! From a stream of bytes to records, over every kind of damage.

use super::arc::parse_line;
use super::feed::{Feed, FeedCounts, Plain};
use super::format::{Compression, SNIFF_BYTES, sniff};
use super::header::{find_arc_line, find_version_line, is_version_line, parse_head};
use super::lines::field;
use super::raw::{MarkKind, Raw};
use super::record::{Head, Record, RecordKind};
use super::window::{FIRST_BYTES, Window};
use super::{ArchiveError, ArchiveInput, ArchiveLimits, Format, ReadStats, RecordFault};

/// Reads records one after the other.
///
/// After a broken record it goes on at the next place where a record begins: the next compressed member, or the next
/// line `WARC/1.x` (or ARC header line). [`stats`](Self::stats) says what was lost and where.
pub struct RecordReader {
    name: String,
    window: Window,
    feed: Box<dyn Feed>,
    raw: Raw,
    counts: FeedCounts,
    limits: ArchiveLimits,
    stats: ReadStats,
    format: Format,
    /// Bytes of the record that was handed out last.
    lent: usize,
    /// Offset of the member that the position lies in, and the position in the inflated stream where it begins.
    member: Option<(u64, u64)>,
    arc: bool,
    /// Garbage is being passed over (counted once).
    astray: bool,
}

/// What could be had when more bytes were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Have {
    Enough,
    /// Damage or the end of the file comes first, after this many bytes.
    Damage(usize),
    End(usize),
}

/// What lies at the position of the reader.
enum Step {
    Record {
        head: usize,
        block: usize,
        arc: bool,
        truncated: bool,
    },
    /// Pass over this many bytes and look again.
    Skip(usize),
    End,
}

impl RecordReader {
    /// Starts to read. `name` is for messages, and tells HTML from nothing known when the bytes do not.
    pub fn new(input: ArchiveInput, name: &str, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        Self::with_window(input, name, limits, FIRST_BYTES)
    }

    /// Starts to read where only one record is wanted, and reading ahead would be for nothing.
    pub(crate) fn for_one(input: ArchiveInput, name: &str, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        Self::with_window(input, name, limits, SNIFF_BYTES)
    }

    fn with_window(input: ArchiveInput, name: &str, limits: ArchiveLimits, first: usize) -> Result<Self, ArchiveError> {
        let mut window = Window::new(input, first, limits.window_bytes);
        window.want(SNIFF_BYTES).map_err(|source| ArchiveError::Read { name: name.to_owned(), offset: window.offset(), source })?;
        let format = sniff(window.data(), name);
        let feed: Box<dyn Feed> = match format.compression {
            Compression::Plain => Box::new(Plain),
            Compression::Gzip => Box::new(super::gunzip::Gunzip::new(limits.record_bytes.saturating_add(limits.header_bytes))),
            Compression::Zstd => Box::new(super::unzstd::Unzstd::new()),
            Compression::Bzip2 => Box::new(super::bunzip::Bunzip::new()),
            Compression::Lz4 => {
                return Err(ArchiveError::Unsupported { name: name.to_owned(), what: "compressed with LZ4" });
            }
        };
        Ok(Self {
            name: name.to_owned(),
            window,
            feed,
            raw: Raw::new(),
            counts: FeedCounts::default(),
            limits,
            stats: ReadStats::default(),
            format,
            lent: 0,
            member: None,
            arc: format.container == super::Container::Arc,
            astray: false,
        })
    }

    /// What the file is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was read and lost so far.
    pub fn stats(&self) -> &ReadStats {
        &self.stats
    }

    /// All inflated bytes from the present position to the end of the file, if they are at most `limit`; `None` when there are more.
    /// For files that hold no records (HTML pages).
    pub fn read_rest(&mut self, limit: usize) -> Result<Option<Vec<u8>>, ArchiveError> {
        self.give_back();
        let have = self.have(limit.saturating_add(1))?;
        let n = match have {
            Have::Enough => return Ok(None),
            Have::Damage(n) | Have::End(n) => n,
        };
        Ok(Some(self.raw.data()[..n].to_vec()))
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    /// Only when the input cannot be read. Broken records are passed over and counted.
    #[allow(clippy::should_implement_trait, reason = "lends from the reader, which an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ArchiveError> {
        self.give_back();
        loop {
            match self.step()? {
                Step::Record { head, block, arc, truncated } => {
                    self.astray = false;
                    self.lent = head + block;
                    self.stats.records += 1;
                    self.stats.truncated += u64::from(truncated);
                    return Ok(Some(self.lend(head, block, arc, truncated)));
                }
                Step::Skip(n) => self.pass_over(n),
                Step::End => {
                    self.count();
                    return Ok(None);
                }
            }
        }
    }

    fn give_back(&mut self) {
        self.raw.consume(self.lent);
        self.lent = 0;
        self.count();
    }

    fn count(&mut self) {
        self.stats.bytes_skipped += std::mem::take(&mut self.counts.skipped);
        self.stats.bytes_read = self.window.offset();
        self.stats.bytes_inflated = self.raw.end_position();
    }

    fn pass_over(&mut self, n: usize) {
        self.stats.bytes_skipped += n as u64;
        self.raw.consume(n);
    }

    fn fault(&mut self, fault: RecordFault) {
        let offset = self.offset().0;
        self.stats.fault(offset, fault, self.limits.described_faults);
    }

    /// Offset of the present position, and whether one can seek there.
    fn offset(&self) -> (u64, bool) {
        match self.member {
            Some((offset, begins)) if begins == self.raw.position() => (offset, self.feed.seekable()),
            Some(_) => (self.raw.position(), false),
            None => (self.raw.position(), self.format.compression == Compression::Plain),
        }
    }

    /// Makes `n` sound bytes available, if there are so many.
    fn have(&mut self, n: usize) -> Result<Have, ArchiveError> {
        loop {
            let (sound, damaged) = self.raw.sound();
            if sound >= n {
                return Ok(Have::Enough);
            }
            if damaged {
                return Ok(Have::Damage(sound));
            }
            if self.raw.eof {
                return Ok(Have::End(sound));
            }
            let fed = self.feed.feed(&mut self.window, &mut self.raw, &mut self.counts);
            if let Some(offset) = self.counts.gap.take() {
                self.stats.fault(offset, RecordFault::Garbage, self.limits.described_faults);
            }
            fed.map_err(|source| ArchiveError::Read { name: self.name.clone(), offset: self.window.read_to(), source })?;
        }
    }

    /// Takes the marks at the present position; damage here has been dealt with by whoever came here.
    fn pass_marks(&mut self) {
        while let Some(mark) = self.raw.pass_mark() {
            match mark.kind {
                MarkKind::Member => self.member = Some((mark.file_offset, mark.at)),
                MarkKind::End => {}
                MarkKind::Damage => {
                    if !self.astray {
                        self.stats.fault(mark.file_offset, RecordFault::Damaged, self.limits.described_faults);
                    }
                    self.astray = false;
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, ArchiveError> {
        loop {
            self.pass_marks();
            // Blank lines between records, and the NULs that some writers pad with.
            let blank = self.raw.data().iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
            let blank = blank.min(self.raw.sound().0).min(self.next_mark().unwrap_or(usize::MAX));
            if blank > 0 {
                self.raw.consume(blank);
                // A record that begins a member after blank lines still begins it.
                if let Some((_, begins)) = self.member.as_mut()
                    && *begins + blank as u64 == self.raw.position()
                {
                    *begins = self.raw.position();
                }
                continue;
            }
            if self.raw.len() > 0 && self.raw.sound().0 > 0 {
                break;
            }
            match self.have(1)? {
                Have::Enough => {}
                Have::Damage(_) => self.pass_marks(),
                Have::End(_) => return Ok(Step::End),
            }
        }
        let starts = match is_version_line(self.sound_data()) {
            Some(starts) => starts,
            None => {
                let _ = self.have(24)?;
                is_version_line(self.sound_data()) == Some(true)
            }
        };
        if starts {
            return self.warc();
        }
        if self.arc {
            if parse_line(self.sound_data()).is_none() {
                let _ = self.have(16 << 10)?;
            }
            if parse_line(self.sound_data()).is_some() {
                return self.arc_record();
            }
        }
        self.garbage()
    }

    fn sound_data(&self) -> &[u8] {
        &self.raw.data()[..self.raw.sound().0]
    }

    /// Bytes to the next mark, if one lies ahead.
    fn next_mark(&self) -> Option<usize> {
        let position = self.raw.position();
        self.raw.marks().find(|mark| mark.at > position).map(|mark| (mark.at - position) as usize)
    }

    /// Passes over bytes that are no record, up to the next place where one may begin.
    fn garbage(&mut self) -> Result<Step, ArchiveError> {
        if !self.astray {
            self.astray = true;
            self.fault(RecordFault::Garbage);
        }
        let _ = self.have(32)?;
        let sound = self.raw.sound().0;
        let mut reach = sound;
        // Members are places to begin at, whatever comes before them.
        if let Some(mark) = self.next_mark() {
            reach = reach.min(mark);
        }
        let data = &self.raw.data()[..reach];
        let mut found = find_line_start(data, find_version_line);
        if self.arc {
            found = found.into_iter().chain(find_line_start(data, find_arc_line)).min();
        }
        let skip = match found {
            Some(at) => at,
            // The beginning of a version line may lie at the end of what is here.
            None if reach == sound && !self.raw.eof && sound > 64 && !self.raw.sound().1 => {
                memchr::memrchr(b'\n', data).filter(|at| reach - at < 32 && *at > 0).unwrap_or(reach)
            }
            None => reach,
        };
        Ok(Step::Skip(skip.max(1)))
    }

    fn warc(&mut self) -> Result<Step, ArchiveError> {
        let mut want = 1024;
        let head = loop {
            if let Some(head) = parse_head(self.sound_data()) {
                break head;
            }
            let sound = self.raw.sound().0;
            if sound >= self.limits.header_bytes {
                return Ok(self.lose(RecordFault::Header));
            }
            want = want.max(sound + 1).min(self.limits.header_bytes);
            match self.have(want)? {
                Have::Enough => want *= 2,
                Have::Damage(n) => {
                    if parse_head(self.sound_data()).is_none() {
                        return Ok(Step::Skip(n.max(1)));
                    }
                }
                Have::End(n) => {
                    if parse_head(self.sound_data()).is_none() {
                        self.fault(RecordFault::Cut);
                        return Ok(Step::Skip(n.max(1)));
                    }
                }
            }
        };
        if head.bytes > self.limits.header_bytes {
            return Ok(self.lose(RecordFault::Header));
        }
        let Some(length) = head.length else {
            return Ok(self.lose(RecordFault::Length));
        };
        self.block(head.bytes, length, false)
    }

    fn arc_record(&mut self) -> Result<Step, ArchiveError> {
        let Some((line, head)) = parse_line(self.sound_data()) else {
            return Ok(self.lose(RecordFault::Header));
        };
        match line.length {
            Some(length) => self.block(head, length, true),
            None => Ok(Step::Record { head, block: 0, arc: true, truncated: true }),
        }
    }

    fn lose(&mut self, fault: RecordFault) -> Step {
        if !self.astray {
            self.fault(fault);
            self.astray = true;
        }
        Step::Skip(5.min(self.raw.len()))
    }

    /// Gathers the block behind a header of `head` bytes.
    fn block(&mut self, head: usize, length: u64, arc: bool) -> Result<Step, ArchiveError> {
        if length > self.limits.record_bytes as u64 {
            return self.pass_over_large(head, length);
        }
        let length = length as usize;
        let mut truncated = false;
        let mut block = length;
        match self.have(head + length)? {
            Have::Enough => {}
            // The damage lies in this record: pass over what could be read of it. The mark counts the loss.
            Have::Damage(n) => {
                if let Some(at) = self.inner_start(head, n) {
                    return Ok(Step::Record { head, block: at - head, arc, truncated: true });
                }
                return Ok(Step::Skip(n.max(1)));
            }
            Have::End(n) => {
                truncated = true;
                block = n - head;
                // A length beyond the end of the file would take all other records with it.
                if let Some(at) = self.inner_start(head, n) {
                    block = at - head;
                }
            }
        }
        // A member that begins with a record ends whatever record came before it.
        if let Some(at) = self.member_start_within(head + block) {
            return Ok(Step::Record { head, block: at.saturating_sub(head), arc, truncated: true });
        }
        if !self.ends_well(head + block, arc)?
            && let Some(at) = self.inner_start(head, head + block)
        {
            return Ok(Step::Record { head, block: at - head, arc, truncated: true });
        }
        if self.damage_at(head + block) {
            return Ok(Step::Skip(head + block));
        }
        Ok(Step::Record { head, block, arc, truncated })
    }

    /// Start of another record between `from` and `to`, if the length of this one was wrong. Blank lines before it are not part of this record.
    fn inner_start(&self, from: usize, to: usize) -> Option<usize> {
        // Its first line may reach beyond the wrong end, its beginning may not.
        let reach = to.saturating_add(if self.arc { 4096 } else { 32 }).min(self.raw.sound().0);
        let inner = self.raw.data().get(from..reach)?;
        let at = if self.arc { find_arc_line(inner) } else { find_version_line(inner) }.filter(|at| from + at < to)?;
        let blank = inner[..at].iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        Some(from + at - blank)
    }

    fn member_start_within(&self, end: usize) -> Option<usize> {
        let position = self.raw.position();
        self.raw
            .marks()
            .filter(|mark| mark.kind == MarkKind::Member && mark.at > position)
            .map(|mark| (mark.at - position) as usize)
            .take_while(|at| *at < end)
            .find(|at| is_version_line(&self.raw.data()[*at..]) == Some(true))
    }

    /// Whether damage lies at `end` or just behind it: then the record's own checksum is not known to be right.
    fn damage_at(&self, end: usize) -> bool {
        let (sound, damaged) = self.raw.sound();
        damaged && sound <= end + 4
    }

    /// Whether a record may end here: the member ends, the file ends, or another record follows.
    fn ends_well(&mut self, end: usize, arc: bool) -> Result<bool, ArchiveError> {
        let position = self.raw.position();
        let data_end = self.raw.len();
        let tail_blank = |raw: &Raw, from: usize, to: usize| raw.data()[from..to].iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0));
        // The usual case, without looking at the next member.
        if data_end - end <= 4
            && self.raw.marks().any(|mark| mark.kind == MarkKind::End && mark.at == position + data_end as u64)
            && tail_blank(&self.raw, end, data_end)
        {
            return Ok(true);
        }
        let have = self.have(end + 64)?;
        let reach = match have {
            Have::Enough => end + 64,
            Have::Damage(n) | Have::End(n) => n,
        };
        let data = &self.raw.data()[..reach];
        let blank = data[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
        let next = end + blank;
        if next == reach {
            return Ok(true);
        }
        if self.raw.marks().any(|mark| mark.kind == MarkKind::Member && (position + end as u64..=position + next as u64).contains(&mark.at))
        {
            return Ok(true);
        }
        if is_version_line(&data[next..]) != Some(false) {
            return Ok(true);
        }
        if arc {
            let _ = self.have(next + (16 << 10))?;
            return Ok(parse_line(&self.sound_data()[next..]).is_some());
        }
        Ok(false)
    }

    /// Passes over a record that is larger than may be held, without holding it.
    fn pass_over_large(&mut self, head: usize, length: u64) -> Result<Step, ArchiveError> {
        self.fault(RecordFault::TooLarge);
        self.pass_over(head);
        let mut left = length;
        while left > 0 {
            match self.have(64.min(usize::try_from(left).unwrap_or(64)))? {
                Have::Damage(0) | Have::End(0) => break,
                _ => {}
            }
            // A length that lies ends at the next member that begins with a record.
            let mut n = (self.raw.sound().0 as u64).min(left) as usize;
            if let Some(mark) = self.next_mark() {
                n = n.min(mark);
            }
            // And, as nothing tells it from one that is right, at the next version line.
            if let Some(at) = find_line_start(&self.raw.data()[..n], find_version_line) {
                self.pass_over(at);
                break;
            }
            // A version line may begin in the last bytes.
            if (n as u64) < left && n > 64 {
                n -= 32;
            }
            self.pass_over(n);
            left -= n as u64;
            self.pass_marks_in_block();
            let begins = self.member.is_some_and(|(_, at)| at == self.raw.position());
            if begins && left > 0 && self.have(9)? == Have::Enough && is_version_line(self.sound_data()) == Some(true) {
                break;
            }
        }
        self.astray = true;
        Ok(Step::Skip(0))
    }

    fn pass_marks_in_block(&mut self) {
        // Damage stays: `step` deals with it.
        while self.raw.marks().next().is_some_and(|mark| mark.kind != MarkKind::Damage && mark.at <= self.raw.position()) {
            if let Some(mark) = self.raw.pass_mark()
                && mark.kind == MarkKind::Member
            {
                self.member = Some((mark.file_offset, mark.at));
            }
        }
    }

    fn lend(&mut self, head: usize, block: usize, arc: bool, truncated: bool) -> Record<'_> {
        let (offset, seekable) = self.offset();
        let data = self.raw.data_mut();
        let (front, rest) = data.split_at_mut(head);
        let front: &[u8] = front;
        let payload = &mut rest[..block];
        let line = if arc { parse_line(front) } else { None };
        match line {
            Some((line, _)) => {
                let kind = if line.url.starts_with(b"filedesc:") { RecordKind::Warcinfo } else { RecordKind::Response };
                Record { kind, offset, seekable, truncated, head: Head::Arc(line), payload }
            }
            None => {
                let kind = field(front, "WARC-Type").map_or(RecordKind::Other, RecordKind::parse);
                Record { kind, offset, seekable, truncated, head: Head::Warc(front), payload }
            }
        }
    }
}

/// A start found by `find` that is not at 0 (there the search stands already).
fn find_line_start(data: &[u8], find: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let newline = memchr::memchr(b'\n', data)? + 1;
    find(&data[newline..]).map(|at| newline + at)
}
