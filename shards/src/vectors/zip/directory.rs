//! The central directory, and what may not be true in it.

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

use super::{CENTRAL, CENTRAL_BYTES, END, END_BYTES, END64, Fields, LIMIT_32, LOCAL_BYTES, LOCATOR64};
use crate::source::Input;

/// Members of an honest npz number a handful.
const MAX_ENTRIES: u64 = 1024;
const MAX_DIRECTORY: u64 = 1 << 20;
/// Longest comment that the format allows.
const MAX_COMMENT: usize = 65_535;
/// Deflate cannot do better: 258 bytes from two bits.
const MAX_RATIO: u64 = 1032;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub deflated: bool,
    pub crc: u32,
    /// Bytes in the archive.
    pub packed: u64,
    /// Bytes of the content.
    pub size: u64,
    /// Where its local header starts.
    pub offset: u64,
    /// Where the next member, or the directory, starts: the member must end before.
    pub limit: u64,
}

/// All members.
#[derive(Debug)]
pub(crate) struct Directory {
    pub entries: Vec<Entry>,
}

impl Directory {
    /// Reads the directory and checks that its claims agree: names are plain, sizes possible, members disjoint.
    pub(crate) fn read(input: &Input) -> Result<Self, String> {
        let total = input.len();
        let tail_length = total.min((MAX_COMMENT + END_BYTES) as u64);
        let tail_start = total - tail_length;
        let tail = bytes(input, tail_start, tail_length)?;
        let end = (0..(tail.len() + 1).saturating_sub(END_BYTES)).rev().find(|&at| {
            tail[at..].starts_with(&END.to_le_bytes())
                && usize::from(u16::from_le_bytes([tail[at + 20], tail[at + 21]])) == tail.len() - at - END_BYTES
        });
        let end = end.ok_or("is no zip archive: it has no end record, or was cut off")?;
        let end_at = tail_start + end as u64;
        let broken = || "zip end record is broken".to_owned();
        let mut fields = Fields(&tail[end + 4..]);
        let disks = (fields.u16().ok_or_else(broken)?, fields.u16().ok_or_else(broken)?);
        fields.u16().ok_or_else(broken)?;
        let mut count = u64::from(fields.u16().ok_or_else(broken)?);
        let mut length = u64::from(fields.u32().ok_or_else(broken)?);
        let mut offset = u64::from(fields.u32().ok_or_else(broken)?);
        let mut directory_end = end_at;
        if let Some(wide) = Wide::read(input, end_at)? {
            (count, length, offset, directory_end) = (wide.count, wide.length, wide.offset, wide.at);
        } else if disks != (0, 0) {
            return Err("archives in several parts are not taken".into());
        }
        if count > MAX_ENTRIES || length > MAX_DIRECTORY {
            return Err(format!("zip directory of {count} members and {length} bytes is larger than any npz has"));
        }
        if offset.checked_add(length) != Some(directory_end) {
            return Err("zip directory does not lie where the end record says".into());
        }
        let records = bytes(input, offset, length)?;
        let mut fields = Fields(&records);
        let mut entries = Vec::new();
        for number in 0..count {
            entries.push(entry(&mut fields).ok_or_else(|| format!("zip directory is broken at member {number}"))??);
        }
        if !fields.0.is_empty() {
            return Err("zip directory has more members than the end record says".into());
        }
        check(&mut entries, offset)?;
        Ok(Self { entries })
    }
}

fn bytes(input: &Input, start: u64, length: u64) -> Result<Bytes, String> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    input.get_bytes(start, length as usize).map_err(|e| e.to_string())
}

/// The end record with 64-bit fields.
struct Wide {
    count: u64,
    length: u64,
    offset: u64,
    at: u64,
}

impl Wide {
    fn read(input: &Input, end_at: u64) -> Result<Option<Self>, String> {
        let Some(locator_at) = end_at.checked_sub(20) else { return Ok(None) };
        let locator = bytes(input, locator_at, 20)?;
        if !locator.starts_with(&LOCATOR64.to_le_bytes()) {
            return Ok(None);
        }
        let broken = || "zip64 end record is broken".to_owned();
        let mut fields = Fields(&locator[8..]);
        let at = fields.u64().ok_or_else(broken)?;
        if at.checked_add(56).is_none_or(|end| end > locator_at) {
            return Err(broken());
        }
        let record = bytes(input, at, 56)?;
        let mut fields = Fields(&record);
        if fields.u32() != Some(END64) {
            return Err(broken());
        }
        fields.take(28).ok_or_else(broken)?;
        let mut next = || fields.u64().ok_or_else(broken);
        Ok(Some(Self { count: next()?, length: next()?, offset: next()?, at }))
    }
}

/// One record of the directory; `None` when it ends too early.
fn entry(fields: &mut Fields<'_>) -> Option<Result<Entry, String>> {
    let mut head = Fields(fields.take(CENTRAL_BYTES)?);
    if head.u32()? != CENTRAL {
        return None;
    }
    head.take(4)?;
    let (flags, method) = (head.u16()?, head.u16()?);
    head.take(4)?;
    let (crc, mut packed, mut size) = (head.u32()?, u64::from(head.u32()?), u64::from(head.u32()?));
    let (name, extra, comment) = (usize::from(head.u16()?), usize::from(head.u16()?), usize::from(head.u16()?));
    head.take(8)?;
    let mut offset = u64::from(head.u32()?);
    let name = String::from_utf8(fields.take(name)?.to_vec());
    let mut extras = Fields(fields.take(extra)?);
    fields.take(comment)?;
    let Ok(name) = name else { return Some(Err("a member's name is no UTF-8".into())) };
    while let (Some(id), Some(length)) = (extras.u16(), extras.u16()) {
        let mut body = Fields(extras.take(usize::from(length))?);
        // Only the fields that do not fit 32 bits are there, in this order.
        if id == 1 {
            for value in [&mut size, &mut packed, &mut offset] {
                if *value == LIMIT_32 {
                    *value = body.u64()?;
                }
            }
        }
    }
    let refuse = |message: String| Some(Err(format!("member `{}`: {message}", name.chars().take(100).collect::<String>())));
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':', '\0']) {
        return refuse("a name with a path is not taken".into());
    }
    if flags & 1 != 0 {
        return refuse("encrypted members are not taken".into());
    }
    if method != 0 && method != 8 {
        return refuse(format!("compression method {method} is not taken; stored and deflate are"));
    }
    let deflated = method == 8;
    let possible = if deflated { size <= packed.saturating_mul(MAX_RATIO) } else { size == packed };
    if !possible {
        return refuse(format!("{packed} bytes cannot hold {size}"));
    }
    Some(Ok(Entry { name, deflated, crc, packed, size, offset, limit: 0 }))
}

/// Members must have distinct names and lie one after the other, before the directory: overlapping ones multiply
/// (David Fifield, "A better zip bomb", WOOT 2019).
fn check(entries: &mut [Entry], directory: u64) -> Result<(), String> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.offset));
    let mut limit = directory;
    for entry in entries.iter_mut() {
        entry.limit = limit;
        let least = entry.packed.checked_add(LOCAL_BYTES + entry.name.len() as u64).and_then(|length| entry.offset.checked_add(length));
        if least.is_none_or(|end| end > limit) {
            return Err(format!("member `{}` overlaps what follows it", entry.name));
        }
        limit = entry.offset;
    }
    entries.reverse();
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("member `{}` is there twice", pair[0])),
        None => Ok(()),
    }
}
