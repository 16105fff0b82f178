//! The members of a zip archive that stores them without compression, as `torch.save` does; zip64 included.

use std::io::{Read, Result, Seek, SeekFrom};

/// The largest list of members that is read: some hundred tensors' worth.
const MAX_DIRECTORY: u64 = 1 << 20;
/// The end record with the longest comment.
const END_WITH_COMMENT: u64 = 22 + 65_535;
/// Stands for a value that the zip64 fields hold.
const ELSEWHERE: u64 = 0xffff_ffff;

/// A stored member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The stored members of an archive; `None` for what is no archive, or a damaged one. Every place lies within the file.
pub(super) fn members(file: &mut (impl Read + Seek)) -> Result<Option<Vec<Member>>> {
    let total = file.seek(SeekFrom::End(0))?;
    let tail_start = total.saturating_sub(END_WITH_COMMENT + 20);
    let tail = bytes(file, tail_start, total - tail_start)?;
    let Some((start, length)) = directory(file, &tail, total)? else { return Ok(None) };
    let directory = bytes(file, start, length)?;
    let (mut rest, mut members) = (directory.as_slice(), Vec::new());
    while !rest.is_empty() {
        let Some((entry, after)) = entry(rest) else { return Ok(None) };
        rest = after;
        let Some((name, place, length)) = entry else { continue };
        // Names and extra fields of the local header may differ from the directory's.
        if place.checked_add(30).is_none_or(|end| end > total) {
            return Ok(None);
        }
        let local = bytes(file, place, 30)?;
        let start = place + 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        if local[..4] != *b"PK\x03\x04" || start.checked_add(length).is_none_or(|end| end > total) {
            return Ok(None);
        }
        members.push(Member { name, start, length });
    }
    Ok(Some(members))
}

/// Place and length of the central directory.
fn directory(file: &mut (impl Read + Seek), tail: &[u8], total: u64) -> Result<Option<(u64, u64)>> {
    let Some(end) = tail.windows(4).rposition(|four| four == b"PK\x05\x06").filter(|end| tail.len() - end >= 22) else {
        return Ok(None);
    };
    let (mut length, mut start) = (u64::from(u32_at(tail, end + 12)), u64::from(u32_at(tail, end + 16)));
    if end >= 20 && tail[end - 20..end - 16] == *b"PK\x06\x07" {
        let place = u64_at(tail, end - 12);
        if place.checked_add(56).is_none_or(|end| end > total) {
            return Ok(None);
        }
        let record = bytes(file, place, 56)?;
        if record[..4] != *b"PK\x06\x06" {
            return Ok(None);
        }
        (length, start) = (u64_at(&record, 40), u64_at(&record, 48));
    }
    let fits = length <= MAX_DIRECTORY && start.checked_add(length).is_some_and(|end| end <= total);
    Ok(fits.then_some((start, length)))
}

/// Name, place of the local header, and length.
type Entry = (String, u64, u64);

/// The first entry of a directory and what follows; the entry is `None` for a compressed member.
fn entry(directory: &[u8]) -> Option<(Option<Entry>, &[u8])> {
    let fixed = directory.get(..46).filter(|fixed| fixed[..4] == *b"PK\x01\x02")?;
    let (name, extra, comment) = (u16_at(fixed, 28), u16_at(fixed, 30), u16_at(fixed, 32));
    let (name, extra, comment) = (usize::from(name), usize::from(extra), usize::from(comment));
    let after = directory.get(46 + name + extra + comment..)?;
    let stored = u16_at(fixed, 10) == 0;
    let (mut size, mut length) = (u64::from(u32_at(fixed, 20)), u64::from(u32_at(fixed, 24)));
    let mut place = u64::from(u32_at(fixed, 42));
    let mut fields = &directory[46 + name..46 + name + extra];
    while fields.len() >= 4 {
        let (kind, bytes) = (u16_at(fields, 0), usize::from(u16_at(fields, 2)));
        let body = fields.get(4..4 + bytes)?;
        fields = &fields[4 + bytes..];
        if kind == 1 {
            // Only what did not fit above is there, in this order.
            let mut values = body.as_chunks::<8>().0.iter().map(|&eight| u64::from_le_bytes(eight));
            for value in [&mut length, &mut size, &mut place] {
                if *value == ELSEWHERE {
                    *value = values.next()?;
                }
            }
        }
    }
    let name = String::from_utf8_lossy(&directory[46..46 + name]).into_owned();
    Some(((stored && size == length).then_some((name, place, length)), after))
}

fn bytes(file: &mut (impl Read + Seek), start: u64, length: u64) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
