//! Tag directories of TIFF files and EXIF blocks (TIFF 6.0 section 2), read without trusting an
//! offset or a count.

/// A block that starts with a TIFF header; offsets count from its first byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiff<'a> {
    data: &'a [u8],
    little: bool,
}

/// One directory entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    /// Field type, 1 to 13.
    pub(crate) kind: u16,
    pub(crate) count: u32,
    /// Where the values start.
    pub(crate) at: usize,
}

/// Bytes of one value of a field type, `None` for an unknown type.
pub(crate) fn value_size(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 => 8,
        _ => return None,
    })
}

impl<'a> Tiff<'a> {
    /// Reads the header and gives the offset of the first directory.
    pub(crate) fn open(data: &'a [u8]) -> Option<(Self, u32)> {
        let little = match data.get(..4)? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        let tiff = Self { data, little };
        let first = tiff.u32(4)?;
        Some((tiff, first))
    }

    pub(crate) fn bytes(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.data.get(at..at.checked_add(len)?)
    }

    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        let bytes: [u8; 2] = self.bytes(at, 2)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        let bytes: [u8; 4] = self.bytes(at, 4)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    pub(crate) fn f64(&self, at: usize) -> Option<f64> {
        let bytes: [u8; 8] = self.bytes(at, 8)?.try_into().ok()?;
        Some(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    /// The entries of a directory that lie inside the data and have a known type.
    pub(crate) fn entries(&self, ifd: u32) -> impl Iterator<Item = Entry> {
        let tiff = *self;
        let start = ifd as usize;
        let count = tiff.u16(start).unwrap_or(0);
        (0..usize::from(count))
            .map_while(move |index| start.checked_add(2 + 12 * index))
            .take_while(move |&at| tiff.bytes(at, 12).is_some())
            .filter_map(move |at| tiff.entry(at))
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        let tag = self.u16(at)?;
        let kind = self.u16(at + 2)?;
        let count = self.u32(at + 4)?;
        let len = value_size(kind)?.checked_mul(count as usize)?;
        let at = if len > 4 { self.u32(at + 8)? as usize } else { at + 8 };
        Some(Entry { tag, kind, count, at })
    }

    /// The offset of the directory after this one, `None` at the end of the chain.
    pub(crate) fn next(&self, ifd: u32) -> Option<u32> {
        let count = self.u16(ifd as usize)?;
        let next = self.u32((ifd as usize).checked_add(2 + 12 * usize::from(count))?)?;
        (next != 0 && next != ifd).then_some(next)
    }

    /// The first value of an integer entry.
    pub(crate) fn integer(&self, entry: &Entry) -> Option<u32> {
        if entry.count == 0 {
            return None;
        }
        match entry.kind {
            1 | 6 | 7 => self.bytes(entry.at, 1).map(|b| u32::from(b[0])),
            3 | 8 => self.u16(entry.at).map(u32::from),
            4 | 9 | 13 => self.u32(entry.at),
            _ => None,
        }
    }

    /// The first value of the first entry with this tag.
    pub(crate) fn find(&self, ifd: u32, tag: u16) -> Option<u32> {
        let entry = self.entries(ifd).find(|entry| entry.tag == tag)?;
        self.integer(&entry)
    }
}
