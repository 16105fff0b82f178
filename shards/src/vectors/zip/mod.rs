//! The part of the zip format that npz files use: stored and deflated members, zip64, no folders.
//!
//! Own code instead of a general library: members of several GB are read front to back from any store in bounded
//! memory, written with fixed times so that the same vectors give the same bytes, and every size in a file is taken for
//! a claim that must agree with the others before a byte is read.

mod directory;
mod member;
mod writer;

pub(crate) use directory::{Directory, Entry};
pub(crate) use member::open_member;
pub use writer::Compression;
pub(crate) use writer::ZipWriter;

pub(crate) const LOCAL: u32 = 0x0403_4b50;
pub(crate) const CENTRAL: u32 = 0x0201_4b50;
pub(crate) const END: u32 = 0x0605_4b50;
pub(crate) const END64: u32 = 0x0606_4b50;
pub(crate) const LOCATOR64: u32 = 0x0706_4b50;
/// Bytes of a local header before the name.
pub(crate) const LOCAL_BYTES: u64 = 30;
/// Bytes of a central header before the name.
pub(crate) const CENTRAL_BYTES: usize = 46;
/// Bytes of the end record before the comment.
pub(crate) const END_BYTES: usize = 22;
/// Values from here on are kept in 64-bit fields.
pub(crate) const LIMIT_32: u64 = 0xffff_ffff;

/// Little-endian fields of a record.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}
